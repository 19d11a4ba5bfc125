#include "audit/ledger/lists.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "audit/ledger/format.h"

namespace vigil {
namespace {

constexpr std::string_view kTables[] = {"by_file", "by_school"};

std::size_t IndexOf(EntryLists::By by) { return by == EntryLists::By::kFile ? 0 : 1; }

}  // namespace

absl::StatusOr<std::unique_ptr<EntryLists>> EntryLists::Create(SqliteDatabase& database) {
  auto lists = std::make_unique<EntryLists>();
  for (const By by : {By::kFile, By::kSchool}) {
    const std::size_t i = IndexOf(by);
    const std::string table(kTables[i]);
    const std::string select = "SELECT position FROM " + table + " WHERE name = ?1 AND position ";
    const std::pair<SqliteStatement*, std::string> all[] = {
        {&lists->insert_[i], "INSERT INTO " + table + "(name, position) VALUES(?1, ?2)"},
        {&lists->oldest_first_[i], select + "> ?2 ORDER BY position LIMIT ?3"},
        {&lists->newest_first_[i], select + "< ?2 ORDER BY position DESC LIMIT ?3"},
    };
    for (const auto& [statement, sql] : all) {
      absl::StatusOr<SqliteStatement> prepared = database.Prepare(sql);
      if (!prepared.ok()) return prepared.status();
      *statement = *std::move(prepared);
    }
  }
  return lists;
}

void EntryLists::Add(EntryId id, std::string_view file, std::string_view school) {
  gathered_.push_back({id, std::string(file), std::string(school)});
}

absl::Status EntryLists::Write() {
  if (absl::Status s = WriteList(By::kFile); !s.ok()) return s;
  return WriteList(By::kSchool);
}

absl::Status EntryLists::WriteList(By by) {
  std::vector<const Gathered*> sorted;
  for (const Gathered& entry : gathered_) {
    if (!entry.name(by).empty()) sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(), [by](const Gathered* a, const Gathered* b) {
    return std::tie(a->name(by), a->id) < std::tie(b->name(by), b->id);
  });
  SqliteStatement& insert = insert_[IndexOf(by)];
  for (const Gathered* entry : sorted) {
    insert.BindText(1, entry->name(by));
    insert.Bind(2, format::EntryPosition(entry->id));
    if (absl::Status s = insert.Run(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<EntryId>> EntryLists::Find(By by, std::string_view name, std::optional<EntryId> after,
                                                      bool newest_first, std::size_t limit,
                                                      absl::FunctionRef<bool(EntryId)> visible) {
  std::vector<EntryId> found;
  if (name.empty()) return found;
  const auto before = [newest_first](EntryId a, EntryId b) { return newest_first ? b < a : a < b; };

  SqliteStatement& statement = (newest_first ? newest_first_ : oldest_first_)[IndexOf(by)];
  statement.BindText(1, name);
  statement.Bind(2, after          ? format::EntryPosition(*after)
                    : newest_first ? std::numeric_limits<std::int64_t>::max()
                                   : -1);
  statement.Bind(3, static_cast<std::int64_t>(limit));
  absl::StatusOr<bool> row = statement.Step();
  for (; row.ok() && *row; row = statement.Step()) found.push_back(format::EntryIdOf(statement.Integer(0)));
  statement.Reset();
  if (!row.ok()) return row.status();

  for (const Gathered& entry : gathered_) {
    if (entry.name(by) == name && (!after || before(*after, entry.id)) && visible(entry.id)) found.push_back(entry.id);
  }
  std::sort(found.begin(), found.end(), before);
  if (found.size() > limit) found.resize(limit);
  return found;
}

}  // namespace vigil
