#include "platform/outbox/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace vigil::sqlite {
namespace {

absl::Status ToStatus(sqlite3* database, int code) {
  const std::string text = absl::StrCat("SQLite: ", sqlite3_errstr(code), " (", sqlite3_extended_errcode(database), ")");
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW: return absl::OkStatus();
    case SQLITE_FULL: return absl::ResourceExhaustedError(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return absl::FailedPreconditionError(absl::StrCat(text, ": another process has it open"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return absl::DataLossError(text);
    case SQLITE_ERROR:
    case SQLITE_MISUSE: return absl::InternalError(absl::StrCat(text, ": ", sqlite3_errmsg(database)));
    default: return absl::UnavailableError(text);
  }
}

absl::Status SyncParentDirectory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const int file = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open ", parent));
  const absl::Cleanup close_file = [file] { close(file); };
  return fsync(file) == 0 ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("sync ", parent));
}

}  // namespace

Statement::Statement(Statement&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::Bind(int parameter, std::string_view blob) {
  // A null pointer would be NULL, not an empty blob.
  sqlite3_bind_blob64(statement_, parameter, blob.empty() ? "" : blob.data(), blob.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::Bind(int parameter, std::int64_t number) {
  sqlite3_bind_int64(statement_, parameter, number);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  absl::Status status = ToStatus(sqlite3_db_handle(statement_), code);
  Reset();
  return status;
}

absl::Status Statement::Run() {
  for (;;) {
    const absl::StatusOr<bool> row = Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
  }
  Reset();
  return absl::OkStatus();
}

std::string_view Statement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

std::int64_t Statement::Number(int column) const { return sqlite3_column_int64(statement_, column); }

void Statement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(std::string_view path, Sync sync, int version, const std::string& schema) {
  const std::string file(path);
  sqlite3* database = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Connection> connection(new Connection(database));
  if (code != SQLITE_OK) return ToStatus(database, code);
  sqlite3_extended_result_codes(database, 1);

  // The lock is taken at the first read and kept, so a second owner is refused; it also keeps the WAL's index in memory.
  if (absl::Status done = connection->Execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;"); !done.ok()) {
    return done;
  }
  absl::StatusOr<Statement> mode = connection->Prepare("PRAGMA journal_mode=WAL");
  if (!mode.ok()) return mode.status();
  const absl::StatusOr<bool> row = mode->Step();
  if (!row.ok()) return row.status();
  if (!*row || mode->Blob(0) != "wal") return absl::FailedPreconditionError(absl::StrCat("no write-ahead log on the file system of ", file));
  mode->Reset();
  if (absl::Status done = connection->Execute(sync == Sync::kFull ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"); !done.ok()) {
    return done;
  }

  absl::StatusOr<Statement> stored = connection->Prepare("PRAGMA user_version");
  if (!stored.ok()) return stored.status();
  const absl::StatusOr<bool> stored_row = stored->Step();
  if (!stored_row.ok()) return stored_row.status();
  const std::int64_t stored_version = stored->Number(0);
  stored->Reset();
  if (stored_version == 0) {
    const std::string make = absl::StrCat("BEGIN IMMEDIATE;", schema, ";PRAGMA user_version=", version, ";COMMIT;");
    if (absl::Status made = connection->Execute(make); !made.ok()) return made;
    // SQLite syncs the names of the journals it makes, but not of the database itself.
    if (absl::Status synced = SyncParentDirectory(file); !synced.ok()) return synced;
  } else if (stored_version != version) {
    return absl::FailedPreconditionError(absl::StrCat(file, " is of version ", stored_version, ", this program reads ", version));
  }
  return connection;
}

Connection::~Connection() { sqlite3_close_v2(database_); }

absl::Status Connection::Execute(const std::string& sql) {
  const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ToStatus(database_, code);
}

absl::StatusOr<Statement> Connection::Prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return ToStatus(database_, code);
  return Statement(statement);
}

std::int64_t Connection::Changes() const { return sqlite3_changes64(database_); }

void Connection::RollBack() {
  if (sqlite3_get_autocommit(database_) == 0) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace vigil::sqlite
