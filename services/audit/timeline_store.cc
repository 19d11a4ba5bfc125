#include "audit/timeline_store.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "audit/ledger/sqlite.h"

namespace vigil::audit {
namespace {

// Another number and the table is made anew from the log.
constexpr std::int64_t kVersion = 1;

// A crash may lose the last transactions, never the table: they are written again from the log.
constexpr char kSchema[] = R"sql(
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS commits(
  ordinal INTEGER PRIMARY KEY, partition INTEGER NOT NULL, sequence INTEGER NOT NULL, idx INTEGER NOT NULL,
  school TEXT NOT NULL, case_id TEXT NOT NULL, recused TEXT NOT NULL, rows BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS commits_by_position ON commits(partition, sequence, idx);
CREATE INDEX IF NOT EXISTS commits_by_school ON commits(school, ordinal);
CREATE INDEX IF NOT EXISTS commits_by_case ON commits(case_id, ordinal) WHERE case_id <> '';
)sql";

constexpr char kColumns[] = "ordinal, partition, sequence, idx, school, case_id, recused, rows";

// No id holds one.
constexpr char kBetweenIds = '\n';

StoredCommit ReadCommit(const SqliteStatement& row) {
  return {.ordinal = row.Integer(0),
          .partition = static_cast<int>(row.Integer(1)),
          .position = {.sequence = static_cast<std::uint64_t>(row.Integer(2)), .index = static_cast<std::uint32_t>(row.Integer(3))},
          .school = std::string(row.Bytes(4)),
          .case_id = std::string(row.Bytes(5)),
          .recused = absl::StrSplit(absl::string_view(row.Bytes(6).data(), row.Bytes(6).size()), kBetweenIds, absl::SkipEmpty()),
          .rows = std::string(row.Bytes(7))};
}

absl::StatusOr<std::vector<StoredCommit>> ReadAll(SqliteStatement& query) {
  std::vector<StoredCommit> commits;
  for (;;) {
    const absl::StatusOr<bool> row = query.Step();
    if (!row.ok() || !*row) {
      query.Reset();
      if (!row.ok()) return row.status();
      return commits;
    }
    commits.push_back(ReadCommit(query));
  }
}

absl::StatusOr<std::int64_t> ReadInteger(SqliteDatabase& database, std::string_view sql) {
  absl::StatusOr<SqliteStatement> query = database.Prepare(sql);
  if (!query.ok()) return query.status();
  const absl::StatusOr<bool> row = query->Step();
  if (!row.ok()) return row.status();
  return *row ? query->Integer(0) : 0;
}

}  // namespace

struct TimelineStore::Statements {
  SqliteStatement insert;
  SqliteStatement of_case;
  SqliteStatement after;
  SqliteStatement after_in_school;
  SqliteStatement ordinal_of;
};

TimelineStore::TimelineStore(std::unique_ptr<SqliteDatabase> database) : database_(std::move(database)) {}
TimelineStore::~TimelineStore() = default;

absl::StatusOr<std::unique_ptr<TimelineStore>> TimelineStore::Open(const std::string& path) {
  absl::Status failed;
  for (int attempt = 0; attempt < 2; ++attempt) {
    absl::StatusOr<std::unique_ptr<SqliteDatabase>> database = SqliteDatabase::Open(path, /*create=*/true);
    failed = database.status();
    if (failed.ok()) {
      std::unique_ptr<TimelineStore> store(new TimelineStore(*std::move(database)));
      failed = store->Prepare();
      if (failed.ok()) return store;
    }
    if (!absl::IsDataLoss(failed)) return failed;
    std::error_code error;
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix, error);
  }
  return failed;
}

