// Custody: who has the child in sight, from when to when, and the gaps between.
#include <algorithm>

#include "domain/fold.h"
#include "domain/lookup.h"
#include "domain/planted.h"
#include "domain/school_time.h"

namespace vigil::domain {

void Fold::CloseInterval(std::string_view ended_by) const {
  CustodyState& c = custody();
  if (!c.chain.empty() && !IsSet(c.chain.back().to_time)) {
    c.chain.back().to_time = now();
    c.chain.back().ended_by = ended_by;
  }
}

void Fold::OpenInterval(std::vector<std::string> holders) const {
  custody().chain.push_back({.holders = std::move(holders), .from_time = now()});
}

void Fold::OpenGap(absl::Time from, std::string reason) const {
  CustodyState& c = custody();
  if (c.gaps.empty() || IsSet(c.gaps.back().to_time)) {
    c.gaps.push_back({.from_time = from, .reason = reason});
  } else if (c.gaps.back().reason == reason) {
    return;
  } else {
    // The same gap, and worse: nobody has confirmed yet, and now the child is not there. That rings by itself.
    c.gaps.back().reason = reason;
  }
  Raise(Fact::kGapOpened, std::move(reason));
}

void Fold::CloseGap() const {
  CustodyState& c = custody();
  if (c.gaps.empty() || IsSet(c.gaps.back().to_time)) return;
  c.gaps.back().to_time = now();
  Raise(Fact::kGapClosed);
}

void Fold::GiveTo(std::vector<std::string> holders, std::string_view how) const {
  CustodyState& c = custody();
  CloseInterval(how);
  c.holders = holders;
  c.offered_to.clear();
  c.accepted.clear();
  c.seen_time = now();
  c.shift_end_time = PlannedEnd(holders);
  OpenInterval(std::move(holders));
  Raise(Fact::kCustodyAccepted);
  Raise(Fact::kInSight);
  CloseGap();
}

absl::Time Fold::PlannedEnd(const std::vector<std::string>& holders) const {
  CustodyState& c = custody();
  absl::Time end = absl::InfinitePast();
  for (auto it = c.planned.begin(); it != c.planned.end(); ++it) {
    const bool theirs = std::any_of(holders.begin(), holders.end(), [&](const std::string& id) { return Contains(it->staff_ids, id); });
    // Taken over up to an hour before its time is still that shift.
    if (theirs && it->from_time <= now() + absl::Hours(1) && it->to_time > now()) {
      end = it->to_time;
      c.place = it->place;
      c.planned.erase(c.planned.begin(), it + 1);
      break;
    }
  }
  std::erase_if(c.planned, [&](const PlannedShift& shift) { return shift.to_time <= now(); });
  return IsSet(end) ? end : LongestEnd(now());
}

absl::Time Fold::LongestEnd(absl::Time from) const {
  const auto row = pack().custody.find(EffectiveLevel(pack(), file).custody);
  if (row == pack().custody.end()) return absl::InfinitePast();
  const bool night = IsNight(from, pack().night_from, pack().night_to);
  return from + (night ? row->second.longest_night_shift : row->second.longest_shift);
}

void Fold::ShiftEndsAt(absl::Time end) const {
  custody().shift_end_time = end;
  for (ClockState& clock : current().clocks) {
    const ClockRow* row = pack().FindClock(clock.kind);
    if (row == nullptr || row->from != ClockRow::From::kShiftEnd || clock.phase != ClockPhase::kRunning) continue;
    clock.due_time = end;
    clock.fired = 0;
  }
}

void Fold::ShortenShift() const {
  if (!current().custody) return;
  const CustodyState& c = custody();
  if (!c.supervised || c.holders.empty() || !IsSet(c.shift_end_time) || c.chain.empty()) return;
  const absl::Time longest = LongestEnd(c.chain.back().from_time);
  if (IsSet(longest) && longest < c.shift_end_time) ShiftEndsAt(std::max(longest, now()));
}

void Fold::WatchCover() const {
  if (!file.current || !current().custody) return;
  CustodyState& c = custody();
  c.missing = MissingCover(pack(), context.school, file, now());
  const bool open = !c.uncovered.empty() && !IsSet(c.uncovered.back().to_time);
  if (!c.missing.empty()) {
    if (!open) c.uncovered.push_back({.from_time = now(), .reason = std::string(kCoverMissing)});
    // Another source's commit may have come between a decision and its landing, so that this one raises no alert: then the next one does.
    const FactDetail missing{.fact = Fact::kCoverMissing};
    const bool alerted = std::any_of(current().alerts.begin(), current().alerts.end(), [&](const AlertState& alert) {
      const LadderRow* ladder = pack().FindLadder(alert.ladder);
      return alert.phase != AlertPhase::kClosed && ladder != nullptr && Matches(ladder->raised_on, missing);
    });
    if (!open || !alerted) Raise(Fact::kCoverMissing);
  } else if (open && (!c.supervised || c.away || !c.holders.empty())) {
    // With nobody left who holds the child, the cover is no more complete than before.
    c.uncovered.back().to_time = now();
    Raise(Fact::kCoverComplete);
  }
}

void Fold::BeginSupervision() const {
  CustodyState& c = custody();
  if (c.supervised) return;
  c.supervised = true;
  c.supervised_time = now();
  c.away = false;
  current().phase = CasePhase::kOpen;
  // Who confirmed the child in sight a moment ago has it; what was confirmed longer ago than one checks in says nothing about now.
  const auto row = pack().custody.find(EffectiveLevel(pack(), file).custody);
  const absl::Duration fresh = row == pack().custody.end() ? absl::ZeroDuration() : row->second.check_in_every;
  const bool gap = !c.gaps.empty() && !IsSet(c.gaps.back().to_time);
  const std::string self_confirmed = !gap && IsSet(c.seen_time) && now() - c.seen_time <= fresh ? c.claimed_person : "";
  CloseInterval("supervision_started");
  Raise(Fact::kSupervisionStarted);
  if (!self_confirmed.empty()) {
    GiveTo({self_confirmed}, "supervision_started");
  } else {
    c.holders.clear();
    OpenInterval({});
    if ((c.gaps.empty() || IsSet(c.gaps.back().to_time)) && !Planted("unconfirmed-is-no-gap")) c.gaps.push_back({.from_time = now(), .reason = "unconfirmed"});
  }
}

void Fold::EndSupervision(std::vector<std::string> to, std::string_view how) const {
  CustodyState& c = custody();
  CloseInterval(how);
  CloseGap();
  const bool was = c.supervised;
  c.supervised = false;
  c.holders = to;
  c.offered_to.clear();
  c.accepted.clear();
  c.planned.clear();
  c.shift_end_time = absl::InfinitePast();
  if (!to.empty()) OpenInterval(std::move(to));
  if (was) Raise(Fact::kSupervisionEnded);
}

void Fold::operator()(const SightConfirmed& e) const {
  CustodyState& c = custody();
  c.seen_time = now();
  if (c.supervised && c.holders.empty()) return GiveTo({e.person}, "sight_confirmed");
  if (!c.supervised) c.claimed_person = e.person;
  Raise(Fact::kInSight);
  CloseGap();
}

void Fold::operator()(const ShiftsPlanned& e) const {
  CustodyState& c = custody();
  if (e.shifts.empty()) return;
  std::erase_if(c.planned, [&](const PlannedShift& shift) { return shift.to_time > e.shifts.front().from_time; });
  c.planned.insert(c.planned.end(), e.shifts.begin(), e.shifts.end());
  // Who already holds the child may find the end of their own shift in the plan.
  for (auto it = c.planned.begin(); it != c.planned.end(); ++it) {
    const bool theirs = std::any_of(c.holders.begin(), c.holders.end(), [&](const std::string& id) { return Contains(it->staff_ids, id); });
    if (theirs && it->from_time <= now() && it->to_time > now()) {
      ShiftEndsAt(it->to_time);
      c.place = it->place;
      c.planned.erase(it);
      break;
    }
  }
  Raise(Fact::kShiftsPlanned);
}

void Fold::operator()(const ShiftOffered& e) const {
  custody().offered_to = e.to;
  custody().accepted.clear();
}

void Fold::operator()(const ShiftAccepted& e) const {
  CustodyState& c = custody();
  c.accepted.push_back(e.person);
  if (c.accepted.size() < c.offered_to.size() && !Planted("one-of-two-takes-over")) return;
  std::vector<std::string> holders = c.offered_to;
  GiveTo(std::move(holders), "shift_accepted");
}

void Fold::operator()(const CheckedIn& e) const {
  if (!e.in_sight) {
    // The chain must not say that they have the child.
    CustodyState& c = custody();
    CloseInterval("not_in_sight");
    if (!Planted("holds-a-child-not-in-sight")) std::erase(c.holders, e.person);
    OpenInterval(c.holders);
    return OpenGap(now(), "not_in_sight");
  }
  custody().seen_time = now();
  Raise(Fact::kInSight);
  CloseGap();
}

void Fold::operator()(const CustodyGapOpened& e) const {
  if (e.reason != kCoverMissing) return OpenGap(e.from_time, e.reason);
  custody().uncovered.push_back({.from_time = e.from_time, .reason = e.reason});
}

void Fold::operator()(const HandedOverToGuardian& e) const {
  Raise(Fact::kGuardianArrived);
  Raise(Fact::kHandedToGuardian);
  EndSupervision({e.guardian}, "handed_over_to_guardian");
  current().handed_to = e.guardian;
  current().phase = CasePhase::kHandedOver;
}

void Fold::operator()(const HandedOverToAuthority& e) const {
  Raise(Fact::kHandedToAuthority);
  EndSupervision({e.authority}, "handed_over_to_authority");
  current().handed_to = e.authority;
  current().phase = CasePhase::kHandedOver;
}

void Fold::operator()(const DepartureRecorded& e) const {
  Raise(Fact::kDepartureDecided, e.kind);
  if (!custody().supervised) return;
  // Escorted, supervision goes along and only the place changes (GUA-23). Otherwise nobody has the child in sight.
  if (!e.escorts.empty()) {
    if (e.escorts != custody().holders) GiveTo(e.escorts, "departure_recorded");
    custody().place = e.kind;
    custody().away = true;
    return;
  }
  CloseInterval("departure_recorded");
  if (!Planted("holds-a-child-that-left")) custody().holders.clear();
  custody().offered_to.clear();
  OpenInterval({});
  OpenGap(now(), "departure");
}

void Fold::operator()(const CustodyReturned& e) const {
  Raise(Fact::kCustodyReturned);
  custody().away = false;
  current().phase = CasePhase::kOpen;
  CustodyState& c = custody();
  if (!c.supervised && EffectiveLevel(pack(), file).supervised) {
    c.claimed_person = e.person;
    c.seen_time = now();
    CloseInterval("custody_returned");
    BeginSupervision();
    StartAll(EffectiveLevel(pack(), file).starts, 0);
    return;
  }
  GiveTo({e.person}, "custody_returned");
}

}  // namespace vigil::domain
