#include "simulation/people.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "contract/time_conversion.h"
#include "domain/clocks.h"
#include "domain/file.h"
#include "domain/school_time.h"
#include "platform/crypto/derive.h"
#include "vigil/api/v1/annotations.pb.h"

namespace vigil::simulation {
namespace {

using domain::Fact;

constexpr const char* kIntakeSource = "intake";

std::string PermissionOf(const google::protobuf::Descriptor* request) {
  const google::protobuf::ServiceDescriptor* service = request->file()->FindServiceByName("IntakeService");
  for (int i = 0; i < service->method_count(); ++i) {
    if (service->method(i)->input_type() == request) return service->method(i)->options().GetExtension(::vigil::api::v1::http).permission();
  }
  return "";
}

template <typename RequestType>
const std::string& PermissionFor() {
  static const std::string permission = PermissionOf(RequestType::descriptor());
  return permission;
}

void SetTime(absl::Time time, google::protobuf::Timestamp* out) { contract::TimeToProto(time, out); }

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

}  // namespace

struct People::Request {
  ClientCall* call = nullptr;
  intake::Caller caller;
  // Asks intake; the answer as bytes.
  std::function<void(intake::Intake&, const intake::Caller&, std::function<void(absl::Status, std::string)>)> ask;
  int most_sends = 6;
  bool done = false;
};

People::People(World* world, Phones* phones) : world_(*world), phones_(*phones), dice_(world->options().seed, "people") {
  world_.on_intake_commit = [this](const AppliedCommit& applied) {
    if (applied.file == nullptr || !applied.applied.guard.ok() || world_.now() >= end_) return;
    const domain::Event& first = applied.commit.events.front();
    if (std::holds_alternative<domain::ReportReceived>(first.body) || std::holds_alternative<domain::CaseJoined>(first.body)) {
      Care& care = CareFor(applied.commit.school, applied.commit.file);
      LookLater(care, dice_.Between(absl::Milliseconds(100), absl::Minutes(6)));
    } else if (std::holds_alternative<domain::AlertTaken>(first.body)) {
      // Who takes an alert mostly does what it asks for.
      Care& care = CareFor(applied.commit.school, applied.commit.file);
      if (!dice_.Chance(0.3 + 0.65 * care.diligence)) return;
      care.comes = true;
      LookLater(care, dice_.Between(absl::Seconds(20), absl::Minutes(9)));
    }
  };
}

// ------------------------------------------------------------------------------------------------ asking intake

intake::Caller People::As(const School& school, const Person& person) {
  return {.person = person.id, .role = person.role, .school = school.id};
}

const People::Person& People::OfRole(const School& school, std::string_view role) {
  std::vector<const Person*> found;
  for (const Person& person : school.staff) {
    if (person.role == role) found.push_back(&person);
  }
  return found.empty() ? Somebody(school) : *dice_.Pick(found);
}

const People::Person& People::WhoMay(const School& school, std::string_view permission) {
  for (int tries = 0; tries < 12; ++tries) {
    const Person& person = Somebody(school);
    const auto role = world_.pack().roles.find(person.role);
    if (role == world_.pack().roles.end() || person.role == "administrator") continue;
    if (std::find(role->second.may.begin(), role->second.may.end(), permission) != role->second.may.end()) return person;
  }
  return OfRole(school, "leader");
}

const People::Person& People::Known(const School& school, const std::string& id) {
  for (const Person& person : school.staff) {
    if (person.id == id) return person;
  }
  return Somebody(school);
}

std::shared_ptr<People::Request> People::NewRequest(const School& school, const Person& who, std::string what) {
  auto request = std::make_shared<Request>();
  ClientCall& call = world_.history().calls.emplace_back();
  call.what = std::move(what);
  call.school = school.id;
  call.person = who.id;
  call.role = who.role;
  request->call = &call;
  request->caller = As(school, who);
  request->caller.idempotency_key = absl::StrCat("k", ++next_key_);
  // No two requests here have the same body.
  request->caller.body_hash = absl::StrCat("body-", next_key_, "-", call.what);
  call.body_hash = request->caller.body_hash;
  call.commit_id = DeriveId('m', {kIntakeSource, school.id, absl::StrCat("key/", who.id, "/", school.id, "/", request->caller.idempotency_key)});
  return request;
}

void People::Send(std::shared_ptr<Request> request, absl::Duration after) {
  world_.After(after, [this, request = std::move(request)] { Try(request); });
}

void People::Try(const std::shared_ptr<Request>& request) {
  if (request->done) return;
  ClientCall& call = *request->call;
  if (call.sends == 0) call.sent = world_.now();
  if (++call.sends > request->most_sends) return;
  const bool last_hours = world_.now() > end_;
  const auto again = [this, request](absl::Duration after) { Send(request, after); };
  if (!world_.intake().running()) return again(last_hours ? absl::Seconds(5) : dice_.Between(absl::Seconds(1), absl::Minutes(1)));
  const auto answered = std::make_shared<bool>(false);
  request->ask(world_.intake().intake(), request->caller, [this, request, answered](absl::Status status, std::string answer) {
    if (std::exchange(*answered, true)) world_.history().leaks.push_back(absl::StrCat("a request was answered twice: ", request->call->what));
    OnAnswer(request, status, answer);
  });
  world_.After(absl::Seconds(10), [this, request, answered, again] {
    if (*answered || request->done) return;
    request->call->unknown = true;
    again(dice_.Between(absl::Milliseconds(100), absl::Seconds(30)));
  });
}

void People::OnAnswer(const std::shared_ptr<Request>& request, const absl::Status& status, const std::string& answer) {
  ClientCall& call = *request->call;
  world_.trace().Add(static_cast<std::uint64_t>(status.code()));
  if (world_.options().trace) world_.Say(absl::StrCat(call.what, " by ", call.person, " (", call.role, "): ", status.ok() ? "OK" : status.ToString()));
  if (status.ok()) {
    if (call.oks++ == 0) {
      call.first_ok = world_.now();
      call.answer = answer;
    } else if (call.answer != answer) {
      call.answers_differ = true;
    }
    request->done = true;
    // Some ask again: a lost answer, an impatient finger, a queue that delivers twice.
    if (call.oks == 1 && dice_.Chance(0.04) && world_.now() < end_) {
      auto same = std::make_shared<Request>(*request);
      same->done = false;
      same->most_sends = call.sends + 1;
      Send(same, dice_.Chance(0.5) ? dice_.Between(absl::Milliseconds(1), absl::Seconds(5)) : dice_.Between(absl::Minutes(1), absl::Hours(30)));
      if (!call.commit_id.empty() && dice_.Chance(0.3)) {
        // The same key with other words in it.
        auto other = std::make_shared<Request>(*request);
        other->done = false;
        ClientCall& conflict = world_.history().calls.emplace_back(call);
        conflict.conflicting = true;
        conflict.oks = conflict.sends = 0;
        conflict.refusals.clear();
        other->call = &conflict;
        other->most_sends = 1;
        other->caller.body_hash += "x";
        Send(other, dice_.Between(absl::Milliseconds(1), absl::Hours(2)));
      }
    }
    return;
  }
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsAborted(status)) {
    call.unknown = call.unknown || !absl::IsAborted(status);
    return Send(request, dice_.Between(absl::Seconds(1), absl::Seconds(40)));
  }
  call.refusals.push_back(status);
  request->done = true;
}

