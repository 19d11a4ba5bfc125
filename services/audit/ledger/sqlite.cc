#include "audit/ledger/sqlite.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"

namespace vigil {
namespace {

absl::Status ErrorOf(sqlite3* database) {
  const int code = sqlite3_extended_errcode(database);
  const std::string text = absl::StrCat("SQLite: ", sqlite3_errmsg(database), " (", code, ")");
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(text);
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR:  // of our own statements only: the tables are not what we made
      return absl::DataLossError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void SqliteStatement::Bind(int index, std::int64_t value) { sqlite3_bind_int64(statement_.get(), index, value); }

void SqliteStatement::BindText(int index, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), index, text.data() == nullptr ? "" : text.data(), text.size(), nullptr,
                      SQLITE_UTF8);
}

void SqliteStatement::BindBlob(int index, std::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(), nullptr);
}

absl::StatusOr<bool> SqliteStatement::Step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return ErrorOf(sqlite3_db_handle(statement_.get()));
  }
}

absl::Status SqliteStatement::Run() {
  absl::StatusOr<bool> row = Step();
  Reset();
  return row.status();
}

void SqliteStatement::Reset() { sqlite3_reset(statement_.get()); }

std::int64_t SqliteStatement::Integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string_view SqliteStatement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

void SqliteDatabase::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path, bool create) {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  auto database = std::make_unique<SqliteDatabase>();
  database->database_.reset(raw);
  if (code == SQLITE_CANTOPEN && !create) return absl::NotFoundError(absl::StrCat("no ledger at ", path));
  if (code != SQLITE_OK) return raw == nullptr ? absl::ResourceExhaustedError("out of memory") : ErrorOf(raw);
  // The order matters: the lock is taken with the first access, which is the change to WAL.
  for (const char* sql :
       {"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
        "PRAGMA wal_autocheckpoint = 4000", "PRAGMA cache_size = -65536", "PRAGMA temp_store = MEMORY"}) {
    if (absl::Status s = database->Execute(sql); !s.ok()) return s;
  }
  return database;
}

absl::Status SqliteDatabase::Execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return ErrorOf(database_.get());
  return absl::OkStatus();
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw,
                         nullptr) != SQLITE_OK) {
    return ErrorOf(database_.get());
  }
  SqliteStatement statement;
  statement.statement_.reset(raw);
  return statement;
}

}  // namespace vigil
