#include "platform/outbox/idempotency_index.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "platform/outbox/sqlite.h"

namespace vigil {
namespace {

constexpr int kVersion = 1;
constexpr char kSchema[] =
    "CREATE TABLE entry(id BLOB PRIMARY KEY, body_hash BLOB NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL, "
    "position_index INTEGER NOT NULL, response BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE position(partition INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, position_index INTEGER NOT NULL)";

// A transaction of this many holds up a lookup by a few milliseconds at most.
constexpr std::size_t kEntriesAtOnce = 1'000;
constexpr std::chrono::seconds kRetryInterval{1};

// Tells for certain that an id is absent, and with an error of some 0.2 % that it is there: a Bloom filter of 64-byte blocks, so that a question
// costs one cache line.
class Filter {
 public:
  explicit Filter(std::size_t capacity) : capacity_(capacity), blocks_(std::max<std::size_t>(capacity * kBitsPerId / 512, 1)) {}

  bool full() const { return count_ >= capacity_; }
  std::size_t capacity() const { return capacity_; }

  void Add(std::uint64_t hash) {
    Block& block = blocks_[Place(hash)];
    std::uint64_t bits = Mix(hash);
    for (int i = 0; i < kProbes; ++i, bits = Mix(bits)) block[(bits >> 6) & 7] |= std::uint64_t{1} << (bits & 63);
    ++count_;
  }

