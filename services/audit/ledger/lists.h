#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "audit/ledger/entry.h"
#include "audit/ledger/sqlite.h"

namespace vigil {

// Which entries are of which file and which school. New ones gather in memory and are written to their tables together,
// sorted by name (format.h says why); a search looks in both places. Not thread-safe.
class EntryLists {
 public:
  enum class By { kFile, kSchool };

  static absl::StatusOr<std::unique_ptr<EntryLists>> Create(SqliteDatabase& database);

  void Add(EntryId id, std::string_view file, std::string_view school);
  // How many have gathered.
  std::size_t gathered() const { return gathered_.size(); }
  // Forgets those after the first `count`.
  void KeepGathered(std::size_t count) { gathered_.resize(count); }

  // Writes all that have gathered, in the transaction that is open. They stay gathered until ClearGathered, which is
  // for when it holds.
  absl::Status Write();
  void ClearGathered() { gathered_.clear(); }

  // At most `limit` entries in order from `after` (exclusive) on, or backwards; of those gathered, only where
  // `visible`.
  absl::StatusOr<std::vector<EntryId>> Find(By by, std::string_view name, std::optional<EntryId> after,
                                            bool newest_first, std::size_t limit,
                                            absl::FunctionRef<bool(EntryId)> visible);

 private:
  struct Gathered {
    EntryId id;
    std::string file;
    std::string school;
    const std::string& name(By by) const { return by == By::kFile ? file : school; }
  };

  absl::Status WriteList(By by);

  std::vector<Gathered> gathered_;
  SqliteStatement insert_[2];
  SqliteStatement oldest_first_[2];
  SqliteStatement newest_first_[2];
};

}  // namespace vigil
