#include "domain/duty.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "domain/calendar.h"
#include "domain/form.h"
#include "domain/on_call.h"
#include "domain/school.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

// Undone ones of the same kind and class beyond this are in the ledger only.
constexpr std::size_t kMostOpenOfAKind = 8;
constexpr std::size_t kMostDoneAfterEvents = 20;
constexpr std::string_view kCausePrefix = "duty";

absl::Status Refuse(std::string_view why) { return absl::FailedPreconditionError(absl::string_view(why.data(), why.size())); }

const DutyRow* FindRow(const Pack& pack, const std::string& duty) {
  const auto it = pack.duties.find(duty);
  return it == pack.duties.end() ? nullptr : &it->second;
}

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

// When a duty was last opened; InfinitePast: never. The last stays in the book, done or not.
absl::Time LastOpened(const FileState& file, const std::string& duty) {
  absl::Time last = absl::InfinitePast();
  for (const DutyState& state : file.duties->duties) {
    if (state.duty == duty) last = std::max(last, state.from_time);
  }
  return last;
}

std::vector<std::string> ClassesOf(const SchoolState& school) {
  std::set<std::string> classes;
  for (const auto& [id, person] : school.people) {
    if (person.kind == PersonKind::kStudent && !person.class_name.empty()) classes.insert(person.class_name);
  }
  return {classes.begin(), classes.end()};
}

std::string GradeOfClass(const SchoolState& school, std::string_view class_name) {
  for (const auto& [id, person] : school.people) {
    if (person.kind == PersonKind::kStudent && person.class_name == class_name) return person.grade;
  }
  return "";
}

bool Does(const DutyRow& row, const RecordFiled& filed) {
  if (row.record != filed.kind) return false;
  if (row.record_field.empty()) return true;
  const auto value = filed.plain.find(row.record_field);
  return value != filed.plain.end() && value->second == row.record_value;
}

bool IsOf(const DutyRow& row, const DutyState& duty, const RecordFiled& filed) {
  if (row.every == DutyRow::Every::kEvent) {
    const auto answers = filed.plain.find(row.answers);
    return answers != filed.plain.end() && answers->second == duty.subject;
  }
  return duty.subject == (row.scope == DutyRow::Scope::kClass ? filed.class_name : "");
}

// Of a kind and a class only what is still owed stays, and the last that was done.
void Trim(DutyBook& book, const DutyRow& row, const std::string& subject) {
  const bool of_event = row.every == DutyRow::Every::kEvent;
  const auto same = [&](const DutyState& duty) { return duty.duty == row.id && (of_event || duty.subject == subject); };
  std::size_t done = 0;
  std::size_t open = 0;
  for (const DutyState& duty : book.duties) {
    if (same(duty)) ++(IsDone(duty) ? done : open);
  }
  const std::size_t most_done = of_event ? kMostDoneAfterEvents : 1;
  std::erase_if(book.duties, [&](const DutyState& duty) {
    if (!same(duty)) return false;
    if (IsDone(duty) && done > most_done) return --done, true;
    if (!of_event && !IsDone(duty) && open > kMostOpenOfAKind) return --open, true;
    return false;
  });
}

// Of the class `subject` or its grade where the role is of one; of the school where there is no subject.
std::vector<std::string> PeopleWith(const Pack& pack, const SchoolState& school, const std::string& role, std::string_view subject) {
  return StaffWithRole(pack, school, role, subject.empty() ? std::nullopt : std::optional(ClassPlace{GradeOfClass(school, subject), std::string(subject)}));
}

}  // namespace

bool IsDone(const DutyState& duty) { return IsSet(duty.done_time); }

