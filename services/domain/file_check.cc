// Where a commit landed, whether it still holds: the guards, one an event.
#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "domain/classify.h"
#include "domain/duty.h"
#include "domain/file.h"
#include "domain/lookup.h"
#include "domain/planted.h"
#include "domain/record.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

struct Guard {
  const FileState& file;
  const Commit& commit;
  const FoldContext& context;

  const CaseState& current() const { return *file.current; }
  const CustodyState& custody() const {
    static const CustodyState kNone;
    return current().custody ? *current().custody : kNone;
  }

  absl::Status Supervised() const {
    return custody().supervised ? absl::OkStatus() : Refuse("special supervision is not running");
  }

  // A report is never refused for state.
  absl::Status operator()(const ReportReceived&) const { return absl::OkStatus(); }

  absl::Status operator()(const CaseJoined&) const { return absl::OkStatus(); }

  absl::Status operator()(const Classified& e) const {
    for (const ReportState& report : current().reports) {
      if (report.report_id != e.report_id) continue;
      if (report.classified) return Refuse("the report is classified");
      return StillHolds(e, FactsOf(report));
    }
    return absl::NotFoundError("no such report");
  }
  // Where the state moved between decision and landing: decide again, so that a trigger is never missing its alert.
  absl::Status StillHolds(const Classified& e, ReportFacts facts) const {
    facts.indicators.insert(facts.indicators.end(), e.found_in_text.begin(), e.found_in_text.end());
    return IsTrigger(context.pack, facts, e.level, &file) == e.trigger ? absl::OkStatus() : absl::AbortedError("the level changed meanwhile");
  }

