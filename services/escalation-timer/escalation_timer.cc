#include "escalation-timer/escalation_timer.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "domain/clocks.h"
#include "domain/duty.h"
#include "domain/file.h"
#include "domain/ladder.h"
#include "domain/planted.h"
#include "domain/record.h"
#include "domain/school_time.h"
#include "platform/metrics/metric_names.h"

namespace vigil {
namespace {

constexpr char kActor[] = "timer";
// What rings, or opens the way for what rings, goes before every notice and digest.
constexpr int kSeverePriority = 100;
constexpr int kPriority = 10;
// Later than this (real time) means that nothing ran when it fell due.
constexpr absl::Duration kFiredLateAfter = absl::Minutes(1);

// The one thing of a file that is to be done next.
struct Due {
  absl::Time not_before;
  int priority = kPriority;
  const domain::ClockState* clock = nullptr;
  domain::ClockDue::What what = domain::ClockDue::What::kExpiry;
  int ordinal = 0;
  std::optional<domain::LadderClimbed> climb;
  // The night asks for more adults than hold the child.
  bool cover = false;
};

bool GoesBefore(const Due& a, const Due& b) {
  return a.priority != b.priority && !Planted("severe-waits-its-turn") ? a.priority > b.priority : a.not_before < b.not_before;
}

int PriorityOfLadder(const domain::Pack& pack, std::string_view ladder) {
  const domain::LadderRow* row = pack.FindLadder(ladder);
  return row != nullptr && row->takeable ? kSeverePriority : kPriority;
}

int PriorityOfClock(const domain::Pack& pack, const domain::ClockRow& row, domain::ClockDue::What what) {
  switch (what) {
    case domain::ClockDue::What::kWarning:
      return PriorityOfLadder(pack, row.warn_ladder);
    case domain::ClockDue::What::kReview:
      return PriorityOfLadder(pack, row.review_ladder);
    case domain::ClockDue::What::kExpiry:
      if (row.expiry_reopens_alert || row.expiry_opens_gap || !row.expiry_proposes.empty() || row.real_time) return kSeverePriority;
      return PriorityOfLadder(pack, row.expiry_ladder);
  }
  return kPriority;
}

// Names what happens, its case and the instant it belongs to: ids of clocks are unique in a case, and a file has several.
Draft DraftOf(const FileEntry& entry, const Due& due, bool fired_late) {
  const domain::FileState& file = entry.state;
  Draft draft{.school = file.school, .file = file.file, .actor = {.person = kActor}};
  if (due.climb) {
    const domain::LadderClimbed& climb = *due.climb;
    draft.cause = absl::StrCat("climb/", file.file, "/", climb.alert_id, "/", climb.round, "/", climb.step, climb.ended ? "/ended" : "");
    draft.events = {{climb}};
    return draft;
  }
  if (due.cover) {
    draft.cause = absl::StrCat("cover/", file.file, "/", file.current->case_id, "/", absl::ToUnixMicros(due.not_before));
    draft.events = {{domain::CustodyGapOpened{.from_time = due.not_before, .reason = std::string(domain::kCoverMissing)}}};
    return draft;
  }
  const domain::ClockState& clock = *due.clock;
  // A case that was moved away and comes back has clocks of the same names from the same discovery: they are others all the same.
  const std::string of_clock =
      absl::StrCat("/", file.file, "/", file.current->case_id, "/", clock.clock_id, "/", absl::ToUnixMicros(clock.start_time), "/");
  switch (due.what) {
    case domain::ClockDue::What::kWarning:
      draft.cause = absl::StrCat("warn", of_clock, due.ordinal, "/", absl::ToUnixMicros(clock.due_time));
      draft.events = {{domain::ClockWarned{.clock_id = clock.clock_id, .warning = due.ordinal}}};
      break;
    case domain::ClockDue::What::kReview:
      draft.cause = absl::StrCat("review", of_clock, due.ordinal);
      draft.events = {{domain::ClockReviewed{.clock_id = clock.clock_id, .review = due.ordinal}}};
      break;
    case domain::ClockDue::What::kExpiry:
      draft.cause = absl::StrCat("expire", of_clock, absl::ToUnixMicros(clock.due_time));
      draft.events = {{domain::ClockExpired{.clock_id = clock.clock_id, .due_time = clock.due_time, .fired_late = fired_late}}};
      break;
  }
  return draft;
}

double SpeedOf(const domain::Commit& commit) { return commit.clock_speed > 0 ? commit.clock_speed : 1; }

}  // namespace

EscalationTimer::EscalationTimer(const domain::Pack* common, const Clock* clock, metrics::Registry* registry)
    : clock_(clock), registry_(registry) {
  if (registry == nullptr) return;
  lateness_ = registry->Get(metrics::kClockLateness);
  taken_ = registry->Get(metrics::kAlertTaken);
  untaken_ = registry->Get(metrics::kAlertsUntaken);
  gap_seconds_ = registry->Get(metrics::kSupervisionGap);
  for (const auto& [id, row] : common->clocks) Kind(id);
  registry->OnScrape([this] { CountOpenGaps(); });
}

Service::Plan EscalationTimer::PlanFor(const FileEntry& file, const domain::SchoolState& school, absl::Time now) {
  Plan plan;
  if (!domain::HasOpenCase(file.state)) return plan;
  const domain::Pack& pack = file.pack();
  std::optional<Due> first;
  const auto consider = [&](Due due) {
    if (due.not_before > now) {
      plan.wake = std::min(plan.wake, due.not_before);
    } else if (!first || GoesBefore(due, *first)) {
      first = std::move(due);
    }
  };
  for (const domain::ClockState& clock : file.state.current->clocks) {
    const std::optional<domain::ClockDue> next = domain::NextDue(pack, clock);
    if (!next || (next->what == domain::ClockDue::What::kWarning && Planted("no-warnings"))) continue;
    consider({.not_before = next->not_before,
              .priority = PriorityOfClock(pack, *pack.FindClock(clock.kind), next->what),
              .clock = &clock,
              .what = next->what,
              .ordinal = next->ordinal});
  }
  for (const domain::AlertState& alert : file.state.current->alerts) {
    std::optional<domain::Climb> climb = domain::NextClimb(pack, school, file.state, alert, now);
    if (!climb || Planted("ladder-never-climbs")) continue;
    consider({.not_before = climb->not_before, .priority = PriorityOfLadder(pack, alert.ladder), .climb = std::move(climb->event)});
  }
  if (const absl::Time at = domain::CoverFailsAt(pack, school, file.state, now); at != absl::InfiniteFuture()) {
    consider({.not_before = at, .priority = kSeverePriority, .cover = true});
  }
  if (!first) return PlanStanding(file, school, now, std::move(plan));
  const bool fired_late = (now - first->not_before) / clock_->Speed() > kFiredLateAfter;
  plan.due = DraftOf(file, *first, fired_late);
  plan.priority = first->priority;
  return plan;
}

// What waits behind everything that rings: groups that have grown too small, and the school's duties.
Service::Plan EscalationTimer::PlanStanding(const FileEntry& file, const domain::SchoolState& school, absl::Time now, Plan plan) const {
  const auto draft = [&](std::string cause, std::vector<domain::Event> events) {
    plan.due = Draft{.cause = std::move(cause), .school = file.state.school, .file = file.state.file, .actor = {.person = kActor}, .events = std::move(events)};
    plan.priority = kPriority;
  };
  const domain::Pack& pack = file.pack();
  if (!file.state.current->rosters.empty()) {
    const std::vector<domain::RosterFellShort> fell = domain::RostersShort(pack, school, file.state);
    if (!fell.empty()) draft(absl::StrCat("short/", file.state.file, "/", fell.front().kind, "/", file.state.version), {{fell.front()}});
  }
  if (!file.state.duties) return plan;
  domain::DutiesDue duties = domain::NextDuties(pack, school, file.state, now);
  plan.wake = std::min(plan.wake, duties.wake);
  // One commit each: each is checked where it lands.
  if (!duties.events.empty()) draft(absl::StrCat("duty/", file.state.file, "/", file.state.version), {std::move(duties.events.front())});
  return plan;
}

// Who is at work, which classes there are and which days are school days stands in no file: the few files that depend on it are asked again.
void EscalationTimer::FollowSchool(const AppliedCommit& applied) {
  if (applied.file != nullptr) {
    if (applied.file->state.duties) school_files_[applied.file->state.school] = applied.file;
    if (applied.file->state.current && !applied.file->state.current->rosters.empty()) rosters_[applied.file->state.school].insert(applied.file);
    return;
  }
  if (machine_ == nullptr) return;
  const bool concerns = std::any_of(applied.commit.events.begin(), applied.commit.events.end(), [](const domain::Event& event) {
    return std::holds_alternative<domain::DirectoryChanged>(event.body) || std::holds_alternative<domain::CalendarSet>(event.body);
  });
  if (!concerns) return;
  // Which classes there are, and which days are school days.
  if (const auto own = school_files_.find(applied.commit.school); own != school_files_.end()) machine_->Replan(*own->second);
  const auto of_school = rosters_.find(applied.commit.school);
  if (of_school == rosters_.end()) return;
  std::erase_if(of_school->second, [](const FileEntry* file) { return !domain::HasOpenCase(file->state); });
  for (FileEntry* file : of_school->second) machine_->Replan(*file);
}

// ------------------------------------------------------------------------------------------------ metrics

void EscalationTimer::OnCaughtUp() {
  live_ = true;
  if (registry_ == nullptr || machine_ == nullptr) return;
  for (const auto& [id, file] : machine_->files()) {
    Count(file);
    CountGaps(file);
  }
}

void EscalationTimer::OnCommit(const AppliedCommit& applied) {
  FollowSchool(applied);
  if (registry_ == nullptr || !live_ || applied.file == nullptr || !applied.applied.guard.ok()) return;
  Observe(applied);
  Count(*applied.file);
  CountGaps(*applied.file);
}

void EscalationTimer::Observe(const AppliedCommit& applied) {
  const domain::Commit& commit = applied.commit;
  for (const domain::Event& event : commit.events) {
    if (const auto* expired = std::get_if<domain::ClockExpired>(&event.body)) {
      lateness_.Observe((commit.recorded_time - expired->due_time) / SpeedOf(commit));
    } else if (const auto* taken = std::get_if<domain::AlertTaken>(&event.body)) {
      const domain::AlertState* alert = domain::FindAlert(applied.file->state, taken->alert_id);
      if (alert != nullptr) taken_.Observe((commit.recorded_time - alert->raised_time) / SpeedOf(commit));
    }
  }
}

EscalationTimer::KindGauges& EscalationTimer::Kind(const std::string& kind) {
  const auto [it, made] = kinds_.try_emplace(kind);
  if (made) it->second = {registry_->Get(metrics::kClocksRunning, {kind}), registry_->Get(metrics::kClocksOverdue, {kind})};
  return it->second;
}

void EscalationTimer::Count(const FileEntry& file) {
  Counted now;
  if (domain::HasOpenCase(file.state)) {
    for (const domain::ClockState& clock : file.state.current->clocks) {
      if (clock.phase == domain::ClockPhase::kRunning) ++now.running[clock.kind];
      if (clock.phase == domain::ClockPhase::kOverdue) ++now.overdue[clock.kind];
    }
    for (const domain::AlertState& alert : file.state.current->alerts) {
      const domain::LadderRow* ladder = file.pack().FindLadder(alert.ladder);
      if (alert.phase == domain::AlertPhase::kOpen && ladder != nullptr && ladder->takeable) ++now.untaken;
    }
  }
  const auto it = counted_.find(file.state.file);
  const Counted before = it == counted_.end() ? Counted{} : it->second;
  for (const auto& [kind, count] : before.running) Kind(kind).running.Add(-count);
  for (const auto& [kind, count] : now.running) Kind(kind).running.Add(count);
  for (const auto& [kind, count] : before.overdue) Kind(kind).overdue.Add(-count);
  for (const auto& [kind, count] : now.overdue) Kind(kind).overdue.Add(count);
  untaken_.Add(now.untaken - before.untaken);
  if (now.running.empty() && now.overdue.empty() && now.untaken == 0) {
    counted_.erase(file.state.file);
  } else {
    counted_[file.state.file] = std::move(now);
  }
}

void EscalationTimer::CountGaps(const FileEntry& file) {
  const domain::GapState* last = nullptr;
  if (file.state.current && file.state.current->custody && !file.state.current->custody->gaps.empty()) {
    last = &file.state.current->custody->gaps.back();
  }
  const std::lock_guard lock(gaps_mutex_);
  const auto counted = open_gaps_.find(file.state.file);
  if (last != nullptr && !domain::IsSet(last->to_time)) {
    if (counted == open_gaps_.end()) open_gaps_.emplace(file.state.file, last->from_time);
  } else if (counted != open_gaps_.end()) {
    if (last != nullptr) gap_seconds_.Increment(absl::ToDoubleSeconds(last->to_time - counted->second));
    open_gaps_.erase(counted);
  }
}

void EscalationTimer::CountOpenGaps() {
  const absl::Time now = clock_->Now();
  const std::lock_guard lock(gaps_mutex_);
  for (auto& [file, counted] : open_gaps_) {
    if (now <= counted) continue;
    gap_seconds_.Increment(absl::ToDoubleSeconds(now - counted));
    counted = now;
  }
}

}  // namespace vigil
