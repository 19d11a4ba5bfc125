// What has been promised but is not in the log yet: rows that survive a power cut from the moment Put returns.
//
// On disk: an SQLite database (one connection, WAL, synchronous=FULL). Table row(place INTEGER PRIMARY KEY, id BLOB UNIQUE, partition INTEGER,
// bytes BLOB); `place` gives the order. PRAGMA user_version is 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vigil {

struct OutboxRow {
  std::string id;  // not empty
  std::uint32_t partition = 0;
  std::string bytes;  // opaque; encrypted where it concerns a person
};

inline constexpr std::size_t kMaxOutboxRowBytes = 16 * 1024 * 1024;

// Errors of every call: ResourceExhausted: the disk is full; DataLoss: the file is damaged; Unavailable: other I/O errors (again later may help).
class Outbox {
 public:
  virtual ~Outbox() = default;

  // On disk when it returns Ok; otherwise nothing may be counted on. The same id with the same partition and bytes again is Ok; with others AlreadyExists.
  // InvalidArgument: an empty id, or bytes over kMaxOutboxRowBytes.
  virtual absl::Status Put(const OutboxRow& row) = 0;

  // All or none, at the price of one.
  virtual absl::Status PutMany(std::span<const OutboxRow> rows) = 0;

  // Ids that are not there are passed over.
  virtual absl::Status Remove(std::span<const std::string> ids) = 0;

  // In the order they were put, as it was when the call began; `visit` may call this object. Ends early when it returns false.
  virtual absl::Status ForEach(const std::function<bool(const OutboxRow& row)>& visit) const = 0;

  virtual absl::StatusOr<std::size_t> Count() const = 0;
};

// Thread-safe. One process at a time may open a path (FailedPrecondition). The directory must exist.
absl::StatusOr<std::unique_ptr<Outbox>> OpenOutbox(std::string_view path);

// In memory, as hard as the real one. Thread-safe.
class FakeOutbox final : public Outbox {
 public:
  FakeOutbox();
  ~FakeOutbox() override;
  absl::Status Put(const OutboxRow& row) override;
  absl::Status PutMany(std::span<const OutboxRow> rows) override;
  absl::Status Remove(std::span<const std::string> ids) override;
  absl::Status ForEach(const std::function<bool(const OutboxRow& row)>& visit) const override;
  absl::StatusOr<std::size_t> Count() const override;

  // Every call fails with `status` until it is Ok again: a full disk.
  void FailWith(absl::Status status);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vigil
