#include "domain/clocks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "domain/planted.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

std::string NextClockId(const CaseState& c, std::string_view kind) {
  int ordinal = 1;
  for (const ClockState& clock : c.clocks) {
    if (clock.kind != kind) continue;
    // Ids end in "-<ordinal>"; finished instances may have been dropped, so count on from the highest.
    const std::size_t dash = clock.clock_id.rfind('-');
    ordinal = std::max(ordinal, std::stoi(clock.clock_id.substr(dash + 1)) + 1);
  }
  return absl::StrCat(absl::string_view(kind.data(), kind.size()), "-", ordinal);
}

absl::Time StartTime(const ClockRow& row, const CaseState& c, int trigger, std::string_view report_id, absl::Time now) {
  switch (row.from) {
    case ClockRow::From::kNow:
      return now;
    case ClockRow::From::kDiscovered:
      if (trigger > 0 && !Planted("written-report-counts-from-entry")) return c.triggers[static_cast<std::size_t>(trigger) - 1].discovered_time;
      for (const ReportState& report : c.reports) {
        if (report.report_id == report_id) return report.discovered_time;
      }
      return now;
    case ClockRow::From::kObserved:
      for (const ReportState& report : c.reports) {
        if (report.report_id == report_id) return IsSet(report.observed_time) ? report.observed_time : report.discovered_time;
      }
      return now;
    case ClockRow::From::kArrival:
      return IsSet(c.guardian_arrival_time) ? c.guardian_arrival_time : now;
    case ClockRow::From::kShiftEnd:
      return now;
  }
  return now;
}

absl::Time NthDismissal(const Pack& pack, absl::Time start, int school_days) {
  absl::Time day = StartOfDay(start);
  for (int counted = 0; counted < school_days;) {
    day += absl::Hours(24);
    if (IsWeekday(day)) ++counted;
  }
  return day + pack.dismissal;
}

}  // namespace

absl::Time DueTime(const Pack& pack, const ClockRow& row, const CaseState& c, absl::Time start, absl::Time now, double clock_speed) {
  if (row.from == ClockRow::From::kShiftEnd && c.custody && IsSet(c.custody->shift_end_time)) return c.custody->shift_end_time;
  if (row.due_school_days > 0) {
    const std::string level = std::max(pack.Rank(c.provisional), pack.Rank(c.final_level)) >= 0
                                  ? pack.Level(std::max(pack.Rank(c.provisional), pack.Rank(c.final_level))).id
                                  : "";
    if (!row.due_after_level.contains(level)) return NthDismissal(pack, start, row.due_school_days);
  }
  std::optional<absl::Duration> after = row.due_after;
  if (row.due_after_night && IsNight(start, pack.night_from, pack.night_to)) after = row.due_after_night;
  if (!row.due_after_level.empty()) {
    const int rank = std::max(pack.Rank(c.provisional), pack.Rank(c.final_level));
    if (const auto it = row.due_after_level.find(pack.Level(rank).id); it != row.due_after_level.end()) after = it->second;
  }
  absl::Time due = absl::InfinitePast();
  if (after) due = start + (row.real_time ? *after * clock_speed : *after);
  if (row.due_at) {
    const absl::Time at = StartOfDay(start) + *row.due_at;
    // "18:00, or the span after the start if that is later"; without a span, the next such time of day.
    if (after) {
      due = std::max(at, due);
    } else {
      due = at > now ? at : at + absl::Hours(24);
    }
  }
  if (row.before_dismissal && IsSet(due) && IsWeekday(start)) {
    const absl::Duration of_day = TimeOfDay(start);
    if (of_day >= pack.school_begins && of_day < pack.dismissal) due = std::min(due, StartOfDay(start) + pack.dismissal);
  }
  return due;
}

