#include "domain/school.h"

#include <algorithm>
#include <variant>

namespace vigil::domain {
namespace {

void Insert(PeopleIds& people, const std::string& id) {
  const auto at = std::lower_bound(people.ids.begin(), people.ids.end(), id);
  if (at == people.ids.end() || *at != id) people.ids.insert(at, id);
}

void Remove(std::map<std::string, PeopleIds>& index, const std::string& key, const std::string& id) {
  const auto it = index.find(key);
  if (it == index.end()) return;
  std::erase(it->second.ids, id);
  if (it->second.ids.empty()) index.erase(it);
}

void RemovePerson(SchoolState& school, const std::string& id) {
  const auto it = school.people.find(id);
  if (it == school.people.end()) return;
  for (const std::string& role : it->second.roles) Remove(school.staff_by_role, role, id);
  Remove(school.guardians_by_student, it->second.student_id, id);
  school.people.erase(it);
}

struct SchoolFold {
  SchoolState& school;
  CommitPosition position;

  void operator()(const SchoolRegistered& e) const {
    school.school_name = e.school_name;
    school.duty_phone = e.duty_phone;
    school.language = e.language;
    school.short_code = e.short_code;
  }
  void operator()(const DirectoryChanged& e) const {
    for (const Person& person : e.people) {
      PutPerson(school, PersonState{.person_id = person.person_id,
                                                    .kind = person.kind,
                                                    .roles = person.roles,
                                                    .grade = person.grade,
                                                    .class_name = person.class_name,
                                                    .student_id = person.student_id,
                                                    .call_order = person.call_order,
                                                    .excluded = person.excluded,
                                                    .has_phone = person.has_phone,
                                                    .on_leave = person.on_leave,
                                                    .sex = person.sex,
                                                    .sequence = position.sequence,
                                                    .index = position.index});
    }
    for (const std::string& id : e.removed) RemovePerson(school, id);
  }
  void operator()(const ScheduleSet& e) const { school.schedules[e.schedule] = ScheduleState{.shifts = e.shifts}; }
  void operator()(const CalendarSet& e) const {
    school.calendar = CalendarState{.terms = e.terms, .holidays = e.holidays, .school_days = e.school_days};
  }
  template <typename Other>
  void operator()(const Other&) const {}
};

}  // namespace

void PutPerson(SchoolState& school, PersonState person) {
  RemovePerson(school, person.person_id);
  if (person.kind == PersonKind::kStaff) {
    for (const std::string& role : person.roles) Insert(school.staff_by_role[role], person.person_id);
  } else if (person.kind == PersonKind::kGuardian && !person.student_id.empty()) {
    Insert(school.guardians_by_student[person.student_id], person.person_id);
  }
  std::string id = person.person_id;
  school.people.insert_or_assign(std::move(id), std::move(person));
}

void ApplyToSchool(SchoolState& school, const Event& event, CommitPosition position) {
  std::visit(SchoolFold{school, position}, event.body);
  ++school.version;
}

}  // namespace vigil::domain