DutiesDue NextDuties(const Pack& pack, const SchoolState& school, const FileState& file, absl::Time now) {
  DutiesDue due;
  const Calendar calendar(pack, school);
  // A row that the school's pack has brought since is owed from then on, and nothing older than it.
  const PackVersion* in_force = FindPackVersion(school, school.pack);
  const absl::Time begun = std::max(file.current->opened_time, in_force == nullptr ? absl::InfinitePast() : in_force->adopted_time);
  for (const auto& [id, row] : pack.duties) {
    if (row.every == DutyRow::Every::kEvent) continue;
    const absl::Time last = LastOpened(file, id);
    std::optional<Period> period;
    if (IsSet(last)) {
      const std::optional<Period> before = PeriodAtOrAfter(calendar, row, last);
      period = before ? PeriodAtOrAfter(calendar, row, std::max(before->to, last + absl::Seconds(1))) : std::nullopt;
    } else {
      // What was due before anybody could know of it is not owed.
      period = PeriodAtOrAfter(calendar, row, begun);
      if (period && period->due <= begun) period = PeriodAtOrAfter(calendar, row, period->to);
    }
    if (!period) continue;
    if (period->from > now) {
      due.wake = std::min(due.wake, period->from);
      continue;
    }
    DutyOpened opened{.duty = id, .from_time = period->from, .due_time = period->due};
    opened.subjects = row.scope == DutyRow::Scope::kClass ? ClassesOf(school) : std::vector<std::string>{""};
    // No class yet: looked at again when the directory changes the day.
    if (opened.subjects.empty()) {
      due.wake = std::min(due.wake, now + absl::Hours(24));
      continue;
    }
    due.events.push_back(Event{std::move(opened)});
  }
  std::map<std::pair<std::string, std::pair<absl::Time, int>>, std::vector<std::string>> late;
  for (const DutyState& duty : file.duties->duties) {
    const DutyRow* row = IsDone(duty) ? nullptr : FindRow(pack, duty.duty);
    if (row == nullptr || static_cast<std::size_t>(duty.steps) >= row->late.size()) continue;
    const absl::Time at = duty.due_time + row->late[static_cast<std::size_t>(duty.steps)].after;
    if (at > now) {
      due.wake = std::min(due.wake, at);
    } else {
      late[{duty.duty, {duty.from_time, duty.steps}}].push_back(duty.subject);
    }
  }
  for (auto& [which, subjects] : late) {
    due.events.push_back(Event{DutyLate{.duty = which.first, .from_time = which.second.first, .step = which.second.second, .subjects = std::move(subjects)}});
  }
  return due;
}

absl::Status CheckDutyOpened(const FileState& file, const DutyOpened& e, const Commit& commit, const FoldContext&) {
  if (!file.duties) return Refuse("this file is no school's");
  if (e.from_time <= LastOpened(file, e.duty)) return Refuse("opened already");
  return commit.recorded_time >= e.from_time ? absl::OkStatus() : Refuse("its period has not begun");
}

void NoteDutyOpened(FileState& file, const DutyOpened& e) {
  for (const std::string& subject : e.subjects) {
    file.duties->duties.push_back({.duty = e.duty, .subject = subject, .from_time = e.from_time, .due_time = e.due_time});
    DutyRow row;
    row.id = e.duty;
    Trim(*file.duties, row, subject);
  }
}

absl::Status CheckDutyLate(const FileState& file, const DutyLate& e, const Commit& commit, const FoldContext& context) {
  if (!file.duties) return Refuse("this file is no school's");
  const DutyRow* row = FindRow(context.pack, e.duty);
  if (row == nullptr || e.step < 0 || static_cast<std::size_t>(e.step) >= row->late.size()) return Refuse("there is no such step");
  for (const DutyState& duty : file.duties->duties) {
    if (duty.duty != e.duty || duty.from_time != e.from_time || IsDone(duty) || duty.steps != e.step || !Contains(e.subjects, duty.subject)) continue;
    if (commit.recorded_time < duty.due_time + row->late[static_cast<std::size_t>(e.step)].after) return Refuse("it is not late yet");
    return absl::OkStatus();
  }
  return Refuse("it was done meanwhile");
}

void NoteDutyLate(FileState& file, const DutyLate& e) {
  for (DutyState& duty : file.duties->duties) {
    if (duty.duty == e.duty && duty.from_time == e.from_time && !IsDone(duty) && duty.steps == e.step && Contains(e.subjects, duty.subject)) ++duty.steps;
  }
}

const DutyState* DutyDoneBy(const Pack& pack, const FileState& file, const RecordFiled& filed) {
  for (const DutyState& duty : file.duties->duties) {
    const DutyRow* row = IsDone(duty) ? nullptr : FindRow(pack, duty.duty);
    if (row != nullptr && Does(*row, filed) && IsOf(*row, duty, filed)) return &duty;
  }
  return nullptr;
}

std::vector<std::string> Unaccounted(const DutyRow& row, const DutyState& duty, const SchoolState& school, const std::vector<std::string>& population) {
  std::vector<std::string> missing;
  if (!row.accounts) return missing;
  const std::set<std::string> accounted(duty.accounted.begin(), duty.accounted.end());
  const auto need = [&](const std::string& id) {
    if (!accounted.contains(id)) missing.push_back(id);
  };
  switch (row.accounts->people) {
    case DutyRow::Accounts::People::kRegister:
      for (const std::string& id : population) need(id);
      break;
    case DutyRow::Accounts::People::kStudents:
      for (const auto& [id, person] : school.people) {
        if (person.kind == PersonKind::kStudent && (row.accounts->grade.empty() || person.grade == row.accounts->grade)) need(id);
      }
      break;
    case DutyRow::Accounts::People::kStaff:
      for (const auto& [id, person] : school.people) {
        if (person.kind == PersonKind::kStaff && !person.on_leave) need(id);
      }
      break;
  }
  return missing;
}