template <typename RequestType>
void People::Command(Care& care, const Person& who, RequestType message) {
  const domain::FileState& file = world_.intake().machine().FindFile(care.file)->state;
  message.set_case_(file.current->case_id);
  auto request = NewRequest(*care.school, who, std::string(RequestType::descriptor()->name()));
  request->call->file = care.file;
  // Some say which version they have seen.
  if (dice_.Chance(0.1)) request->caller.expected_version = file.version;
  request->ask = [message](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
    desk.Command(caller, message.case_(), PermissionFor<RequestType>(), intake::EventsFor(message),
                 [reply = std::move(reply)](const absl::StatusOr<api::Case>& answer) {
                   reply(answer.status(), answer.ok() ? answer->SerializeAsString() : "");
                 });
  };
  Send(std::move(request), dice_.Between(absl::Microseconds(1), absl::Milliseconds(3)));
}

void People::TakeAlert(Care& care, const Person& who, const std::string& alert) {
  api::TakeAlertRequest message;
  message.set_alert(alert);
  auto request = NewRequest(*care.school, who, "TakeAlertRequest");
  request->call->file = care.file;
  request->ask = [message](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
    desk.TakeAlert(caller, message, [reply = std::move(reply)](const absl::StatusOr<api::Case>& answer) {
      reply(answer.status(), answer.ok() ? answer->SerializeAsString() : "");
    });
  };
  Send(std::move(request), dice_.Between(absl::Microseconds(1), absl::Milliseconds(3)));
}

// ------------------------------------------------------------------------------------------------ schools

