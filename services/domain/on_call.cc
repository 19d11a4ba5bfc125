#include "domain/on_call.h"

#include <algorithm>

#include "domain/duty.h"
#include "domain/planted.h"
#include "domain/lookup.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

bool Covers(const ScheduleShift& shift, absl::Time t) {
  if (IsSet(shift.from_time)) return t >= shift.from_time && t < shift.to_time;
  const absl::Duration of_day = TimeOfDay(t);
  const auto covers_day = [&](absl::CivilDay day, absl::Duration since_midnight) {
    const int iso_weekday = static_cast<int>(absl::GetWeekday(day)) + 1;  // absl counts Monday as 0
    return std::find(shift.weekdays.begin(), shift.weekdays.end(), iso_weekday) != shift.weekdays.end() &&
           since_midnight >= absl::Minutes(shift.from_minute) && since_midnight < absl::Minutes(shift.to_minute);
  };
  const absl::CivilDay today = absl::ToCivilDay(t, SchoolZone());
  // A stretch of yesterday may reach into today.
  return covers_day(today, of_day) || covers_day(today - 1, of_day + absl::Hours(24));
}

const PersonState* Find(const SchoolState& school, const std::string& person) {
  const auto it = school.people.find(person);
  return it == school.people.end() ? nullptr : &it->second;
}

std::vector<std::string> Guardians(const SchoolState& school, const FileState& file) {
  for (const HoldState& hold : file.current->holds) {
    if (hold.kind == "guardians") return {};
  }
  std::vector<const PersonState*> found;
  const auto of_student = school.guardians_by_student.find(file.student);
  if (of_student == school.guardians_by_student.end()) return {};
  for (const std::string& id : of_student->second.ids) {
    if (const PersonState* person = Find(school, id); person != nullptr && !person->excluded) found.push_back(person);
  }
  std::stable_sort(found.begin(), found.end(), [](auto* a, auto* b) { return a->call_order < b->call_order; });
  std::vector<std::string> ids;
  for (const PersonState* person : found) ids.push_back(person->person_id);
  return ids;
}

// Who the reporter of the alert's trigger is; without a trigger, of the first report.
std::vector<std::string> Author(const CaseState& c, const AlertState& alert) {
  std::string report_id;
  if (alert.trigger > 0 && static_cast<std::size_t>(alert.trigger) <= c.triggers.size()) {
    report_id = c.triggers[static_cast<std::size_t>(alert.trigger) - 1].report_id;
  }
  for (const ReportState& report : c.reports) {
    if ((report_id.empty() || report.report_id == report_id) && !report.reporter.empty()) return {report.reporter};
  }
  return {};
}

}  // namespace

std::vector<std::string> StaffWithRole(const Pack& pack, const SchoolState& school, std::string_view role, const std::optional<ClassPlace>& place) {
  std::vector<std::string> people;
  const auto with_role = school.staff_by_role.find(std::string(role));
  if (with_role == school.staff_by_role.end()) return people;
  const RoleRow* row = FindRole(pack, std::string(role));
  const auto in_scope = [&](const PersonState& person) {
    if (row == nullptr || !place) return true;
    switch (row->scope) {
      case RoleRow::Scope::kSchool:
        return true;
      case RoleRow::Scope::kGrade:
        return person.grade == place->grade;
      case RoleRow::Scope::kClass:
        return person.class_name == place->class_name;
    }
    return true;
  };
  for (const std::string& id : with_role->second.ids) {
    const PersonState* person = Find(school, id);
    if (person != nullptr && !person->on_leave && in_scope(*person)) people.push_back(id);
  }
  return people;
}

std::vector<std::string> OnCall(const Pack& pack, const SchoolState& school, std::string_view schedule, absl::Time t) {
  std::vector<std::string> people;
  const auto add = [&](const ScheduleShift& shift) {
    for (const std::string& id : shift.staff_ids) {
      const PersonState* person = Find(school, id);
      if (person != nullptr && !person->on_leave && std::find(people.begin(), people.end(), id) == people.end()) people.push_back(id);
    }
  };
  if (const auto it = school.schedules.find(std::string(schedule)); it != school.schedules.end()) {
    for (const ScheduleShift& shift : it->second.shifts) {
      if (IsSet(shift.from_time) && Covers(shift, t)) add(shift);
    }
    if (people.empty()) {
      for (const ScheduleShift& shift : it->second.shifts) {
        if (!IsSet(shift.from_time) && Covers(shift, t)) add(shift);
      }
    }
  }
  if (!people.empty()) return people;
  const auto row = pack.schedules.find(std::string(schedule));
  if (row == pack.schedules.end()) return {};
  return StaffWithRole(pack, school, row->second.fallback_role, std::nullopt);
}

std::vector<std::string> ResolveTarget(const Pack& pack, const SchoolState& school, const FileState& file,
                                       const AlertState& alert, std::string_view target, absl::Time t) {
  if (!file.current) return {};
  const CaseState& c = *file.current;
  std::vector<std::string> people;
  constexpr std::string_view kOnCall = "on_call.";
  if (target.starts_with(kOnCall)) {
    people = OnCall(pack, school, target.substr(kOnCall.size()), t);
  } else if (target == "case.author") {
    people = Author(c, alert);
  } else if (target == "case.holders") {
    if (c.custody && c.custody->supervised) people = c.custody->holders;
  } else if (target == "case.next_holders") {
    if (c.custody && !c.custody->planned.empty()) people = c.custody->planned.front().staff_ids;
  } else if (target == "case.taker") {
    if (!c.taken_by.empty()) people = {c.taken_by};
  } else if (target == "duty.told") {
    people = DutyTold(pack, school, file, alert.clock_id);
  } else if (target == "case.guardians") {
    people = Guardians(school, file);
  } else {
    const PersonState* student = Find(school, file.student);
    // While nobody knows the student, everybody with the role is asked.
    people = StaffWithRole(pack, school, target, student == nullptr ? std::nullopt : std::optional(ClassPlace{student->grade, student->class_name}));
  }
  std::erase_if(people, [&](const std::string& id) {
    const PersonState* person = Find(school, id);
    return person == nullptr || person->on_leave || (std::find(c.recused.begin(), c.recused.end(), id) != c.recused.end() && !Planted("rings-the-recused"));
  });
  return people;
}

StepTargets ResolveStep(const Pack& pack, const SchoolState& school, const FileState& file, const AlertState& alert,
                        const LadderStep& step, absl::Time t) {
  StepTargets targets;
  std::vector<std::string> seen;
  for (const std::string& target : step.ring) {
    for (std::string& id : ResolveTarget(pack, school, file, alert, target, t)) {
      if (std::find(seen.begin(), seen.end(), id) != seen.end()) continue;
      seen.push_back(id);
      (Find(school, id)->has_phone ? targets.reachable : targets.unreachable).push_back(std::move(id));
    }
  }
  return targets;
}

}  // namespace vigil::domain
