#include "intake/views.h"

#include <algorithm>

#include "contract/time_conversion.h"
#include "domain/clocks.h"
#include "domain/file.h"
#include "domain/school_time.h"
#include "intake/school_views.h"

namespace vigil::intake {
namespace {

using domain::IsSet;

#define VIGIL_SET_TIME(view, field, value) \
  if (IsSet(value)) contract::TimeToProto(value, (view)->mutable_##field())

std::string ClockPhaseName(domain::ClockPhase phase) {
  switch (phase) {
    case domain::ClockPhase::kRunning:
      return "running";
    case domain::ClockPhase::kMet:
      return "met";
    case domain::ClockPhase::kOverdue:
      return "overdue";
    case domain::ClockPhase::kCancelled:
      return "cancelled";
    case domain::ClockPhase::kUnspecified:
      break;
  }
  return "";
}

std::string AlertPhaseName(domain::AlertPhase phase) {
  switch (phase) {
    case domain::AlertPhase::kOpen:
      return "open";
    case domain::AlertPhase::kTaken:
      return "taken";
    case domain::AlertPhase::kClosed:
      return "closed";
    case domain::AlertPhase::kUnspecified:
      break;
  }
  return "";
}

std::string AttemptName(domain::AttemptEventState state) {
  switch (state) {
    case domain::AttemptEventState::kIntended:
      return "intended";
    case domain::AttemptEventState::kUnderWay:
      return "under_way";
    case domain::AttemptEventState::kReached:
      return "reached";
    case domain::AttemptEventState::kNotReached:
      return "not_reached";
    case domain::AttemptEventState::kDeclined:
      return "declined";
    case domain::AttemptEventState::kUnspecified:
      break;
  }
  return "";
}

}  // namespace

std::string PhaseName(domain::CasePhase phase) {
  switch (phase) {
    case domain::CasePhase::kOpen:
      return "open";
    case domain::CasePhase::kHandedOver:
      return "handed_over";
    case domain::CasePhase::kOnLeave:
      return "on_leave";
    case domain::CasePhase::kReturned:
      return "returned";
    case domain::CasePhase::kClosed:
      return "closed";
    case domain::CasePhase::kUnspecified:
      break;
  }
  return "";
}

void FillClocks(const domain::FileState& file, google::protobuf::RepeatedPtrField<v1::ClockView>* clocks) {
  for (const domain::ClockState& clock : file.current->clocks) {
    v1::ClockView* view = clocks->Add();
    view->set_id(clock.clock_id);
    view->set_kind(clock.kind);
    VIGIL_SET_TIME(view, start_time, clock.start_time);
    VIGIL_SET_TIME(view, due_time, clock.due_time);
    VIGIL_SET_TIME(view, met_time, clock.met_time);
    view->set_state(ClockPhaseName(clock.phase));
    view->set_late(clock.late);
    view->set_trigger(clock.trigger);
  }
}

void FillCustody(const domain::FileState& file, v1::Custody* view) {
  if (!file.current->custody) {
    view->set_state("none");
    return;
  }
  const domain::CustodyState& custody = *file.current->custody;
  view->set_supervised(custody.supervised);
  VIGIL_SET_TIME(view, supervised_time, custody.supervised_time);
  if (file.current->phase == domain::CasePhase::kHandedOver) {
    view->set_state("handed_over");
  } else if (!custody.supervised) {
    view->set_state("none");
  } else {
    view->set_state(custody.holders.empty() ? "unconfirmed" : "held");
  }
  for (const std::string& id : custody.holders) view->add_holders(id);
  for (const std::string& id : custody.offered_to) view->add_offered_to(id);
  for (const domain::CustodyInterval& interval : custody.chain) {
    v1::CustodyIntervalView* row = view->add_intervals();
    for (const std::string& id : interval.holders) row->add_holders(id);
    VIGIL_SET_TIME(row, from_time, interval.from_time);
    VIGIL_SET_TIME(row, to_time, interval.to_time);
    row->set_ended_by(interval.ended_by);
  }
  std::vector<const domain::GapState*> gaps;
  for (const domain::GapState& gap : custody.gaps) gaps.push_back(&gap);
  for (const domain::GapState& gap : custody.uncovered) gaps.push_back(&gap);
  std::stable_sort(gaps.begin(), gaps.end(), [](const domain::GapState* a, const domain::GapState* b) { return a->from_time < b->from_time; });
  for (const domain::GapState* gap : gaps) {
    v1::GapView* row = view->add_gaps();
    VIGIL_SET_TIME(row, from_time, gap->from_time);
    VIGIL_SET_TIME(row, to_time, gap->to_time);
    row->set_reason(gap->reason);
  }
  for (const std::string& role : custody.missing) view->add_missing(role.empty() ? "any_adult" : role);
  for (const domain::PlannedShift& shift : custody.planned) {
    v1::PlannedShift* row = view->add_planned();
    for (const std::string& id : shift.staff_ids) row->add_staff_ids(id);
    VIGIL_SET_TIME(row, from_time, shift.from_time);
    VIGIL_SET_TIME(row, to_time, shift.to_time);
    row->set_place(shift.place);
  }
  VIGIL_SET_TIME(view, seen_time, custody.seen_time);
}

void FillCase(const domain::Pack& pack, const domain::FileState& file, const Caller& caller, v1::Case* view) {
  const domain::CaseState& c = *file.current;
  view->set_case_id(c.case_id);
  view->set_file_id(file.file);
  view->set_school(file.school);
  view->set_student_id(file.student);
  for (const std::string& id : c.candidates) view->add_candidates(id);
  view->set_code(c.code);
  view->mutable_level()->set_provisional(c.provisional.empty() && c.final_level.empty() ? pack.Level(0).id : c.provisional);
  view->mutable_level()->set_final(c.final_level);
  view->set_state(PhaseName(c.phase));
  VIGIL_SET_TIME(view, opened_time, c.opened_time);
  VIGIL_SET_TIME(view, closed_time, c.closed_time);
  FillCustody(file, view->mutable_custody());
  FillClocks(file, view->mutable_clocks());
  for (const domain::AlertState& alert : c.alerts) {
    v1::AlertView* row = view->add_alerts();
    row->set_id(alert.alert_id);
    row->set_ladder(alert.ladder);
    row->set_state(AlertPhaseName(alert.phase));
    VIGIL_SET_TIME(row, raised_time, alert.raised_time);
    row->set_step(alert.step + 1);
    row->set_round(alert.round);
    row->set_taken_by(alert.taken_by);
    VIGIL_SET_TIME(row, taken_time, alert.taken_time);
    for (const domain::AttemptState& attempt : alert.attempts) {
      v1::AttemptView* line = row->add_attempts();
      line->set_person_id(attempt.person);
      line->set_channel(attempt.channel);
      line->set_state(AttemptName(attempt.event));
    }
  }
  // No case is ownerless (ORG-24): who took it, else the role that the level's ladder rings first.
  if (!c.taken_by.empty()) {
    view->set_responsible(c.taken_by);
  } else if (const domain::LadderRow* ladder = pack.FindLadder(domain::EffectiveLevel(pack, file).ladder);
             ladder != nullptr && !ladder->steps.empty() && !ladder->steps.front().ring.empty()) {
    view->set_responsible(ladder->steps.front().ring.front());
  } else {
    // What rings nobody is theirs who read reports that nobody has read.
    const domain::FactDetail read{.fact = domain::Fact::kReportRead};
    for (const auto& [id, ladder_row] : pack.ladders) {
      if (!domain::Matches(ladder_row.closed_by, read) || ladder_row.steps.empty() || ladder_row.steps.front().ring.empty()) continue;
      view->set_responsible(ladder_row.steps.front().ring.front());
      break;
    }
  }
  const domain::ClockState* next = nullptr;
  for (const domain::ClockState& clock : c.clocks) {
    if (!domain::IsOwed(clock) || !IsSet(clock.due_time)) continue;
    if (next == nullptr || clock.due_time < next->due_time) next = &clock;
  }
  if (next != nullptr) {
    view->mutable_next()->set_kind(next->kind);
    contract::TimeToProto(next->due_time, view->mutable_next()->mutable_due_time());
  }
  for (const domain::HoldState& hold : c.holds) {
    v1::HoldView* row = view->add_holds();
    row->set_kind(hold.kind);
    VIGIL_SET_TIME(row, from_time, hold.from_time);
  }
  for (const domain::ReportState& report : c.reports) {
    v1::ReportView* row = view->add_reports();
    row->set_report_id(report.report_id);
    row->set_reporter(report.reporter);
    VIGIL_SET_TIME(row, discovered_time, report.discovered_time);
    VIGIL_SET_TIME(row, recorded_time, report.recorded_time);
    for (const std::string& id : ReadableIndicators(pack, caller, file, report)) row->add_indicators(id);
    row->set_level(report.level);
  }
  for (const domain::RecordState& record : c.records) {
    v1::RecordView* row = view->add_records();
    row->set_record_id(record.record_id);
    row->set_kind(record.kind);
    VIGIL_SET_TIME(row, filed_time, record.filed_time);
    row->set_author(record.author);
    row->set_late(record.late);
    VIGIL_SET_TIME(row, acknowledged_time, record.acknowledged_time);
  }
  view->set_etag(std::to_string(file.version));
  view->set_returned(file.returned);
}

std::vector<std::string> AllowedCommands(const domain::Pack& pack, const domain::SchoolState& school, const domain::FileState& file) {
  if (!domain::HasOpenCase(file)) return {};
  const domain::CaseState& c = *file.current;
  static const domain::CustodyState kNobody;
  const domain::CustodyState& custody = c.custody ? *c.custody : kNobody;
  const auto held = [&](std::string_view kind) {
    return std::any_of(c.holds.begin(), c.holds.end(), [&](const domain::HoldState& hold) { return hold.kind == kind; });
  };
  const bool handed_over = c.phase == domain::CasePhase::kHandedOver;
  std::vector<std::string> allowed = {"acknowledge", "assess", "confirmInSight", "fileWrittenReport", "hold", "recordDeparture", "recordPhoneReport", "recuse", "returnCustody"};
  const auto allow = [&](bool condition, const char* command) {
    if (condition) allowed.emplace_back(command);
  };
  allow(custody.supervised, "planShifts");
  allow(custody.supervised && !custody.holders.empty(), "offerShift");
  allow(custody.supervised && !custody.offered_to.empty(), "acceptShift");
  allow(custody.supervised && !custody.holders.empty(), "checkIn");
  allow(custody.supervised && pack.Rank(c.final_level) < pack.SupervisedRank(), "decideNotSevere");
  allow(!held("guardians") && !file.student.empty(), "recordGuardianContact");
  allow(!held("guardians") && !file.student.empty() && !handed_over, "handOverToGuardian");
  allow(!handed_over, "handOverToAuthority");
  allow(!c.triggers.empty(), "correctDiscovery");
  allow(domain::IsAway(c) && !domain::EffectiveLevel(pack, file).supervised, "approveReturn");
  allow(!c.holds.empty(), "liftHold");
  allow(file.student.empty(), "identifyStudent");
  allow(!file.student.empty(), "moveToStudent");
  allow(std::any_of(c.records.begin(), c.records.end(), [](const domain::RecordState& record) { return !IsSet(record.acknowledged_time); }), "receiveWrittenReport");
  const domain::Commit closing{.school = file.school, .file = file.file, .events = {domain::Event{domain::CaseClosed{}}}};
  allow(domain::Check(file, closing, {pack, school, {}}).ok(), "close");
  std::sort(allowed.begin(), allowed.end());
  return allowed;
}

#undef VIGIL_SET_TIME

}  // namespace vigil::intake