  absl::Status operator()(const Assessed& e) const {
    const int now = EffectiveRank(context.pack, &file);
    const int to = context.pack.Rank(e.level);
    if (to < 0) return absl::InvalidArgumentError("unknown level");
    if (to < now && context.pack.Level(now).lowered_face_to_face && !Planted("one-expert-lowers-severe")) {
      if (e.kind != "group" || !e.face_to_face) {
        return Refuse("lowering this level needs a new face-to-face assessment by the assessment group");
      }
      if (e.members.size() < 2) return Refuse("lowering this level needs at least two assessors");
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const NotSevereDecided& e) const {
    if (absl::Status supervised = Supervised(); !supervised.ok()) return supervised;
    if (context.pack.Rank(current().final_level) >= context.pack.SupervisedRank()) {
      return Refuse("the level is final: the assessment group, face to face, lowers it");
    }
    if (e.assessors.size() < 2 || e.assessors[0] == e.assessors[1]) return Refuse("two different assessors sign");
    return absl::OkStatus();
  }

  absl::Status operator()(const ReportRead&) const { return absl::OkStatus(); }

  const ClockState* Running(const std::string& id) const {
    const ClockState* clock = FindClock(file, id);
    return clock != nullptr && clock->phase == ClockPhase::kRunning ? clock : nullptr;
  }
  absl::Status operator()(const ClockWarned& e) const {
    const ClockState* clock = Running(e.clock_id);
    const ClockRow* row = clock == nullptr ? nullptr : context.pack.FindClock(clock->kind);
    // Some may have been skipped: kept back at night until the next one said it.
    if (row == nullptr || e.warning < clock->fired || static_cast<std::size_t>(e.warning) >= row->warn_before.size()) return Refuse("the clock has moved on");
    const bool due = commit.recorded_time >= clock->due_time - row->warn_before[static_cast<std::size_t>(e.warning)];
    return due ? absl::OkStatus() : Refuse("the clock is not due");
  }
  absl::Status operator()(const ClockExpired& e) const {
    const ClockState* clock = Running(e.clock_id);
    if (clock == nullptr || clock->due_time != e.due_time) return Refuse("the clock has moved on");
    return commit.recorded_time >= e.due_time || Planted("expires-early") ? absl::OkStatus() : Refuse("the clock is not due");
  }
  absl::Status operator()(const ClockReviewed& e) const {
    const ClockState* clock = Running(e.clock_id);
    return clock != nullptr && clock->fired + 1 == e.review ? absl::OkStatus() : Refuse("the clock has moved on");
  }
  absl::Status operator()(const DiscoveryCorrected&) const {
    return current().triggers.empty() ? Refuse("no written report is owed on this case") : absl::OkStatus();
  }

  const AlertState* Alert(const std::string& id) const { return FindAlert(file, id); }
  absl::Status operator()(const AlertRaised& e) const {
    return Alert(e.alert_id) == nullptr ? absl::OkStatus() : Refuse("the alert was raised already");
  }
  absl::Status operator()(const LadderClimbed& e) const {
    const AlertState* alert = Alert(e.alert_id);
    if (alert == nullptr || alert->phase != AlertPhase::kOpen) return Refuse("the alert is not open");
    const bool later = e.ended ? e.round == alert->round && e.step == alert->step
                               : (e.round == alert->round && e.step > alert->step) || e.round == alert->round + 1;
    return later ? absl::OkStatus() : Refuse("the ladder has moved on");
  }
  absl::Status operator()(const AlertTaken& e) const {
    const AlertState* alert = Alert(e.alert_id);
    if (alert == nullptr) return absl::NotFoundError("no such alert");
    if (alert->phase == AlertPhase::kTaken) return Refuse("the alert was taken already");
    if (alert->phase != AlertPhase::kOpen) return Refuse("the alert is closed");
    const LadderRow* ladder = context.pack.FindLadder(alert->ladder);
    if (ladder != nullptr && !ladder->takeable) return Refuse("this is a notice: there is nothing to take");
    if (Contains(current().recused, e.person)) return Refuse("this person is off this matter");
    return absl::OkStatus();
  }
  absl::Status operator()(const AttemptIntended& e) const {
    if (e.alert_id.empty()) return absl::OkStatus();
    const AlertState* alert = Alert(e.alert_id);
    if (alert == nullptr || alert->phase != AlertPhase::kOpen) return Refuse("the alert is not open");
    if (alert->step != e.step || alert->round != e.round) return Refuse("the ladder has moved on");
    for (const AttemptState& attempt : alert->attempts) {
      if (attempt.attempt_id == e.attempt_id) return Refuse("intended already");
    }
    return absl::OkStatus();
  }
  absl::Status operator()(const AttemptProgressed&) const { return absl::OkStatus(); }
  absl::Status operator()(const Spoken&) const { return absl::OkStatus(); }
  absl::Status operator()(const CommitQuarantined& e) const {
    return Contains(file.quarantined_commits, e.commit_id) ? Refuse("recorded already") : absl::OkStatus();
  }
  // What happened past the log is told once, and never refused for state.
  absl::Status operator()(const BreakGlassRung& e) const {
    const absl::Time told = RungTime(e.report_id, e.alert_id);
    const double speed = commit.clock_speed > 0 ? commit.clock_speed : 1;
    // The machine's time of a call becomes domain time when it is told: the same call, told again, may differ by a little.
    return IsSet(told) && e.rung_time <= told + absl::Seconds(2) * speed ? Refuse("recorded already") : absl::OkStatus();
  }
  absl::Status operator()(const BreakGlassTaken& e) const {
    if (!file.current) return absl::OkStatus();
    for (const ReportState& report : current().reports) {
      if (report.report_id == e.report_id && !report.taken_by.empty()) return Refuse("recorded already");
    }
    const AlertState* alert = e.report_id.empty() ? Alert(e.alert_id) : nullptr;
    return alert != nullptr && alert->phase != AlertPhase::kOpen ? Refuse("the alert is not open") : absl::OkStatus();
  }
  absl::Time RungTime(const std::string& report_id, const std::string& alert_id) const {
    if (!file.current) return absl::InfinitePast();
    for (const ReportState& report : current().reports) {
      if (!report_id.empty() && report.report_id == report_id) return report.rung_time;
    }
    const AlertState* alert = report_id.empty() ? Alert(alert_id) : nullptr;
    return alert == nullptr ? absl::InfinitePast() : alert->rung_time;
  }
  absl::Status operator()(const SightConfirmed& e) const {
    return Contains(current().recused, e.person) ? Refuse("this person is off this matter") : absl::OkStatus();
  }
  absl::Status operator()(const ShiftsPlanned&) const { return Supervised(); }
  absl::Status operator()(const ShiftOffered& e) const {
    if (absl::Status supervised = Supervised(); !supervised.ok()) return supervised;
    if (custody().holders.empty()) return Refuse("nobody holds the child yet: an adult confirms the child in sight first");
    // The giver gives; whoever plans shifts may stand in for a guard whose phone is dead.
    if (!commit.actor || (!Contains(custody().holders, commit.actor->person) && !RoleMay(context.pack, commit.actor->role, "shifts.plan"))) {
      return Refuse("only who holds the child can offer custody");
    }
    for (const std::string& person : e.to) {
      if (Contains(current().recused, person)) return Refuse("one of them is off this matter");
    }
    return CheckShift(context.pack, context.school, file, e.to, commit.recorded_time);
  }
  absl::Status operator()(const ShiftAccepted& e) const {
    if (absl::Status supervised = Supervised(); !supervised.ok()) return supervised;
    if (!Contains(custody().offered_to, e.person) && !Planted("anybody-takes-over")) return Refuse("custody was not offered to this person");
    if (Contains(custody().accepted, e.person)) return Refuse("accepted already");
    // The last to accept makes the shift: by then the level, or who is at work, may be another.
    if (custody().accepted.size() + 1 < custody().offered_to.size()) return absl::OkStatus();
    return CheckShift(context.pack, context.school, file, custody().offered_to, commit.recorded_time);
  }
  absl::Status operator()(const CheckedIn& e) const {
    if (absl::Status supervised = Supervised(); !supervised.ok()) return supervised;
    return Contains(custody().holders, e.person) ? absl::OkStatus() : Refuse("only who holds the child checks in");
  }
  absl::Status operator()(const CustodyGapOpened& e) const {
    if (e.reason != kCoverMissing) return Supervised();
    if (MissingCover(context.pack, context.school, file, commit.recorded_time).empty()) return Refuse("all whom the level asks for are there");
    const bool open = !custody().uncovered.empty() && !IsSet(custody().uncovered.back().to_time);
    return open ? Refuse("it is known already") : absl::OkStatus();
  }
  absl::Status HeldBack() const {
    for (const HoldState& hold : current().holds) {
      if (hold.kind == "guardians") return Refuse("contact with guardians is held until a named person decides");
    }
    return absl::OkStatus();
  }
  absl::Status KnownGuardian(const std::string& id) const {
    const auto it = context.school.people.find(id);
    if (it == context.school.people.end() || it->second.kind != PersonKind::kGuardian) return absl::NotFoundError("no such guardian");
    if (it->second.student_id != file.student || file.student.empty()) return Refuse("this person is not a guardian of this student");
    if (Contains(current().recused, id)) return Refuse("this person is off this matter");
    return absl::OkStatus();
  }
  absl::Status operator()(const GuardianContacted& e) const {
    if (absl::Status held = HeldBack(); !held.ok()) return held;
    return KnownGuardian(e.guardian);
  }
  absl::Status operator()(const HandedOverToGuardian& e) const {
    if (absl::Status held = HeldBack(); !held.ok()) return held;
    if (absl::Status known = KnownGuardian(e.guardian); !known.ok()) return known;
    if (context.school.people.at(e.guardian).excluded && !Planted("given-to-the-excluded")) return Refuse("the child must not be given to this person");
    if (!e.identity_checked && !Planted("given-without-a-look-at-papers")) return Refuse("the guardian's identity has not been checked");
    if (current().phase == CasePhase::kHandedOver) return Refuse("the child was handed over already");
    return absl::OkStatus();
  }
  absl::Status operator()(const HandedOverToAuthority&) const {
    return current().phase == CasePhase::kHandedOver ? Refuse("the child was handed over already") : absl::OkStatus();
  }
  absl::Status operator()(const DepartureRecorded&) const { return absl::OkStatus(); }
  absl::Status operator()(const CustodyReturned&) const { return absl::OkStatus(); }
  absl::Status operator()(const RecordFiled& e) const { return CheckRecord(file, e, commit, context); }
  absl::Status operator()(const RosterFellShort& e) const { return CheckRosterFellShort(file, e, context); }
  absl::Status operator()(const SchoolFileOpened&) const { return file.current ? Refuse("opened already") : absl::OkStatus(); }
  absl::Status operator()(const DutyOpened& e) const { return CheckDutyOpened(file, e, commit, context); }
  absl::Status operator()(const DutyLate& e) const { return CheckDutyLate(file, e, commit, context); }
  absl::Status operator()(const ReturnApproved&) const {
    if (!IsAway(current())) return Refuse("the student is not away");
    // The school's assessment, face to face, is what ends that; whoever is simply there again is 孩子在校.
    if (EffectiveLevel(context.pack, file).supervised) return Refuse("at this level the child is under special supervision: the group assesses first");
    // The form comes with it, and its gate (certificate, plan, guardians named) is this decision's.
    for (const Event& event : commit.events) {
      const auto* filed = std::get_if<RecordFiled>(&event.body);
      if (filed == nullptr) continue;
      if (absl::Status gate = CheckRecord(file, *filed, commit, context); !gate.ok()) return gate;
    }
    return absl::OkStatus();
  }
  absl::Status operator()(const RecordAcknowledged& e) const {
    for (const RecordState& record : current().records) {
      if (!e.record_id.empty() && record.record_id != e.record_id) continue;
      if (record.kind == e.kind && !IsSet(record.acknowledged_time)) return absl::OkStatus();
    }
    return Refuse("nothing waits to be acknowledged");
  }
  absl::Status operator()(const DocumentOpened& e) const { return KnownRecord(e.record_id); }
  absl::Status operator()(const DocumentCopiesRevoked& e) const { return KnownRecord(e.record_id); }
  absl::Status KnownRecord(const std::string& id) const {
    return FindRecord(file, id) == nullptr ? absl::NotFoundError("no such record") : absl::OkStatus();
  }
  absl::Status operator()(const HoldPlaced& e) const {
    for (const HoldState& hold : current().holds) {
      if (hold.kind == e.kind && hold.decided) return Refuse("it is held already");
    }
    return absl::OkStatus();
  }
  absl::Status operator()(const HoldLifted& e) const {
    if (commit.actor && Contains(current().recused, commit.actor->person)) return Refuse("this person is off this matter");
    for (const HoldState& hold : current().holds) {
      if (hold.kind == e.kind) return absl::OkStatus();
    }
    return Refuse("nothing is held");
  }
  absl::Status operator()(const Recused& e) const {
    return Contains(current().recused, e.person) ? Refuse("off this matter already") : absl::OkStatus();
  }
  absl::Status operator()(const StudentIdentified&) const {
    return file.student.empty() ? absl::OkStatus() : Refuse("the student is known");
  }
  absl::Status operator()(const CaseMoved&) const { return absl::OkStatus(); }
  // Whose words are given up is nobody's whom the school still has to reach or look after.
  absl::Status operator()(const PersonErased& e) const {
    if (HasOpenCase(file)) return Refuse("the student has an open case");
    return context.school.people.contains(e.person_id) ? Refuse("the person is in the directory: remove them first") : absl::OkStatus();
  }
  absl::Status operator()(const CaseClosed&) const {
    if (custody().supervised && !Planted("closed-under-supervision")) return Refuse("special supervision is running: it ends only with a handover or a signed decision");
    const FactDetail closing{.fact = Fact::kCaseClosed};
    for (const ClockState& clock : current().clocks) {
      if (!IsOwed(clock)) continue;
      const ClockRow* row = context.pack.FindClock(clock.kind);
      if (row != nullptr && !Matches(row->cancelled_by, closing)) return Refuse(absl::StrCat("still owed: ", clock.kind));
    }
    return absl::OkStatus();
  }
  // What concerns the school or the installation has no state to be checked against.
  template <typename Other>
  absl::Status operator()(const Other&) const {
    return absl::OkStatus();
  }
};

bool NeedsNoCase(const Event& event) {
  return std::holds_alternative<ReportReceived>(event.body) || std::holds_alternative<CaseJoined>(event.body) ||
         std::holds_alternative<SchoolFileOpened>(event.body) || std::holds_alternative<AttemptProgressed>(event.body) ||
         std::holds_alternative<BreakGlassRung>(event.body) || std::holds_alternative<BreakGlassTaken>(event.body) ||
         std::holds_alternative<CommitQuarantined>(event.body) || std::holds_alternative<PersonErased>(event.body);
}

// What is done with a record's paper goes on when the case is closed.
bool ComesAfterTheEnd(const Event& event) {
  return std::holds_alternative<DocumentOpened>(event.body) || std::holds_alternative<DocumentCopiesRevoked>(event.body);
}

}  // namespace

absl::Status Check(const FileState& file, const Commit& commit, const FoldContext& context) {
  if (commit.events.empty()) return absl::InvalidArgumentError("a commit without events");
  if (commit.expected_version != 0 && commit.expected_version != file.version) {
    return absl::AbortedError("the case has changed since it was read");
  }
  const Event& decision = commit.events.front();
  if (!NeedsNoCase(decision)) {
    if (!file.current) return absl::NotFoundError("no such case");
    if (file.current->phase == CasePhase::kClosed && !ComesAfterTheEnd(decision)) return Refuse("the case is closed");
  }
  const Guard guard{file, commit, context};
  if (const auto* received = std::get_if<ReportReceived>(&decision.body); received != nullptr && commit.events.size() > 1) {
    // The classification that a report brings with it; void, it is decided again, and the report with it.
    if (const auto* classified = std::get_if<Classified>(&commit.events[1].body)) return guard.StillHolds(*classified, FactsOf(*received, commit.recorded_time));
  }
  return std::visit(guard, decision.body);
}

}  // namespace vigil::domain
