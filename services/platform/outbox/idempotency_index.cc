#include "platform/outbox/idempotency_index.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "platform/outbox/sqlite.h"

namespace vigil {
namespace {

constexpr int kVersion = 1;
constexpr char kSchema[] =
    "CREATE TABLE entry(place INTEGER PRIMARY KEY, id BLOB NOT NULL, body_hash BLOB NOT NULL, partition INTEGER NOT NULL, "
    "sequence INTEGER NOT NULL, position_index INTEGER NOT NULL, response BLOB NOT NULL);"
    "CREATE TABLE run(number INTEGER PRIMARY KEY, last_place INTEGER NOT NULL, filter BLOB NOT NULL);"
    "CREATE TABLE run_hash(number INTEGER NOT NULL, hash INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY(number, hash, place)) "
    "WITHOUT ROWID;"
    "CREATE TABLE position(partition INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, position_index INTEGER NOT NULL)";

// A transaction of this many holds up a lookup by some milliseconds at most.
constexpr std::size_t kEntriesAtOnce = 2'000;
constexpr std::chrono::seconds kRetryInterval{1};

std::uint64_t Mix(std::uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// Stored, so it never changes: FNV-1a, mixed.
std::uint64_t Hash(std::string_view id) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return Mix(hash);
}

// Tells for certain that an id is absent, and with an error of some 0.2 % that it is there: a Bloom filter of 64-byte blocks, so that a question
// costs one cache line.
class Filter {
 public:
  explicit Filter(std::size_t capacity) : blocks_(std::max<std::size_t>(capacity * kBitsPerId / 512, 1)) {}

  // What bytes() gave; empty if it cannot be that.
  static std::optional<Filter> FromBytes(std::string_view bytes) {
    if (bytes.empty() || bytes.size() % sizeof(Block) != 0) return std::nullopt;
    Filter filter(0);
    filter.blocks_.resize(bytes.size() / sizeof(Block));
    std::memcpy(filter.blocks_.data(), bytes.data(), bytes.size());
    return filter;
  }
  std::string_view bytes() const { return {reinterpret_cast<const char*>(blocks_.data()), blocks_.size() * sizeof(Block)}; }

  void Add(std::uint64_t hash) {
    Block& block = blocks_[Place(hash)];
    std::uint64_t bits = Mix(hash);
    for (int i = 0; i < kProbes; ++i, bits >>= 9) block[(bits >> 6) & 7] |= std::uint64_t{1} << (bits & 63);
  }

  bool MayHold(std::uint64_t hash) const {
    const Block& block = blocks_[Place(hash)];
    std::uint64_t bits = Mix(hash);
    for (int i = 0; i < kProbes; ++i, bits >>= 9) {
      if ((block[(bits >> 6) & 7] & (std::uint64_t{1} << (bits & 63))) == 0) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kBitsPerId = 16;
  static constexpr int kProbes = 6;
  using Block = std::array<std::uint64_t, 8>;

  std::size_t Place(std::uint64_t hash) const { return hash % blocks_.size(); }

  std::vector<Block> blocks_;
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
  explicit Impl(const IdempotencyIndexOptions& options) : options_(options), recent_(options.cached_entries) {}

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
        {&find_, "SELECT id, body_hash, partition, sequence, position_index, response FROM entry WHERE place = ?"},
        {&find_in_run_, "SELECT place FROM run_hash WHERE number = ? AND hash = ? ORDER BY place DESC"},
        {&put_, "INSERT INTO entry(place, id, body_hash, partition, sequence, position_index, response) VALUES(?, ?, ?, ?, ?, ?, ?)"},
        {&put_hash_, "INSERT INTO run_hash(number, hash, place) VALUES(?, ?, ?)"},
        {&put_run_, "INSERT INTO run(number, last_place, filter) VALUES(?, ?, ?)"},
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
    const std::uint64_t hash = Hash(id);
    std::vector<std::int64_t> places;
    std::vector<std::int64_t> runs;  // newest first
    {
      std::lock_guard lock(mutex_);
      if (const IndexEntry* entry = FindInMemory(id)) return *entry;
      const auto [first, last] = places_.equal_range(hash);
      for (auto place = first; place != last; ++place) places.push_back(place->second);
      for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
        if (run->filter.MayHold(hash)) runs.push_back(run->number);
      }
    }
    if (places.empty() && runs.empty()) return std::nullopt;
    absl::StatusOr<std::optional<IndexEntry>> stored = FindOnDisk(id, hash, std::move(places), runs);
    if (!stored.ok()) return stored;
    std::lock_guard lock(mutex_);
    // It may have been added, again or at all, while the disk was looked at.
    if (const IndexEntry* entry = FindInMemory(id)) return *entry;
    if (*stored) recent_.Put(id, **stored);
    return stored;
  }