  bool MayHold(std::uint64_t hash) const {
    const Block& block = blocks_[Place(hash)];
    std::uint64_t bits = Mix(hash);
    for (int i = 0; i < kProbes; ++i, bits = Mix(bits)) {
      if ((block[(bits >> 6) & 7] & (std::uint64_t{1} << (bits & 63))) == 0) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kBitsPerId = 16;
  static constexpr int kProbes = 6;
  using Block = std::array<std::uint64_t, 8>;

  static std::uint64_t Mix(std::uint64_t value) {  // splitmix64
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
  }

  std::size_t Place(std::uint64_t hash) const { return Mix(~hash) % blocks_.size(); }

  std::size_t capacity_;
  std::size_t count_ = 0;
  std::vector<Block> blocks_;
};

// Grows by adding a filter twice as large; what is in the old ones stays there.
class GrowingFilter {
 public:
  explicit GrowingFilter(std::size_t expected) { filters_.emplace_back(std::max(expected, kLeastCapacity)); }

  void Add(std::string_view id) {
    if (filters_.back().full()) filters_.emplace_back(filters_.back().capacity() * 2);
    filters_.back().Add(std::hash<std::string_view>()(id));
  }

  bool MayHold(std::string_view id) const {
    const std::uint64_t hash = std::hash<std::string_view>()(id);
    return std::any_of(filters_.begin(), filters_.end(), [hash](const Filter& filter) { return filter.MayHold(hash); });
  }

 private:
  static constexpr std::size_t kLeastCapacity = 1 << 18;
  std::vector<Filter> filters_;
};

class RecentlyUsed {
 public:
  explicit RecentlyUsed(std::size_t capacity) : capacity_(capacity) {}

  const IndexEntry* Find(const std::string& id) {
    const auto found = places_.find(id);
    if (found == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }

  void Put(const std::string& id, const IndexEntry& entry) {
    if (capacity_ == 0) return;
    const auto found = places_.find(id);
    if (found != places_.end()) {
      found->second->second = entry;
      order_.splice(order_.begin(), order_, found->second);
      return;
    }
    if (places_.size() >= capacity_) {
      places_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(id, entry);
    places_.emplace(order_.front().first, order_.begin());
  }

 private:
  using Order = std::list<std::pair<std::string, IndexEntry>>;
  std::size_t capacity_;
  Order order_;
  std::unordered_map<std::string_view, Order::iterator> places_;  // keys point into order_
};

}  // namespace

class IdempotencyIndex::Impl {
 public:
  explicit Impl(const IdempotencyIndexOptions& options) : options_(options), recent_(options.cached_entries), filter_(0) {}

  ~Impl() {
    if (!writer_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    writer_.join();
  }

  absl::Status Open(std::string_view path) {
    absl::StatusOr<std::unique_ptr<sqlite::Connection>> opened = sqlite::Connection::Open(path, sqlite::Sync::kNormal, kVersion, kSchema);
    if (!opened.ok()) return opened.status();
    connection_ = *std::move(opened);
    const std::pair<sqlite::Statement*, const char*> statements[] = {
        {&find_, "SELECT body_hash, partition, sequence, position_index, response FROM entry WHERE id = ?"},
        {&put_,
         "INSERT OR REPLACE INTO entry(id, body_hash, partition, sequence, position_index, response) VALUES(?, ?, ?, ?, ?, ?)"},
        {&put_position_, "INSERT OR REPLACE INTO position(partition, sequence, position_index) VALUES(?, ?, ?)"}};
    for (const auto& [statement, sql] : statements) {
      absl::StatusOr<sqlite::Statement> prepared = connection_->Prepare(sql);
      if (!prepared.ok()) return prepared.status();
      *statement = *std::move(prepared);
    }
    if (absl::Status loaded = Load(); !loaded.ok()) return loaded;
    writer_ = std::thread([this] { Write(); });
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<IndexEntry>> Find(std::string_view commit_id) {
    const std::string id(commit_id);
    {
      std::lock_guard lock(mutex_);
      if (const IndexEntry* entry = FindInMemory(id)) return *entry;
      if (!filter_.MayHold(id)) return std::nullopt;
    }
    std::optional<IndexEntry> stored;
    {
      std::lock_guard lock(connection_mutex_);
      const absl::StatusOr<bool> row = find_.Bind(1, id).Step();
      if (!row.ok()) return row.status();
      if (*row) {
        stored = IndexEntry{std::string(find_.Blob(0)),
                            static_cast<std::uint32_t>(find_.Number(1)),
                            {static_cast<std::uint64_t>(find_.Number(2)), static_cast<std::uint32_t>(find_.Number(3))},
                            std::string(find_.Blob(4))};
      }
      find_.Reset();
    }
    std::lock_guard lock(mutex_);
    // It may have been added, again or at all, while the disk was looked at.
    if (const IndexEntry* entry = FindInMemory(id)) return *entry;
    if (stored) recent_.Put(id, *stored);
    return stored;
  }

  void Add(std::string_view commit_id, IndexEntry entry) {
    const std::string id(commit_id);
    std::lock_guard lock(mutex_);
    filter_.Add(id);
    recent_.Put(id, entry);
    waiting_.insert_or_assign(id, std::move(entry));
    ++added_;
    if (waiting_.size() == 1 || waiting_.size() == kEntriesAtOnce) work_.notify_one();
  }

  void SetPosition(std::uint32_t partition, IndexPosition position) {
    std::lock_guard lock(mutex_);
    IndexPosition& last = positions_[partition];
    if (position <= last) return;
    last = position;
    waiting_positions_[partition] = position;
    ++added_;
    if (waiting_positions_.size() == 1) work_.notify_one();
  }

  IndexPosition StoredPosition(std::uint32_t partition) const {
    std::lock_guard lock(mutex_);
    const auto found = stored_positions_.find(partition);
    return found == stored_positions_.end() ? IndexPosition{} : found->second;
  }

  absl::Status Flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = added_;
    const std::uint64_t failures = failures_;
    ++flushing_;
    work_.notify_one();
    written_changed_.wait(lock, [&] { return written_ >= wanted || failures_ != failures; });
    --flushing_;
    return written_ >= wanted ? absl::OkStatus() : failure_;
  }

  std::size_t backlog() const {
    std::lock_guard lock(mutex_);
    return waiting_.size() + writing_.size();
  }

 private:
  using Entries = std::unordered_map<std::string, IndexEntry>;
  using Positions = std::map<std::uint32_t, IndexPosition>;

  absl::Status Load() {
    absl::StatusOr<sqlite::Statement> count = connection_->Prepare("SELECT count(*) FROM entry");
    if (!count.ok()) return count.status();
    if (const absl::StatusOr<bool> row = count->Step(); !row.ok()) return row.status();
    filter_ = GrowingFilter(static_cast<std::size_t>(count->Number(0)) * 2);
    count->Reset();

    absl::StatusOr<sqlite::Statement> ids = connection_->Prepare("SELECT id FROM entry");
    if (!ids.ok()) return ids.status();
    for (;;) {
      const absl::StatusOr<bool> row = ids->Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      filter_.Add(ids->Blob(0));
    }
    absl::StatusOr<sqlite::Statement> positions = connection_->Prepare("SELECT partition, sequence, position_index FROM position");
    if (!positions.ok()) return positions.status();
    for (;;) {
      const absl::StatusOr<bool> row = positions->Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      stored_positions_[static_cast<std::uint32_t>(positions->Number(0))] = {static_cast<std::uint64_t>(positions->Number(1)),
                                                                            static_cast<std::uint32_t>(positions->Number(2))};
    }
    positions_ = stored_positions_;
    return absl::OkStatus();
  }

  const IndexEntry* FindInMemory(const std::string& id) {
    for (const Entries* entries : {&waiting_, &writing_}) {
      const auto found = entries->find(id);
      if (found != entries->end()) return &found->second;
    }
    return recent_.Find(id);
  }

  void Write() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [this] { return stopping_ || !waiting_.empty() || !waiting_positions_.empty(); });
      if (waiting_.empty() && waiting_positions_.empty()) return;  // stopping, and all is written
      // What comes meanwhile goes along.
      work_.wait_for(lock, std::chrono::nanoseconds(absl::ToInt64Nanoseconds(options_.write_interval)),
                     [this] { return stopping_ || flushing_ > 0 || waiting_.size() >= kEntriesAtOnce; });
      writing_.swap(waiting_);
      const Positions writing_positions = std::exchange(waiting_positions_, {});
      const std::uint64_t added = added_;
      for (;;) {
        lock.unlock();
        absl::Status done = WriteBatch(writing_positions);
        lock.lock();
        if (done.ok()) break;
        failure_ = std::move(done);
        ++failures_;
        written_changed_.notify_all();
        if (stopping_) return;  // the log has it all; the stored positions say from where
        work_.wait_for(lock, kRetryInterval, [this] { return stopping_; });
      }
      writing_.clear();
      for (const auto& [partition, position] : writing_positions) stored_positions_[partition] = position;
      written_ = added;
      written_changed_.notify_all();
    }
  }

  // Only this thread changes writing_, and only under mutex_; reading it here needs no lock.
  absl::Status WriteBatch(const Positions& positions) {
    auto next = writing_.begin();
    bool last = false;
    while (!last) {
      std::lock_guard lock(connection_mutex_);
      absl::Status done = connection_->Execute("BEGIN IMMEDIATE");
      for (std::size_t i = 0; done.ok() && i < kEntriesAtOnce && next != writing_.end(); ++i, ++next) {
        const IndexEntry& entry = next->second;
        done = put_.Bind(1, next->first)
                   .Bind(2, entry.body_hash)
                   .Bind(3, std::int64_t{entry.partition})
                   .Bind(4, static_cast<std::int64_t>(entry.position.sequence))
                   .Bind(5, std::int64_t{entry.position.index})
                   .Bind(6, entry.response)
                   .Run();
      }
      last = next == writing_.end();
      if (last) {
        // In the last transaction: a position must never be stored before an entry that it covers.
        for (const auto& [partition, position] : positions) {
          if (!done.ok()) break;
          done = put_position_.Bind(1, std::int64_t{partition})
                     .Bind(2, static_cast<std::int64_t>(position.sequence))
                     .Bind(3, std::int64_t{position.index})
                     .Run();
        }
      }
      if (done.ok()) done = connection_->Execute("COMMIT");
      if (!done.ok()) {
        connection_->RollBack();
        return done;
      }
    }
    return absl::OkStatus();
  }

  const IdempotencyIndexOptions options_;

  mutable std::mutex mutex_;  // never held while the disk is used
  std::condition_variable work_;
  std::condition_variable written_changed_;
  RecentlyUsed recent_;
  GrowingFilter filter_;
  Entries waiting_;
  Entries writing_;
  Positions positions_;          // as set
  Positions waiting_positions_;  // set, not yet being written
  Positions stored_positions_;
  std::uint64_t added_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t failures_ = 0;
  absl::Status failure_;
  int flushing_ = 0;
  bool stopping_ = false;

  std::mutex connection_mutex_;
  std::unique_ptr<sqlite::Connection> connection_;
  sqlite::Statement find_;
  sqlite::Statement put_;
  sqlite::Statement put_position_;

  std::thread writer_;
};

IdempotencyIndex::IdempotencyIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
IdempotencyIndex::~IdempotencyIndex() = default;

absl::StatusOr<std::unique_ptr<IdempotencyIndex>> IdempotencyIndex::Open(std::string_view path, const IdempotencyIndexOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  if (absl::Status opened = impl->Open(path); !opened.ok()) return opened;
  return std::unique_ptr<IdempotencyIndex>(new IdempotencyIndex(std::move(impl)));
}

absl::StatusOr<std::optional<IndexEntry>> IdempotencyIndex::Find(std::string_view commit_id) const { return impl_->Find(commit_id); }
void IdempotencyIndex::Add(std::string_view commit_id, IndexEntry entry) { impl_->Add(commit_id, std::move(entry)); }
void IdempotencyIndex::SetPosition(std::uint32_t partition, IndexPosition position) { impl_->SetPosition(partition, position); }
IndexPosition IdempotencyIndex::StoredPosition(std::uint32_t partition) const { return impl_->StoredPosition(partition); }
absl::Status IdempotencyIndex::Flush() { return impl_->Flush(); }
std::size_t IdempotencyIndex::backlog() const { return impl_->backlog(); }

}  // namespace vigil
