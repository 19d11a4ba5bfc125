// What intake tells break-glass, and what it records of it: which matters wait for a call, which have been called, which ladders stand still.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/classify.h"
#include "intake/break_glass.h"
#include "intake/intake.h"
#include "intake/pending_report.h"
#include "platform/crypto/derive.h"
#include "platform/logging/log.h"

namespace vigil::intake {
namespace {

constexpr std::string_view kCall = "call";
constexpr int kRecordPriority = 100;
// A ladder that has neither climbed nor called for so long, beyond two of its steps, stands still (real time).
constexpr absl::Duration kLadderPatience = absl::Seconds(10);
// A report that the log has neither stored nor refused, while it stores nothing else either, is promised on this disk instead (real time).
constexpr absl::Duration kAppendPatience = absl::Seconds(2);

bool IsLadderOfLevel(const domain::Pack& pack, const std::string& ladder) {
  return std::any_of(pack.levels.begin(), pack.levels.end(), [&](const domain::LevelRow& level) { return level.supervised && level.ladder == ladder; });
}

// The report whose trigger raised the alert; empty: none did.
std::string ReportOf(const domain::CaseState& c, const domain::AlertState& alert) {
  if (!alert.clock_id.empty() || alert.trigger <= 0 || static_cast<std::size_t>(alert.trigger) > c.triggers.size()) return "";
  return c.triggers[static_cast<std::size_t>(alert.trigger) - 1].report_id;
}

// A provider has taken a call of this alert, as this commit says.
bool TellsOfCall(const domain::Commit& commit, const domain::AlertState& alert) {
  using domain::AttemptEvent;
  return std::any_of(commit.events.begin(), commit.events.end(), [&](const domain::Event& event) {
    const auto* progressed = std::get_if<domain::AttemptProgressed>(&event.body);
    if (progressed == nullptr || progressed->event == AttemptEvent::kRefused || progressed->event == AttemptEvent::kDropped ||
        progressed->event == AttemptEvent::kFailed || progressed->event == AttemptEvent::kUnspecified) {
      return false;
    }
    return std::any_of(alert.attempts.begin(), alert.attempts.end(), [&](const domain::AttemptState& attempt) {
      return attempt.attempt_id == progressed->attempt_id && attempt.channel == kCall;
    });
  });
}

std::string CodeOfCase(const std::string& case_id) {
  std::string code;
  for (const char ch : case_id.substr(case_id.size() > 5 ? case_id.size() - 5 : 0)) code.push_back(ch >= 'a' && ch <= 'z' ? static_cast<char>(ch - 'a' + 'A') : ch);
  return code;
}

Matter MatterOf(const domain::FileState& file, const domain::AlertState& alert) {
  const std::string report = ReportOf(*file.current, alert);
  return {.key = report.empty() ? alert.alert_id : report, .report_id = report, .alert_id = alert.alert_id, .school = file.school, .code = file.current->code};
}

}  // namespace

domain::ReportFacts Intake::FactsOf(const PendingReport& report) {
  domain::ReportFacts facts{.indicators = {},
                            .claimed_level = report.request.claimed_level(),
                            .deteriorating = report.request.deteriorating(),
                            .reporter = report.caller.person,
                            .recorded_time = report.accepted};
  for (const std::string& code : report.request.signals()) facts.indicators.push_back(code);
  for (const std::string& code : report.request.factors()) facts.indicators.push_back(code);
  return facts;
}

// By the rules that would classify it, on what is known here: with the log away that may be nothing but the report itself.
void Intake::WatchReport(const PendingReport& report) {
  if (dependencies_.break_glass == nullptr) return;
  const std::string& school = report.request.school();
  const auto known = files_by_student_.find(absl::StrCat(school, "/", report.request.student().id()));
  const FileEntry* entry = report.request.student().id().empty() || known == files_by_student_.end() ? nullptr : known->second;
  const domain::FileState* file = entry == nullptr ? nullptr : &entry->state;
  const domain::Pack& in_force = PackOf(school);
  const domain::Pack& pack = entry == nullptr ? in_force : entry->pack();
  const domain::ReportFacts facts = FactsOf(report);
  const std::string level = domain::Classify(pack, in_force, facts, file).level;
  if (pack.Rank(level) < pack.SupervisedRank() || !domain::IsTrigger(pack, facts, level, file)) return;
  const bool joins = file != nullptr && domain::HasOpenCase(*file);
  const std::string code = joins ? file->current->code : CodeOfCase(DeriveId('c', {school, report.report_id}));
  dependencies_.break_glass->Begin({.key = report.report_id, .report_id = report.report_id, .alert_id = "", .school = school, .code = code},
                                   machine_->clock()->NowReal());
}

void Intake::StopWatching(const std::string& report_id) {
  if (dependencies_.break_glass != nullptr) dependencies_.break_glass->End(report_id);
}

void Intake::NoteForBreakGlass(const AppliedCommit& applied) {
  if (dependencies_.break_glass == nullptr || applied.file == nullptr || !applied.applied.guard.ok()) return;
  FileEntry* const file = applied.file;
  for (const domain::Event& event : applied.commit.events) {
    if (const auto* received = std::get_if<domain::ReportReceived>(&event.body)) {
      if (dependencies_.break_glass->Waits(received->report_id)) watched_[file].insert(received->report_id);
    } else if (const auto* raised = std::get_if<domain::AlertRaised>(&event.body)) {
      if (raised->clock_id.empty() && raised->trigger > 0 && IsLadderOfLevel(file->pack(), raised->ladder)) open_alerts_[raised->alert_id] = file;
    } else if (std::holds_alternative<domain::ClockExpired>(event.body) && file->state.current) {
      // A taking that came to nothing opens its alert again.
      for (const domain::AlertState& alert : file->state.current->alerts) {
        if (alert.phase == domain::AlertPhase::kOpen && alert.clock_id.empty() && IsLadderOfLevel(file->pack(), alert.ladder)) open_alerts_[alert.alert_id] = file;
      }
    }
  }
  const auto watched = watched_.find(file);
  if (watched == watched_.end()) return;
  std::erase_if(watched->second, [&](const std::string& key) {
    if (StillWaits(file->state, key, applied.commit)) return false;
    dependencies_.break_glass->End(key);
    return true;
  });
  if (watched->second.empty()) watched_.erase(watched);
}

// Whether, after this commit, somebody must still be called for the matter.
bool Intake::StillWaits(const domain::FileState& file, const std::string& key, const domain::Commit& commit) const {
  if (!domain::HasOpenCase(file)) return false;
  const domain::CaseState& c = *file.current;
  for (const domain::ReportState& report : c.reports) {
    if (report.report_id != key) continue;
    if (!report.taken_by.empty()) return false;
    if (!report.classified) return true;
  }
  return std::any_of(c.alerts.begin(), c.alerts.end(), [&](const domain::AlertState& alert) {
    const bool its = alert.alert_id == key || (!key.empty() && ReportOf(c, alert) == key);
    return its && alert.phase == domain::AlertPhase::kOpen && !TellsOfCall(commit, alert);
  });
}

// After a restart: what nobody was called for before it, as far as the log says.
void Intake::WatchWhatIsOpen() {
  if (dependencies_.break_glass == nullptr) return;
  const absl::Time now = machine_->clock()->NowReal();
  for (const auto& [id, entry] : machine_->files()) {
    if (!domain::HasOpenCase(entry.state)) continue;
    FileEntry* const file = machine_->FindFile(id);
    const domain::CaseState& c = *entry.state.current;
    const domain::Pack& pack = entry.pack();
    for (const domain::AlertState& alert : c.alerts) {
      if (alert.phase != domain::AlertPhase::kOpen || !alert.clock_id.empty() || !IsLadderOfLevel(pack, alert.ladder)) continue;
      open_alerts_[alert.alert_id] = file;
      if (!alert.attempted) Watch(file, alert, now);
    }
    for (const domain::ReportState& report : c.reports) {
      if (report.classified || !report.taken_by.empty()) continue;
      const domain::ReportFacts facts{.indicators = report.indicators,
                                      .claimed_level = report.claimed_level,
                                      .deteriorating = report.deteriorating,
                                      .reporter = report.reporter,
                                      .recorded_time = report.recorded_time};
      const std::string level = domain::Classify(pack, entry.pack_in_force(), facts, &entry.state).level;
      if (pack.Rank(level) < pack.SupervisedRank() || !domain::IsTrigger(pack, facts, level, &entry.state)) continue;
      watched_[file].insert(report.report_id);
      dependencies_.break_glass->Begin(
          {.key = report.report_id, .report_id = report.report_id, .alert_id = "", .school = entry.state.school, .code = c.code}, now);
    }
  }
}

void Intake::Watch(FileEntry* file, const domain::AlertState& alert, absl::Time since) {
  Matter matter = MatterOf(file->state, alert);
  watched_[file].insert(matter.key);
  dependencies_.break_glass->Begin(std::move(matter), since);
}

// A ladder climbs or calls again and again until somebody takes it. One that does neither stands still, whatever holds it.
void Intake::LookForStuckLadders() {
  if (!machine_->caught_up()) return;
  const double speed = machine_->clock()->Speed();
  const absl::Time now = machine_->Now();
  for (auto it = open_alerts_.begin(); it != open_alerts_.end();) {
    FileEntry* const file = it->second;
    const domain::AlertState* alert = domain::FindAlert(file->state, it->first);
    if (alert == nullptr || alert->phase != domain::AlertPhase::kOpen) {
      it = open_alerts_.erase(it);
      continue;
    }
    ++it;
    if (dependencies_.break_glass->Waits(MatterOf(file->state, *alert).key)) continue;
    const domain::LadderRow* ladder = file->pack().FindLadder(alert->ladder);
    if (ladder == nullptr || static_cast<std::size_t>(alert->step) >= ladder->steps.size()) continue;
    absl::Time last = alert->step_time;
    for (const domain::AttemptState& attempt : alert->attempts) last = std::max(last, attempt.event_time);
    if (now - last <= 2 * ladder->steps[static_cast<std::size_t>(alert->step)].wait + kLadderPatience * speed) continue;
    log::Error("a ladder stands still", {{"alert", log::Id(alert->alert_id)}, {"for", (now - last) / speed}});
    Watch(file, *alert, machine_->clock()->NowReal() - kFirstCallPatience);
  }
}

// A broker that takes an append and never answers, nor closes the connection, must not keep a reporter waiting.
void Intake::LookForStuckReports() {
  const std::uint64_t stored = machine_->statistics().own_batches;
  if (std::exchange(stored_at_last_look_, stored) != stored) return;
  const absl::Time now = machine_->clock()->NowReal();
  std::vector<std::shared_ptr<PendingReport>> stuck;
  for (const auto& [id, report] : pending_reports_) {
    if (report->reply && report->submitted && report->outbox_row.empty() && !report->promised && now - report->arrived > kAppendPatience) stuck.push_back(report);
  }
  for (auto& report : stuck) AnswerFromOutbox(std::move(report));
}

void Intake::OnBreakGlassTick() {
  machine_->loop()->Post([this] {
    LookForStuckLadders();
    LookForStuckReports();
    RecordBreakGlass();
    EraseGivenUp();
    // A partition that stood still may be whole again.
    if (const bool any = machine_->any_stopped(); std::exchange(stood_still_, any) && !any) DrainOutbox();
  });
}

void Intake::RecordBreakGlass() {
  if (dependencies_.break_glass == nullptr || !machine_->caught_up() || !machine_->connected()) return;
  for (BreakGlassRecord& record : dependencies_.break_glass->Unrecorded()) {
    if (record.report_id.empty() && record.alert_id.empty()) {
      // About a file that is set aside: the rounds stand in this process's own log lines. The taking stays, so that a restart does not ring again.
      if (record.taken_by.empty()) dependencies_.break_glass->Recorded(record.id);
      continue;
    }
    const auto& files = record.report_id.empty() ? files_by_alert_ : files_by_report_;
    const auto found = files.find(record.report_id.empty() ? record.alert_id : record.report_id);
    if (found == files.end() || !recording_.insert(record.id).second) continue;
    FileEntry* const file = found->second;
    const std::string id = record.id;
    machine_->SubmitHere(
        file->partition, kRecordPriority,
        [this, file, record = std::move(record)]() -> absl::StatusOr<Draft> {
          Draft draft;
          draft.cause = absl::StrCat("break-glass/", record.id);
          draft.school = file->state.school;
          draft.file = file->state.file;
          draft.actor = {.person = record.taken_by.empty() ? "intake" : record.taken_by, .role = ""};
          const absl::Time when = machine_->Now() - (machine_->clock()->NowReal() - record.real_time) * machine_->clock()->Speed();
          if (record.taken_by.empty()) {
            draft.events.push_back(domain::Event{domain::BreakGlassRung{
                .report_id = record.report_id, .alert_id = record.alert_id, .people = record.people, .by = record.by, .rung_time = when}});
          } else {
            draft.events.push_back(domain::Event{domain::BreakGlassTaken{
                .report_id = record.report_id, .alert_id = record.alert_id, .person = record.taken_by, .taken_time = when}});
          }
          return draft;
        },
        [this, id](const absl::StatusOr<Machine::Outcome>& outcome) {
          recording_.erase(id);
          // Refused: it stands there already, by an append that was thought lost.
          if (outcome.ok() || absl::IsFailedPrecondition(outcome.status())) return dependencies_.break_glass->Recorded(id);
          log::Warn("what break-glass did cannot be recorded yet", {{"reason", outcome.status()}});
        });
  }
}

// The manual-call sheet of a file that nothing automatic happens to any more: the school's emergency list is rung until a person takes it.
void Intake::OnQuarantine(FileEntry& file) {
  if (dependencies_.break_glass == nullptr) return;
  const std::string code = file.state.current ? file.state.current->code : CodeOfCase(file.state.file);
  dependencies_.break_glass->Begin(
      {.key = absl::StrCat("quarantine/", file.state.file), .report_id = "", .alert_id = "", .school = file.state.school, .code = code},
      machine_->clock()->NowReal() - kFirstCallPatience);
}

// Reports that lie here since an earlier life of this process: if the log is away their children wait still.
void Intake::WatchOutbox() {
  if (dependencies_.break_glass == nullptr) return;
  const absl::Status read = dependencies_.outbox->ForEach([this](const OutboxRow& row) {
    if (const std::shared_ptr<PendingReport> report = ReadOutboxRow(row)) WatchReport(*report);
    return true;
  });
  if (!read.ok()) log::Error("the outbox cannot be read", {{"reason", read}});
}

}  // namespace vigil::intake
