#include "simulation/answers_in_memory.h"

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "platform/outbox/idempotency_index.h"

namespace vigil {
namespace {

// Entries that go to the disk together.
constexpr std::size_t kWrittenTogether = 16;

struct Disk {
  std::unordered_map<std::string, IndexEntry> entries;
  std::map<std::uint32_t, IndexPosition> positions;
};

thread_local std::map<std::string, Disk> disks;

}  // namespace

namespace simulation {
void DeleteAnswers(const std::string& path) { disks.erase(path); }
}  // namespace simulation

class IdempotencyIndex::Impl {
 public:
  explicit Impl(Disk* on_disk) : disk(on_disk), positions(on_disk->positions) {}
  void Write() {
    for (auto& [id, entry] : waiting) disk->entries[id] = std::move(entry);
    waiting.clear();
    disk->positions = positions;
  }
  Disk* const disk;
  std::unordered_map<std::string, IndexEntry> waiting;
  std::map<std::uint32_t, IndexPosition> positions;
};

IdempotencyIndex::IdempotencyIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
// The process is killed: what waits is gone.
IdempotencyIndex::~IdempotencyIndex() = default;

absl::StatusOr<std::unique_ptr<IdempotencyIndex>> IdempotencyIndex::Open(std::string_view path, const IdempotencyIndexOptions&) {
  return std::unique_ptr<IdempotencyIndex>(new IdempotencyIndex(std::make_unique<Impl>(&disks[std::string(path)])));
}

absl::StatusOr<std::optional<IndexEntry>> IdempotencyIndex::Find(std::string_view commit_id) const {
  const std::string id(commit_id);
  if (const auto it = impl_->waiting.find(id); it != impl_->waiting.end()) return std::optional(it->second);
  if (const auto it = impl_->disk->entries.find(id); it != impl_->disk->entries.end()) return std::optional(it->second);
  return std::optional<IndexEntry>();
}

void IdempotencyIndex::Add(std::string_view commit_id, IndexEntry entry) {
  impl_->waiting[std::string(commit_id)] = std::move(entry);
  if (impl_->waiting.size() >= kWrittenTogether) impl_->Write();
}

void IdempotencyIndex::SetPosition(std::uint32_t partition, IndexPosition position) {
  IndexPosition& known = impl_->positions[partition];
  known = std::max(known, position);
}

IndexPosition IdempotencyIndex::StoredPosition(std::uint32_t partition) const {
  const auto it = impl_->disk->positions.find(partition);
  return it == impl_->disk->positions.end() ? IndexPosition{} : it->second;
}

absl::Status IdempotencyIndex::Flush() {
  impl_->Write();
  return absl::OkStatus();
}

std::size_t IdempotencyIndex::backlog() const { return impl_->waiting.size(); }

}  // namespace vigil