absl::Status CheckDutyRecord(const FileState& file, const RecordFiled& filed, const FoldContext& context) {
  const DutyState* duty = DutyDoneBy(context.pack, file, filed);
  if (duty == nullptr) return absl::OkStatus();
  const std::vector<std::string> missing = Unaccounted(*FindRow(context.pack, duty->duty), *duty, context.school, filed.population);
  if (missing.empty()) return absl::OkStatus();
  return Refuse(absl::StrCat(missing.size(), " of them are not accounted for, ", missing.front(), " among them"));
}

void NoteDutyRecord(FileState& file, const RecordFiled& filed, const Commit& commit, const FoldContext& context) {
  DutyBook& book = *file.duties;
  for (const auto& [id, row] : context.pack.duties) {
    if (row.accounts && row.accounts->record == filed.kind) {
      std::vector<std::string> people;
      if (row.accounts->field.empty()) {
        people.push_back(filed.student);
      } else if (const auto named = filed.plain.find(row.accounts->field); named != filed.plain.end()) {
        people = ListOf(named->second);
      }
      for (DutyState& duty : book.duties) {
        if (duty.duty != id || IsDone(duty)) continue;
        for (const std::string& person : people) {
          if (!Contains(duty.accounted, person)) duty.accounted.push_back(person);
        }
      }
    }
    if (row.every == DutyRow::Every::kEvent && row.event == filed.kind) {
      DutyState owed{.duty = id, .subject = filed.record_id, .from_time = commit.recorded_time};
      owed.due_time = commit.recorded_time + row.due_after.value_or(absl::ZeroDuration());
      if (const auto by = filed.plain.find(row.event_due); by != filed.plain.end()) {
        const absl::Time time = TimeOfField(by->second);
        // A day is over at the end of work.
        if (IsSet(time)) owed.due_time = TimeOfDay(time) == absl::ZeroDuration() ? time + row.due_time : time;
      }
      book.duties.push_back(std::move(owed));
    }
  }
  const DutyState* done = DutyDoneBy(context.pack, file, filed);
  if (done == nullptr) return;
  DutyState& duty = book.duties[static_cast<std::size_t>(done - book.duties.data())];
  duty.done_time = commit.recorded_time;
  duty.late = commit.recorded_time > duty.due_time;
  duty.record_id = filed.record_id;
  duty.accounted.clear();
  const std::string subject = duty.subject;
  Trim(book, *FindRow(context.pack, duty.duty), subject);
}

void NoteDutyAcknowledged(FileState& file, const std::string& record_id, absl::Time now) {
  for (DutyState& duty : file.duties->duties) {
    if (duty.record_id == record_id && !record_id.empty()) duty.acknowledged_time = now;
  }
}

std::vector<std::string> DutyOwners(const Pack& pack, const SchoolState& school, const DutyRow& row, std::string_view subject) {
  for (const std::string& role : row.owner) {
    std::vector<std::string> people = PeopleWith(pack, school, role, row.scope == DutyRow::Scope::kClass ? subject : "");
    if (!people.empty()) return people;
  }
  return {};
}

std::string DutyAlertCause(const DutyLate& e) {
  return absl::StrCat(absl::string_view(kCausePrefix.data(), kCausePrefix.size()), "/", e.duty, "/", absl::ToUnixSeconds(e.from_time), "/", e.step);
}

std::vector<std::string> DutyTold(const Pack& pack, const SchoolState& school, const FileState& file, std::string_view cause) {
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(cause.data(), cause.size()), '/');
  std::int64_t from = 0;
  int step = 0;
  if (!file.duties || parts.size() != 4 || !absl::SimpleAtoi(parts[2], &from) || !absl::SimpleAtoi(parts[3], &step)) return {};
  const DutyRow* row = FindRow(pack, parts[1]);
  if (row == nullptr || step < 0 || static_cast<std::size_t>(step) >= row->late.size()) return {};
  const DutyRow::Step& told = row->late[static_cast<std::size_t>(step)];
  std::vector<std::string> people;
  const auto add = [&](const std::vector<std::string>& more) {
    for (const std::string& id : more) {
      if (!Contains(people, id)) people.push_back(id);
    }
  };
  for (const DutyState& duty : file.duties->duties) {
    if (duty.duty != row->id || absl::ToUnixSeconds(duty.from_time) != from || IsDone(duty)) continue;
    if (told.tell.empty()) add(DutyOwners(pack, school, *row, duty.subject));
    for (const std::string& role : told.tell) add(PeopleWith(pack, school, role, row->scope == DutyRow::Scope::kClass ? duty.subject : ""));
  }
  return people;
}

}  // namespace vigil::domain
