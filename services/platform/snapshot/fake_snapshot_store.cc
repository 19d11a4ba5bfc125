#include "platform/snapshot/fake_snapshot_store.h"

namespace vigil {
namespace {
absl::Status Away() { return absl::UnavailableError("the snapshot store is away"); }
}  // namespace

absl::Status CheckLimits(const Snapshot& snapshot) {
  if (snapshot.chunks.size() > kMaxSnapshotChunks) return absl::InvalidArgumentError("a snapshot of too many chunks");
  for (const std::string& chunk : snapshot.chunks) {
    if (chunk.size() > kMaxSnapshotChunkBytes) return absl::InvalidArgumentError("a chunk of a snapshot is too large");
  }
  return absl::OkStatus();
}

absl::Status FakeSnapshotStore::Put(std::string_view name, const Snapshot& snapshot) {
  std::lock_guard lock(mutex_);
  if (absl::Status status = CheckLimits(snapshot); !status.ok()) return status;
  if (!available_) return Away();
  stored_[std::string(name)] = {snapshot, false};
  return absl::OkStatus();
}

absl::StatusOr<Snapshot> FakeSnapshotStore::Get(std::string_view name) {
  std::lock_guard lock(mutex_);
  if (!available_) return Away();
  const auto found = stored_.find(name);
  if (found == stored_.end()) return absl::NotFoundError("no such snapshot");
  if (found->second.corrupt) return absl::DataLossError("the snapshot is not as it was put");
  return found->second.snapshot;
}

absl::Status FakeSnapshotStore::Remove(std::string_view name) {
  std::lock_guard lock(mutex_);
  if (!available_) return Away();
  if (const auto found = stored_.find(name); found != stored_.end()) stored_.erase(found);
  return absl::OkStatus();
}

void FakeSnapshotStore::SetAvailable(bool available) {
  std::lock_guard lock(mutex_);
  available_ = available;
}

void FakeSnapshotStore::Flush() {
  std::lock_guard lock(mutex_);
  stored_.clear();
}

void FakeSnapshotStore::Corrupt(std::string_view name) {
  std::lock_guard lock(mutex_);
  if (const auto found = stored_.find(name); found != stored_.end()) found->second.corrupt = true;
}

}  // namespace vigil
