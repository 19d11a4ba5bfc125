// A machine's state in a SnapshotStore, so that a restart reads the tail of the log and not all of it.
//
// A snapshot is the state of one partition after a whole message. It is taken in slices between the loop's other tasks, so that no alert waits
// for it: a file that is about to change before its turn is saved at that moment, as it still is. It is signed by the service itself, and used
// only by the same program with the same pack on the same stream; whatever is not so is read from the log instead. (ARCHITECTURE.md, Redis is
// never the truth.)
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "machine/loop.h"
#include "machine/machine.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"
#include "platform/snapshot/snapshot_store.h"

namespace vigil {

struct SnapshotOptions {
  // Hash of the running program; see state/v1/snapshot.proto.
  std::string program;
  // Least real time between two snapshots of a partition, and least messages.
  absl::Duration interval = absl::Seconds(60);
  std::uint64_t least_messages = 200;
  // Files saved without letting go of the loop.
  std::size_t slice = 32;
};

// On the loop's thread, but for the constructor. Ends after both loops have stopped.
class Snapshots {
 public:
  // Everything outlives it. `worker` is a loop for what may block; it may be the machine's own loop in tests.
  Snapshots(Machine* machine, Service* service, SnapshotStore* store, Loop* loop, Loop* worker, SigningKey key, SnapshotOptions options);
  ~Snapshots();

  // Before the machine starts: takes over what is there and can be trusted, partition by partition. How many of them begin from a snapshot.
  // Blocks.
  int Restore(Log& log);

  // Begins a snapshot if one is due and none is under way. At leisure, once the machine has caught up.
  void Consider();

  bool under_way() const { return work_ != nullptr; }
  std::uint64_t written() const { return written_; }

 private:
  struct Work;

  absl::Status RestorePartition(Log& log, int partition);
  void Begin(int partition);
  void SaveSlice();
  void Save(FileEntry& file);
  void CloseChunk();
  void Finish();
  std::string Name(int partition) const;

  Machine* const machine_;
  Service* const service_;
  SnapshotStore* const store_;
  Loop* const loop_;
  Loop* const worker_;
  const SigningKey key_;
  const SnapshotOptions options_;
  std::array<std::uint64_t, kPartitions> saved_sequence_{};
  std::array<absl::Time, kPartitions> saved_time_{};
  std::unique_ptr<Work> work_;
  std::uint32_t epoch_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace vigil
