#include "audit/ledger/ledger_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "audit/ledger/format.h"
#include "audit/ledger/sha256.h"
#include "audit/ledger/sqlite.h"
#include "platform/crypto/random.h"

namespace vigil {
namespace {

using format::StoredHead;

// What a list must hold, told apart from what it holds by count and by the sum of a hash over each row under a key of
// this run, which nobody can have made rows for.
class ListSum {
 public:
  explicit ListSum(std::string_view key) : key_(key) {}
  void Add(std::string_view name, std::int64_t position) {
    const Digest hash = HashPieces({key_, {reinterpret_cast<const char*>(&position), sizeof position}, name});
    std::uint64_t part = 0;
    std::memcpy(&part, hash.data(), sizeof part);
    sum_ += part;
    ++count_;
  }
  bool operator==(const ListSum& other) const { return count_ == other.count_ && sum_ == other.sum_; }

 private:
  std::string_view key_;
  std::uint64_t sum_ = 0;
  std::uint64_t count_ = 0;
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
    absl::StatusOr<std::vector<StoredHead>> heads = format::ReadHeads(database_);
    if (!heads.ok()) return heads.status();
    std::uint64_t entries = 0;
    std::uint64_t nodes = 0;
    for (const auto& [partition, texts] : what_.earlier) {
      const auto is_of = [p = partition](const StoredHead& head) { return head.partition == p; };
      if (!texts.empty() && std::none_of(heads->begin(), heads->end(), is_of)) {
        Add(DifferenceKind::kEarlierCheckpoint,
            absl::StrFormat("partition %02d: it once signed a checkpoint, and is gone", partition));
      }
    }
    for (const StoredHead& head : *heads) {
      absl::StatusOr<std::uint64_t> size = VerifyOne(head);
      if (!size.ok()) return size.status();
      entries += *size;
      nodes += *size - static_cast<std::uint64_t>(std::popcount(*size));
    }
    // Rows where no partition looks.
    if (absl::Status s = CheckCount("entries", "SELECT COUNT(*) FROM entries", entries); !s.ok()) return s;
    if (absl::Status s = CheckCount("nodes", "SELECT COUNT(*) FROM nodes", nodes); !s.ok()) return s;
    // What a list must hold is known only once all entries have been read, and they can be trusted.
    if (!result_.differences.empty()) return absl::OkStatus();
    if (absl::Status s = CheckList("by_file", by_file_); !s.ok()) return s;
    return CheckList("by_school", by_school_);
  }

  // A row missing from a list would be missing from answers.
  absl::Status CheckList(const std::string& table, const ListSum& expected) {
    absl::StatusOr<SqliteStatement> rows = database_.Prepare("SELECT name, position FROM " + table);
    if (!rows.ok()) return rows.status();
    ListSum found(list_key_);
    absl::StatusOr<bool> row = rows->Step();
    for (; row.ok() && *row; row = rows->Step()) found.Add(rows->Bytes(0), rows->Integer(1));
    if (!row.ok()) return row.status();
    if (found != expected)
      Add(DifferenceKind::kStoredRows, "the list " + table + " does not hold the entries that it should");
    return absl::OkStatus();
  }

  absl::Status CheckStructure() {
    absl::StatusOr<SqliteStatement> check = database_.Prepare("PRAGMA quick_check(1)");
    if (!check.ok()) return check.status();
    absl::StatusOr<bool> row = check->Step();
    if (!row.ok()) return row.status();
    if (!*row || check->Bytes(0) != "ok") {
      Add(DifferenceKind::kStoredFile,
          absl::StrCat("the file is damaged: ", *row ? std::string(check->Bytes(0)) : std::string()));
    }
    return absl::OkStatus();
  }

  // The size that the partition's checkpoint says, 0 if it says none.
  absl::StatusOr<std::uint64_t> VerifyOne(const StoredHead& head) {
    const std::uint32_t partition = head.partition;
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
      if (entry.id.leaf < head.listed) {
        if (!entry.file.empty()) by_file_.Add(entry.file, rows->Integer(0));
        if (!entry.school.empty()) by_school_.Add(entry.school, rows->Integer(0));
      }
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
      CheckSealed(head, verified->checkpoint.size, seal);
    }
    return verified->checkpoint.size;
  }

  void CheckSealed(const StoredHead& head, std::uint64_t size, const Digest& seal) {
    const std::uint32_t partition = head.partition;
    const Checkpoint expected =
        format::RowsCheckpoint(what_.installation, partition, size, head.followed, head.listed, seal);
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
  const std::string list_key_ = SystemRandom().Bytes(16);
  ListSum by_file_{list_key_};
  ListSum by_school_{list_key_};
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