absl::Status TimelineStore::Prepare() {
  const absl::StatusOr<std::int64_t> version = ReadInteger(*database_, "PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version != 0 && *version != kVersion) return absl::DataLossError("a timeline of another version");
  if (absl::Status made = database_->Execute(kSchema); !made.ok()) return made;
  if (absl::Status set = database_->Execute(absl::StrCat("PRAGMA user_version = ", kVersion).c_str()); !set.ok()) return set;

  statements_ = std::make_unique<Statements>();
  const std::string select = absl::StrCat("SELECT ", kColumns, " FROM commits WHERE ");
  const std::pair<SqliteStatement*, std::string> all[] = {
      {&statements_->insert, absl::StrCat("INSERT INTO commits(", kColumns, ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")},
      {&statements_->of_case, select + "case_id = ?1 AND case_id <> '' ORDER BY ordinal"},
      {&statements_->after, select + "ordinal > ?1 ORDER BY ordinal LIMIT ?2"},
      {&statements_->after_in_school, select + "school = ?3 AND ordinal > ?1 ORDER BY ordinal LIMIT ?2"},
      {&statements_->ordinal_of,
       "SELECT ordinal FROM commits WHERE partition = ?1 AND (sequence, idx) <= (?2, ?3) ORDER BY sequence DESC, idx DESC LIMIT 1"}};
  for (const auto& [statement, sql] : all) {
    absl::StatusOr<SqliteStatement> prepared = database_->Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = *std::move(prepared);
  }

  const absl::StatusOr<std::int64_t> last = ReadInteger(*database_, "SELECT max(ordinal) FROM commits");
  if (!last.ok()) return last.status();
  last_ordinal_ = *last;
  for (int partition = 0; partition < kPartitions; ++partition) {
    const auto sequence = ReadInteger(*database_, absl::StrCat("SELECT max(sequence) FROM commits WHERE partition = ", partition));
    if (!sequence.ok()) return sequence.status();
    positions_[static_cast<std::size_t>(partition)] = static_cast<std::uint64_t>(*sequence);
  }
  return absl::OkStatus();
}

absl::Status TimelineStore::Begin() {
  added_ = positions_;
  added_ordinal_ = last_ordinal_;
  return database_->Execute("BEGIN");
}

absl::Status TimelineStore::Add(StoredCommit& commit) {
  commit.ordinal = ++added_ordinal_;
  SqliteStatement& insert = statements_->insert;
  insert.Bind(1, commit.ordinal);
  insert.Bind(2, std::int64_t{commit.partition});
  insert.Bind(3, static_cast<std::int64_t>(commit.position.sequence));
  insert.Bind(4, std::int64_t{commit.position.index});
  insert.BindText(5, commit.school);
  insert.BindText(6, commit.case_id);
  const std::string recused = absl::StrJoin(commit.recused, std::string(1, kBetweenIds));
  insert.BindText(7, recused);
  insert.BindBlob(8, commit.rows);
  added_[static_cast<std::size_t>(commit.partition)] = commit.position.sequence;
  return insert.Run();
}

absl::Status TimelineStore::End() {
  if (absl::Status ended = database_->Execute("COMMIT"); !ended.ok()) return ended;
  positions_ = added_;
  last_ordinal_ = added_ordinal_;
  return absl::OkStatus();
}

// A transaction that SQLite has given up itself is no longer there to be rolled back.
void TimelineStore::GiveUp() { database_->Execute("ROLLBACK").IgnoreError(); }

absl::StatusOr<std::vector<StoredCommit>> TimelineStore::OfCase(std::string_view case_id) {
  statements_->of_case.BindText(1, case_id);
  return ReadAll(statements_->of_case);
}

absl::StatusOr<std::vector<StoredCommit>> TimelineStore::After(std::int64_t ordinal, std::string_view school, int limit) {
  SqliteStatement& query = school.empty() ? statements_->after : statements_->after_in_school;
  query.Bind(1, ordinal);
  query.Bind(2, std::int64_t{limit});
  if (!school.empty()) query.BindText(3, school);
  return ReadAll(query);
}

absl::StatusOr<std::int64_t> TimelineStore::OrdinalOf(int partition, domain::CommitPosition position) {
  SqliteStatement& query = statements_->ordinal_of;
  query.Bind(1, std::int64_t{partition});
  query.Bind(2, static_cast<std::int64_t>(position.sequence));
  query.Bind(3, std::int64_t{position.index});
  const absl::StatusOr<bool> row = query.Step();
  const std::int64_t ordinal = row.ok() && *row ? query.Integer(0) : 0;
  query.Reset();
  if (!row.ok()) return row.status();
  return ordinal;
}

}  // namespace vigil::audit
