// Alerts: raised, climbed, taken, and what becomes of each attempt to reach somebody.
#include <algorithm>

#include "domain/fold.h"
#include "domain/lookup.h"
#include "domain/planted.h"
#include "domain/school_time.h"

namespace vigil::domain {

void Fold::Close(AlertState& alert) const {
  alert.phase = AlertPhase::kClosed;
  alert.closed_time = now();
  alert.attempts.clear();
}

void Fold::Reopen(AlertState& alert) const {
  alert.phase = AlertPhase::kOpen;
  alert.taken_by.clear();
  alert.taken_time = absl::InfinitePast();
  alert.step = 0;
  ++alert.round;
  alert.step_time = now();
  alert.reachable_in_round = false;
  alert.attempts.clear();
}

AlertState* Fold::MutableAlert(const std::string& id) const {
  for (AlertState& alert : current().alerts) {
    if (alert.alert_id == id) return &alert;
  }
  return nullptr;
}

void Fold::operator()(const AlertRaised& e) const {
  AlertState alert{.alert_id = e.alert_id, .ladder = e.ladder, .phase = AlertPhase::kOpen};
  alert.raised_time = now();
  alert.step_time = now();
  alert.round = 1;
  alert.trigger = e.trigger;
  alert.clock_id = e.clock_id;
  // Closed notices are in the ledger; the state keeps what can still act.
  std::erase_if(current().alerts, [&](const AlertState& old) {
    // Nor one that was taken and is now raised again by the same clock: that taking has led to nothing.
    const bool again = old.phase == AlertPhase::kTaken && !old.clock_id.empty() && !e.clock_id.empty();
    return (old.phase == AlertPhase::kClosed || again) && old.ladder == e.ladder && old.trigger == e.trigger;
  });
  current().alerts.push_back(std::move(alert));
  // Its report was taken from the emergency list before the log could raise it: nobody is rung again.
  if (!e.clock_id.empty()) return;
  if (const std::string taker = EmergencyTaker(e.trigger); !taker.empty()) Take(current().alerts.back(), taker);
}

std::string Fold::EmergencyTaker(int trigger) const {
  if (trigger <= 0 || static_cast<std::size_t>(trigger) > current().triggers.size()) return "";
  const std::string& report_id = current().triggers[static_cast<std::size_t>(trigger) - 1].report_id;
  for (const ReportState& report : current().reports) {
    if (!report_id.empty() && report.report_id == report_id) return report.taken_by;
  }
  return "";
}

void Fold::operator()(const LadderClimbed& e) const {
  AlertState* alert = MutableAlert(e.alert_id);
  if (alert == nullptr) return;
  if (e.ended) return Close(*alert);
  if (e.round != alert->round) alert->reachable_in_round = false;
  alert->step = e.step;
  alert->round = e.round;
  alert->step_time = now();
  std::erase_if(alert->attempts, [](const AttemptState& attempt) {
    return attempt.event != AttemptEventState::kIntended && attempt.event != AttemptEventState::kUnderWay;
  });
  // A provider that never tells what became of a call must not make the state grow.
  constexpr std::size_t kMostAttempts = 64;
  if (alert->attempts.size() > kMostAttempts) {
    alert->attempts.erase(alert->attempts.begin(), alert->attempts.end() - static_cast<std::ptrdiff_t>(kMostAttempts));
  }
}

void Fold::operator()(const AlertTaken& e) const {
  if (AlertState* alert = MutableAlert(e.alert_id)) Take(*alert, e.person);
}

void Fold::Take(AlertState& alert, const std::string& person) const {
  const LadderRow* ladder = pack().FindLadder(alert.ladder);
  if (ladder != nullptr && !ladder->takeable) return;
  alert.phase = AlertPhase::kTaken;
  alert.taken_by = person;
  alert.taken_time = now();
  if (ladder != nullptr && ladder->bridges) current().taken_by = person;
  const std::string ladder_id = alert.ladder;
  Raise(Fact::kAlertTaken, ladder_id, alert.trigger);
  MeetIfHeld();
}

std::vector<AlertState*> Fold::AlertsOf(const std::string& report_id, const std::string& alert_id) const {
  std::vector<AlertState*> found;
  for (AlertState& alert : current().alerts) {
    if (!alert.clock_id.empty() || alert.trigger <= 0 || static_cast<std::size_t>(alert.trigger) > current().triggers.size()) continue;
    const std::string& raised_by = current().triggers[static_cast<std::size_t>(alert.trigger) - 1].report_id;
    if (report_id.empty() ? alert.alert_id == alert_id : raised_by == report_id) found.push_back(&alert);
  }
  return found;
}

void Fold::operator()(const BreakGlassRung& e) const {
  if (!file.current) return;
  for (ReportState& report : current().reports) {
    if (!e.report_id.empty() && report.report_id == e.report_id) report.rung_time = e.rung_time;
  }
  for (AlertState* alert : AlertsOf(e.report_id, e.alert_id)) {
    alert->rung_time = e.rung_time;
    if (alert->attempted) continue;
    alert->attempted = true;
    Raise(Fact::kCallAttempted, alert->ladder, alert->trigger);
  }
}

void Fold::operator()(const BreakGlassTaken& e) const {
  if (!file.current || Contains(current().recused, e.person)) return;
  for (ReportState& report : current().reports) {
    if (!e.report_id.empty() && report.report_id == e.report_id) report.taken_by = e.person;
  }
  for (AlertState* alert : AlertsOf(e.report_id, e.alert_id)) {
    if (alert->phase == AlertPhase::kOpen) Take(*alert, e.person);
  }
}

void Fold::MeetIfHeld() const {
  const CustodyState& c = custody();
  if (!c.supervised || c.holders.empty() || (!c.gaps.empty() && !IsSet(c.gaps.back().to_time))) return;
  const FactDetail accepted{.fact = Fact::kCustodyAccepted};
  for (ClockState& clock : current().clocks) {
    const ClockRow* row = pack().FindClock(clock.kind);
    const bool by_taking = row != nullptr && std::any_of(row->starts_on.begin(), row->starts_on.end(),
                                                         [](const FactPattern& p) { return p.fact == Fact::kAlertTaken; });
    if (!by_taking || clock.phase != ClockPhase::kRunning || !Matches(row->met_by, accepted)) continue;
    clock.phase = ClockPhase::kMet;
    clock.met_time = now();
    applied.clocks.push_back({clock.clock_id, clock.kind, clock.phase});
  }
}

void Fold::operator()(const AttemptIntended& e) const {
  AlertState* alert = MutableAlert(e.alert_id);
  if (alert == nullptr) return;
  alert->reachable_in_round = true;
  alert->attempts.push_back({.attempt_id = e.attempt_id,
                             .alert_id = e.alert_id,
                             .person = e.person,
                             .channel = e.channel,
                             .step = e.step,
                             .round = e.round,
                             .event = AttemptEventState::kIntended,
                             .provider = e.provider,
                             .event_time = now()});
}

void Fold::operator()(const AttemptProgressed& e) const {
  if (!file.current) return;
  for (AlertState& alert : current().alerts) {
    for (AttemptState& attempt : alert.attempts) {
      if (attempt.attempt_id != e.attempt_id) continue;
      attempt.event_time = now();
      using State = AttemptEventState;
      switch (e.event) {
        case AttemptEvent::kSent:
        case AttemptEvent::kRinging:
          if (attempt.event == State::kIntended) attempt.event = State::kUnderWay;
          break;
        case AttemptEvent::kAnswered:
        case AttemptEvent::kDelivered:
        case AttemptEvent::kDigits:
        case AttemptEvent::kBridged:
        case AttemptEvent::kReplied:
          attempt.event = State::kReached;
          break;
        case AttemptEvent::kRefused:
        case AttemptEvent::kVoicemail:
        case AttemptEvent::kNoAnswer:
        case AttemptEvent::kBusy:
        case AttemptEvent::kFailed:
        case AttemptEvent::kUndelivered:
        case AttemptEvent::kDropped:
          attempt.event = State::kNotReached;
          break;
        case AttemptEvent::kDeclined:
          attempt.event = State::kDeclined;
          break;
        case AttemptEvent::kCompleted:
          // A call that ends with nobody's decision was not a taking.
          if (attempt.event == State::kUnderWay || attempt.event == State::kReached) attempt.event = State::kNotReached;
          break;
        case AttemptEvent::kUnspecified:
          break;
      }
      if (e.event == AttemptEvent::kSent && !alert.attempted && !Planted("first-call-never-met")) {
        alert.attempted = true;
        Raise(Fact::kCallAttempted, alert.ladder, alert.trigger);
      }
      return;
    }
  }
}

void Fold::operator()(const Spoken& e) const { Raise(FactDetail{.fact = Fact::kSpoken, .time = e.spoken_time}); }

}  // namespace vigil::domain
