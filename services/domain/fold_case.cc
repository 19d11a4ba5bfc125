// The case itself: reports and levels, records, holds, whose case it is, and its end.
#include <algorithm>

#include "domain/duty.h"
#include "domain/fold.h"
#include "domain/lookup.h"
#include "domain/planted.h"
#include "domain/record.h"
#include "domain/school_time.h"

namespace vigil::domain {

int Fold::Rank() const { return EffectiveRank(pack(), &file); }

int Fold::NewTrigger(const std::string& report_id, absl::Time discovered) const {
  current().triggers.push_back({.report_id = report_id, .discovered_time = discovered, .recorded_time = now()});
  applied.new_trigger = static_cast<int>(current().triggers.size());
  return applied.new_trigger;
}

void Fold::AfterLevel(int before, int trigger) const {
  const LevelRow& level = EffectiveLevel(pack(), file);
  if (level.rank > before || trigger > 0) StartAll(level.starts, trigger);
  // With a guardian or an authority the child is theirs; only something new brings supervision back (or 孩子在校).
  if (level.supervised && (level.rank > before || trigger > 0 || !IsAway(current()))) BeginSupervision();
  if (level.rank > before) {
    Retime(level);
    ShortenShift();
  }
}

void Fold::NoteIndicators(const std::vector<std::string>& indicators) const {
  for (const std::string& id : indicators) {
    const std::string shown = ShownIndicator(pack(), file, id);
    const auto it = std::find_if(file.indicators.begin(), file.indicators.end(), [&](const IndicatorSeen& s) { return s.indicator == shown; });
    if (it == file.indicators.end()) {
      file.indicators.push_back({.indicator = shown, .seen_time = now()});
    } else {
      it->seen_time = now();
    }
  }
}

void Fold::ConfirmIndicators(const std::string& record_kind) const {
  for (const auto& [id, row] : pack().indicators) {
    if (row.counts_once != record_kind) continue;
    std::erase_if(file.indicators, [&, &id = id](const IndicatorSeen& seen) { return IndicatorId(seen.indicator) == id; });
    file.indicators.push_back({.indicator = id, .seen_time = now()});
    AddIndicator(id, "");
  }
}

void Fold::OpenCaseIfNone(const std::string& case_id) const {
  if (HasOpenCase(file)) return;
  if (file.current) {
    file.past.push_back({.case_id = current().case_id,
                         .opened_time = current().opened_time,
                         .closed_time = current().closed_time,
                         .highest = current().final_level.empty() ? current().provisional : current().final_level});
  }
  file.file = commit.file;
  file.school = commit.school;
  file.current = CaseState{.case_id = case_id, .phase = CasePhase::kOpen, .opened_time = now()};
  current().pack = VersionInForce();
  current().code = SpokenCode(case_id);
}

void Fold::operator()(const ReportReceived& e) const {
  OpenCaseIfNone(e.case_id);
  if (file.student.empty()) file.student = e.student;
  ReportState report{.report_id = e.report_id, .reporter = e.reporter};
  report.discovered_time = e.discovered_time;
  report.observed_time = e.observed_time;
  report.recorded_time = now();
  report.indicators = e.indicators;
  report.sequence = context.position.sequence;
  report.index = context.position.index;
  report.claimed_level = e.claimed_level;
  report.deteriorating = e.deteriorating;
  current().reports.push_back(std::move(report));
  for (const std::string& candidate : e.candidates) {
    if (!Contains(current().candidates, candidate)) current().candidates.push_back(candidate);
  }
  CustodyState& c = custody();
  if (e.sight == SightClaim::kSeen && c.holders.empty()) {
    c.claimed_person = e.sight_person;
    // Who says "I see the child" of themselves has confirmed it; who says it of another has not, nor does an earlier confirmation by
    // somebody else speak for that person.
    const bool confirmed = commit.actor && !e.sight_person.empty() && e.sight_person == commit.actor->person;
    c.seen_time = confirmed ? now() : absl::InfinitePast();
  }
  Raise(Fact::kReportReceived, "", 0, e.report_id);
  if (file.student.empty()) Raise(Fact::kStudentUnidentified);
  if (e.home_unsafe == HomeUnsafe::kYes || e.home_unsafe == HomeUnsafe::kUnsure) PlaceHold("guardians", false);
  if (e.sight == SightClaim::kNotSeen) OpenGap(now(), "not_in_sight");
}

void Fold::operator()(const Classified& e) const {
  const auto report = std::find_if(current().reports.begin(), current().reports.end(),
                                   [&](const ReportState& r) { return r.report_id == e.report_id; });
  if (report == current().reports.end()) return;
  const int before = Rank();
  report->classified = true;
  report->level = e.level;
  for (const std::string& found : e.found_in_text) {
    if (!Contains(report->indicators, found)) report->indicators.push_back(found);
  }
  NoteIndicators(report->indicators);
  // Provisional never lowers: neither itself nor the final level (ASM-03).
  if (Planted("rules-lower-a-level") || pack().Rank(e.level) > pack().Rank(current().provisional)) current().provisional = e.level;
  const int trigger = e.trigger ? NewTrigger(report->report_id, report->discovered_time) : 0;
  const std::string report_id = report->report_id;
  const bool rung = IsSet(report->rung_time);
  AfterLevel(before, trigger);
  // Somebody was called already, past the log.
  if (rung && trigger > 0) Raise(Fact::kCallAttempted, EffectiveLevel(pack(), file).ladder, trigger);
  for (const std::string& kind : e.starts) Start(kind, trigger, report_id);
  if (e.level.empty()) Raise(Fact::kReportUnclassified, "", 0, report_id);
}

void Fold::operator()(const Assessed& e) const {
  const int before = Rank();
  current().final_level = e.level;
  current().provisional.clear();
  const int after = Rank();
  const LevelRow& level = pack().Level(after);
  int trigger = 0;
  if (after > before && level.supervised) {
    trigger = NewTrigger("", current().reports.empty() ? now() : std::max(now(), current().reports.back().discovered_time));
  }
  AfterLevel(before, trigger);
  if (!level.supervised && custody().supervised) {
    Raise(Fact::kNotSevereDecided);
    EndSupervision({}, "assessed");
    // What the lower level asks for besides, and the end of supervision has cancelled (the guardians' meeting).
    StartAll(level.starts, 0);
  }
  StartAll(level.final_starts, trigger);
  // Last: an assessment that this level asks for has just been made.
  Raise(Fact::kAssessed, e.level);
}

void Fold::operator()(const NotSevereDecided&) const {
  current().provisional = pack().Level(pack().SupervisedRank() - 1).id;
  Raise(Fact::kNotSevereDecided);
  EndSupervision({}, "not_severe_decided");
  StartAll(EffectiveLevel(pack(), file).starts, 0);
}

void Fold::operator()(const ReportRead& e) const {
  for (ReportState& report : current().reports) {
    if (e.report_id.empty() || report.report_id == e.report_id) report.read = true;
  }
  Raise(Fact::kReportRead, "", 0, e.report_id);
}

void Fold::operator()(const GuardianContacted& e) const {
  if (e.outcome != "reached" || !IsSet(e.arrival_time)) return;
  current().guardian_arrival_time = e.arrival_time;
  Raise(Fact::kGuardianReached);
}

void Fold::operator()(const RecordFiled& e) const {
  NoteRecord(file, e, commit, context);
  Raise(Fact::kRecordFiled, e.kind);
  const auto row = pack().records.find(e.kind);
  if (row == pack().records.end()) return;
  for (std::string& said : WhatItSaid(row->second, e)) Raise(Fact::kRecordSaid, std::move(said));
  if (!file.duties) ConfirmIndicators(e.kind);
}

void Fold::operator()(const ReturnApproved&) const {
  file.returned = true;
  current().phase = CasePhase::kReturned;
  current().handed_to.clear();
  CloseInterval("return_approved");
  custody().holders.clear();
  Raise(Fact::kReturned);
}
void Fold::operator()(const RecordAcknowledged& e) const {
  if (file.duties) NoteDutyAcknowledged(file, e.record_id, now());
  for (RecordState& record : current().records) {
    if (!e.record_id.empty() && record.record_id != e.record_id) continue;
    if (record.kind == e.kind && !IsSet(record.acknowledged_time)) record.acknowledged_time = now();
  }
  Raise(Fact::kRecordAcknowledged, e.kind);
}

void Fold::PlaceHold(const std::string& kind, bool decided) const {
  for (HoldState& hold : current().holds) {
    if (hold.kind == kind) {
      hold.decided = hold.decided || decided;
      if (decided) Raise(Fact::kHoldDecided, kind);
      return;
    }
  }
  current().holds.push_back({.kind = kind, .from_time = now(), .decided = decided});
  Raise(Fact::kHoldPlaced, kind);
  if (decided) Raise(Fact::kHoldDecided, kind);
}

void Fold::operator()(const HoldPlaced& e) const { PlaceHold(e.kind, true); }

void Fold::operator()(const HoldLifted& e) const {
  std::erase_if(current().holds, [&](const HoldState& hold) { return hold.kind == e.kind; });
  Raise(Fact::kHoldDecided, e.kind);
  // What the hold kept back, and only that, is owed from now on.
  const FactDetail held{.fact = Fact::kHoldPlaced, .argument = e.kind};
  const auto kept_back = [&](std::vector<std::string> kinds) {
    std::erase_if(kinds, [&](const std::string& kind) {
      const ClockRow* row = pack().FindClock(kind);
      const bool met = std::any_of(current().clocks.begin(), current().clocks.end(),
                                   [&](const ClockState& c) { return c.kind == kind && c.phase == ClockPhase::kMet; });
      return row == nullptr || !Matches(row->cancelled_by, held) || met;
    });
    return kinds;
  };
  if (IsAway(current())) return;
  const LevelRow& level = EffectiveLevel(pack(), file);
  StartAll(kept_back(level.starts), 0);
  if (!current().final_level.empty()) StartAll(kept_back(level.final_starts), 0);
}

void Fold::operator()(const Recused& e) const {
  current().recused.push_back(e.person);
  CustodyState& c = custody();
  std::erase(c.offered_to, e.person);
  std::erase(c.accepted, e.person);
}

void Fold::operator()(const StudentIdentified& e) const {
  file.student = e.student;
  current().candidates.clear();
  Raise(Fact::kStudentIdentified);
}

void Fold::operator()(const CaseJoined& e) const {
  OpenCaseIfNone(e.case_id);
  if (file.student.empty()) file.student = e.student;
  const int before = Rank();
  for (const std::string& id : e.report_ids) {
    ReportState report{.report_id = id};
    report.discovered_time = IsSet(e.discovered_time) ? e.discovered_time : now();
    report.recorded_time = now();
    report.classified = true;
    report.level = e.level;
    report.indicators = e.indicators;
    current().reports.push_back(std::move(report));
  }
  // Before what the level starts, so that guardians of a child who is afraid to go home are not called first.
  for (const std::string& kind : e.holds) PlaceHold(kind, false);
  NoteIndicators(e.indicators);
  if (pack().Rank(e.level) > pack().Rank(current().provisional)) current().provisional = e.level;
  int trigger = 0;
  if (IsSet(e.discovered_time) && pack().Level(Rank()).supervised) {
    trigger = NewTrigger(e.report_ids.empty() ? "" : e.report_ids.front(), e.discovered_time);
  }
  AfterLevel(before, trigger);
}

void Fold::operator()(const CaseMoved& e) const {
  file.moved_to = e.to_file;
  EndSupervision({}, "case_moved");
  Finish();
}

void Fold::operator()(const DocumentCopiesRevoked& e) const {
  for (RecordState& record : current().records) {
    if (record.record_id == e.record_id) record.copies_revoked_time = now();
  }
}

void Fold::operator()(const CommitQuarantined& e) const { file.quarantined_commits.push_back(e.commit_id); }

void Fold::operator()(const CaseClosed&) const { Finish(); }

void Fold::Finish() const {
  current().phase = CasePhase::kClosed;
  current().closed_time = now();
  Raise(Fact::kCaseClosed);
  for (ClockState& clock : current().clocks) {
    if (clock.phase == ClockPhase::kRunning) clock.phase = ClockPhase::kCancelled;
  }
  for (AlertState& alert : current().alerts) {
    if (alert.phase != AlertPhase::kClosed) Close(alert);
  }
  current().holds.clear();
}

}  // namespace vigil::domain
