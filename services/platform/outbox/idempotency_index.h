// What was answered to every command ever: so that the same request gets the same answer for ever, although the log's state forgets it.
//
// It is made from the log and may lag behind it: each partition's position up to which it is complete is stored in the same transaction as the
// entries. After a crash the reader starts again from there. So nothing here is synced for its own sake.
//
// On disk: an SQLite database (one connection, WAL, synchronous=NORMAL), PRAGMA user_version 1. Ids are scattered, so a table in their order would
// be rewritten a page an entry; instead everything is appended:
//   entry(place INTEGER PRIMARY KEY, id, body_hash, partition, sequence, position_index, response)   in the order of writing
//   run_hash(number, hash, place), ordered by all three: the places of some 131,072 successive entries by the hash of their ids
//   run(number, last_place, filter): that run is complete; `filter` tells in memory whether an id may be in it
//   position(partition INTEGER PRIMARY KEY, sequence, position_index)
// The entries after the last run are known by hash in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vigil {

struct IndexPosition {
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  auto operator<=>(const IndexPosition&) const = default;
};

struct IndexEntry {
  std::string body_hash;
  std::uint32_t partition = 0;
  IndexPosition position;
  std::string response;
  bool operator==(const IndexEntry&) const = default;
};

struct IdempotencyIndexOptions {
  // Entries kept in memory, most recently used; each costs its own bytes and some 150.
  std::size_t cached_entries = 65'536;
  // The longest that an entry waits to be written.
  absl::Duration write_interval = absl::Milliseconds(100);
  // Entries that are found by memory alone before their places are written as a run; each costs some 60 bytes of memory until then.
  std::size_t run_entries = 131'072;
};

// Thread-safe. One process at a time may open a path.
class IdempotencyIndex {
 public:
  // FailedPrecondition: another process has it open; DataLoss: damaged (delete it: it is made again from the log); Unavailable, ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<IdempotencyIndex>> Open(std::string_view path, const IdempotencyIndexOptions& options = {});
  // Writes what waits.
  ~IdempotencyIndex();
  IdempotencyIndex(const IdempotencyIndex&) = delete;
  IdempotencyIndex& operator=(const IdempotencyIndex&) = delete;

  // What was added for this commit's id, also if it is not yet written. Absent is answered from memory, in microseconds (a few
  // in a hundred need a look at the disk once there are tens of millions). Errors: DataLoss, Unavailable.
  absl::StatusOr<std::optional<IndexEntry>> Find(std::string_view commit_id) const;

  // Does not wait for the disk. The same id again replaces.
  void Add(std::string_view commit_id, IndexEntry entry);

  // Says that everything of `partition` up to `position` has been added. Written with or after what was added before it. An earlier position than
  // the last one is passed over.
  void SetPosition(std::uint32_t partition, IndexPosition position);

  // The last position that is written; {0, 0} if none: where to read on from after a restart.
  IndexPosition StoredPosition(std::uint32_t partition) const;

  // Waits until what was added before the call is written; the error, if it could not be (it is tried again).
  absl::Status Flush();

  // Entries not yet written. They grow while the disk refuses; nothing is dropped.
  std::size_t backlog() const;

 private:
  class Impl;
  explicit IdempotencyIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vigil