std::string StartClock(const Pack& pack, CaseState& c, const ClockStart& start) {
  const ClockRow* row = pack.FindClock(start.kind);
  if (row == nullptr) return "";
  if (row->only_supervised && !(c.custody && c.custody->supervised)) return "";
  // What a hold cancels does not start while the hold stands (the guardians of a child who is afraid to go home).
  for (const HoldState& hold : c.holds) {
    if (Matches(row->cancelled_by, FactDetail{.fact = Fact::kHoldPlaced, .argument = hold.kind})) return "";
  }
  const int trigger = row->one_per == ClockRow::OnePer::kTrigger ? start.trigger : 0;
  const std::string report_id = row->one_per == ClockRow::OnePer::kReport ? std::string(start.report_id) : "";

  std::string id = NextClockId(c, row->id);
  for (const ClockState& other : c.clocks) {
    if (other.kind != row->id) continue;
    // The alert that the expired one brought back was taken again: that taking is owed again.
    const bool brought_back = row->expiry_reopens_alert && other.phase == ClockPhase::kOverdue;
    if (row->one_per == ClockRow::OnePer::kTrigger && other.trigger == trigger && trigger > 0 && !brought_back) return "";
    if (row->one_per == ClockRow::OnePer::kReport && other.report_id == report_id) return "";
  }
  // The one that expired stays late in the ledger; here it would be kept once for every time that nobody came.
  if (row->expiry_reopens_alert) {
    std::erase_if(c.clocks, [&](const ClockState& other) { return other.kind == row->id && other.trigger == trigger && other.phase == ClockPhase::kOverdue; });
  }
  if (row->one_per == ClockRow::OnePer::kCase) {
    // Rolling: the ledger keeps what is replaced here.
    std::erase_if(c.clocks, [&](const ClockState& other) { return other.kind == row->id; });
  }
  ClockState clock{.clock_id = std::move(id), .kind = row->id, .phase = ClockPhase::kRunning};
  clock.trigger = trigger;
  clock.report_id = report_id;
  clock.start_time = StartTime(*row, c, trigger, start.report_id, start.now);
  clock.due_time = DueTime(pack, *row, c, clock.start_time, start.now, start.clock_speed);
  // Warnings whose time has passed at the start are not owed any more (a back-dated discovery).
  if (IsSet(clock.due_time)) {
    while (static_cast<std::size_t>(clock.fired) < row->warn_before.size() &&
           clock.due_time - row->warn_before[static_cast<std::size_t>(clock.fired)] < start.now) {
      ++clock.fired;
    }
  }
  c.clocks.push_back(std::move(clock));
  return c.clocks.back().clock_id;
}

namespace {

// The one after `ended`: it counts from when that was due, so that doing it early does not make the next one earlier.
std::string StartNext(CaseState& c, const ClockRow& row, const ClockState& ended) {
  const bool running = std::any_of(c.clocks.begin(), c.clocks.end(), [&](const ClockState& other) {
    return other.kind == row.id && other.phase == ClockPhase::kRunning;
  });
  if (running) return "";
  ClockState clock{.clock_id = NextClockId(c, row.id), .kind = row.id, .phase = ClockPhase::kRunning};
  clock.start_time = ended.due_time;
  clock.due_time = ended.due_time + *row.repeat_every;
  while (row.repeat_on_school_days && !IsWeekday(clock.due_time)) clock.due_time += absl::Hours(24);
  std::erase_if(c.clocks, [&](const ClockState& other) { return other.kind == row.id && !IsOwed(other); });
  // One that was never done is said once; the next asks for the same.
  std::erase_if(c.clocks, [&](const ClockState& other) { return other.kind == row.id && other.start_time < ended.start_time; });
  c.clocks.push_back(std::move(clock));
  return c.clocks.back().clock_id;
}

}  // namespace

std::string StartNextDay(const Pack& pack, CaseState& c, const ClockState& ended) {
  const ClockRow* row = pack.FindClock(ended.kind);
  if (row == nullptr || !IsSet(ended.due_time)) return "";
  if (row->repeat_every) return StartNext(c, *row, ended);
  if (!row->repeats_daily || !row->due_at) return "";
  const bool running = std::any_of(c.clocks.begin(), c.clocks.end(), [&](const ClockState& other) {
    return other.kind == row->id && other.phase == ClockPhase::kRunning;
  });
  if (running) return "";
  ClockState clock{.clock_id = NextClockId(c, row->id), .kind = row->id, .phase = ClockPhase::kRunning};
  // Due before the morning: it was about the night that ends then.
  const absl::Time day = StartOfDay(ended.due_time);
  clock.start_time = day + (TimeOfDay(ended.due_time) < pack.night_to ? absl::ZeroDuration() : absl::Hours(24)) + pack.night_to;
  clock.due_time = StartOfDay(clock.start_time) + *row->due_at;
  if (clock.due_time <= clock.start_time) clock.due_time += absl::Hours(24);
  std::erase_if(c.clocks, [&](const ClockState& other) { return other.kind == row->id && !IsOwed(other); });
  c.clocks.push_back(std::move(clock));
  return c.clocks.back().clock_id;
}

