#include "audit/ledger/ledger_file.h"

#include <bit>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "audit/ledger/format.h"
#include "audit/ledger/sqlite.h"

namespace vigil {
namespace {

struct StoredHead {
  std::uint64_t followed = 0;
  std::string seal;
  std::string checkpoint;
  std::string rows;
};

class FileRun {
 public:
  FileRun(const LedgerFileToVerify& what, SqliteDatabase& database) : what_(what), database_(database) {}

  absl::StatusOr<LedgerFileVerification> Verify() {
    absl::Status status = VerifyAll();
    // Damage can show anywhere, as an error of whatever read it; it is what we came to find.
    if (absl::IsDataLoss(status)) {
      Add(DifferenceKind::kStoredFile, status.message());
      status = absl::OkStatus();
    }
    if (!status.ok()) return status;
    return std::move(result_);
  }

 private:
  void Add(DifferenceKind kind, absl::string_view text) { result_.differences.push_back({kind, std::string(text)}); }

  absl::Status VerifyAll() {
    if (absl::Status s = CheckStructure(); !s.ok()) return s;
    if (absl::Status s = ReadHeads(); !s.ok()) return s;
    std::uint64_t entries = 0;
    std::uint64_t nodes = 0;
    for (const auto& [partition, texts] : what_.earlier) {
      if (!texts.empty() && !heads_.contains(partition)) {
        Add(DifferenceKind::kEarlierCheckpoint,
            absl::StrFormat("partition %02d: it once signed a checkpoint, and is gone", partition));
      }
    }
    for (const auto& [partition, head] : heads_) {
      absl::StatusOr<std::uint64_t> size = VerifyOne(partition, head);
      if (!size.ok()) return size.status();
      entries += *size;
      nodes += *size - static_cast<std::uint64_t>(std::popcount(*size));
    }
    // Rows where no partition looks.
    if (absl::Status s = CheckCount("entries", "SELECT COUNT(*) FROM entries", entries); !s.ok()) return s;
    return CheckCount("nodes", "SELECT COUNT(*) FROM nodes", nodes);
  }

  absl::Status CheckStructure() {
    absl::StatusOr<SqliteStatement> check = database_.Prepare("PRAGMA integrity_check(1)");
    if (!check.ok()) return check.status();
    absl::StatusOr<bool> row = check->Step();
    if (!row.ok()) return row.status();
    if (!*row || check->Bytes(0) != "ok") {
      Add(DifferenceKind::kStoredFile,
          absl::StrCat("the file is damaged: ", *row ? std::string(check->Bytes(0)) : std::string()));
    }
    return absl::OkStatus();
  }

  absl::Status ReadHeads() {
    absl::StatusOr<SqliteStatement> rows =
        database_.Prepare("SELECT partition, followed, seal, checkpoint, rows FROM heads");
    if (!rows.ok()) return rows.status();
    while (true) {
      absl::StatusOr<bool> row = rows->Step();
      if (!row.ok()) return row.status();
      if (!*row) return absl::OkStatus();
      if (rows->Integer(0) < 0 || rows->Integer(0) >= kLedgerPartitions) {
        Add(DifferenceKind::kStoredRows, absl::StrCat("a head of partition ", rows->Integer(0), ", which cannot be"));
        continue;
      }
      heads_[static_cast<std::uint32_t>(rows->Integer(0))] = {static_cast<std::uint64_t>(rows->Integer(1)),
                                                              std::string(rows->Bytes(2)), std::string(rows->Bytes(3)),
                                                              std::string(rows->Bytes(4))};
    }
  }

