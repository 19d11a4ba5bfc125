#include "domain/record.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "domain/duty.h"
#include "domain/form.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

constexpr std::size_t kMostRecordsOfSchool = 5000;

absl::Status Refuse(std::string_view why) { return absl::FailedPreconditionError(absl::string_view(why.data(), why.size())); }

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

bool HasRole(const PersonState& person, const std::vector<std::string>& roles) {
  return std::any_of(person.roles.begin(), person.roles.end(), [&](const std::string& role) { return Contains(roles, role); });
}

std::string Plain(const RecordFiled& filed, const std::string& field) {
  const auto it = filed.plain.find(field);
  return it == filed.plain.end() ? "" : it->second;
}

const RecordRow* FindRow(const Pack& pack, const std::string& kind) {
  const auto it = pack.records.find(kind);
  return it == pack.records.end() ? nullptr : &it->second;
}

// What was filed for an earlier leave says nothing about this one.
absl::Time SinceLastLeave(const Pack& pack, const CaseState& c) {
  absl::Time since = absl::InfinitePast();
  for (const RecordState& record : c.records) {
    const RecordRow* row = FindRow(pack, record.kind);
    if (row != nullptr && row->becomes == RecordRow::Becomes::kOnLeave) since = record.filed_time;
  }
  return since;
}

absl::Status CheckNeeds(const RecordRow& row, const CaseState& c, const RecordFiled& filed, const Commit& commit, const FoldContext& context) {
  const bool excused = !row.excused_by.empty() && Plain(filed, row.excused_by) == "true" && commit.actor && Contains(row.excused_roles, commit.actor->role);
  if (excused) return absl::OkStatus();
  const absl::Time since = row.needs_since_leave ? SinceLastLeave(context.pack, c) : absl::InfinitePast();
  std::vector<std::string> missing;
  for (const std::string& kind : row.needs) {
    const bool there = std::any_of(c.records.begin(), c.records.end(), [&](const RecordState& record) {
      return record.kind == kind && !record.superseded && record.filed_time >= since;
    });
    if (!there) missing.push_back(kind);
  }
  if (missing.empty()) return absl::OkStatus();
  return Refuse(absl::StrCat("needs first: ", absl::StrJoin(missing, ", ")));
}

absl::Status CheckSigned(const RecordRow::Signed& is_signed, const CaseState& c, const RecordFiled& filed, const SchoolState& school) {
  std::set<std::string> signers;
  for (const std::string& id : ListOf(Plain(filed, is_signed.field))) {
    const auto person = school.people.find(id);
    if (person == school.people.end() || !HasRole(person->second, is_signed.roles)) {
      return Refuse(absl::StrCat("signed by: ", id, " has none of the roles ", absl::StrJoin(is_signed.roles, ", ")));
    }
    if (!Contains(c.recused, id)) signers.insert(id);
  }
  if (static_cast<int>(signers.size()) >= is_signed.at_least) return absl::OkStatus();
  return Refuse(absl::StrCat("needs the signatures of ", is_signed.at_least, " of: ", absl::StrJoin(is_signed.roles, ", ")));
}

std::vector<std::string> MembersOf(const RecordRow::Roster& roster, const RecordFiled& filed) {
  std::vector<std::string> members = ListOf(Plain(filed, roster.adults));
  const std::string helper = roster.helper.empty() ? "" : Plain(filed, roster.helper);
  if (!helper.empty()) members.push_back(helper);
  return members;
}

}  // namespace

const RecordState* FindRecord(const FileState& file, std::string_view record_id) {
  if (!file.current) return nullptr;
  for (const RecordState& record : file.current->records) {
    if (record.record_id == record_id) return &record;
  }
  return nullptr;
}

RosterCount CountRoster(const SchoolState& school, const FileState& file, const RecordRow::Roster& roster, const std::vector<std::string>& members) {
  RosterCount count{.led = roster.led_by.empty()};
  std::set<std::string> seen;
  for (const std::string& id : members) {
    const auto person = school.people.find(id);
    if (person == school.people.end() || person->second.on_leave || id == file.student || !seen.insert(id).second) continue;
    if (file.current && Contains(file.current->recused, id)) continue;
    ++count.members;
    if (person->second.kind != PersonKind::kStaff) continue;
    ++count.adults;
    if (HasRole(person->second, roster.led_by)) count.led = true;
  }
  return count;
}