bool Matches(const std::vector<FactPattern>& patterns, const FactDetail& fact) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const FactPattern& pattern) {
    return pattern.fact == fact.fact && (pattern.argument.empty() || pattern.argument == fact.argument);
  });
}

bool IsOwed(const ClockState& clock) {
  return (clock.phase == ClockPhase::kRunning || clock.phase == ClockPhase::kOverdue);
}

std::vector<ClockChange> ApplyFactToClocks(const Pack& pack, CaseState& c, const FactDetail& fact, double clock_speed) {
  std::vector<ClockChange> changes;
  std::vector<ClockState> repeat;
  bool filed = false;
  for (ClockState& clock : c.clocks) {
    if (!IsOwed(clock)) continue;
    const ClockRow* row = pack.FindClock(clock.kind);
    if (row == nullptr) continue;
    if (Matches(row->met_by, fact)) {
      if (fact.trigger > 0 && clock.trigger > 0 && fact.trigger != clock.trigger) continue;
      if (!fact.report_id.empty() && !clock.report_id.empty() && fact.report_id != clock.report_id) continue;
      // Tomorrow's is not met by what is done tonight.
      if ((row->repeats_daily || row->repeat_every) && clock.start_time > fact.time) continue;
      // Words spoken before the matter arose were not about it.
      if (fact.fact == Fact::kSpoken && clock.start_time > fact.time + pack.clock_tolerance) continue;
      // One filing meets one clock, the oldest (REP-18).
      if (fact.fact == Fact::kRecordFiled && row->one_per == ClockRow::OnePer::kTrigger) {
        if (filed) continue;
        filed = true;
      }
      clock.phase = ClockPhase::kMet;
      clock.met_time = fact.time;
      if (IsSet(clock.due_time) && fact.time > clock.due_time) clock.late = true;
      changes.push_back({clock.clock_id, clock.kind, clock.phase});
      if (row->repeats_daily || row->repeat_every) repeat.push_back(clock);
    } else if (Matches(row->cancelled_by, fact)) {
      clock.phase = ClockPhase::kCancelled;
      changes.push_back({clock.clock_id, clock.kind, clock.phase});
    }
  }
  for (const ClockState& met : repeat) {
    std::string started = StartNextDay(pack, c, met);
    if (!started.empty()) changes.push_back({std::move(started), met.kind, ClockPhase::kRunning});
  }
  for (const auto& [id, row] : pack.clocks) {
    if (!Matches(row.starts_on, fact)) continue;
    std::string started = StartClock(
        pack, c, {.kind = id, .now = fact.time, .trigger = fact.trigger, .report_id = fact.report_id, .clock_speed = clock_speed});
    if (!started.empty()) changes.push_back({std::move(started), id, ClockPhase::kRunning});
  }
  return changes;
}

std::optional<ClockDue> NextDue(const Pack& pack, const ClockState& clock) {
  if (clock.phase != ClockPhase::kRunning) return std::nullopt;
  const ClockRow* row = pack.FindClock(clock.kind);
  if (row == nullptr) return std::nullopt;
  if (row->review_every) {
    const absl::Time at = clock.start_time + (clock.fired + 1) * *row->review_every;
    if (!IsSet(clock.due_time) || at < clock.due_time) return ClockDue{ClockDue::What::kReview, at, clock.fired + 1};
  }
  if (!IsSet(clock.due_time)) return std::nullopt;
  for (std::size_t next = static_cast<std::size_t>(clock.fired); !row->review_every && next < row->warn_before.size(); ++next) {
    const bool last = next + 1 == row->warn_before.size();
    absl::Time at = clock.due_time - row->warn_before[next];
    if (row->warn_quiet_at_night && !last) at = NextMorning(at, pack.night_from, pack.night_to);
    // Kept back until the next one is there, it would only say the same: that one says it.
    const absl::Time following = last ? clock.due_time : clock.due_time - row->warn_before[next + 1];
    if (at < following) return ClockDue{ClockDue::What::kWarning, at, static_cast<int>(next)};
  }
  const absl::Duration off = Planted("expires-early") ? -absl::Seconds(2) : Planted("expires-late") ? absl::Seconds(2) : absl::ZeroDuration();
  return ClockDue{ClockDue::What::kExpiry, clock.due_time + off, 0};
}

}  // namespace vigil::domain
