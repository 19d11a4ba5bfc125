#include "audit/ledger/format.h"

#include <array>

#include "audit/ledger/sha256.h"

namespace vigil::format {
namespace {

template <std::size_t kBytes>
std::array<char, kBytes> BigEndian(std::uint64_t value) {
  std::array<char, kBytes> bytes;
  for (std::size_t i = kBytes; i > 0; --i, value >>= 8) bytes[i - 1] = static_cast<char>(value & 0xFF);
  return bytes;
}

template <std::size_t kBytes>
std::string_view View(const std::array<char, kBytes>& bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

absl::Status ReadEntry(const SqliteStatement& row, LedgerEntry& entry) {
  entry.id = EntryIdOf(row.Integer(0));
  absl::StatusOr<Digest> leaf_hash = merkle::DigestFromBytes(row.Bytes(1));
  if (!leaf_hash.ok()) return absl::DataLossError("an entry's stored leaf hash is not a hash");
  entry.leaf_hash = *leaf_hash;
  entry.sequence = static_cast<std::uint64_t>(row.Integer(2));
  entry.index = static_cast<std::uint32_t>(row.Integer(3));
  // A number that does not fit was never written by us; taking its low bits would hide the change from the seal.
  if (row.Integer(2) < 0 || row.Integer(3) != std::int64_t{entry.index}) {
    return absl::DataLossError("an entry's stored position is not a position");
  }
  entry.recorded_time = absl::FromUnixNanos(row.Integer(4));
  entry.file = row.Bytes(5);
  entry.school = row.Bytes(6);
  entry.bytes = row.Bytes(7);
  return absl::OkStatus();
}

Digest NextSeal(const Digest& seal, const Digest& leaf_hash, std::uint64_t sequence, std::uint32_t index,
                const LedgerCommit& commit) {
  // Every field has a fixed length or comes after its length, so no two rows give the same bytes.
  return HashPieces({AsView(seal), AsView(leaf_hash), View(BigEndian<8>(sequence)), View(BigEndian<4>(index)),
                     View(BigEndian<8>(static_cast<std::uint64_t>(absl::ToUnixNanos(commit.recorded_time)))),
                     View(BigEndian<4>(commit.file.size())), commit.file, commit.school});
}

Digest NextSeal(const Digest& seal, const LedgerEntry& entry) {
  return NextSeal(seal, entry.leaf_hash, entry.sequence, entry.index,
                  {entry.file, entry.school, entry.recorded_time, {}});
}

Checkpoint RowsCheckpoint(std::string_view installation, std::uint32_t partition, std::uint64_t size,
                          std::uint64_t followed, std::uint64_t listed, const Digest& seal) {
  return {LedgerOrigin(installation, partition) + "/rows", size,
          HashPieces({View(BigEndian<8>(followed)), View(BigEndian<8>(listed)), AsView(seal)})};
}

absl::StatusOr<std::vector<StoredHead>> ReadHeads(SqliteDatabase& database) {
  absl::StatusOr<SqliteStatement> rows =
      database.Prepare("SELECT partition, followed, listed, seal, checkpoint, rows FROM heads ORDER BY partition");
  if (!rows.ok()) return rows.status();
  std::vector<StoredHead> heads;
  while (true) {
    absl::StatusOr<bool> row = rows->Step();
    if (!row.ok()) return row.status();
    if (!*row) return heads;
    if (rows->Integer(0) < 0 || rows->Integer(0) >= kLedgerPartitions) {
      return absl::DataLossError("the ledger has a head of a partition that cannot be");
    }
    heads.push_back({static_cast<std::uint32_t>(rows->Integer(0)), static_cast<std::uint64_t>(rows->Integer(1)),
                     static_cast<std::uint64_t>(rows->Integer(2)), std::string(rows->Bytes(3)),
                     std::string(rows->Bytes(4)), std::string(rows->Bytes(5))});
  }
}

std::string DatabasePath(const std::string& directory) { return directory + "/ledger.db"; }
std::string KeyPath(const std::string& directory) { return directory + "/ledger.key"; }

}  // namespace vigil::format