absl::Status CheckRecord(const FileState& file, const RecordFiled& filed, const Commit& commit, const FoldContext& context) {
  const RecordRow* row = FindRow(context.pack, filed.kind);
  if (row == nullptr) return absl::OkStatus();
  const CaseState& c = *file.current;
  if ((row->attaches == RecordRow::Attaches::kCase) == file.duties.has_value()) return Refuse("this record is about something else");
  if (FindRecord(file, filed.record_id) != nullptr) return Refuse("filed already");
  if (!filed.supersedes.empty()) {
    const RecordState* corrected = FindRecord(file, filed.supersedes);
    if (corrected == nullptr || corrected->kind != filed.kind) return absl::NotFoundError("there is no such record to correct");
    if (corrected->superseded) return Refuse("another record corrects it already");
  }
  for (const FieldRow& field : row->fields) {
    const std::string value = field.type == FieldRow::Type::kRecord ? Plain(filed, field.id) : "";
    if (value.empty()) continue;
    const RecordState* named = FindRecord(file, value);
    if (named == nullptr || named->kind != field.of) return absl::NotFoundError(absl::StrCat("there is no such record: ", field.id));
  }
  if (absl::Status needs = CheckNeeds(*row, c, filed, commit, context); !needs.ok()) return needs;
  if (row->is_signed) {
    if (absl::Status is_signed = CheckSigned(*row->is_signed, c, filed, context.school); !is_signed.ok()) return is_signed;
  }
  if (row->roster) {
    const RosterCount count = CountRoster(context.school, file, *row->roster, MembersOf(*row->roster, filed));
    if (!count.Enough(*row->roster)) {
      return Refuse(absl::StrCat("the group needs at least ", row->roster->at_least, " different people at work, ", row->roster->adults_at_least, " of them adults",
                                 count.led ? "" : absl::StrCat(", led by: ", absl::StrJoin(row->roster->led_by, ", ")), "; ", count.members, " count"));
    }
  }
  switch (row->registers) {
    case RecordRow::Registers::kNothing:
      break;
    case RecordRow::Registers::kEntry:
      if (file.registered) return Refuse("on the register already");
      break;
    case RecordRow::Registers::kExit:
      if (!file.registered) return Refuse("not on the register");
      if (c.final_level.empty()) return Refuse("leaving the register needs a current assessment");
      break;
  }
  return file.duties ? CheckDutyRecord(file, filed, context) : absl::OkStatus();
}

void NoteRecord(FileState& file, const RecordFiled& filed, const Commit& commit, const FoldContext& context) {
  CaseState& c = *file.current;
  RecordState record{.record_id = filed.record_id, .kind = filed.kind};
  record.filed_time = commit.recorded_time;
  record.author = commit.actor ? commit.actor->person : "";
  record.late = filed.late;
  record.sequence = context.position.sequence;
  record.index = context.position.index;
  record.student = filed.student;
  record.class_name = filed.class_name;
  for (RecordState& other : c.records) {
    if (!filed.supersedes.empty() && other.record_id == filed.supersedes) other.superseded = true;
  }
  c.records.push_back(std::move(record));
  // A school's own are without end; the ledger keeps them all.
  if (file.duties && c.records.size() > kMostRecordsOfSchool) c.records.erase(c.records.begin());
  const RecordRow* row = FindRow(context.pack, filed.kind);
  if (row == nullptr) return;
  if (row->roster) {
    std::erase_if(c.rosters, [&](const RosterState& other) { return other.kind == filed.kind; });
    c.rosters.push_back({.kind = filed.kind, .members = MembersOf(*row->roster, filed)});
  }
  if (row->registers != RecordRow::Registers::kNothing) {
    file.registered = row->registers == RecordRow::Registers::kEntry;
    file.registered_time = commit.recorded_time;
  }
  switch (row->becomes) {
    case RecordRow::Becomes::kSame:
      break;
    case RecordRow::Becomes::kOnLeave:
      // On paper the child is on leave; while the school watches over it, it is still here.
      if (!c.custody || !c.custody->supervised) c.phase = CasePhase::kOnLeave;
      break;
  }
  if (file.duties) NoteDutyRecord(file, filed, commit, context);
}

std::vector<std::string> WhatItSaid(const RecordRow& row, const RecordFiled& filed) {
  std::vector<std::string> said;
  for (const FieldRow& field : row.fields) {
    if (field.sealed || (field.type != FieldRow::Type::kChoice && field.type != FieldRow::Type::kBoolean)) continue;
    const auto value = filed.plain.find(field.id);
    if (value != filed.plain.end()) said.push_back(absl::StrCat(filed.kind, ".", field.id, "=", value->second));
  }
  return said;
}

std::vector<RosterFellShort> RostersShort(const Pack& pack, const SchoolState& school, const FileState& file) {
  std::vector<RosterFellShort> found;
  if (!HasOpenCase(file)) return found;
  for (const RosterState& roster : file.current->rosters) {
    const RecordRow* row = FindRow(pack, roster.kind);
    if (roster.fell_short || row == nullptr || !row->roster) continue;
    const RosterCount count = CountRoster(school, file, *row->roster, roster.members);
    if (!count.Enough(*row->roster)) found.push_back({.kind = roster.kind, .counted = count.members});
  }
  return found;
}

absl::Status CheckRosterFellShort(const FileState& file, const RosterFellShort& e, const FoldContext& context) {
  for (const RosterFellShort& short_one : RostersShort(context.pack, context.school, file)) {
    if (short_one.kind == e.kind) return absl::OkStatus();
  }
  return Refuse("the group is large enough, or is known not to be");
}

}  // namespace vigil::domain
