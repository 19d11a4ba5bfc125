#include "platform/outbox/outbox.h"

#include <limits>
#include <map>
#include <mutex>
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
    "CREATE TABLE row(place INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, partition INTEGER NOT NULL, bytes BLOB NOT NULL)";

// How many rows are read at once while visiting.
constexpr int kRowsAtOnce = 64;

absl::Status CheckRow(const OutboxRow& row) {
  if (row.id.empty()) return absl::InvalidArgumentError("an outbox row has an id");
  if (row.bytes.size() > kMaxOutboxRowBytes) {
    return absl::InvalidArgumentError(absl::StrCat("an outbox row has at most ", kMaxOutboxRowBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status OtherRowUnderId() { return absl::AlreadyExistsError("the outbox holds another row under this id"); }

class SqliteOutbox final : public Outbox {
 public:
  SqliteOutbox() = default;

  absl::Status Open(std::string_view path) {
    absl::StatusOr<std::unique_ptr<sqlite::Connection>> opened = sqlite::Connection::Open(path, sqlite::Sync::kFull, kVersion, kSchema);
    if (!opened.ok()) return opened.status();
    connection_ = *std::move(opened);
    const std::pair<sqlite::Statement*, const char*> statements[] = {
        {&insert_, "INSERT OR IGNORE INTO row(id, partition, bytes) VALUES(?, ?, ?)"},
        {&same_, "SELECT count(*) FROM row WHERE id = ? AND partition = ? AND bytes = ?"},
        {&remove_, "DELETE FROM row WHERE id = ?"},
        {&count_, "SELECT count(*) FROM row"},
        {&last_, "SELECT coalesce(max(place), 0) FROM row"},
        {&some_, "SELECT place, id, partition, bytes FROM row WHERE place > ? AND place <= ? ORDER BY place LIMIT ?"}};
    for (const auto& [statement, sql] : statements) {
      absl::StatusOr<sqlite::Statement> prepared = connection_->Prepare(sql);
      if (!prepared.ok()) return prepared.status();
      *statement = *std::move(prepared);
    }
    return absl::OkStatus();
  }

  absl::Status Put(const OutboxRow& row) override { return PutMany({&row, 1}); }

  absl::Status PutMany(std::span<const OutboxRow> rows) override {
    for (const OutboxRow& row : rows) {
      if (absl::Status wrong = CheckRow(row); !wrong.ok()) return wrong;
    }
    return Transact([&]() -> absl::Status {
      for (const OutboxRow& row : rows) {
        if (absl::Status put = insert_.Bind(1, row.id).Bind(2, std::int64_t{row.partition}).Bind(3, row.bytes).Run(); !put.ok()) return put;
        if (connection_->Changes() > 0) continue;
        const absl::StatusOr<std::int64_t> same =
            One(same_.Bind(1, row.id).Bind(2, std::int64_t{row.partition}).Bind(3, row.bytes));
        if (!same.ok()) return same.status();
        if (*same == 0) return OtherRowUnderId();
      }
      return absl::OkStatus();
    });
  }

  absl::Status Remove(std::span<const std::string> ids) override {
    absl::Status removed = Transact([&]() -> absl::Status {
      for (const std::string& id : ids) {
        if (absl::Status done = remove_.Bind(1, id).Run(); !done.ok()) return done;
      }
      return absl::OkStatus();
    });
    if (!removed.ok()) return removed;
    std::lock_guard lock(mutex_);
    const absl::StatusOr<std::int64_t> left = One(count_);
    // Rows hold wrapped keys and sealed text: they are not left lying in the journal once the log has them.
    if (left.ok() && *left == 0) connection_->Execute("PRAGMA wal_checkpoint(TRUNCATE)").IgnoreError();
    return absl::OkStatus();
  }

  absl::Status ForEach(const std::function<bool(const OutboxRow& row)>& visit) const override {
    std::int64_t place = 0;
    std::int64_t last = 0;
    {
      std::lock_guard lock(mutex_);
      const absl::StatusOr<std::int64_t> found = One(last_);
      if (!found.ok()) return found.status();
      last = *found;
    }
    for (;;) {
      std::vector<OutboxRow> rows;
      {
        std::lock_guard lock(mutex_);
        some_.Bind(1, place).Bind(2, last).Bind(3, std::int64_t{kRowsAtOnce});
        for (;;) {
          const absl::StatusOr<bool> row = some_.Step();
          if (!row.ok()) return row.status();
          if (!*row) break;
          place = some_.Number(0);
          rows.push_back({std::string(some_.Blob(1)), static_cast<std::uint32_t>(some_.Number(2)), std::string(some_.Blob(3))});
        }
        some_.Reset();
      }
      if (rows.empty()) return absl::OkStatus();
      for (const OutboxRow& row : rows) {
        if (!visit(row)) return absl::OkStatus();
      }
    }
  }

  absl::StatusOr<std::size_t> Count() const override {
    std::lock_guard lock(mutex_);
    const absl::StatusOr<std::int64_t> count = One(count_);
    if (!count.ok()) return count.status();
    return static_cast<std::size_t>(*count);
  }

 private:
  template <typename Work>
  absl::Status Transact(Work work) {
    std::lock_guard lock(mutex_);
    absl::Status done = connection_->Execute("BEGIN IMMEDIATE");
    if (done.ok()) done = work();
    if (done.ok()) done = connection_->Execute("COMMIT");
    if (!done.ok()) connection_->RollBack();
    return done;
  }

  static absl::StatusOr<std::int64_t> One(sqlite::Statement& statement) {
    const absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    const std::int64_t number = *row ? statement.Number(0) : 0;
    statement.Reset();
    return number;
  }

  mutable std::mutex mutex_;
  std::unique_ptr<sqlite::Connection> connection_;
  sqlite::Statement insert_;
  sqlite::Statement same_;
  sqlite::Statement remove_;
  mutable sqlite::Statement count_;
  mutable sqlite::Statement last_;
  mutable sqlite::Statement some_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Outbox>> OpenOutbox(std::string_view path) {
  auto outbox = std::make_unique<SqliteOutbox>();
  if (absl::Status opened = outbox->Open(path); !opened.ok()) return opened;
  return outbox;
}

class FakeOutbox::Impl {
 public:
  absl::Status Insert(const OutboxRow& row) {
    const auto found = places.find(row.id);
    if (found != places.end()) {
      const OutboxRow& other = rows.at(found->second);
      return other.partition == row.partition && other.bytes == row.bytes ? absl::OkStatus() : OtherRowUnderId();
    }
    places.emplace(row.id, ++last_place);
    rows.emplace(last_place, row);
    return absl::OkStatus();
  }

  std::mutex mutex;
  absl::Status failure;
  std::int64_t last_place = 0;
  std::map<std::int64_t, OutboxRow> rows;
  std::unordered_map<std::string, std::int64_t> places;
};

FakeOutbox::FakeOutbox() : impl_(std::make_unique<Impl>()) {}
FakeOutbox::~FakeOutbox() = default;

absl::Status FakeOutbox::Put(const OutboxRow& row) { return PutMany({&row, 1}); }

absl::Status FakeOutbox::PutMany(std::span<const OutboxRow> rows) {
  for (const OutboxRow& row : rows) {
    if (absl::Status wrong = CheckRow(row); !wrong.ok()) return wrong;
  }
  std::lock_guard lock(impl_->mutex);
  if (!impl_->failure.ok()) return impl_->failure;
  const auto rows_before = impl_->rows;
  const auto places_before = impl_->places;
  for (const OutboxRow& row : rows) {
    if (absl::Status put = impl_->Insert(row); !put.ok()) {
      impl_->rows = rows_before;
      impl_->places = places_before;
      return put;
    }
  }
  return absl::OkStatus();
}

absl::Status FakeOutbox::Remove(std::span<const std::string> ids) {
  std::lock_guard lock(impl_->mutex);
  if (!impl_->failure.ok()) return impl_->failure;
  for (const std::string& id : ids) {
    const auto found = impl_->places.find(id);
    if (found == impl_->places.end()) continue;
    impl_->rows.erase(found->second);
    impl_->places.erase(found);
  }
  return absl::OkStatus();
}

absl::Status FakeOutbox::ForEach(const std::function<bool(const OutboxRow& row)>& visit) const {
  std::int64_t place = 0;
  std::int64_t last = 0;
  for (bool first = true;; first = false) {
    OutboxRow row;
    {
      std::lock_guard lock(impl_->mutex);
      if (!impl_->failure.ok()) return impl_->failure;
      if (first) last = impl_->last_place;
      const auto next = impl_->rows.upper_bound(place);
      if (next == impl_->rows.end() || next->first > last) return absl::OkStatus();
      place = next->first;
      row = next->second;
    }
    if (!visit(row)) return absl::OkStatus();
  }
}

absl::StatusOr<std::size_t> FakeOutbox::Count() const {
  std::lock_guard lock(impl_->mutex);
  if (!impl_->failure.ok()) return impl_->failure;
  return impl_->rows.size();
}

void FakeOutbox::FailWith(absl::Status status) {
  std::lock_guard lock(impl_->mutex);
  impl_->failure = std::move(status);
}

}  // namespace vigil
