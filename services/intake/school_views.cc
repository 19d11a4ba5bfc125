#include "intake/school_views.h"

#include <algorithm>
#include <map>
#include <set>

#include "contract/time_conversion.h"
#include "domain/clocks.h"
#include "domain/duty.h"
#include "domain/file.h"
#include "domain/on_call.h"
#include "domain/record.h"
#include "domain/school_time.h"
#include "intake/views.h"
#include "platform/crypto/derive.h"

namespace vigil::intake {
namespace {

using domain::IsSet;

// Nothing written about a student of the register for so long is told as stale (REP-02): a school setting.
constexpr absl::Duration kStaleAfter = absl::Hours(14 * 24);

void FillCell(int count, const std::string& name, v1::Cell* cell) {
  cell->set_name(name);
  const bool small = count > 0 && count < kSmallestCell;
  cell->set_suppressed(small);
  cell->set_count(small ? 0 : count);
}

std::int64_t Quantile(std::vector<absl::Duration> spans, double q) {
  if (static_cast<int>(spans.size()) < kSmallestCell) return 0;
  std::sort(spans.begin(), spans.end());
  return absl::ToInt64Seconds(spans[static_cast<std::size_t>(q * static_cast<double>(spans.size() - 1))]);
}

int HighestRank(const domain::Pack& pack, const domain::CaseState& c) { return std::max({pack.Rank(c.provisional), pack.Rank(c.final_level), 0}); }

}  // namespace

#define VIGIL_SET_TIME(view, field, value) \
  if (IsSet(value)) contract::TimeToProto(value, (view)->mutable_##field())

std::string SchoolFileId(std::string_view school) { return DeriveId('f', {school, "own matters"}); }

void FillRecord(const domain::RecordState& record, v1::Record* view) {
  view->set_record_id(record.record_id);
  view->set_kind(record.kind);
  VIGIL_SET_TIME(view, filed_time, record.filed_time);
  view->set_author(record.author);
  view->set_late(record.late);
  VIGIL_SET_TIME(view, acknowledged_time, record.acknowledged_time);
  view->set_superseded(record.superseded);
  view->set_student(record.student);
  view->set_class_(record.class_name);
}

v1::Record SchoolRecordAnswer(const domain::FileState& file, const domain::Commit& commit) {
  v1::Record view;
  std::string id;
  for (const domain::Event& event : commit.events) {
    if (const auto* filed = std::get_if<domain::RecordFiled>(&event.body)) id = filed->record_id;
    if (const auto* acknowledged = std::get_if<domain::RecordAcknowledged>(&event.body)) id = acknowledged->record_id;
  }
  if (const domain::RecordState* record = domain::FindRecord(file, id)) FillRecord(*record, &view);
  return view;
}

void FillDuty(const domain::Pack& pack, const domain::SchoolState& school, const domain::DutyState& duty, absl::Time now,
              const std::vector<std::string>& register_ids, v1::Duty* view) {
  const auto row = pack.duties.find(duty.duty);
  view->set_duty(duty.duty);
  const bool overdue = !domain::IsDone(duty) && now > duty.due_time;
  view->set_state(domain::IsDone(duty) ? "done" : overdue ? "overdue" : "due");
  VIGIL_SET_TIME(view, from_time, duty.from_time);
  VIGIL_SET_TIME(view, due_time, duty.due_time);
  VIGIL_SET_TIME(view, done_time, duty.done_time);
  VIGIL_SET_TIME(view, acknowledged_time, duty.acknowledged_time);
  view->set_record_id(duty.record_id);
  view->set_late(duty.late || overdue);
  if (row == pack.duties.end()) return;
  view->set_record_kind(row->second.record);
  if (row->second.every == domain::DutyRow::Every::kEvent) {
    view->set_after_record(duty.subject);
  } else {
    view->set_class_(duty.subject);
  }
  for (const std::string& id : domain::DutyOwners(pack, school, row->second, duty.subject)) view->add_owners(id);
  if (!domain::IsDone(duty)) view->set_unaccounted(static_cast<int>(domain::Unaccounted(row->second, duty, school, register_ids).size()));
}

void FillRegisterEntry(const domain::Pack& pack, const domain::FileState& file, absl::Time now, v1::RegisterEntry* view) {
  view->set_student(file.student);
  VIGIL_SET_TIME(view, entry_time, file.registered_time);
  if (!file.current) return;
  v1::Case shown;
  FillCase(pack, file, Caller{}, &shown);
  view->set_case_(shown.case_id());
  view->set_level(domain::EffectiveLevel(pack, file).id);
  view->set_state(shown.state());
  absl::Time last = absl::InfinitePast();
  for (const domain::RecordState& record : file.current->records) last = std::max(last, record.filed_time);
  for (const domain::ReportState& report : file.current->reports) last = std::max(last, report.recorded_time);
  VIGIL_SET_TIME(view, last_record_time, last);
  view->set_stale(!IsSet(last) || now - last > kStaleAfter);
  view->set_responsible(shown.responsible());
  const domain::ClockState* next = nullptr;
  for (const domain::ClockState& clock : file.current->clocks) {
    if (!domain::IsOwed(clock) || !IsSet(clock.due_time)) continue;
    if (next == nullptr || clock.due_time < next->due_time) next = &clock;
  }
  if (next == nullptr) return;
  view->set_next(next->kind);
  VIGIL_SET_TIME(view, next_time, next->due_time);
}

v1::Readiness ReadinessOf(const domain::Pack& pack, const domain::SchoolState& school, const std::vector<const domain::FileState*>& cases, absl::Time now) {
  v1::Readiness readiness;
  const auto finding = [&](const char* kind, const std::string& subject, const std::string& detail = "") {
    v1::ReadinessFinding* found = readiness.add_findings();
    found->set_kind(kind);
    found->set_subject(subject);
    found->set_detail(detail);
    return found;
  };
  std::map<std::string, std::string> classes;  // and their grades
  std::map<std::string, std::vector<const domain::PersonState*>> staff;  // by role
  for (const auto& [id, person] : school.people) {
    if (person.kind == domain::PersonKind::kStudent && !person.class_name.empty()) classes[person.class_name] = person.grade;
    if (person.kind != domain::PersonKind::kStaff || person.on_leave) continue;
    for (const std::string& role : person.roles) staff[role].push_back(&person);
  }
  for (const auto& [id, row] : pack.roles) {
    if (row.at_least == 0) continue;
    const std::vector<const domain::PersonState*>& people = staff[id];
    if (row.scope == domain::RoleRow::Scope::kSchool) {
      if (static_cast<int>(people.size()) < row.at_least) {
        v1::ReadinessFinding* found = finding("too_few", id);
        found->set_count(static_cast<int>(people.size()));
        found->set_needed(row.at_least);
      }
    } else {
      std::set<std::string> without;
      for (const auto& [class_name, grade] : classes) {
        const bool of_class = row.scope == domain::RoleRow::Scope::kClass;
        const bool covered = std::any_of(people.begin(), people.end(), [&, &class_name = class_name, &grade = grade](const domain::PersonState* person) {
          return of_class ? person->class_name == class_name : person->grade == grade;
        });
        if (!covered) without.insert(of_class ? class_name : grade);
      }
      for (const std::string& subject : without) finding(row.scope == domain::RoleRow::Scope::kClass ? "class_without" : "grade_without", subject, id);
    }
    std::vector<std::string> silent;
    for (const domain::PersonState* person : people) {
      if (!person->has_phone) silent.push_back(person->person_id);
    }
    if (silent.empty()) continue;
    v1::ReadinessFinding* found = finding("unreachable", id);
    for (const std::string& person : silent) found->add_people(person);
  }
  for (const auto& [id, row] : pack.schedules) {
    const std::vector<std::string> on_call = domain::OnCall(pack, school, id, now);
    const bool reachable = std::any_of(on_call.begin(), on_call.end(), [&](const std::string& person) { return school.people.at(person).has_phone; });
    if (!reachable) finding("schedule_empty", id);
  }
  for (const domain::FileState* file : cases) {
    if (!domain::HasOpenCase(*file)) continue;
    for (const domain::RosterState& roster : file->current->rosters) {
      const auto row = pack.records.find(roster.kind);
      if (row == pack.records.end() || !row->second.roster) continue;
      const domain::RosterCount count = domain::CountRoster(school, *file, *row->second.roster, roster.members);
      if (count.Enough(*row->second.roster)) continue;
      v1::ReadinessFinding* found = finding("group_short", roster.kind, file->current->case_id);
      found->set_count(count.members);
      found->set_needed(row->second.roster->at_least);
    }
  }
  if (!school.calendar) finding("no_calendar", school.school);
  readiness.set_ready(readiness.findings_size() == 0);
  return readiness;
}

v1::Statistics StatisticsOf(const domain::Pack& pack, const domain::SchoolState& school, const domain::FileState* school_file,
                            const std::vector<const domain::FileState*>& cases, absl::Time from, absl::Time to, absl::Time now) {
  v1::Statistics statistics;
  struct Kept {
    int started = 0;
    int in_time = 0;
    int late = 0;
    std::vector<absl::Duration> spans;
  };
  std::vector<int> by_level(pack.levels.size(), 0);
  std::map<std::string, Kept> by_kind;
  int registered = 0;
  for (const domain::FileState* file : cases) {
    if (file->registered) ++registered;
    for (const domain::ClosedCase& past : file->past) {
      if (past.opened_time >= from && past.opened_time < to) ++by_level[static_cast<std::size_t>(std::max(pack.Rank(past.highest), 0))];
    }
    if (!file->current || file->current->opened_time < from || file->current->opened_time >= to) continue;
    ++by_level[static_cast<std::size_t>(HighestRank(pack, *file->current))];
    for (const domain::ClockState& clock : file->current->clocks) {
      if (clock.phase == domain::ClockPhase::kCancelled) continue;
      Kept& kept = by_kind[clock.kind];
      ++kept.started;
      if (clock.late || clock.phase == domain::ClockPhase::kOverdue) {
        ++kept.late;
      } else if (clock.phase == domain::ClockPhase::kMet) {
        ++kept.in_time;
      }
      if (clock.phase == domain::ClockPhase::kMet) kept.spans.push_back(clock.met_time - clock.start_time);
    }
  }
  for (const domain::LevelRow& level : pack.levels) FillCell(by_level[static_cast<std::size_t>(level.rank)], level.id, statistics.add_cases_by_level());
  for (const auto& [kind, kept] : by_kind) {
    v1::ClockStatistics* row = statistics.add_clocks();
    row->set_kind(kind);
    FillCell(kept.started, kind, row->mutable_started());
    FillCell(kept.in_time, kind, row->mutable_in_time());
    FillCell(kept.late, kind, row->mutable_late());
    row->set_median_seconds(Quantile(kept.spans, 0.5));
    row->set_p90_seconds(Quantile(kept.spans, 0.9));
  }
  std::map<std::string, v1::DutyStatistics> duties;
  if (school_file != nullptr && school_file->duties) {
    for (const domain::DutyState& duty : school_file->duties->duties) {
      v1::DutyStatistics& row = duties[duty.duty];
      row.set_duty(duty.duty);
      row.set_owed(row.owed() + 1);
      if (domain::IsDone(duty)) row.set_done(row.done() + 1);
      if (duty.late || (!domain::IsDone(duty) && now > duty.due_time)) row.set_late(row.late() + 1);
    }
  }
  for (auto& [id, row] : duties) *statistics.add_duties() = std::move(row);
  int students = 0;
  for (const auto& [id, person] : school.people) students += person.kind == domain::PersonKind::kStudent ? 1 : 0;
  statistics.set_students(students);
  FillCell(registered, "registered", statistics.mutable_registered());
  return statistics;
}

#undef VIGIL_SET_TIME

}  // namespace vigil::intake
