#include "domain/file.h"

#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "domain/classify.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

bool Contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

absl::Status Refuse(std::string_view why) { return absl::FailedPreconditionError(absl::string_view(why.data(), why.size())); }

const RoleRow* FindRole(const Pack& pack, const std::string& role) {
  const auto it = pack.roles.find(role);
  return it == pack.roles.end() ? nullptr : &it->second;
}

bool RoleMay(const Pack& pack, const std::string& role, std::string_view permission) {
  const RoleRow* row = FindRole(pack, role);
  return row != nullptr && std::find(row->may.begin(), row->may.end(), permission) != row->may.end();
}

// ------------------------------------------------------------------------------------------------ guards

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
      ReportFacts facts{.indicators = report.indicators,
                        .claimed_level = report.claimed_level,
                        .deteriorating = report.deteriorating,
                        .reporter = report.reporter,
                        .recorded_time = report.recorded_time};
      facts.indicators.insert(facts.indicators.end(), e.found_in_text.begin(), e.found_in_text.end());
      // The state moved between decision and landing: decide again, so that a trigger is never missing its alert.
      if (IsTrigger(context.pack, facts, e.level, &file) != e.trigger) return absl::AbortedError("the level changed meanwhile");
      return absl::OkStatus();
    }
    return absl::NotFoundError("no such report");
  }

  absl::Status operator()(const Assessed& e) const {
    const int now = EffectiveRank(context.pack, &file);
    const int to = context.pack.Rank(e.level);
    if (to < 0) return absl::InvalidArgumentError("unknown level");
    if (to < now && context.pack.Level(now).lowered_face_to_face) {
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
    return commit.recorded_time >= e.due_time ? absl::OkStatus() : Refuse("the clock is not due");
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
    if (!Contains(custody().offered_to, e.person)) return Refuse("custody was not offered to this person");
    if (Contains(custody().accepted, e.person)) return Refuse("accepted already");
    // The last to accept makes the shift: by then the level, or who is at work, may be another.
    if (custody().accepted.size() + 1 < custody().offered_to.size()) return absl::OkStatus();
    return CheckShift(context.pack, context.school, file, custody().offered_to, commit.recorded_time);
  }
  absl::Status operator()(const CheckedIn& e) const {
    if (absl::Status supervised = Supervised(); !supervised.ok()) return supervised;
    return Contains(custody().holders, e.person) ? absl::OkStatus() : Refuse("only who holds the child checks in");
  }
  absl::Status operator()(const CustodyGapOpened&) const { return Supervised(); }
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
    if (context.school.people.at(e.guardian).excluded) return Refuse("the child must not be given to this person");
    if (!e.identity_checked) return Refuse("the guardian's identity has not been checked");
    if (current().phase == CasePhase::kHandedOver) return Refuse("the child was handed over already");
    return absl::OkStatus();
  }
  absl::Status operator()(const HandedOverToAuthority&) const {
    return current().phase == CasePhase::kHandedOver ? Refuse("the child was handed over already") : absl::OkStatus();
  }
  absl::Status operator()(const DepartureRecorded&) const { return absl::OkStatus(); }
  absl::Status operator()(const CustodyReturned&) const { return absl::OkStatus(); }
  absl::Status operator()(const RecordFiled&) const { return absl::OkStatus(); }
  absl::Status operator()(const RecordAcknowledged& e) const {
    for (const RecordState& record : current().records) {
      if (record.kind == e.kind && !IsSet(record.acknowledged_time)) return absl::OkStatus();
    }
    return Refuse("nothing waits to be acknowledged");
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
  absl::Status operator()(const CaseClosed&) const {
    if (custody().supervised) return Refuse("special supervision is running: it ends only with a handover or a signed decision");
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
         std::holds_alternative<AttemptProgressed>(event.body);
}

// ------------------------------------------------------------------------------------------------ fold

struct Fold {
  FileState& file;
  const Commit& commit;
  const FoldContext& context;
  Applied& applied;

  const Pack& pack() const { return context.pack; }
  absl::Time now() const { return commit.recorded_time; }
  double speed() const { return commit.clock_speed > 0 ? commit.clock_speed : 1; }
  CaseState& current() const { return *file.current; }
  CustodyState& custody() const {
    if (!current().custody) current().custody.emplace();
    return *current().custody;
  }

  void Raise(FactDetail fact) const {
    if (!IsSet(fact.time)) fact.time = now();
    for (ClockChange& change : ApplyFactToClocks(pack(), current(), fact, speed())) applied.clocks.push_back(std::move(change));
    for (AlertState& alert : current().alerts) {
      if (alert.phase != AlertPhase::kOpen && alert.phase != AlertPhase::kTaken) continue;
      const LadderRow* ladder = pack().FindLadder(alert.ladder);
      if (ladder != nullptr && Matches(ladder->closed_by, fact)) Close(alert);
    }
    applied.facts.push_back(std::move(fact));
  }
  void Raise(Fact fact, std::string argument = "", int trigger = 0, std::string report_id = "") const {
    Raise(FactDetail{fact, std::move(argument), now(), trigger, std::move(report_id)});
  }

  void Close(AlertState& alert) const {
    alert.phase = AlertPhase::kClosed;
    alert.closed_time = now();
    alert.attempts.clear();
  }

  void Start(std::string_view kind, int trigger, std::string_view report_id = "") const {
    std::string id = StartClock(pack(), current(), {.kind = kind, .now = now(), .trigger = trigger, .report_id = report_id, .clock_speed = speed()});
    if (!id.empty()) applied.clocks.push_back({std::move(id), std::string(kind), ClockPhase::kRunning});
  }

  // Starts what a level brings. A row that rolls is left running: a second trigger must not lengthen it.
  void StartAll(const std::vector<std::string>& kinds, int trigger) const {
    for (const std::string& kind : kinds) {
      const ClockRow* row = pack().FindClock(kind);
      if (row == nullptr) continue;
      const bool rolling = row->one_per == ClockRow::OnePer::kCase;
      const bool running = std::any_of(current().clocks.begin(), current().clocks.end(),
                                       [&](const ClockState& c) { return c.kind == kind && IsOwed(c); });
      if (rolling && running) continue;
      if (row->one_per == ClockRow::OnePer::kTrigger && trigger == 0) continue;
      Start(kind, trigger);
    }
  }

  // ---- custody

  void CloseInterval(std::string_view ended_by) const {
    CustodyState& c = custody();
    if (!c.chain.empty() && !IsSet(c.chain.back().to_time)) {
      c.chain.back().to_time = now();
      c.chain.back().ended_by = ended_by;
    }
  }
  void OpenInterval(std::vector<std::string> holders) const {
    custody().chain.push_back({.holders = std::move(holders), .from_time = now()});
  }
  void OpenGap(absl::Time from, std::string reason) const {
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
  void CloseGap() const {
    CustodyState& c = custody();
    if (c.gaps.empty() || IsSet(c.gaps.back().to_time)) return;
    c.gaps.back().to_time = now();
    Raise(Fact::kGapClosed);
  }

  void GiveTo(std::vector<std::string> holders, std::string_view how) const {
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

  // The planned end of the shift that these adults now have, and forgets shifts that are over; InfinitePast when none was planned.
  absl::Time PlannedEnd(const std::vector<std::string>& holders) const {
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
    if (IsSet(end)) return end;
    const auto row = pack().custody.find(EffectiveLevel(pack(), file).custody);
    if (row == pack().custody.end()) return end;
    const bool night = IsNight(now(), pack().night_from, pack().night_to);
    return now() + (night ? row->second.longest_night_shift : row->second.longest_shift);
  }

  void BeginSupervision() const {
    CustodyState& c = custody();
    if (c.supervised) return;
    c.supervised = true;
    c.supervised_time = now();
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
      if (c.gaps.empty() || IsSet(c.gaps.back().to_time)) c.gaps.push_back({.from_time = now(), .reason = "unconfirmed"});
    }
  }

  void EndSupervision(std::vector<std::string> to, std::string_view how) const {
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

  // ---- levels

  int Rank() const { return EffectiveRank(pack(), &file); }

  int NewTrigger(const std::string& report_id, absl::Time discovered) const {
    current().triggers.push_back({.report_id = report_id, .discovered_time = discovered, .recorded_time = now()});
    applied.new_trigger = static_cast<int>(current().triggers.size());
    return applied.new_trigger;
  }

  void AfterLevel(int before, int trigger) const {
    const LevelRow& level = EffectiveLevel(pack(), file);
    if (level.rank > before || trigger > 0) StartAll(level.starts, trigger);
    // With a guardian or an authority the child is theirs; only something new brings supervision back (or 孩子在校).
    if (level.supervised && (level.rank > before || trigger > 0 || current().phase != CasePhase::kHandedOver)) BeginSupervision();
    if (level.rank > before) Retime(level);
  }

  // A higher level may shorten clocks that run by level (the check-in at the highest); it never lengthens one.
  void Retime(const LevelRow& level) const {
    for (ClockState& clock : current().clocks) {
      if (clock.phase != ClockPhase::kRunning) continue;
      const ClockRow* row = pack().FindClock(clock.kind);
      if (row == nullptr) continue;
      const auto it = row->due_after_level.find(level.id);
      if (it != row->due_after_level.end()) clock.due_time = std::min(clock.due_time, clock.start_time + it->second);
    }
  }

  void NoteIndicators(const std::vector<std::string>& indicators) const {
    for (const std::string& id : indicators) {
      const auto it = std::find_if(file.indicators.begin(), file.indicators.end(), [&](const IndicatorSeen& s) { return s.indicator == id; });
      if (it == file.indicators.end()) {
        file.indicators.push_back({.indicator = id, .seen_time = now()});
      } else {
        it->seen_time = now();
      }
    }
  }

  // ---- events

  void OpenCaseIfNone(const std::string& case_id) const {
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
    current().pack = commit.pack;
    // What people read to each other on the phone.
    for (const char ch : case_id.substr(case_id.size() > 5 ? case_id.size() - 5 : 0)) {
      current().code.push_back(ch >= 'a' && ch <= 'z' ? static_cast<char>(ch - 'a' + 'A') : ch);
    }
  }

  void operator()(const ReportReceived& e) const {
    OpenCaseIfNone(e.case_id);
    if (file.student.empty()) file.student = e.student;
    ReportState report{.report_id = e.report_id, .reporter = e.reporter};
    report.discovered_time = e.discovered_time;
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

  void operator()(const Classified& e) const {
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
    if (pack().Rank(e.level) > pack().Rank(current().provisional)) current().provisional = e.level;
    const int trigger = e.trigger ? NewTrigger(report->report_id, report->discovered_time) : 0;
    const std::string report_id = report->report_id;
    AfterLevel(before, trigger);
    for (const std::string& kind : e.starts) Start(kind, trigger, report_id);
    if (e.level.empty()) Raise(Fact::kReportUnclassified, "", 0, report_id);
  }

  void operator()(const Assessed& e) const {
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

  void operator()(const NotSevereDecided&) const {
    current().provisional = pack().Level(pack().SupervisedRank() - 1).id;
    Raise(Fact::kNotSevereDecided);
    EndSupervision({}, "not_severe_decided");
    StartAll(EffectiveLevel(pack(), file).starts, 0);
  }

  void operator()(const ReportRead& e) const {
    for (ReportState& report : current().reports) {
      if (e.report_id.empty() || report.report_id == e.report_id) report.read = true;
    }
    Raise(Fact::kReportRead, "", 0, e.report_id);
  }

  ClockState* MutableClock(const std::string& id) const {
    for (ClockState& clock : current().clocks) {
      if (clock.clock_id == id) return &clock;
    }
    return nullptr;
  }

  void operator()(const ClockWarned& e) const {
    if (ClockState* clock = MutableClock(e.clock_id)) clock->fired = e.warning + 1;
  }
  void operator()(const ClockReviewed& e) const {
    if (ClockState* clock = MutableClock(e.clock_id)) clock->fired = e.review;
  }
  void operator()(const ClockExpired& e) const {
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
    if (row->expiry_opens_gap) OpenGap(IsSet(custody().seen_time) ? custody().seen_time : expired.start_time, "check_in_missed");
    if (row->repeats_daily) {
      std::string started = StartNextDay(pack(), current(), expired);
      if (!started.empty()) applied.clocks.push_back({std::move(started), expired.kind, ClockPhase::kRunning});
    }
    if (!row->expiry_proposes.empty() && pack().Rank(row->expiry_proposes) > Rank()) {
      const int before = Rank();
      current().provisional = row->expiry_proposes;
      int trigger = 0;
      if (pack().Level(Rank()).supervised) trigger = NewTrigger(expired.report_id, now());
      AfterLevel(before, trigger);
    }
  }

  void Reopen(AlertState& alert) const {
    alert.phase = AlertPhase::kOpen;
    alert.taken_by.clear();
    alert.taken_time = absl::InfinitePast();
    alert.step = 0;
    ++alert.round;
    alert.step_time = now();
    alert.reachable_in_round = false;
    alert.attempts.clear();
  }

  void operator()(const DiscoveryCorrected& e) const {
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

  AlertState* MutableAlert(const std::string& id) const {
    for (AlertState& alert : current().alerts) {
      if (alert.alert_id == id) return &alert;
    }
    return nullptr;
  }

  void operator()(const AlertRaised& e) const {
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
  }
  void operator()(const LadderClimbed& e) const {
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
  void operator()(const AlertTaken& e) const {
    AlertState* alert = MutableAlert(e.alert_id);
    if (alert == nullptr) return;
    alert->phase = AlertPhase::kTaken;
    alert->taken_by = e.person;
    alert->taken_time = now();
    const LadderRow* ladder = pack().FindLadder(alert->ladder);
    if (ladder != nullptr && ladder->bridges) current().taken_by = e.person;
    const std::string ladder_id = alert->ladder;
    Raise(Fact::kAlertTaken, ladder_id, alert->trigger);
    MeetIfHeld();
  }
  // What taking starts in order that somebody goes to the child is met already where a named adult holds it.
  void MeetIfHeld() const {
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
  void operator()(const AttemptIntended& e) const {
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
  void operator()(const AttemptProgressed& e) const {
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
        if (e.event == AttemptEvent::kSent && !alert.attempted) {
          alert.attempted = true;
          Raise(Fact::kCallAttempted, alert.ladder, alert.trigger);
        }
        return;
      }
    }
  }
  void operator()(const Spoken& e) const { Raise(FactDetail{.fact = Fact::kSpoken, .time = e.spoken_time}); }

  void operator()(const SightConfirmed& e) const {
    CustodyState& c = custody();
    c.seen_time = now();
    if (c.supervised && c.holders.empty()) return GiveTo({e.person}, "sight_confirmed");
    if (!c.supervised) c.claimed_person = e.person;
    Raise(Fact::kInSight);
    CloseGap();
  }
  void operator()(const ShiftsPlanned& e) const {
    CustodyState& c = custody();
    if (e.shifts.empty()) return;
    std::erase_if(c.planned, [&](const PlannedShift& shift) { return shift.to_time > e.shifts.front().from_time; });
    c.planned.insert(c.planned.end(), e.shifts.begin(), e.shifts.end());
    // Who already holds the child may find the end of their own shift in the plan.
    for (auto it = c.planned.begin(); it != c.planned.end(); ++it) {
      const bool theirs = std::any_of(c.holders.begin(), c.holders.end(), [&](const std::string& id) { return Contains(it->staff_ids, id); });
      if (theirs && it->from_time <= now() && it->to_time > now()) {
        c.shift_end_time = it->to_time;
        c.place = it->place;
        for (ClockState& clock : current().clocks) {
          const ClockRow* row = pack().FindClock(clock.kind);
          if (row != nullptr && row->from == ClockRow::From::kShiftEnd && clock.phase == ClockPhase::kRunning) {
            clock.due_time = it->to_time;
            clock.fired = 0;
          }
        }
        c.planned.erase(it);
        break;
      }
    }
    Raise(Fact::kShiftsPlanned);
  }
  void operator()(const ShiftOffered& e) const {
    custody().offered_to = e.to;
    custody().accepted.clear();
  }
  void operator()(const ShiftAccepted& e) const {
    CustodyState& c = custody();
    c.accepted.push_back(e.person);
    if (c.accepted.size() < c.offered_to.size()) return;
    std::vector<std::string> holders = c.offered_to;
    GiveTo(std::move(holders), "shift_accepted");
  }
  void operator()(const CheckedIn& e) const {
    if (!e.in_sight) {
      // The chain must not say that they have the child.
      CustodyState& c = custody();
      CloseInterval("not_in_sight");
      std::erase(c.holders, e.person);
      OpenInterval(c.holders);
      return OpenGap(now(), "not_in_sight");
    }
    custody().seen_time = now();
    Raise(Fact::kInSight);
    CloseGap();
  }
  void operator()(const CustodyGapOpened& e) const { OpenGap(e.from_time, e.reason); }

  void operator()(const GuardianContacted& e) const {
    if (e.outcome != "reached" || !IsSet(e.arrival_time)) return;
    current().guardian_arrival_time = e.arrival_time;
    Raise(Fact::kGuardianReached);
  }
  void AddRecord(const std::string& id, const std::string& kind, bool late) const {
    current().records.push_back({.record_id = id, .kind = kind, .filed_time = now(), .author = commit.actor ? commit.actor->person : "", .late = late});
    Raise(Fact::kRecordFiled, kind);
  }
  void operator()(const HandedOverToGuardian& e) const {
    Raise(Fact::kGuardianArrived);
    Raise(Fact::kHandedToGuardian);
    EndSupervision({e.guardian}, "handed_over_to_guardian");
    current().handed_to = e.guardian;
    current().phase = CasePhase::kHandedOver;
  }
  void operator()(const HandedOverToAuthority& e) const {
    Raise(Fact::kHandedToAuthority);
    EndSupervision({e.authority}, "handed_over_to_authority");
    current().handed_to = e.authority;
    current().phase = CasePhase::kHandedOver;
  }
  void operator()(const DepartureRecorded& e) const {
    Raise(Fact::kDepartureDecided, e.kind);
    if (!custody().supervised) return;
    // Escorted, supervision goes along and only the place changes (GUA-23). Otherwise nobody has the child in sight.
    if (!e.escorts.empty()) {
      if (e.escorts != custody().holders) GiveTo(e.escorts, "departure_recorded");
      custody().place = e.kind;
      return;
    }
    CloseInterval("departure_recorded");
    custody().holders.clear();
    custody().offered_to.clear();
    OpenInterval({});
    OpenGap(now(), "departure");
  }
  void operator()(const CustodyReturned& e) const {
    Raise(Fact::kCustodyReturned);
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
  void operator()(const RecordFiled& e) const { AddRecord(e.record_id, e.kind, e.late); }
  void operator()(const RecordAcknowledged& e) const {
    for (RecordState& record : current().records) {
      if (record.kind == e.kind && !IsSet(record.acknowledged_time)) record.acknowledged_time = now();
    }
    Raise(Fact::kRecordAcknowledged, e.kind);
  }
  void PlaceHold(const std::string& kind, bool decided) const {
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
  void operator()(const HoldPlaced& e) const { PlaceHold(e.kind, true); }
  void operator()(const HoldLifted& e) const {
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
    if (current().phase == CasePhase::kHandedOver) return;
    const LevelRow& level = EffectiveLevel(pack(), file);
    StartAll(kept_back(level.starts), 0);
    if (!current().final_level.empty()) StartAll(kept_back(level.final_starts), 0);
  }
  void operator()(const Recused& e) const {
    current().recused.push_back(e.person);
    CustodyState& c = custody();
    std::erase(c.offered_to, e.person);
    std::erase(c.accepted, e.person);
  }
  void operator()(const StudentIdentified& e) const {
    file.student = e.student;
    current().candidates.clear();
    Raise(Fact::kStudentIdentified);
  }
  void operator()(const CaseJoined& e) const {
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
    NoteIndicators(e.indicators);
    if (pack().Rank(e.level) > pack().Rank(current().provisional)) current().provisional = e.level;
    int trigger = 0;
    if (IsSet(e.discovered_time) && pack().Level(Rank()).supervised) {
      trigger = NewTrigger(e.report_ids.empty() ? "" : e.report_ids.front(), e.discovered_time);
    }
    AfterLevel(before, trigger);
  }
  void operator()(const CaseMoved& e) const {
    file.moved_to = e.to_file;
    EndSupervision({}, "case_moved");
    Finish();
  }
  void operator()(const CaseClosed&) const { Finish(); }

  void Finish() const {
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

  template <typename Other>
  void operator()(const Other&) const {}
};

}  // namespace

const AlertState* FindAlert(const FileState& file, std::string_view alert_id) {
  if (!file.current) return nullptr;
  for (const AlertState& alert : file.current->alerts) {
    if (alert.alert_id == alert_id) return &alert;
  }
  return nullptr;
}

const ClockState* FindClock(const FileState& file, std::string_view clock_id) {
  if (!file.current) return nullptr;
  for (const ClockState& clock : file.current->clocks) {
    if (clock.clock_id == clock_id) return &clock;
  }
  return nullptr;
}

bool HasOpenCase(const FileState& file) { return file.current && file.current->phase != CasePhase::kClosed; }

const LevelRow& EffectiveLevel(const Pack& pack, const FileState& file) { return pack.Level(EffectiveRank(pack, &file)); }

absl::Status CheckShift(const Pack& pack, const SchoolState& school, const FileState& file, const std::vector<std::string>& staff,
                        absl::Time t) {
  if (staff.empty()) return Refuse("a shift needs at least one adult");
  const auto row = pack.custody.find(EffectiveLevel(pack, file).custody);
  std::vector<const PersonState*> adults;
  for (const std::string& id : staff) {
    const auto it = school.people.find(id);
    if (it == school.people.end() || it->second.kind != PersonKind::kStaff) return absl::NotFoundError(absl::StrCat("no such staff member: ", id));
    if (it->second.on_leave) return Refuse("one of them is on leave");
    if (std::count(staff.begin(), staff.end(), id) > 1) return Refuse("one of them is named twice");
    adults.push_back(&it->second);
  }
  if (row == pack.custody.end()) return absl::OkStatus();
  const bool night = IsNight(t, pack.night_from, pack.night_to) && !row->second.night_cover.empty();
  const auto is_security = [&](const PersonState* person) {
    return std::any_of(person->roles.begin(), person->roles.end(), [&](const std::string& role) {
      const RoleRow* found = FindRole(pack, role);
      return found != nullptr && found->security;
    });
  };
  for (const CustodyRow::Cover& cover : night ? row->second.night_cover : row->second.cover) {
    const auto counts = std::count_if(adults.begin(), adults.end(), [&](const PersonState* person) {
      if (cover.role.empty()) return true;
      const RoleRow* role = FindRole(pack, cover.role);
      if (role != nullptr && role->security) return is_security(person);
      // A school adult is anybody of the staff who is not there as a guard.
      if (role == nullptr) return !is_security(person);
      return Contains(person->roles, cover.role);
    });
    if (counts < cover.count) {
      return Refuse(absl::StrCat("at this level a shift needs at least ", cover.count, " of: ", cover.role.empty() ? "any adult" : cover.role));
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const FileState& file, const Commit& commit, const FoldContext& context) {
  if (commit.events.empty()) return absl::InvalidArgumentError("a commit without events");
  if (commit.expected_version != 0 && commit.expected_version != file.version) {
    return absl::AbortedError("the case has changed since it was read");
  }
  const Event& decision = commit.events.front();
  if (!NeedsNoCase(decision)) {
    if (!file.current) return absl::NotFoundError("no such case");
    if (file.current->phase == CasePhase::kClosed) return Refuse("the case is closed");
  }
  return std::visit(Guard{file, commit, context}, decision.body);
}

Applied Apply(FileState& file, const Commit& commit, const FoldContext& context) {
  Applied applied;
  applied.guard = Check(file, commit, context);
  if (!applied.guard.ok()) return applied;
  const Fold fold{file, commit, context, applied};
  for (const Event& event : commit.events) std::visit(fold, event.body);
  ++file.version;
  return applied;
}

std::vector<Event> AlertsToRaise(const FileState& before, const Commit& draft, const FoldContext& context, const IdSource& ids) {
  FileState after = before;
  const Applied applied = Apply(after, draft, context);
  std::vector<Event> raised;
  if (!applied.guard.ok() || !after.current) return raised;
  const auto raise = [&](const std::string& ladder, const std::string& clock_id, int trigger) {
    if (ladder.empty()) return;
    raised.push_back(Event{AlertRaised{.alert_id = ids(absl::StrCat(ladder, "/", raised.size())), .ladder = ladder, .clock_id = clock_id, .trigger = trigger}});
  };
  if (applied.new_trigger > 0) raise(EffectiveLevel(context.pack, after).ladder, "", applied.new_trigger);
  for (const Event& event : draft.events) {
    const auto of_clock = [&](const std::string& clock_id, std::string ClockRow::*ladder) {
      const ClockState* clock = FindClock(before, clock_id);
      const ClockRow* row = clock == nullptr ? nullptr : context.pack.FindClock(clock->kind);
      if (row != nullptr) raise(row->*ladder, clock_id, clock->trigger);
    };
    if (const auto* warned = std::get_if<ClockWarned>(&event.body)) of_clock(warned->clock_id, &ClockRow::warn_ladder);
    if (const auto* reviewed = std::get_if<ClockReviewed>(&event.body)) of_clock(reviewed->clock_id, &ClockRow::review_ladder);
    if (const auto* expired = std::get_if<ClockExpired>(&event.body)) of_clock(expired->clock_id, &ClockRow::expiry_ladder);
  }
  for (const auto& [id, ladder] : context.pack.ladders) {
    for (const FactDetail& fact : applied.facts) {
      if (!Matches(ladder.raised_on, fact)) continue;
      // One open alert of a kind is enough: it climbs until somebody takes it.
      const bool open = std::any_of(after.current->alerts.begin(), after.current->alerts.end(), [&](const AlertState& alert) {
        return alert.ladder == id && alert.phase == AlertPhase::kOpen;
      });
      const bool raised_now = std::any_of(raised.begin(), raised.end(), [&](const Event& event) { return std::get<AlertRaised>(event.body).ladder == id; });
      if (!open && !raised_now) raise(id, "", fact.trigger);
      break;
    }
  }
  return raised;
}

}  // namespace vigil::domain
