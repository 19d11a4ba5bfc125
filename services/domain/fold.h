// The fold of one commit into a file: what each event changes. Internal to the domain; domain/file.h is what others include.
//
// Const methods change what the references point at: a Fold lives as long as one Apply().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "domain/classify.h"
#include "domain/file.h"

namespace vigil::domain {

struct Fold {
  FileState& file;
  const Commit& commit;
  const FoldContext& context;
  Applied& applied;

  const Pack& pack() const { return context.pack; }
  // By which a case that is opened now is decided to its end.
  const std::string& VersionInForce() const { return context.school.pack.empty() ? context.pack.digest : context.school.pack; }
  absl::Time now() const { return commit.recorded_time; }
  double speed() const { return commit.clock_speed > 0 ? commit.clock_speed : 1; }
  CaseState& current() const { return *file.current; }
  CustodyState& custody() const {
    if (!current().custody) current().custody.emplace();
    return *current().custody;
  }

  // ---- reports, levels, records, holds (fold_case.cc)

  int Rank() const;
  int NewTrigger(const std::string& report_id, absl::Time discovered) const;
  void AfterLevel(int before, int trigger) const;
  // What does not count yet is noted as unconfirmed.
  void NoteIndicators(const std::vector<std::string>& indicators) const;
  // Those that count once a record of this kind is filed: they do from now on, and the rules look at them.
  void ConfirmIndicators(const std::string& record_kind) const;
  void OpenCaseIfNone(const std::string& case_id) const;
  void operator()(const ReportReceived& e) const;
  void operator()(const Classified& e) const;
  void operator()(const Assessed& e) const;
  void operator()(const NotSevereDecided&) const;
  void operator()(const ReportRead& e) const;
  void operator()(const GuardianContacted& e) const;
  void operator()(const RecordFiled& e) const;
  void operator()(const RecordAcknowledged& e) const;
  void operator()(const ReturnApproved& e) const;
  void PlaceHold(const std::string& kind, bool decided) const;
  void operator()(const HoldPlaced& e) const;
  void operator()(const HoldLifted& e) const;
  void operator()(const Recused& e) const;
  void operator()(const StudentIdentified& e) const;
  void operator()(const CaseJoined& e) const;
  void operator()(const CaseMoved& e) const;
  void operator()(const CaseClosed&) const;
  void operator()(const DocumentCopiesRevoked& e) const;
  void operator()(const CommitQuarantined& e) const;
  void Finish() const;

  // ---- groups and the school's own file (fold_standing.cc)

  void operator()(const RosterFellShort& e) const;
  void operator()(const SchoolFileOpened&) const;
  void operator()(const DutyOpened& e) const;
  void operator()(const DutyLate& e) const;

  // ---- clocks (fold_clocks.cc)

  void Raise(FactDetail fact) const;
  void Raise(Fact fact, std::string argument = "", int trigger = 0, std::string report_id = "") const;
  void Start(std::string_view kind, int trigger, std::string_view report_id = "") const;
  // Starts what a level brings. A row that rolls is left running: a second trigger must not lengthen it.
  void StartAll(const std::vector<std::string>& kinds, int trigger) const;
  // A higher level may shorten clocks that run by level (the check-in at the highest); it never lengthens one.
  void Retime(const LevelRow& level) const;
  // What time alone has made true is looked at by the rules like a report.
  void AddIndicator(const std::string& indicator, const std::string& report_id) const;
  ClockState* MutableClock(const std::string& id) const;
  void operator()(const ClockWarned& e) const;
  void operator()(const ClockReviewed& e) const;
  void operator()(const ClockExpired& e) const;
  void operator()(const DiscoveryCorrected& e) const;

  // ---- custody (fold_custody.cc)

  void CloseInterval(std::string_view ended_by) const;
  void OpenInterval(std::vector<std::string> holders) const;
  void OpenGap(absl::Time from, std::string reason) const;
  void CloseGap() const;
  void GiveTo(std::vector<std::string> holders, std::string_view how) const;
  // The planned end of the shift that these adults now have, and forgets shifts that are over; InfinitePast when none was planned.
  absl::Time PlannedEnd(const std::vector<std::string>& holders) const;
  // The end of a shift that nobody planned.
  absl::Time LongestEnd(absl::Time from) const;
  // A higher level's shifts may be shorter: the one under way then ends earlier, never before now.
  void ShortenShift() const;
  void ShiftEndsAt(absl::Time end) const;
  // Whether all whom the level asks for hold the child; after every commit, since nearly anything can change it.
  void WatchCover() const;
  void BeginSupervision() const;
  void EndSupervision(std::vector<std::string> to, std::string_view how) const;
  void operator()(const SightConfirmed& e) const;
  void operator()(const ShiftsPlanned& e) const;
  void operator()(const ShiftOffered& e) const;
  void operator()(const ShiftAccepted& e) const;
  void operator()(const CheckedIn& e) const;
  void operator()(const CustodyGapOpened& e) const;
  void operator()(const HandedOverToGuardian& e) const;
  void operator()(const HandedOverToAuthority& e) const;
  void operator()(const DepartureRecorded& e) const;
  void operator()(const CustodyReturned& e) const;

  // ---- alerts (fold_alerts.cc)

  void Close(AlertState& alert) const;
  void Reopen(AlertState& alert) const;
  AlertState* MutableAlert(const std::string& id) const;
  void operator()(const AlertRaised& e) const;
  void operator()(const LadderClimbed& e) const;
  void operator()(const AlertTaken& e) const;
  void Take(AlertState& alert, const std::string& person) const;
  // Who took the report that opened the trigger from the emergency list; empty: nobody.
  std::string EmergencyTaker(int trigger) const;
  // Alerts that a report raised, or the one that is named where no report did.
  std::vector<AlertState*> AlertsOf(const std::string& report_id, const std::string& alert_id) const;
  void operator()(const BreakGlassRung& e) const;
  void operator()(const BreakGlassTaken& e) const;
  // What taking starts in order that somebody goes to the child is met already where a named adult holds it.
  void MeetIfHeld() const;
  void operator()(const AttemptIntended& e) const;
  void operator()(const AttemptProgressed& e) const;
  void operator()(const Spoken& e) const;

  // What says nothing about a file's state.
  template <typename Other>
  void operator()(const Other&) const {}
};

}  // namespace vigil::domain
