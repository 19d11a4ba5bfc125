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

absl::Status Refuse(const char* why) { return absl::FailedPreconditionError(why); }

PackVersion* MutableVersion(SchoolState& school, const std::string& digest) {
  for (PackVersion& version : school.packs) {
    if (version.digest == digest) return &version;
  }
  return nullptr;
}

// What waited and never decided anything goes; an earlier version that was proposed again stays for the cases that have it.
void DropProposed(SchoolState& school) {
  std::erase_if(school.packs, [&](const PackVersion& version) { return version.digest == school.proposed_pack && version.adopted_by.empty(); });
  school.proposed_pack.clear();
}

struct SchoolGuard {
  const SchoolState& school;
  const Commit& commit;

  absl::Status operator()(const PackProposed& e) const {
    const PackVersion* known = FindPackVersion(school, e.digest);
    if (known != nullptr && known->overlay != e.overlay) return Refuse("another version has this digest");
    const bool at_once = commit.events.size() > 1 && std::holds_alternative<PackAdopted>(commit.events[1].body);
    return at_once && !e.asks_less.empty() ? Refuse("it asks less somewhere: a second person must approve it") : absl::OkStatus();
  }
  absl::Status operator()(const PackAdopted& e) const {
    const PackVersion* version = FindPackVersion(school, e.digest);
    if (version == nullptr || school.proposed_pack != e.digest) return Refuse("this is not what waits for a second person");
    const bool another = commit.actor && !commit.actor->person.empty() && commit.actor->person != version->proposed_by;
    return version->asks_less.empty() || another ? absl::OkStatus() : Refuse("who proposed it cannot approve it: a second person must");
  }
  absl::Status operator()(const PackRejected& e) const {
    return !e.digest.empty() && school.proposed_pack == e.digest ? absl::OkStatus() : Refuse("this is not what waits for a second person");
  }
  template <typename Other>
  absl::Status operator()(const Other&) const {
    return absl::OkStatus();
  }
};

struct SchoolFold {
  SchoolState& school;
  const Commit& commit;
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
  void operator()(const PackProposed& e) const {
    DropProposed(school);
    PackVersion* version = MutableVersion(school, e.digest);
    if (version == nullptr) version = &school.packs.emplace_back(PackVersion{.digest = e.digest, .overlay = e.overlay});
    version->common = e.common;
    version->asks_less = e.asks_less;
    version->proposed_by = commit.actor ? commit.actor->person : "";
    version->proposed_time = commit.recorded_time;
    school.proposed_pack = e.digest;
  }
  void operator()(const PackAdopted& e) const {
    PackVersion* version = MutableVersion(school, e.digest);
    if (version == nullptr) return;
    version->adopted_by = commit.actor ? commit.actor->person : "";
    version->adopted_time = commit.recorded_time;
    school.pack = e.digest;
    school.proposed_pack.clear();
    std::erase_if(school.packs, [&](const PackVersion& other) {
      return other.digest != school.pack && std::find(e.forgotten.begin(), e.forgotten.end(), other.digest) != e.forgotten.end();
    });
  }
  void operator()(const PackRejected&) const { DropProposed(school); }
  template <typename Other>
  void operator()(const Other&) const {}
};

}  // namespace

const PackVersion* FindPackVersion(const SchoolState& school, std::string_view digest) {
  for (const PackVersion& version : school.packs) {
    if (version.digest == digest) return &version;
  }
  return nullptr;
}

absl::Status CheckSchool(const SchoolState& school, const Commit& commit) {
  return commit.events.empty() ? absl::OkStatus() : std::visit(SchoolGuard{school, commit}, commit.events.front().body);
}

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

void ApplyToSchool(SchoolState& school, const Commit& commit, const Event& event, CommitPosition position) {
  std::visit(SchoolFold{school, commit, position}, event.body);
  ++school.version;
}

}  // namespace vigil::domain
