// The school: its directory, its schedules, who is on call.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "contract/time_conversion.h"
#include "domain/file.h"
#include "domain/on_call.h"
#include "domain/school_time.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

constexpr std::size_t kPeoplePerCommit = 150;

absl::StatusOr<int> MinuteOf(const std::string& text) {
  int hour = 0;
  int minute = 0;
  if (text.size() != 5 || text[2] != ':' || !absl::SimpleAtoi(text.substr(0, 2), &hour) || !absl::SimpleAtoi(text.substr(3), &minute) || hour < 0 ||
      hour > 24 || minute < 0 || minute > 59 || hour * 60 + minute > 1440) {
    return absl::InvalidArgumentError("is HH:MM");
  }
  return hour * 60 + minute;
}

}  // namespace

void Intake::PutDirectory(const Caller& caller, const v1::PutDirectoryRequest& request, Reply<v1::PutDirectoryResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable { PutDirectoryHere(caller, std::move(request), std::move(reply)); });
}

void Intake::PutDirectoryHere(const Caller& caller, v1::PutDirectoryRequest request, Reply<v1::PutDirectoryResponse> reply) {
  if (absl::Status may = Authorize(caller, "directory.write", request.school()); !may.ok()) return reply(may);
  const domain::Pack& pack = PackOf(request.school());
  std::vector<rpc::FieldError> errors;
  for (int i = 0; i < request.people_size() && errors.size() < 10; ++i) {
    const v1::PersonInput& person = request.people(i);
    const auto at = [i](const char* field) { return absl::StrCat("people[", i, "].", field); };
    if (person.kind() != "staff" && person.kind() != "guardian" && person.kind() != "student") errors.push_back({at("kind"), "is staff, guardian or student"});
    for (int r = 0; r < person.roles_size(); ++r) {
      if (!pack.roles.contains(person.roles(r))) errors.push_back({absl::StrCat(at("roles"), "[", r, "]"), "unknown role"});
    }
    if (person.kind() == "guardian" && person.student_id().empty()) errors.push_back({at("student_id"), "a guardian needs one"});
  }
  if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));

  std::vector<std::string> subjects;
  for (const v1::PersonInput& person : request.people()) subjects.push_back(SubjectOf(request.school(), person.id()));
  dependencies_.keys->EnsureKeys(std::move(subjects), [this, caller, request, reply = std::move(reply)](absl::Status keys) mutable {
    if (!keys.ok()) return reply(rpc::UnavailableFor("keys cannot be stored", kRetryAfter));
    // Sealing thousands of names is work that can wait: not on the loop.
    dependencies_.worker->Post([this, caller, request = std::move(request), reply = std::move(reply)]() mutable {
      std::vector<std::vector<domain::Event>> commits;
      if (!request.school_name().empty()) {
        commits.push_back({domain::Event{domain::SchoolRegistered{.school_name = request.school_name(),
                                                                  .duty_phone = request.duty_phone(),
                                                                  .language = request.language().empty() ? "zh-CN" : request.language(),
                                                                  .short_code = ""}}});
      }
      domain::DirectoryChanged change;
      const auto flush = [&] {
        if (change.people.empty() && change.removed.empty()) return;
        commits.push_back({domain::Event{std::exchange(change, {})}});
      };
      for (const v1::PersonInput& input : request.people()) {
        domain::Person person{.person_id = input.id()};
        person.kind = input.kind() == "staff" ? domain::PersonKind::kStaff : input.kind() == "guardian" ? domain::PersonKind::kGuardian : domain::PersonKind::kStudent;
        for (const std::string& role : input.roles()) person.roles.push_back(role);
        person.grade = input.grade();
        person.class_name = input.class_();
        person.student_id = input.student_id();
        person.call_order = input.call_order();
        person.excluded = input.excluded();
        person.has_phone = !input.phone().empty();
        person.sex = input.sex();
        person.on_leave = input.on_leave();
        if (!input.name().empty() || !input.phone().empty()) {
          const std::string subject = SubjectOf(request.school(), input.id());
          const auto key = dependencies_.keys->Find(subject);
          if (!key.ok()) return reply(key.status());
          const json contact{{"name", input.name()}, {"phone", input.phone()}, {"language", input.language()}};
          person.contact = domain::Sealed{.person = subject, .content = key->Seal(contact.dump(), subject, *dependencies_.random)};
        }
        change.people.push_back(std::move(person));
        if (change.people.size() == kPeoplePerCommit) flush();
      }
      for (const std::string& id : request.removed()) change.removed.push_back(id);
      flush();
      if (commits.empty()) return reply(rpc::InvalidField("people", "nothing to set"));
      const std::string base = NewCause();
      v1::PutDirectoryResponse response;
      response.set_people(request.people_size());
      response.set_removed(request.removed_size());
      auto left = std::make_shared<std::size_t>(commits.size());
      auto failed = std::make_shared<absl::Status>();
      const auto shared_reply = std::make_shared<Reply<v1::PutDirectoryResponse>>(std::move(reply));
      for (std::size_t i = 0; i < commits.size(); ++i) {
        machine_->Submit(
            PartitionOf(request.school()), 0,
            [this, caller, school = request.school(), cause = absl::StrCat(base, "/", i), events = std::move(commits[i])]() -> absl::StatusOr<Draft> {
              for (const domain::Event& event : events) {
                const auto* directory = std::get_if<domain::DirectoryChanged>(&event.body);
                if (directory == nullptr) continue;
                for (const std::string& id : directory->removed) {
                  const auto it = files_by_student_.find(StudentKey(school, id));
                  if (it != files_by_student_.end() && domain::HasOpenCase(it->second->state)) {
                    return absl::FailedPreconditionError("a student with an open case cannot be removed");
                  }
                }
              }
              Draft draft;
              draft.cause = cause;
              draft.school = school;
              draft.actor = {.person = caller.person, .role = caller.role};
              draft.events = events;
              return draft;
            },
            [this, registers = !request.school_name().empty(), school_id = request.school(), left, failed, shared_reply, response](absl::StatusOr<Machine::Outcome> outcome) {
              if (!outcome.ok() && failed->ok()) *failed = outcome.status();
              if (--*left > 0) return;
              if (!failed->ok()) return (*shared_reply)(*failed);
              (*shared_reply)(response);
              // From now on the school owes what its year brings. Nobody waits for that.
              if (registers) WithSchoolFile(school_id, [](const absl::StatusOr<FileEntry*>&) {});
            });
      }
    });
  });
}

