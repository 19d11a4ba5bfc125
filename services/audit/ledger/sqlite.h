#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace vigil {

// A prepared statement. Bind from 1, read columns from 0. Not thread-safe; lives no longer than its database.
class SqliteStatement {
 public:
  // Bound text and blobs are not copied: they must live until the next Reset.
  void Bind(int index, std::int64_t value);
  void BindText(int index, std::string_view text);
  void BindBlob(int index, std::string_view bytes);

  // True with a row, false at the end. Errors as SqliteDatabase.
  absl::StatusOr<bool> Step();
  // For a statement that gives no rows: steps and resets.
  absl::Status Run();
  void Reset();

  std::int64_t Integer(int column) const;
  // Text or blob; valid until the next Step or Reset. Empty for NULL.
  std::string_view Bytes(int column) const;

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// One connection, which nobody else may have beside it (exclusive locking; no shared memory file, so the corruption
// that SQLite 3.40 knows with two connections in WAL mode cannot arise). Not thread-safe. Errors: FailedPrecondition:
// somebody else has it open. ResourceExhausted: the disk is full. DataLoss: it is not a database, or damaged.
// Unavailable: any other failure to read or write.
class SqliteDatabase {
 public:
  // Opens for reading and writing; NotFound when it is not there and `create` is false.
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const std::string& path, bool create);

  absl::Status Execute(const char* sql);
  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace vigil