void People::Begin(int schools, absl::Time end) {
  end_ = end;
  for (int i = 0; i < schools; ++i) {
    schools_.push_back(std::make_unique<School>());
    School& school = *schools_.back();
    school.number = i;
    school.id = absl::StrCat("s", world_.options().seed % 100'000, "-", i);
    school.between_reports = dice_.Between(absl::Hours(32), absl::Hours(160)) / world_.options().busy;
    school.diligence = dice_.Chance(0.04) ? 0.2 : 0.6 + 0.4 * dice_.Unit();
    by_id_[school.id] = &school;
    Open(school);
  }
}

void People::Open(School& school) {
  // How many of each role: now and then nobody.
  static constexpr std::array<std::tuple<const char*, int, int>, 12> kRoles{{{"leader", 1, 2},
                                                                              {"deputy", 0, 2},
                                                                              {"counselling_office", 1, 2},
                                                                              {"grade_head", 0, 2},
                                                                              {"class_teacher", 2, 3},
                                                                              {"teacher", 2, 3},
                                                                              {"school_doctor", 0, 1},
                                                                              {"security", 1, 3},
                                                                              {"crisis_team", 0, 2},
                                                                              {"assessment_group", 2, 3},
                                                                              {"administrator", 1, 1},
                                                                              {"teacher", 0, 2}}};
  api::PutDirectoryRequest directory;
  directory.set_school(school.id);
  directory.set_school_name("测试小学");
  directory.set_duty_phone("02100000000");
  std::uint64_t next_phone = 10'000'000'000ULL + static_cast<std::uint64_t>(school.number) * 1000;
  const auto add = [&](const std::string& id, const std::string& kind, const std::string& role, double phone) -> api::PersonInput& {
    api::PersonInput& person = *directory.add_people();
    person.set_id(id);
    person.set_kind(kind);
    if (!role.empty()) person.add_roles(role);
    person.set_name(absl::StrCat(absl::string_view(kCanary.data(), kCanary.size()), " name of ", id));
    if (dice_.Chance(phone)) {
      person.set_phone(std::to_string(++next_phone));
      PhoneHabits habits{.answers = 0.4 + 0.55 * dice_.Unit(), .at_night = 0.3 + 0.6 * dice_.Unit(), .takes = 0.6 + 0.35 * dice_.Unit()};
      habits.wrong_number = dice_.Chance(0.02);
      phones_.Add(person.phone(), habits);
    }
    return person;
  };
  int number = 0;
  for (const auto& [role, fewest, most] : kRoles) {
    const int count = fewest + static_cast<int>(dice_.Below(static_cast<std::size_t>(most - fewest + 1)));
    for (int i = 0; i < count; ++i) {
      const std::string id = absl::StrCat(role, number++);
      api::PersonInput& person = add(id, "staff", role, 0.95);
      if (std::string_view(role) == "grade_head") person.set_grade(dice_.Chance(0.7) ? "3" : "4");
      if (std::string_view(role) == "class_teacher") person.set_class_(dice_.Chance(0.5) ? "3-1" : "3-2");
      school.staff.push_back({id, role});
    }
  }
  for (int i = 0; i < 12; ++i) {
    const std::string id = absl::StrCat("child", i);
    api::PersonInput& child = add(id, "student", "", 0);
    // Two of the same name in one class.
    child.set_name(absl::StrCat(absl::string_view(kCanary.data(), kCanary.size()), "-", school.id, "-", i == 11 ? 10 : i));
    child.set_grade("3");
    child.set_class_(i % 2 == 0 || i == 11 ? "3-1" : "3-2");
    phones_.Forbid(child.name());
    school.students.push_back(id);
    school.names.emplace_back(child.name(), child.class_());
    const int guardians = static_cast<int>(dice_.Below(3));
    for (int g = 0; g < guardians; ++g) {
      const std::string guardian = absl::StrCat("guardian", i, "-", g);
      api::PersonInput& person = add(guardian, "guardian", "guardian", 0.9);
      person.set_student_id(id);
      person.set_call_order(g + 1);
      person.set_excluded(dice_.Chance(0.1));
      school.guardians[id].push_back(guardian);
    }
  }
  auto request = NewRequest(school, Known(school, "administrator"), "PutDirectoryRequest");
  request->caller.role = "administrator";
  request->caller.idempotency_key.clear();
  request->call->commit_id.clear();
  request->most_sends = 60;
  request->ask = [directory](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
    desk.PutDirectory(caller, directory, [reply = std::move(reply)](const absl::StatusOr<api::PutDirectoryResponse>& answer) { reply(answer.status(), ""); });
  };
  Try(request);
  world_.After(dice_.Between(absl::Minutes(1), absl::Hours(2)), [this, &school] { SetRoster(school); });
  world_.After(dice_.Between(absl::Seconds(10), absl::Hours(6)), [this, &school] { LiveOn(school); });
  world_.After(dice_.Between(absl::Hours(1), absl::Hours(40)), [this, &school] { ChangeSomething(school); });
}

void People::LiveOn(School& school) {
  if (world_.now() >= end_) return;
  ReportSomebody(school);
  absl::Duration next = dice_.Until(school.between_reports);
  // Fewer in holidays, at night and at weekends.
  const absl::CivilDay day = absl::ToCivilDay(world_.now(), domain::SchoolZone());
  const bool holidays = day.month() == 7 || day.month() == 8 || (day.month() == 2 && day.day() < 20);
  const bool night = domain::IsNight(world_.now(), world_.pack().night_from, world_.pack().night_to);
  if (holidays) next *= 2;
  if (night && dice_.Chance(0.5)) next += absl::Hours(6);
  world_.After(next, [this, &school] { LiveOn(school); });
}

void People::ReportSomebody(School& school) {
  const Person& who = Somebody(school);
  api::CreateReportRequest message;
  message.set_school(school.id);
  const std::size_t student = dice_.Below(school.students.size());
  const double how = dice_.Unit();
  if (how < 0.9) {
    message.mutable_student()->set_id(school.students[student]);
  } else {
    message.mutable_student()->set_name(how < 0.95 ? school.names[student].first : absl::StrCat(absl::string_view(kCanary.data(), kCanary.size()), " somebody"));
    message.mutable_student()->set_class_(school.names[student].second);
  }
  static const std::vector<std::string> kSignals{"W1a", "W1b", "W1m", "W1t", "W1i", "W2a", "W2d", "W3a", "W3b", "W3c"};
  static const std::vector<std::string> kFactors{"H1", "H2", "H3", "H6", "H8", "H9", "H10", "H10w"};
  bool severe = false;
  const std::size_t signals = dice_.Below(3);
  for (std::size_t i = 0; i < signals; ++i) {
    const std::string& code = dice_.Pick(kSignals);
    if (Contains({message.signals().begin(), message.signals().end()}, code)) continue;
    message.add_signals(code);
    severe = severe || code == "W1a" || code == "W1m" || code == "W1t" || code == "W1i";
  }
  if (dice_.Chance(0.4)) message.add_factors(dice_.Pick(kFactors));
  if (dice_.Chance(0.1)) {
    static const std::vector<std::string> kLevels{"watch", "mild", "high", "severe", "extreme"};
    message.set_claimed_level(dice_.Pick(kLevels));
  }
  message.set_deteriorating(dice_.Chance(0.08));
  if (dice_.Chance(0.2)) SetTime(world_.now() - dice_.Between(absl::ZeroDuration(), absl::Hours(dice_.Chance(0.1) ? 30 : 3)), message.mutable_discovered_time());
  if (dice_.Chance(0.4)) {
    message.mutable_in_sight()->set_staff_id(dice_.Chance(0.7) ? who.id : Somebody(school).id);
  } else if (dice_.Chance(0.2)) {
    message.mutable_in_sight()->set_nobody(true);
  }
  if (dice_.Chance(0.15)) message.set_home_unsafe(dice_.Chance(0.5) ? api::HOME_UNSAFE_YES : api::HOME_UNSAFE_UNSURE);
  const std::string narrative = absl::StrCat(absl::string_view(kCanary.data(), kCanary.size()), " narrative ", next_key_);
  message.set_narrative(narrative);

  auto request = NewRequest(school, who, "CreateReportRequest");
  request->most_sends = 80;
  ClientCall& call = *request->call;
  call.is_report = true;
  call.narrative = narrative;
  const std::string cause = absl::StrCat("key/", who.id, "/", school.id, "/", request->caller.idempotency_key);
  call.report_id = DeriveId('r', {school.id, cause});
  call.commit_id = DeriveId('m', {kIntakeSource, school.id, absl::StrCat("report/", call.report_id)});
  request->ask = [message, &call](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
    desk.CreateReport(caller, message, [&call, reply = std::move(reply)](const absl::StatusOr<api::CreateReportResponse>& answer) {
      if (answer.ok() && answer->report_id() != call.report_id) call.answers_differ = true;
      reply(answer.status(), answer.ok() ? answer->SerializeAsString() : "");
    });
  };
  Send(request, absl::ZeroDuration());
}

void People::SetRoster(School& school) {
  if (world_.now() >= end_) return;
  static const std::vector<std::string> kSchedules{"leader", "deputy", "crisis_team"};
  api::PutScheduleRequest message;
  message.set_school(school.id);
  message.set_id(dice_.Pick(kSchedules));
  const int shifts = static_cast<int>(dice_.Below(4));
  for (int i = 0; i < shifts; ++i) {
    api::ScheduleShift& shift = *message.add_shifts();
    shift.add_staff_ids(OfRole(school, message.id()).id);
    if (dice_.Chance(0.3)) shift.add_staff_ids(Somebody(school).id);
    if (dice_.Chance(0.3)) {
      SetTime(world_.now() + dice_.Between(-absl::Hours(5), absl::Hours(20)), shift.mutable_from_time());
      SetTime(world_.now() + dice_.Between(absl::Hours(21), absl::Hours(60)), shift.mutable_to_time());
    } else {
      for (int day = 1; day <= 7; ++day) {
        if (dice_.Chance(0.7)) shift.add_weekdays(day);
      }
      if (shift.weekdays_size() == 0) shift.add_weekdays(1);
      shift.set_from(dice_.Chance(0.5) ? "08:00" : "20:00");
      shift.set_to(dice_.Chance(0.5) ? "08:00" : "22:00");
    }
  }
  auto request = NewRequest(school, OfRole(school, "leader"), "PutScheduleRequest");
  request->caller.idempotency_key.clear();
  request->call->commit_id.clear();
  request->ask = [message](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
    desk.PutSchedule(caller, message, [reply = std::move(reply)](const absl::StatusOr<api::Schedule>& answer) { reply(answer.status(), ""); });
  };
  Try(request);
  world_.After(dice_.Until(absl::Hours(60)), [this, &school] { SetRoster(school); });
}

void People::ChangeSomething(School& school) {
  if (world_.now() >= end_) return;
  world_.After(dice_.Until(absl::Hours(50)), [this, &school] { ChangeSomething(school); });
  const Person& person = Somebody(school);
  if (!world_.intake().ready()) return;
  const domain::SchoolState* known = world_.intake().machine().FindSchool(school.id);
  if (known == nullptr || !known->people.contains(person.id)) return;
  const domain::PersonState& before = known->people.at(person.id);
  api::PutDirectoryRequest directory;
  directory.set_school(school.id);
  api::PersonInput& input = *directory.add_people();
  input.set_id(person.id);
  input.set_kind("staff");
  input.add_roles(person.role);
  input.set_grade(before.grade);
  input.set_class_(before.class_name);
  input.set_name(absl::StrCat(absl::string_view(kCanary.data(), kCanary.size()), " name of ", person.id));
  // A leave, an end of it, a telephone lost.
  input.set_on_leave(!before.on_leave && dice_.Chance(0.6));
  if (dice_.Chance(0.9)) input.set_phone(std::to_string(20'000'000'000ULL + dice_.Below(1'000'000)));
  auto request = NewRequest(school, OfRole(school, "administrator"), "PutDirectoryRequest");
  request->caller.idempotency_key.clear();
  request->call->commit_id.clear();
  request->ask = [directory](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
    desk.PutDirectory(caller, directory, [reply = std::move(reply)](const absl::StatusOr<api::PutDirectoryResponse>& answer) { reply(answer.status(), ""); });
  };
  Try(request);
}

// ------------------------------------------------------------------------------------------------ a case

People::Care& People::CareFor(const std::string& school, const std::string& file) {
  Care& care = cares_[file];
  if (care.school == nullptr) {
    care.school = by_id_.at(school);
    care.file = file;
  }
  if (!care.active) {
    care.active = true;
    care.diligence = care.school->diligence * (dice_.Chance(0.05) ? 0.1 : 0.6 + 0.4 * dice_.Unit());
  }
  return care;
}

void People::LookLater(Care& care, absl::Duration after) {
  const absl::Time at = world_.now() + after;
  if (care.looks_at <= at && care.looks_at > world_.now()) return;
  care.looks_at = at;
  world_.At(at, [this, &care, at] {
    if (care.looks_at != at) return;
    care.looks_at = absl::InfiniteFuture();
    Look(care);
  });
}

void People::Look(Care& care) {
  if (world_.now() >= end_) return;
  if (!world_.intake().ready()) return LookLater(care, absl::Minutes(1));
  const FileEntry* entry = world_.intake().machine().FindFile(care.file);
  if (entry == nullptr) return LookLater(care, absl::Minutes(1));
  const domain::FileState& file = entry->state;
  if (!domain::HasOpenCase(file)) {
    care.active = false;
    return;
  }
  Act(care, file);
  const domain::CaseState& c = *file.current;
  absl::Duration next = dice_.Until(absl::Minutes(160) / (0.2 + care.diligence));
  const bool rings = std::any_of(c.alerts.begin(), c.alerts.end(), [&](const domain::AlertState& alert) {
    return alert.phase == domain::AlertPhase::kOpen && world_.pack().FindLadder(alert.ladder)->takeable;
  });
  if (rings) next = std::min(next, dice_.Until(absl::Minutes(10) / (0.2 + care.diligence)));
  if (c.custody && c.custody->supervised) {
    next = std::min(next, dice_.Until(absl::Minutes(25) / (0.2 + care.diligence)));
    // Who has the child looks at the clock.
    for (const domain::ClockState& clock : c.clocks) {
      if (clock.phase != domain::ClockPhase::kRunning || !domain::IsSet(clock.due_time) || clock.due_time <= world_.now()) continue;
      const domain::ClockRow* row = world_.pack().FindClock(clock.kind);
      if (row == nullptr || !row->expiry_opens_gap || !dice_.Chance(care.diligence)) continue;
      const absl::Duration left = clock.due_time - world_.now();
      // At the very instant of the deadline, too: that is a race with the timer.
      next = std::min(next, dice_.Chance(0.06) ? left : left * (0.3 + 0.65 * dice_.Unit()));
    }
  }
  LookLater(care, std::max(next, absl::Seconds(2)));
}

void People::Act(Care& care, const domain::FileState& file) {
  const domain::CaseState& c = *file.current;
  if (std::exchange(care.comes, false)) {
    const bool held = c.custody && c.custody->supervised && !c.custody->holders.empty();
    if (held) return Keep(care, file);
    api::ConfirmInSightRequest confirm;
    const Person& who = WhoMay(*care.school, "sight.confirm");
    confirm.set_staff_id(who.id);
    return Command(care, who, confirm);
  }
  if (dice_.Chance(0.04)) return Mischief(care, file);
  if (dice_.Chance(0.08)) return Race(care, file);
  if (!dice_.Chance(0.25 + 0.75 * care.diligence)) return;
  for (const domain::AlertState& alert : c.alerts) {
    if (alert.phase != domain::AlertPhase::kOpen || !world_.pack().FindLadder(alert.ladder)->takeable) continue;
    if (dice_.Chance(0.5)) TakeAlert(care, WhoMay(*care.school, "alert.take"), alert.alert_id);
  }
  if (c.custody && c.custody->supervised) Keep(care, file);
  std::vector<const domain::ClockState*> owed;
  for (const domain::ClockState& clock : c.clocks) {
    if (domain::IsOwed(clock)) owed.push_back(&clock);
  }
  for (int i = 0; i < 2 && !owed.empty(); ++i) {
    if (MeetClock(care, file, *dice_.Pick(owed))) return;
  }
  const bool supervised = c.custody && c.custody->supervised;
  if (!supervised && owed.size() <= 2 && dice_.Chance(0.4)) {
    api::CloseRequest close;
    close.set_reason("CANARY done");
    Command(care, WhoMay(*care.school, "case.close"), close);
  }
}

// Somebody watches the child, answers for it, and is relieved.
void People::Keep(Care& care, const domain::FileState& file) {
  const domain::CustodyState& custody = *file.current->custody;
  if (custody.holders.empty()) {
    if (!dice_.Chance(0.85)) return;
    api::ConfirmInSightRequest confirm;
    const Person& who = WhoMay(*care.school, "sight.confirm");
    confirm.set_staff_id(who.id);
    return Command(care, who, confirm);
  }
  const Person& holder = Known(*care.school, dice_.Pick(custody.holders));
  api::CheckInRequest check;
  check.set_in_sight(!dice_.Chance(0.015));
  check.set_code(dice_.Chance(0.98) ? world_.intake().intake().PlaceCode(file.current->case_id, world_.now()) : "12345");
  Command(care, holder, check);
  const bool ends_soon = domain::IsSet(custody.shift_end_time) && custody.shift_end_time - world_.now() < absl::Minutes(40);
  if (!custody.offered_to.empty()) {
    for (const std::string& person : custody.offered_to) {
      if (!Contains(custody.accepted, person) && dice_.Chance(0.7)) Command(care, Known(*care.school, person), api::AcceptShiftRequest());
    }
  } else if (ends_soon || dice_.Chance(0.05)) {
    api::OfferShiftRequest offer;
    offer.add_to_staff_ids(OfRole(*care.school, "security").id);
    if (dice_.Chance(0.85)) offer.add_to_staff_ids(dice_.Chance(0.6) ? OfRole(*care.school, "teacher").id : Somebody(*care.school).id);
    Command(care, dice_.Chance(0.8) ? holder : WhoMay(*care.school, "shift.hand_over"), offer);
  }
  if (dice_.Chance(0.04)) {
    api::PlanShiftsRequest plan;
    absl::Time from = world_.now() + absl::Minutes(dice_.Below(60));
    for (std::size_t i = 0; i < 1 + dice_.Below(3); ++i) {
      api::PlannedShift& shift = *plan.add_shifts();
      SetTime(from, shift.mutable_from_time());
      from += absl::Hours(4);
      SetTime(from, shift.mutable_to_time());
      shift.add_staff_ids(OfRole(*care.school, "security").id);
      shift.add_staff_ids(OfRole(*care.school, "teacher").id);
      shift.set_place("room");
    }
    Command(care, WhoMay(*care.school, "shifts.plan"), plan);
  }
}

void People::FileKind(Care& care, const domain::FileState& file, const std::string& kind) {
  const domain::RecordRow& row = world_.pack().records.at(kind);
  const auto fill = [&](auto* fields) {
    for (const domain::FieldRow& field : row.fields) {
      std::string value = "CANARY text";
      if (field.type == domain::FieldRow::Type::kBoolean) value = "true";
      if (field.type == domain::FieldRow::Type::kChoice) value = field.choices.front();
      if (field.type == domain::FieldRow::Type::kNumber) value = "1";
      (*fields)[field.id] = value;
    }
  };
  const auto author = [&]() -> const Person& {
    return row.written_by.empty() ? Somebody(*care.school) : OfRole(*care.school, dice_.Pick(row.written_by));
  };
  if (row.filed_by.empty()) {
    api::FileRecordRequest record;
    record.set_kind(kind);
    fill(record.mutable_fields());
    return Command(care, author(), record);
  }
  if (row.filed_by == "fileWrittenReport") {
    api::FileWrittenReportRequest record;
    fill(record.mutable_fields());
    return Command(care, author(), record);
  }
  if (row.filed_by == "handOverToGuardian") {
    const auto guardians = care.school->guardians.find(file.student);
    if (guardians == care.school->guardians.end() || guardians->second.empty()) return;
    api::HandOverToGuardianRequest hand;
    hand.set_guardian_id(dice_.Pick(guardians->second));
    hand.set_identity_checked(dice_.Chance(0.9));
    fill(hand.mutable_fields());
    hand.add_signatures("CANARY signature");
    return Command(care, WhoMay(*care.school, "guardian.hand_over"), hand);
  }
}

bool People::MeetClock(Care& care, const domain::FileState& file, const domain::ClockState& clock) {
  const domain::ClockRow* row = world_.pack().FindClock(clock.kind);
  if (row == nullptr || row->met_by.empty()) return false;
  const domain::FactPattern& pattern = dice_.Pick(row->met_by);
  School& school = *care.school;
  switch (pattern.fact) {
    case Fact::kAlertTaken:
      for (const domain::AlertState& alert : file.current->alerts) {
        if (alert.phase != domain::AlertPhase::kOpen || alert.ladder != pattern.argument) continue;
        TakeAlert(care, WhoMay(school, "alert.take"), alert.alert_id);
        return true;
      }
      return false;
    case Fact::kSpoken: {
      api::RecordPhoneReportRequest spoken;
      spoken.set_with_staff_id(WhoMay(school, "alert.take").id);
      SetTime(world_.now() - dice_.Between(absl::ZeroDuration(), absl::Minutes(10)), spoken.mutable_spoken_time());
      Command(care, WhoMay(school, "phone_report.record"), spoken);
      return true;
    }
    case Fact::kInSight:
    case Fact::kCustodyAccepted: {
      if (file.current->custody && file.current->custody->supervised && !file.current->custody->holders.empty()) return false;
      api::ConfirmInSightRequest confirm;
      const Person& who = WhoMay(school, "sight.confirm");
      confirm.set_staff_id(dice_.Chance(0.9) ? who.id : Somebody(school).id);
      Command(care, who, confirm);
      return true;
    }
    case Fact::kHandedToGuardian:
    case Fact::kGuardianArrived: {
      const bool long_enough = file.current->custody && world_.now() - file.current->custody->supervised_time > absl::Hours(6);
      if (!dice_.Chance(long_enough ? 0.5 : 0.08)) return false;
      for (const auto& [kind, record] : world_.pack().records) {
        if (record.filed_by == "handOverToGuardian") FileKind(care, file, kind);
      }
      return true;
    }
    case Fact::kHandedToAuthority: {
      if (!dice_.Chance(0.05)) return false;
      api::HandOverToAuthorityRequest hand;
      hand.set_authority(dice_.Chance(0.5) ? "police" : "child_protection");
      hand.set_officer("CANARY officer");
      Command(care, WhoMay(school, "authority.hand_over"), hand);
      return true;
    }
    case Fact::kNotSevereDecided: {
      if (!dice_.Chance(0.15)) return false;
      api::DecideNotSevereRequest decide;
      decide.add_assessor_ids(OfRole(school, "assessment_group").id);
      decide.add_assessor_ids(OfRole(school, "counselling_office").id);
      decide.set_rationale("CANARY seen");
      Command(care, WhoMay(school, "not_severe.decide"), decide);
      return true;
    }
    case Fact::kAssessed: {
      static const std::vector<std::string> kLevels{"none", "watch", "mild", "high", "high", "severe", "severe", "extreme"};
      api::AssessRequest assess;
      assess.set_level(dice_.Pick(kLevels));
      assess.set_kind(dice_.Chance(0.85) ? "group" : "expert");
      assess.add_members(OfRole(school, "assessment_group").id);
      const std::string second = OfRole(school, "counselling_office").id;
      if (dice_.Chance(0.9)) assess.add_members(second);
      assess.set_face_to_face(dice_.Chance(0.85));
      assess.set_rationale("CANARY rationale");
      Command(care, WhoMay(school, "assess"), assess);
      return true;
    }
    case Fact::kGuardianReached: {
      const auto guardians = school.guardians.find(file.student);
      if (guardians == school.guardians.end() || guardians->second.empty()) return false;
      api::RecordGuardianContactRequest contact;
      contact.set_guardian_id(dice_.Pick(guardians->second));
      contact.set_outcome(dice_.Chance(0.7) ? "reached" : dice_.Chance(0.5) ? "no_answer" : "refused");
      if (contact.outcome() == "reached") SetTime(world_.now() + dice_.Between(absl::Minutes(10), absl::Hours(3)), contact.mutable_arrival_time());
      Command(care, WhoMay(school, "guardian.contact"), contact);
      return true;
    }
    case Fact::kRecordFiled:
      if (!world_.pack().records.contains(pattern.argument)) return false;
      FileKind(care, file, pattern.argument);
      return true;
    case Fact::kRecordAcknowledged:
      Command(care, WhoMay(school, "written_report.receive"), api::ReceiveWrittenReportRequest());
      return true;
    case Fact::kHoldDecided:
      if (dice_.Chance(0.5)) {
        api::HoldRequest hold;
        hold.set_kind(pattern.argument);
        hold.set_reason("CANARY afraid");
        Command(care, WhoMay(school, "hold.place"), hold);
      } else {
        api::LiftHoldRequest lift;
        lift.set_kind(pattern.argument);
        lift.set_reason("CANARY clear now");
        Command(care, WhoMay(school, "hold.lift"), lift);
      }
      return true;
    case Fact::kReportRead:
      Command(care, WhoMay(school, "case.read"), api::AcknowledgeRequest());
      return true;
    case Fact::kStudentIdentified: {
      api::IdentifyStudentRequest message;
      message.set_case_(file.current->case_id);
      message.set_id(!file.current->candidates.empty() && dice_.Chance(0.7) ? dice_.Pick(file.current->candidates) : dice_.Pick(school.students));
      auto request = NewRequest(school, WhoMay(school, "student.identify"), "IdentifyStudentRequest");
      request->call->file = care.file;
      request->ask = [message](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
        desk.IdentifyStudent(caller, message, [reply = std::move(reply)](const absl::StatusOr<api::Case>& answer) {
          reply(answer.status(), answer.ok() ? answer->SerializeAsString() : "");
        });
      };
      Send(std::move(request), absl::ZeroDuration());
      return true;
    }
    default:
      return false;
  }
}

// What nobody should do, or at the wrong moment.
void People::Mischief(Care& care, const domain::FileState& file) {
  School& school = *care.school;
  switch (dice_.Below(9)) {
    case 0: {
      api::CloseRequest close;
      close.set_reason("CANARY too early");
      return Command(care, Somebody(school), close);
    }
    case 1: {
      api::RecuseRequest recuse;
      recuse.set_staff_id(Somebody(school).id);
      recuse.set_reason("CANARY family");
      return Command(care, WhoMay(school, "recuse"), recuse);
    }
    case 2: {
      api::RecordDepartureRequest departure;
      static const std::vector<std::string> kKinds{"hospital", "left", "taken_away", "not_found"};
      departure.set_kind(dice_.Pick(kKinds));
      if (dice_.Chance(0.7)) departure.add_with(Somebody(school).id);
      return Command(care, WhoMay(school, "departure.record"), departure);
    }
    case 3: {
      api::ReturnCustodyRequest back;
      back.set_staff_id(Somebody(school).id);
      return Command(care, WhoMay(school, "custody.return"), back);
    }
    case 4: {
      api::CorrectDiscoveryRequest correct;
      SetTime(world_.now() - dice_.Between(absl::ZeroDuration(), absl::Hours(26)), correct.mutable_discovered_time());
      correct.set_reason("CANARY earlier");
      return Command(care, WhoMay(school, "discovery.correct"), correct);
    }
    case 5:
      return Command(care, Somebody(school), api::AcceptShiftRequest());
    case 6: {
      api::HoldRequest hold;
      hold.set_kind(dice_.Chance(0.8) ? "guardians" : "visit");
      return Command(care, WhoMay(school, "hold.place"), hold);
    }
    case 7: {
      if (!domain::HasOpenCase(file)) return;
      api::MoveToStudentRequest message;
      message.set_case_(file.current->case_id);
      message.set_id(dice_.Pick(school.students));
      message.set_both_located(dice_.Chance(0.8));
      auto request = NewRequest(school, WhoMay(school, "case.move"), "MoveToStudentRequest");
      request->call->file = care.file;
      request->ask = [message](intake::Intake& desk, const intake::Caller& caller, std::function<void(absl::Status, std::string)> reply) {
        desk.MoveToStudent(caller, message, [reply = std::move(reply)](const absl::StatusOr<api::Case>& answer) {
          reply(answer.status(), answer.ok() ? answer->SerializeAsString() : "");
        });
      };
      return Send(std::move(request), absl::ZeroDuration());
    }
    default: {
      api::DecideNotSevereRequest decide;
      decide.add_assessor_ids(Somebody(school).id);
      decide.add_assessor_ids(Somebody(school).id);
      decide.set_rationale("CANARY hasty");
      return Command(care, WhoMay(school, "not_severe.decide"), decide);
    }
  }
}

// Two who do two things at once, or one thing at the instant at which the timer does another.
void People::Race(Care& care, const domain::FileState& file) {
  absl::Time at = world_.now();
  for (const domain::ClockState& clock : file.current->clocks) {
    if (clock.phase == domain::ClockPhase::kRunning && domain::IsSet(clock.due_time) && clock.due_time > world_.now() &&
        clock.due_time < world_.now() + absl::Hours(6) && dice_.Chance(0.5)) {
      at = clock.due_time;
    }
  }
  for (const domain::AlertState& alert : file.current->alerts) {
    if (alert.phase == domain::AlertPhase::kOpen && dice_.Chance(0.3)) at = std::max(at, alert.step_time + absl::Seconds(60));
  }
  for (int i = 0; i < 2; ++i) {
    world_.At(at + dice_.Between(absl::ZeroDuration(), absl::Microseconds(dice_.Chance(0.7) ? 500 : 3000)), [this, &care] {
      if (!world_.intake().ready() || world_.now() >= end_) return;
      const FileEntry* entry = world_.intake().machine().FindFile(care.file);
      if (entry == nullptr || !domain::HasOpenCase(entry->state)) return;
      const domain::FileState& now = entry->state;
      for (const domain::AlertState& alert : now.current->alerts) {
        if (alert.phase == domain::AlertPhase::kOpen && dice_.Chance(0.6)) return TakeAlert(care, WhoMay(*care.school, "alert.take"), alert.alert_id);
      }
      std::vector<const domain::ClockState*> owed;
      for (const domain::ClockState& clock : now.current->clocks) {
        if (domain::IsOwed(clock)) owed.push_back(&clock);
      }
      if (!owed.empty() && MeetClock(care, now, *dice_.Pick(owed))) return;
      if (now.current->custody && now.current->custody->supervised) return Keep(care, now);
      api::CloseRequest close;
      close.set_reason("CANARY at once");
      Command(care, WhoMay(*care.school, "case.close"), close);
    });
  }
}

}  // namespace vigil::simulation
