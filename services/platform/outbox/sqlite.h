// The little of SQLite that this folder needs. Not for others: each SQLite file has one owner and one connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace vigil::sqlite {

// A prepared statement, used again and again. Not thread-safe. It ends before its connection.
class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters count from 1. What a text or blob points to must live until Reset.
  Statement& Bind(int parameter, std::string_view blob);
  Statement& Bind(int parameter, std::int64_t number);

  // True: a row is there to be read; false: done. An error resets the statement.
  absl::StatusOr<bool> Step();

  // Runs it to its end and resets it.
  absl::Status Run();

  // Columns count from 0. The view holds until the next Step or Reset.
  std::string_view Blob(int column) const;
  std::int64_t Number(int column) const;

  void Reset();

 private:
  friend class Connection;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  sqlite3_stmt* statement_ = nullptr;
};

enum class Sync { kFull, kNormal };

// Not thread-safe: its owner holds a lock.
class Connection {
 public:
  // Opens or makes the database in WAL mode with an exclusive lock, checks PRAGMA user_version (0: `schema` is run and it becomes `version`).
  static absl::StatusOr<std::unique_ptr<Connection>> Open(std::string_view path, Sync sync, int version, const std::string& schema);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(const std::string& sql);
  // Rows that the last INSERT, UPDATE or DELETE changed.
  std::int64_t Changes() const;
  // Ends an open transaction without effect, if there is one.
  void RollBack();

 private:
  explicit Connection(sqlite3* database) : database_(database) {}
  sqlite3* database_;
};

}  // namespace vigil::sqlite
