#include "domain/school.h"

#include <variant>

namespace vigil::domain {
namespace {

struct SchoolFold {
  SchoolState& school;

  void operator()(const SchoolRegistered& e) const {
    school.school_name = e.school_name;
    school.duty_phone = e.duty_phone;
    school.language = e.language;
    school.short_code = e.short_code;
  }
  void operator()(const DirectoryChanged& e) const {
    for (const Person& person : e.people) {
      school.people[person.person_id] = PersonState{.person_id = person.person_id,
                                                    .kind = person.kind,
                                                    .roles = person.roles,
                                                    .grade = person.grade,
                                                    .class_name = person.class_name,
                                                    .student_id = person.student_id,
                                                    .call_order = person.call_order,
                                                    .excluded = person.excluded,
                                                    .has_phone = person.has_phone,
                                                    .on_leave = person.on_leave,
                                                    .sex = person.sex};
    }
    for (const std::string& id : e.removed) school.people.erase(id);
  }
  void operator()(const ScheduleSet& e) const { school.schedules[e.schedule] = ScheduleState{.shifts = e.shifts}; }
  void operator()(const CalendarSet& e) const {
    school.calendar = CalendarState{.terms = e.terms, .holidays = e.holidays, .school_days = e.school_days};
  }
  template <typename Other>
  void operator()(const Other&) const {}
};

}  // namespace

void ApplyToSchool(SchoolState& school, const Event& event) {
  std::visit(SchoolFold{school}, event.body);
  ++school.version;
}

}  // namespace vigil::domain
