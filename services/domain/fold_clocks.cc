// Clocks: started, met, cancelled and moved by facts (decision: clocks are consequences).
#include <algorithm>

#include "domain/fold.h"
#include "domain/lookup.h"
#include "domain/planted.h"
#include "domain/school_time.h"

namespace vigil::domain {

void Fold::Raise(FactDetail fact) const {
  if (!IsSet(fact.time)) fact.time = now();
  for (ClockChange& change : ApplyFactToClocks(pack(), current(), fact, speed())) applied.clocks.push_back(std::move(change));
  for (AlertState& alert : current().alerts) {
    if (alert.phase != AlertPhase::kOpen && alert.phase != AlertPhase::kTaken) continue;
    const LadderRow* ladder = pack().FindLadder(alert.ladder);
    if (ladder != nullptr && Matches(ladder->closed_by, fact)) Close(alert);
  }
  applied.facts.push_back(std::move(fact));
}

void Fold::Raise(Fact fact, std::string argument, int trigger, std::string report_id) const {
  Raise(FactDetail{fact, std::move(argument), now(), trigger, std::move(report_id)});
}

void Fold::Start(std::string_view kind, int trigger, std::string_view report_id) const {
  std::string id = StartClock(pack(), current(), {.kind = kind, .now = now(), .trigger = trigger, .report_id = report_id, .clock_speed = speed()});
  if (!id.empty()) applied.clocks.push_back({std::move(id), std::string(kind), ClockPhase::kRunning});
}

void Fold::StartAll(const std::vector<std::string>& kinds, int trigger) const {
  for (const std::string& kind : kinds) {
    const ClockRow* row = pack().FindClock(kind);
    if (row == nullptr) continue;
    const bool rolling = row->one_per == ClockRow::OnePer::kCase;
    const bool running = std::any_of(current().clocks.begin(), current().clocks.end(),
                                     [&](const ClockState& c) { return c.kind == kind && IsOwed(c); });
    if (rolling && running) continue;
    if (row->one_per == ClockRow::OnePer::kTrigger && (trigger == 0 || (trigger > 1 && Planted("second-trigger-starts-nothing")))) continue;
    Start(kind, trigger);
  }
}

void Fold::Retime(const LevelRow& level) const {
  for (ClockState& clock : current().clocks) {
    if (clock.phase != ClockPhase::kRunning) continue;
    const ClockRow* row = pack().FindClock(clock.kind);
    if (row == nullptr) continue;
    const auto it = row->due_after_level.find(level.id);
    if (it != row->due_after_level.end() && !Planted("higher-level-checks-as-before")) clock.due_time = std::min(clock.due_time, clock.start_time + it->second);
  }
}

ClockState* Fold::MutableClock(const std::string& id) const {
  for (ClockState& clock : current().clocks) {
    if (clock.clock_id == id) return &clock;
  }
  return nullptr;
}

void Fold::operator()(const ClockWarned& e) const {
  if (ClockState* clock = MutableClock(e.clock_id)) clock->fired = e.warning + 1;
}

void Fold::operator()(const ClockReviewed& e) const {
  if (ClockState* clock = MutableClock(e.clock_id)) clock->fired = e.review;
}

void Fold::operator()(const ClockExpired& e) const {
  ClockState* clock = MutableClock(e.clock_id);
  if (clock == nullptr) return;
  clock->phase = ClockPhase::kOverdue;
  clock->late = true;
  const ClockState expired = *clock;
  const ClockRow* row = pack().FindClock(expired.kind);
  if (row == nullptr) return;
  applied.clocks.push_back({expired.clock_id, expired.kind, ClockPhase::kOverdue});
  if (row->expiry_reopens_alert) {
    for (AlertState& alert : current().alerts) {
      const bool its_taking = Matches(row->starts_on, FactDetail{.fact = Fact::kAlertTaken, .argument = alert.ladder});
      if (alert.phase == AlertPhase::kTaken && its_taking && alert.trigger == expired.trigger && expired.trigger > 0) Reopen(alert);
    }
  }
  if (row->expiry_opens_gap && !Planted("missed-check-in-opens-no-gap")) OpenGap(IsSet(custody().seen_time) ? custody().seen_time : expired.start_time, "check_in_missed");
  if (row->repeats_daily || row->repeat_every) {
    std::string started = StartNextDay(pack(), current(), expired);
    if (!started.empty()) applied.clocks.push_back({std::move(started), expired.kind, ClockPhase::kRunning});
  }
  if (!row->expiry_adds.empty()) AddIndicator(row->expiry_adds, expired.report_id);
  if (!row->expiry_proposes.empty() && pack().Rank(row->expiry_proposes) > Rank()) {
    const int before = Rank();
    current().provisional = row->expiry_proposes;
    int trigger = 0;
    if (pack().Level(Rank()).supervised) trigger = NewTrigger(expired.report_id, now());
    AfterLevel(before, trigger);
  }
}

void Fold::AddIndicator(const std::string& indicator, const std::string& report_id) const {
  ReportFacts facts{.indicators = {indicator}, .recorded_time = now()};
  for (ReportState& report : current().reports) {
    if (report.report_id != report_id || Contains(report.indicators, indicator)) continue;
    report.indicators.push_back(indicator);
    facts.reporter = report.reporter;
  }
  const int before = Rank();
  const Classification found = Classify(pack(), facts, &file);
  const bool is_trigger = IsTrigger(pack(), facts, found.level, &file);
  NoteIndicators(facts.indicators);
  if (pack().Rank(found.level) > pack().Rank(current().provisional)) current().provisional = found.level;
  const int trigger = is_trigger ? NewTrigger(report_id, now()) : 0;
  AfterLevel(before, trigger);
  for (const std::string& kind : found.starts) Start(kind, trigger, report_id);
}

void Fold::operator()(const DiscoveryCorrected& e) const {
  TriggerState& trigger = current().triggers.back();
  trigger.discovered_time = e.discovered_time;
  const int ordinal = static_cast<int>(current().triggers.size());
  for (ReportState& report : current().reports) {
    if (report.report_id == trigger.report_id) report.discovered_time = e.discovered_time;
  }
  for (ClockState& clock : current().clocks) {
    const ClockRow* row = pack().FindClock(clock.kind);
    if (row == nullptr || row->from != ClockRow::From::kDiscovered || clock.trigger != ordinal || !IsOwed(clock)) continue;
    clock.start_time = e.discovered_time;
    const absl::Time due = DueTime(pack(), *row, current(), clock.start_time, now(), speed());
    if (clock.phase == ClockPhase::kOverdue) continue;  // late stays late
    clock.due_time = due;
    clock.fired = 0;
    while (static_cast<std::size_t>(clock.fired) < row->warn_before.size() &&
           clock.due_time - row->warn_before[static_cast<std::size_t>(clock.fired)] < now()) {
      ++clock.fired;
    }
  }
}

}  // namespace vigil::domain