  // The size that the partition's checkpoint says, 0 if it says none.
  absl::StatusOr<std::uint64_t> VerifyOne(std::uint32_t partition, const StoredHead& head) {
    absl::StatusOr<SqliteStatement> rows =
        database_.Prepare("SELECT " + std::string(format::kEntryColumns) +
                          " FROM entries WHERE position BETWEEN ?1 AND ?2 ORDER BY position");
    if (!rows.ok()) return rows.status();
    rows->Bind(1, format::EntryPosition({partition, 0}));
    rows->Bind(2, format::EntryPosition({partition, (std::uint64_t{1} << format::kPartitionShift) - 1}));
    absl::StatusOr<SqliteStatement> node = database_.Prepare("SELECT hash FROM nodes WHERE position = ?1");
    if (!node.ok()) return node.status();

    Digest seal{};
    PartitionToVerify one{.partition = partition,
                          .installation = what_.installation,
                          .key = what_.key,
                          .checkpoint = head.checkpoint,
                          .ledger = nullptr};
    one.ledger = [&](LedgerEntry& entry) -> absl::StatusOr<bool> {
      absl::StatusOr<bool> row = rows->Step();
      if (!row.ok() || !*row) return row;
      if (absl::Status s = format::ReadEntry(*rows, entry); !s.ok()) return s;
      seal = format::NextSeal(seal, entry);
      return true;
    };
    one.stored_node = [&](merkle::NodeId id) -> absl::StatusOr<Digest> {
      node->Bind(1, format::NodePosition(partition, id));
      absl::StatusOr<bool> row = node->Step();
      absl::StatusOr<Digest> hash =
          row.ok() && *row ? merkle::DigestFromBytes(node->Bytes(0)) : absl::NotFoundError("no such node");
      node->Reset();
      if (!row.ok()) return row.status();
      return hash.ok() ? hash : absl::NotFoundError("not a hash");
    };
    if (what_.stream) one.stream = what_.stream(partition);
    if (auto found = what_.earlier.find(partition); found != what_.earlier.end()) one.earlier = found->second;
    one.facts = what_.facts;
    one.compare_positions = what_.compare_positions;

    absl::StatusOr<PartitionVerification> verified = VerifyPartition(one);
    if (!verified.ok()) return verified.status();
    result_.leaves += verified->leaves;
    if (verified->difference) {
      result_.differences.push_back(*std::move(verified->difference));
    } else {
      CheckSealed(partition, head, verified->checkpoint.size, seal);
    }
    return verified->checkpoint.size;
  }

  void CheckSealed(std::uint32_t partition, const StoredHead& head, std::uint64_t size, const Digest& seal) {
    const Checkpoint expected = format::RowsCheckpoint(what_.installation, partition, size, seal, head.followed);
    absl::StatusOr<Checkpoint> signed_rows = OpenCheckpoint(head.rows, what_.key, expected.origin);
    if (!signed_rows.ok()) {
      Add(DifferenceKind::kStoredRows, absl::StrFormat("partition %02d: the signature over its rows: %s", partition,
                                                       std::string(signed_rows.status().message())));
    } else if (*signed_rows != expected || head.seal != AsView(seal)) {
      Add(DifferenceKind::kStoredRows,
          absl::StrFormat(
              "partition %02d: the positions, times, files or schools of its rows are not those that were sealed",
              partition));
    }
  }

  absl::Status CheckCount(std::string_view table, std::string_view sql, std::uint64_t expected) {
    absl::StatusOr<SqliteStatement> count = database_.Prepare(sql);
    if (!count.ok()) return count.status();
    absl::StatusOr<bool> row = count->Step();
    if (!row.ok()) return row.status();
    if (const auto found = static_cast<std::uint64_t>(count->Integer(0)); found != expected) {
      Add(DifferenceKind::kStoredRows,
          absl::StrFormat("the file has %d %s, its checkpoints stand for %d", found, std::string(table), expected));
    }
    return absl::OkStatus();
  }

  const LedgerFileToVerify& what_;
  SqliteDatabase& database_;
  std::map<std::uint32_t, StoredHead> heads_;
  LedgerFileVerification result_;
};

}  // namespace

absl::StatusOr<LedgerFileVerification> VerifyLedgerFile(const LedgerFileToVerify& what) {
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> database =
      SqliteDatabase::Open(format::DatabasePath(what.directory), /*create=*/false);
  if (absl::IsDataLoss(database.status())) {
    return LedgerFileVerification{0, {{DifferenceKind::kStoredFile, std::string(database.status().message())}}};
  }
  if (!database.ok()) return database.status();
  return FileRun(what, **database).Verify();
}

}  // namespace vigil