void Intake::PutSchedule(const Caller& caller, const v1::PutScheduleRequest& request, Reply<v1::Schedule> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable { PutScheduleHere(caller, request, std::move(reply)); });
}

void Intake::PutScheduleHere(const Caller& caller, const v1::PutScheduleRequest& request, Reply<v1::Schedule> reply) {
  if (absl::Status may = Authorize(caller, "schedule.write", request.school()); !may.ok()) return reply(may);
  if (!PackOf(request.school()).schedules.contains(request.id())) return reply(absl::NotFoundError("no such schedule"));
  std::vector<rpc::FieldError> errors;
  domain::ScheduleSet set{.schedule = request.id()};
  for (int i = 0; i < request.shifts_size(); ++i) {
    const v1::ScheduleShift& input = request.shifts(i);
    const auto at = [i](const char* field) { return absl::StrCat("shifts[", i, "].", field); };
    domain::ScheduleShift shift;
    for (const std::string& id : input.staff_ids()) shift.staff_ids.push_back(id);
    if (input.has_from_time() || input.has_to_time()) {
      shift.from_time = TimeOf(input.has_from_time(), input.from_time());
      shift.to_time = TimeOf(input.has_to_time(), input.to_time());
      if (!domain::IsSet(shift.from_time) || shift.to_time <= shift.from_time) errors.push_back({at("to_time"), "is after from_time"});
    } else {
      const auto from = MinuteOf(input.from());
      const auto to = MinuteOf(input.to());
      if (!from.ok()) errors.push_back({at("from"), "is HH:MM"});
      if (!to.ok()) errors.push_back({at("to"), "is HH:MM"});
      if (input.weekdays_size() == 0) errors.push_back({at("weekdays"), "names at least one day, 1 to 7"});
      for (const std::int32_t day : input.weekdays()) {
        if (day < 1 || day > 7) errors.push_back({at("weekdays"), "is 1 (Monday) to 7"});
        shift.weekdays.push_back(day);
      }
      if (from.ok() && to.ok()) {
        shift.from_minute = *from;
        shift.to_minute = *to > *from ? *to : *to + 1440;
      }
    }
    set.shifts.push_back(std::move(shift));
  }
  if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  machine_->Submit(
      PartitionOf(request.school()), 0,
      [this, caller, set, school = request.school(), cause = NewCause()]() -> absl::StatusOr<Draft> {
        const domain::SchoolState& state = machine_->SchoolFor(school);
        for (std::size_t i = 0; i < set.shifts.size(); ++i) {
          for (const std::string& id : set.shifts[i].staff_ids) {
            const auto person = state.people.find(id);
            if (person == state.people.end() || person->second.kind != domain::PersonKind::kStaff) {
              return rpc::InvalidField(absl::StrCat("shifts[", i, "].staff_ids"), "unknown staff member");
            }
          }
        }
        Draft draft;
        draft.cause = cause;
        draft.school = school;
        draft.actor = {.person = caller.person, .role = caller.role};
        draft.events.push_back(domain::Event{set});
        return draft;
      },
      [request, reply = std::move(reply)](absl::StatusOr<Machine::Outcome> outcome) {
        if (!outcome.ok()) return reply(outcome.status());
        v1::Schedule schedule;
        schedule.set_id(request.id());
        *schedule.mutable_shifts() = request.shifts();
        reply(std::move(schedule));
      });
}

void Intake::GetOnCall(const Caller& caller, const v1::GetOnCallRequest& request, Reply<v1::OnCall> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "oncall.read", request.school()); !may.ok()) return reply(may);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (school == nullptr) return reply(absl::NotFoundError("no such school"));
    const absl::Time at = request.has_time() ? contract::TimeFromProto(request.time()) : machine_->Now();
    v1::OnCall on_call;
    contract::TimeToProto(at, on_call.mutable_time());
    const domain::Pack& pack = PackOf(request.school());
    for (const auto& [id, row] : pack.schedules) {
      v1::OnCallLine* line = on_call.add_lines();
      line->set_schedule(id);
      for (const std::string& person : domain::OnCall(pack, *school, id, at)) {
        line->add_staff_ids(person);
        if (!school->people.at(person).has_phone) line->add_unreachable(person);
      }
    }
    reply(std::move(on_call));
  });
}

}  // namespace vigil::intake
