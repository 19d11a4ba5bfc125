#include "matter.h"

#include <algorithm>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "domain/pack/loader.h"
#include "platform/pack_directory/pack_directory.h"
#include "vigil/state/v1/state.convert.h"

namespace vigil::domain {

const Pack& PrimarySchool() {
  static const std::shared_ptr<const Pack> pack = [] {
    const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
    auto loaded = files.ok() ? LoadPack(*files, PackDigest) : files.status();
    if (!loaded.ok()) {
      ADD_FAILURE() << loaded.status();
      std::abort();
    }
    return *loaded;
  }();
  return *pack;
}

absl::Time At(std::string_view local) {
  absl::Time t;
  std::string error;
  if (!absl::ParseTime("%Y-%m-%d %H:%M", std::string(local), SchoolZone(), &t, &error)) ADD_FAILURE() << error;
  return t;
}

SchoolState SmallSchool() {
  DirectoryChanged directory;
  const auto staff = [&](const std::string& id, std::vector<std::string> roles) {
    directory.people.push_back({.person_id = id, .kind = PersonKind::kStaff, .roles = std::move(roles), .has_phone = true});
  };
  staff("leader", {"leader"});
  staff("deputy", {"deputy"});
  staff("office", {"counselling_office"});
  staff("grade_head", {"grade_head"});
  directory.people.back().grade = "3";
  staff("class_teacher", {"class_teacher"});
  directory.people.back().class_name = "3-2";
  staff("teacher", {"teacher"});
  directory.people.back().class_name = "3-2";
  staff("guard", {"security"});
  staff("guard_2", {"security"});
  staff("crisis", {"crisis_team"});
  staff("assessor", {"assessment_group"});
  directory.people.push_back({.person_id = "child", .kind = PersonKind::kStudent, .grade = "3", .class_name = "3-2"});
  directory.people.push_back({.person_id = "another_child", .kind = PersonKind::kStudent, .grade = "4", .class_name = "4-1"});
  const auto guardian = [&](const std::string& id, const std::string& of, int order, bool excluded) {
    directory.people.push_back({.person_id = id, .kind = PersonKind::kGuardian, .student_id = of, .call_order = order, .excluded = excluded, .has_phone = true});
  };
  guardian("father", "child", 2, false);
  guardian("mother", "child", 1, false);
  guardian("uncle", "child", 3, true);
  guardian("another_mother", "another_child", 1, false);
  SchoolState school{.school = "school"};
  ApplyToSchool(school, {}, Event{std::move(directory)});
  return school;
}

Applied Matter::Do(std::vector<Event> events, const std::string& person, const std::string& role) {
  Commit commit;
  commit.id = absl::StrCat("m", ++next_id_);
  commit.school = "school";
  commit.file = "file";
  commit.recorded_time = now;
  commit.actor = Actor{.person = person, .role = role};
  commit.engine = kEngineVersion;
  commit.pack = PrimarySchool().digest;
  commit.events = std::move(events);
  for (Event& alert : AlertsToRaise(file, commit, context(), [&](std::string_view purpose) {
         return absl::StrCat("a/", commit.id, "/", absl::string_view(purpose.data(), purpose.size()));
       })) {
    commit.events.push_back(std::move(alert));
  }
  Applied applied = Apply(file, commit, context());
  ++next_sequence_;
  commits.push_back(std::move(commit));
  return applied;
}

Classification Matter::Proposed(const ReportOf& report) const {
  return Classify(PrimarySchool(),
                  {.indicators = report.indicators,
                   .claimed_level = report.claimed,
                   .deteriorating = report.deteriorating,
                   .reporter = report.reporter,
                   .recorded_time = now},
                  file.current ? &file : nullptr);
}

Applied Matter::Report(const ReportOf& report) {
  ReportReceived received;
  received.report_id = absl::StrCat("r", ++next_id_);
  received.case_id = HasOpenCase(file) ? current().case_id : absl::StrCat("case", next_id_);
  received.student = report.student;
  received.reporter = report.reporter;
  received.discovered_time = IsSet(report.discovered) ? report.discovered : now;
  received.indicators = report.indicators;
  received.claimed_level = report.claimed;
  received.deteriorating = report.deteriorating;
  received.sight = report.sight;
  received.sight_person = report.sight_person;
  received.home_unsafe = report.home_unsafe;
  const std::string report_id = received.report_id;
  EXPECT_TRUE(Do(std::move(received), report.reporter, "class_teacher").guard.ok());
  const ReportFacts facts{.indicators = report.indicators,
                          .claimed_level = report.claimed,
                          .deteriorating = report.deteriorating,
                          .reporter = report.reporter,
                          .recorded_time = now};
  Classification found = Classify(PrimarySchool(), facts, &file);
  const bool trigger = IsTrigger(PrimarySchool(), facts, found.level, &file);
  return Do(Classified{.report_id = report_id, .level = found.level, .fired = found.fired, .trigger = trigger, .starts = found.starts}, "risk", "");
}

void Matter::WaitUntil(absl::Time until) {
  // More than this in one instant is a machine that feeds itself.
  constexpr int kMostAtOnce = 1'000;
  absl::Time instant = now;
  for (int at_once = 0;; ++at_once) {
    if (now != instant) at_once = 0;
    instant = now;
    if (at_once > kMostAtOnce) throw std::runtime_error("time does not go on");
    absl::Time first = absl::InfiniteFuture();
    Event what;
    if (HasOpenCase(file)) {
      for (const ClockState& clock : current().clocks) {
        const auto due = NextDue(PrimarySchool(), clock);
        if (!due || due->not_before >= first) continue;
        first = due->not_before;
        switch (due->what) {
          case ClockDue::What::kWarning:
            what = Event{ClockWarned{.clock_id = clock.clock_id, .warning = due->ordinal}};
            break;
          case ClockDue::What::kReview:
            what = Event{ClockReviewed{.clock_id = clock.clock_id, .review = due->ordinal}};
            break;
          case ClockDue::What::kExpiry:
            what = Event{ClockExpired{.clock_id = clock.clock_id, .due_time = clock.due_time}};
            break;
        }
      }
      for (const AlertState& alert : current().alerts) {
        const auto climb = NextClimb(PrimarySchool(), school, file, alert, now);
        if (!climb || climb->not_before >= first) continue;
        first = climb->not_before;
        what = Event{climb->event};
      }
    }
    if (first > until) break;
    now = std::max(now, first);
    std::vector<Event> events;
    events.push_back(std::move(what));
    const Applied applied = Do(std::move(events), "timer", "");
    ASSERT_TRUE(applied.guard.ok()) << applied.guard;
    ++timer_commits;
  }
  now = std::max(now, until);
}

void Matter::CheckInUntil(absl::Time until, const std::string& person) {
  while (now < until) {
    WaitUntil(std::min(until, now + absl::Minutes(10)));
    ASSERT_TRUE(Do(CheckedIn{.person = person, .in_sight = true}, person, "teacher").guard.ok());
  }
}

std::vector<const ClockState*> Matter::Clocks(std::string_view kind) const {
  std::vector<const ClockState*> found;
  for (const ClockState& clock : current().clocks) {
    if (clock.kind == kind) found.push_back(&clock);
  }
  return found;
}

const ClockState* Matter::Clock(std::string_view kind, int trigger) const {
  const ClockState* found = nullptr;
  for (const ClockState* clock : Clocks(kind)) {
    if (trigger == 0 || clock->trigger == trigger) found = clock;
  }
  return found;
}

ClockPhase Matter::Phase(std::string_view kind, int trigger) const {
  const ClockState* clock = Clock(kind, trigger);
  return clock == nullptr ? ClockPhase::kUnspecified : clock->phase;
}

const AlertState* Matter::Alert(std::string_view ladder) const {
  const AlertState* found = nullptr;
  for (const AlertState& alert : current().alerts) {
    if (alert.ladder == ladder && alert.phase != AlertPhase::kClosed) found = &alert;
  }
  return found;
}

bool Matter::Rings(std::string_view ladder) const {
  const AlertState* alert = Alert(ladder);
  return alert != nullptr && alert->phase == AlertPhase::kOpen;
}

bool Matter::Take(std::string_view ladder, const std::string& person) {
  const AlertState* alert = Alert(ladder);
  if (alert == nullptr) return false;
  return Do(AlertTaken{.alert_id = alert->alert_id, .person = person, .how = "api"}, person, "leader").guard.ok();
}

std::string Matter::BytesOf(const FileState& file) {
  state::v1::FileState proto;
  contract::ToProto(file, &proto);
  return proto.SerializeAsString();
}

}  // namespace vigil::domain
