// The timeline as a table: one row a commit, in the order in which they were applied here, with what people read of it but for the
// language. A read model: made from the log alone, so what a crash takes away is simply written again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "machine/machine.h"

namespace vigil {
class SqliteDatabase;
}  // namespace vigil

namespace vigil::audit {

struct StoredCommit {
  // Place in the table, from 1; grows with every commit. Given by Add.
  std::int64_t ordinal = 0;
  int partition = 0;
  domain::CommitPosition position;
  std::string school;
  std::string case_id;  // empty: concerns the school
  // People who were off the matter then; it is not shown to them.
  std::vector<std::string> recused;
  std::string rows;     // a serialized vigil.audit.v1.Timeline, without summaries
};

// Not thread-safe. Errors: Unavailable, ResourceExhausted: the disk fails or is full; nothing since Begin was kept.
class TimelineStore {
 public:
  // A damaged table, or one of another version, is made anew.
  static absl::StatusOr<std::unique_ptr<TimelineStore>> Open(const std::string& path);
  ~TimelineStore();
  TimelineStore(const TimelineStore&) = delete;
  TimelineStore& operator=(const TimelineStore&) = delete;

  // The log sequence of the last message of a partition that is here.
  std::uint64_t Position(int partition) const { return positions_[static_cast<std::size_t>(partition)]; }
  std::int64_t LastOrdinal() const { return last_ordinal_; }

  absl::Status Begin();
  // Between Begin and End; whole messages, in the order of their partition.
  absl::Status Add(StoredCommit& commit);
  absl::Status End();
  // Instead of End.
  void GiveUp();

  absl::StatusOr<std::vector<StoredCommit>> OfCase(std::string_view case_id);
  // At most `limit` after `ordinal`; `school` empty: all.
  absl::StatusOr<std::vector<StoredCommit>> After(std::int64_t ordinal, std::string_view school, int limit);
  // Of the last commit of the partition at or before a position; 0: none.
  absl::StatusOr<std::int64_t> OrdinalOf(int partition, domain::CommitPosition position);

 private:
  struct Statements;

  explicit TimelineStore(std::unique_ptr<SqliteDatabase> database);
  absl::Status Prepare();

  std::unique_ptr<SqliteDatabase> database_;
  std::unique_ptr<Statements> statements_;  // ends before the database
  std::array<std::uint64_t, kPartitions> positions_{};
  std::array<std::uint64_t, kPartitions> added_{};
  std::int64_t last_ordinal_ = 0;
  std::int64_t added_ordinal_ = 0;
};

}  // namespace vigil::audit
