#pragma once

#include <map>
#include <mutex>
#include <string>

#include "platform/snapshot/snapshot_store.h"

namespace vigil {

// Snapshots in memory. Thread-safe.
class FakeSnapshotStore final : public SnapshotStore {
 public:
  absl::Status Put(std::string_view name, const Snapshot& snapshot) override;
  absl::StatusOr<Snapshot> Get(std::string_view name) override;
  absl::Status Remove(std::string_view name) override;

  // Everything answers kUnavailable meanwhile; nothing is lost.
  void SetAvailable(bool available);
  // As FLUSHALL.
  void Flush();
  // The snapshot can no longer be read as it was put.
  void Corrupt(std::string_view name);

 private:
  struct Stored {
    Snapshot snapshot;
    bool corrupt = false;
  };
  std::mutex mutex_;
  bool available_ = true;
  std::map<std::string, Stored, std::less<>> stored_;
};

}  // namespace vigil