  void Add(std::string_view commit_id, IndexEntry entry) {
    const std::string id(commit_id);
    std::lock_guard lock(mutex_);
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
  using Places = std::vector<std::pair<std::uint64_t, std::int64_t>>;  // hash, place

  // The places of run_entries entries by hash, on disk in that order, and what tells whether it is worth looking there.
  struct Run {
    std::int64_t number;
    Filter filter;
  };

  absl::Status Load() {
    std::int64_t last_place = 0;
    absl::StatusOr<sqlite::Statement> runs = connection_->Prepare("SELECT number, last_place, filter FROM run ORDER BY number");
    if (!runs.ok()) return runs.status();
    for (;;) {
      const absl::StatusOr<bool> row = runs->Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      std::optional<Filter> filter = Filter::FromBytes(runs->Blob(2));
      if (!filter) return absl::DataLossError("a run of the idempotency index has no filter");
      runs_.push_back({runs->Number(0), *std::move(filter)});
      last_place = runs->Number(1);
    }

    next_place_ = last_place + 1;
    absl::StatusOr<sqlite::Statement> rest = connection_->Prepare("SELECT place, id FROM entry WHERE place > ?");
    if (!rest.ok()) return rest.status();
    rest->Bind(1, last_place);
    for (;;) {
      const absl::StatusOr<bool> row = rest->Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      places_.emplace(Hash(rest->Blob(1)), rest->Number(0));
      next_place_ = rest->Number(0) + 1;
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

  absl::StatusOr<std::optional<IndexEntry>> FindOnDisk(const std::string& id, std::uint64_t hash, std::vector<std::int64_t> places,
                                                       const std::vector<std::int64_t>& runs) {
    std::lock_guard lock(connection_mutex_);
    // The latest of one id holds.
    std::sort(places.rbegin(), places.rend());
    for (auto run = runs.begin();; ++run) {
      for (const std::int64_t place : places) {
        absl::StatusOr<std::optional<IndexEntry>> entry = ReadEntry(place, id);
        if (!entry.ok() || *entry) return entry;
      }
      if (run == runs.end()) return std::nullopt;
      places.clear();
      find_in_run_.Bind(1, *run).Bind(2, static_cast<std::int64_t>(hash));
      for (;;) {
        const absl::StatusOr<bool> row = find_in_run_.Step();
        if (!row.ok()) return row.status();
        if (!*row) break;
        places.push_back(find_in_run_.Number(0));
      }
      find_in_run_.Reset();
    }
  }

  // nullopt: another id's (of the same hash).
  absl::StatusOr<std::optional<IndexEntry>> ReadEntry(std::int64_t place, const std::string& id) {
    const absl::StatusOr<bool> row = find_.Bind(1, place).Step();
    if (!row.ok()) return row.status();
    std::optional<IndexEntry> entry;
    if (*row && find_.Blob(0) == id) {
      entry = IndexEntry{std::string(find_.Blob(1)),
                         static_cast<std::uint32_t>(find_.Number(2)),
                         {static_cast<std::uint64_t>(find_.Number(3)), static_cast<std::uint32_t>(find_.Number(4))},
                         std::string(find_.Blob(5))};
    }
    find_.Reset();
    return entry;
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
      Places written;
      if (!Retry(lock, [&] { return WriteBatch(writing_positions, written); })) return;
      places_.insert(written.begin(), written.end());
      writing_.clear();
      for (const auto& [partition, position] : writing_positions) stored_positions_[partition] = position;
      written_ = added;
      written_changed_.notify_all();

      if (places_.size() < options_.run_entries) continue;
      Run run{runs_.empty() ? 1 : runs_.back().number + 1, Filter(places_.size())};
      if (!Retry(lock, [&] { return WriteRun(run); })) return;
      runs_.push_back(std::move(run));
      places_.clear();
    }
  }

  // Tries without the lock until it is done. False: it is not, and the process stops; the log has it all, and the stored positions say from where.
  template <typename Work>
  bool Retry(std::unique_lock<std::mutex>& lock, Work work) {
    for (;;) {
      lock.unlock();
      absl::Status done = work();
      lock.lock();
      if (done.ok()) return true;
      failure_ = std::move(done);
      ++failures_;
      written_changed_.notify_all();
      if (stopping_) return false;
      work_.wait_for(lock, kRetryInterval, [this] { return stopping_; });
    }
  }

  template <typename Work>
  absl::Status Transact(Work work) {
    std::lock_guard lock(connection_mutex_);
    absl::Status done = connection_->Execute("BEGIN IMMEDIATE");
    if (done.ok()) done = work();
    if (done.ok()) done = connection_->Execute("COMMIT");
    if (!done.ok()) connection_->RollBack();
    return done;
  }

  // writing_, places_ and runs_ are changed by this thread alone, under mutex_; it reads them without. What an earlier try has written already is
  // written once more: the later holds.
  absl::Status WriteBatch(const Positions& positions, Places& written) {
    auto next = writing_.begin();
    for (bool last = false; !last;) {
      absl::Status done = Transact([&]() -> absl::Status {
        for (std::size_t i = 0; i < kEntriesAtOnce && next != writing_.end(); ++i, ++next) {
          const IndexEntry& entry = next->second;
          absl::Status put = put_.Bind(1, next_place_)
                                 .Bind(2, next->first)
                                 .Bind(3, entry.body_hash)
                                 .Bind(4, std::int64_t{entry.partition})
                                 .Bind(5, static_cast<std::int64_t>(entry.position.sequence))
                                 .Bind(6, std::int64_t{entry.position.index})
                                 .Bind(7, entry.response)
                                 .Run();
          if (!put.ok()) return put;
          written.emplace_back(Hash(next->first), next_place_++);
        }
        last = next == writing_.end();
        if (!last) return absl::OkStatus();
        // In the last transaction: a position must never be stored before an entry that it covers.
        for (const auto& [partition, position] : positions) {
          absl::Status put = put_position_.Bind(1, std::int64_t{partition})
                                 .Bind(2, static_cast<std::int64_t>(position.sequence))
                                 .Bind(3, std::int64_t{position.index})
                                 .Run();
          if (!put.ok()) return put;
        }
        return absl::OkStatus();
      });
      if (!done.ok()) {
        written.clear();
        return done;
      }
    }
    return absl::OkStatus();
  }

  absl::Status WriteRun(Run& run) {
    Places sorted(places_.begin(), places_.end());
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      // As SQLite orders them: signed.
      return std::pair(static_cast<std::int64_t>(a.first), a.second) < std::pair(static_cast<std::int64_t>(b.first), b.second);
    });
    std::int64_t last_place = 0;
    for (const auto& [hash, place] : sorted) {
      run.filter.Add(hash);
      last_place = std::max(last_place, place);
    }
    // A crash or a failure before the run's own row leaves rows without it, which the next try removes.
    absl::Status done = Transact([&] { return connection_->Execute(absl::StrCat("DELETE FROM run_hash WHERE number >= ", run.number)); });
    for (auto next = sorted.begin(); done.ok() && next != sorted.end();) {
      done = Transact([&]() -> absl::Status {
        for (std::size_t i = 0; i < kEntriesAtOnce && next != sorted.end(); ++i, ++next) {
          absl::Status put = put_hash_.Bind(1, run.number).Bind(2, static_cast<std::int64_t>(next->first)).Bind(3, next->second).Run();
          if (!put.ok()) return put;
        }
        return absl::OkStatus();
      });
    }
    if (!done.ok()) return done;
    return Transact([&] { return put_run_.Bind(1, run.number).Bind(2, last_place).Bind(3, run.filter.bytes()).Run(); });
  }

  const IdempotencyIndexOptions options_;

  mutable std::mutex mutex_;  // never held while the disk is used
  std::condition_variable work_;
  std::condition_variable written_changed_;
  RecentlyUsed recent_;
  std::unordered_multimap<std::uint64_t, std::int64_t> places_;  // by hash, of the entries that are in no run yet
  std::vector<Run> runs_;                                        // ascending
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
  sqlite::Statement find_in_run_;
  sqlite::Statement put_;
  sqlite::Statement put_hash_;
  sqlite::Statement put_run_;
  sqlite::Statement put_position_;
  std::int64_t next_place_ = 1;

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
