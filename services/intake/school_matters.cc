// What a school owes and keeps beside its cases: records of the school, its classes and students, duties, calendar, register, readiness,
// statistics. It stands in one file of its own, so that nothing here is paid for on a child's file.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "contract/time_conversion.h"
#include "domain/calendar.h"
#include "domain/duty.h"
#include "domain/file.h"
#include "domain/form.h"
#include "domain/record.h"
#include "domain/school_time.h"
#include "intake/commands.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/once.h"
#include "intake/school_views.h"
#include "platform/crypto/derive.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

constexpr int kPriority = 20;
// A student whom nobody named; somebody of the counselling room finds out who it is.
constexpr char kUnnamed[] = "?";

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

absl::Status AsConflict(const absl::Status& status) {
  if (!absl::IsFailedPrecondition(status) || rpc::ReadProblem(status)) return status;
  return rpc::NotInState(std::string_view(status.message().data(), status.message().size()), "open", {});
}

// A record of a class or a student, by who has to do with it.
absl::Status CheckScope(const domain::Pack& pack, const domain::SchoolState& school, const Caller& caller, const std::string& class_name,
                        const std::string& grade) {
  const auto role = pack.roles.find(caller.role);
  if (role == pack.roles.end() || role->second.scope == domain::RoleRow::Scope::kSchool) return absl::OkStatus();
  const auto person = school.people.find(caller.person);
  const bool own = person != school.people.end() &&
                   (role->second.scope == domain::RoleRow::Scope::kClass ? person->second.class_name == class_name : person->second.grade == grade);
  return own ? absl::OkStatus() : absl::PermissionDeniedError("this is another class");
}

std::string GradeOf(const domain::SchoolState& school, const std::string& class_name) {
  for (const auto& [id, person] : school.people) {
    if (person.kind == domain::PersonKind::kStudent && person.class_name == class_name) return person.grade;
  }
  return "";
}

}  // namespace

void Intake::WithSchoolFile(const std::string& school, std::function<void(absl::StatusOr<FileEntry*>)> then) {
  const std::string id = SchoolFileId(school);
  if (FileEntry* file = machine_->FindFile(id); file != nullptr && file->state.duties) return then(file);
  if (!machine_->connected()) return then(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  // Its key is durable before the first commit that needs it.
  dependencies_.worker->Post([this, school, id, then = std::move(then)]() mutable {
    const absl::Status key = dependencies_.keys->EnsureKey(id).status();
    machine_->loop()->Post([this, school, id, key, then = std::move(then)]() mutable {
      if (!key.ok()) return then(key);
      machine_->SubmitHere(
          PartitionOf(school), kPriority,
          [school, id]() -> absl::StatusOr<Draft> {
            Draft draft{.cause = absl::StrCat("opened/", id), .school = school, .file = id, .actor = {.person = "intake"}};
            draft.events.push_back(domain::Event{domain::SchoolFileOpened{}});
            return draft;
          },
          [this, id, then = std::move(then)](const absl::StatusOr<Machine::Outcome>& outcome) {
            FileEntry* file = machine_->FindFile(id);
            // Two at once: one of them opened it.
            if (file != nullptr && file->state.duties) return then(file);
            then(outcome.ok() ? absl::InternalError("the school's file did not open") : outcome.status());
          });
    });
  });
}

void Intake::SubmitToSchoolFile(const Caller& caller, FileEntry* file, std::string cause,
                                std::function<absl::StatusOr<std::vector<domain::Event>>()> decide,
                                std::function<void(absl::StatusOr<Machine::Outcome>)> done) {
  machine_->SubmitHere(
      file->partition, kPriority,
      [caller, file, cause = std::move(cause), decide = std::move(decide)]() -> absl::StatusOr<Draft> {
        auto events = decide();
        if (!events.ok()) return events.status();
        Draft draft{.cause = cause, .school = file->state.school, .file = file->state.file, .actor = {.person = caller.person, .role = caller.role}};
        draft.request_hash = caller.idempotency_key.empty() ? "" : caller.body_hash;
        draft.traceparent = caller.traceparent;
        draft.events = *std::move(events);
        return draft;
      },
      std::move(done));
}

void Intake::FileSchoolRecord(const Caller& caller, const v1::FileSchoolRecordRequest& request, Reply<v1::Record> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    using Attaches = domain::RecordRow::Attaches;
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "record.file", request.school()); !may.ok()) return reply(may);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (school == nullptr) return reply(absl::NotFoundError("no such school"));
    // Held until it has been filed: the school may change its pack meanwhile.
    const std::shared_ptr<const domain::Pack> pack = machine_->PackOf(request.school());
    const auto found = pack->records.find(request.kind());
    if (found == pack->records.end()) return reply(rpc::InvalidField("kind", "unknown record kind"));
    const domain::RecordRow& row = found->second;
    if (row.attaches == Attaches::kCase || !row.filed_by.empty()) return reply(rpc::InvalidField("kind", "is a record of a case"));
    if (!Contains(row.written_by, caller.role)) return reply(absl::PermissionDeniedError("this role does not write this record"));

    domain::RecordFiled filed{.kind = row.id};
    filed.supersedes = request.supersedes();
    auto attachments = Attachments(request.school(), request.attachments());
    if (!attachments.ok()) return reply(attachments.status());
    filed.attachments = *std::move(attachments);
    if (row.attaches == Attaches::kStudent) {
      const auto student = school->people.find(request.student());
      if (request.student().empty()) return reply(rpc::InvalidField("student", "is required"));
      if (student == school->people.end() || student->second.kind != domain::PersonKind::kStudent) return reply(absl::NotFoundError("no such student"));
      if (absl::Status own = CheckScope(*pack, *school, caller, student->second.class_name, student->second.grade); !own.ok()) return reply(own);
      filed.student = request.student();
    } else if (!request.student().empty()) {
      return reply(rpc::InvalidField("student", "is not in this form"));
    }
    if (row.attaches == Attaches::kClass) {
      const auto writer = school->people.find(caller.person);
      filed.class_name = !request.class_().empty() || writer == school->people.end() ? request.class_() : writer->second.class_name;
      if (filed.class_name.empty()) return reply(rpc::InvalidField("class", "is required"));
      const std::string grade = GradeOf(*school, filed.class_name);
      if (absl::Status own = CheckScope(*pack, *school, caller, filed.class_name, grade); !own.ok()) return reply(own);
    } else if (!request.class_().empty()) {
      return reply(rpc::InvalidField("class", "is not in this form"));
    }
    const domain::Fields fields(request.fields().begin(), request.fields().end());
    if (absl::Status form = FormRefusal(domain::CheckForm(row, fields, *school, machine_->Now(), false)); !form.ok()) return reply(form);
    const auto scored = domain::Scored(*pack, row, fields);
    if (!scored.ok()) return reply(rpc::InvalidField(absl::StrCat("fields.", row.scored->answers), std::string_view(scored.status().message().data(), scored.status().message().size())));
    domain::SplitFields split = domain::Split(row, *scored);
    for (auto& [id, value] : split.plain) filed.plain.emplace(id, value);

    const std::string cause = CauseOf(caller, request.school());
    filed.record_id = DeriveId('d', {request.school(), cause});
    const auto start = [this, caller, request, pack, &row, cause, filed, split](Reply<v1::Record> answer) {
      WithSchoolFile(request.school(), [this, caller, request, pack, &row, cause, filed, split, answer = std::move(answer)](absl::StatusOr<FileEntry*> file) mutable {
        if (!file.ok()) return answer(file.status());
        // About a student: under the student's key, so that erasing the student erases this.
        const std::string subject = filed.student.empty() ? (*file)->state.file : SubjectOf(request.school(), filed.student);
        if (!split.sealed.empty()) {
          const auto key = dependencies_.keys->Find(subject);
          if (!key.ok()) return answer(key.status());
          filed.fields = domain::Sealed{.person = subject, .content = key->Seal(json{{"fields", split.sealed}}.dump(), subject, *dependencies_.random)};
        }
        const auto store = [this, caller, school = request.school(), file = *file, cause, filed, answer]() {
          SubmitToSchoolFile(
              caller, file, cause,
              [this, school, file, filed]() -> absl::StatusOr<std::vector<domain::Event>> {
                domain::RecordFiled event = filed;
                const domain::DutyState* duty = domain::DutyDoneBy(file->pack(), file->state, event);
                event.late = duty != nullptr && machine_->Now() > duty->due_time;
                const auto of_school = files_by_school_.find(school);
                if (duty != nullptr && of_school != files_by_school_.end()) {
                  const domain::DutyRow& owed = file->pack().duties.at(duty->duty);
                  const bool of_register = owed.accounts && owed.accounts->people == domain::DutyRow::Accounts::People::kRegister;
                  for (const FileEntry* entry : of_register ? of_school->second : std::vector<FileEntry*>()) {
                    if (entry->state.registered) event.population.push_back(entry->state.student);
                  }
                }
                return std::vector<domain::Event>{domain::Event{std::move(event)}};
              },
              [answer](const absl::StatusOr<Machine::Outcome>& outcome) {
                if (!outcome.ok()) return answer(AsConflict(outcome.status()));
                answer(SchoolRecordAnswer(outcome->file->state, outcome->commit));
              });
        };
        const bool reports = row.reports && filed.plain.contains(row.reports->field) && filed.plain.at(row.reports->field) == row.reports->value;
        if (!reports) return store();
        // First the report, which nothing holds up; what it was found in is filed after it.
        v1::CreateReportRequest report;
        report.set_school(request.school());
        if (!filed.student.empty()) {
          report.mutable_student()->set_id(filed.student);
        } else {
          report.mutable_student()->set_name(kUnnamed);
        }
        for (const std::string& signal : row.reports->signals) report.add_signals(signal);
        report.set_channel(row.reports->channel);
        std::string narrative;
        for (const auto& [id, text] : split.sealed) absl::StrAppend(&narrative, narrative.empty() ? "" : "\n", text);
        report.set_narrative(narrative);
        Caller reporter = caller;
        if (!reporter.idempotency_key.empty()) reporter.idempotency_key += "/report";
        CreateReport(reporter, report, [answer, store](const absl::StatusOr<v1::CreateReportResponse>& reported) mutable {
          if (!reported.ok()) return answer(reported.status());
          store();
        });
      });
    };
    Once<v1::Record>(caller, CommitIdOf(request.school(), cause), std::move(reply), start);
  });
}

void Intake::AcknowledgeSchoolRecord(const Caller& caller, const v1::AcknowledgeSchoolRecordRequest& request, Reply<v1::Record> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "record.read", request.school()); !may.ok()) return reply(may);
    FileEntry* file = machine_->FindFile(SchoolFileId(request.school()));
    const domain::RecordState* record = file == nullptr ? nullptr : domain::FindRecord(file->state, request.record());
    if (record == nullptr) return reply(absl::NotFoundError("no such record"));
    const domain::Pack& pack = file->pack();
    const auto row = pack.records.find(record->kind);
    if (row == pack.records.end() || row->second.acknowledged_by != caller.role) {
      return reply(absl::PermissionDeniedError("this role does not acknowledge this record"));
    }
    const domain::SchoolState& school = machine_->SchoolFor(request.school());
    if (absl::Status own = CheckScope(pack, school, caller, record->class_name, GradeOf(school, record->class_name)); !record->class_name.empty() && !own.ok()) {
      return reply(own);
    }
    const std::string cause = CauseOf(caller, request.school());
    const domain::RecordAcknowledged event{.kind = record->kind, .record_id = record->record_id};
    Once<v1::Record>(caller, CommitIdOf(request.school(), cause), std::move(reply), [this, caller, file, cause, event](Reply<v1::Record> answer) {
      SubmitToSchoolFile(
          caller, file, cause, [event]() -> absl::StatusOr<std::vector<domain::Event>> { return std::vector<domain::Event>{domain::Event{event}}; },
          [answer = std::move(answer)](const absl::StatusOr<Machine::Outcome>& outcome) {
            if (!outcome.ok()) return answer(AsConflict(outcome.status()));
            answer(SchoolRecordAnswer(outcome->file->state, outcome->commit));
          });
    });
  });
}

// ------------------------------------------------------------------------------------------------ reading

void Intake::ListDuties(const Caller& caller, const v1::ListDutiesRequest& request, Reply<v1::ListDutiesResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "oncall.read", request.school()); !may.ok()) return reply(may);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (school == nullptr) return reply(absl::NotFoundError("no such school"));
    const std::string& state = request.state();
    if (!state.empty() && state != "due" && state != "overdue" && state != "done") return reply(rpc::InvalidField("state", "is due, overdue or done"));
    v1::ListDutiesResponse response;
    const FileEntry* file = machine_->FindFile(SchoolFileId(request.school()));
    if (file == nullptr || !file->state.duties) return reply(std::move(response));
    std::vector<std::string> registered;
    if (const auto of_school = files_by_school_.find(request.school()); of_school != files_by_school_.end()) {
      for (const FileEntry* entry : of_school->second) {
        if (entry->state.registered) registered.push_back(entry->state.student);
      }
    }
    for (const domain::DutyState& duty : file->state.duties->duties) {
      v1::Duty view;
      FillDuty(file->pack(), *school, duty, machine_->Now(), registered, &view);
      if (state.empty() || view.state() == state) *response.add_duties() = std::move(view);
    }
    std::stable_sort(response.mutable_duties()->begin(), response.mutable_duties()->end(), [](const v1::Duty& a, const v1::Duty& b) {
      return a.due_time().seconds() < b.due_time().seconds();
    });
    reply(std::move(response));
  });
}

void Intake::GetRegister(const Caller& caller, const v1::GetRegisterRequest& request, Reply<v1::Register> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "case.list", request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    v1::Register response;
    if (const auto of_school = files_by_school_.find(request.school()); of_school != files_by_school_.end()) {
      for (const FileEntry* entry : of_school->second) {
        if (!entry->state.registered || !entry->state.current || !AuthorizeCase(caller, "case.list", entry->state).ok()) continue;
        FillRegisterEntry(entry->pack(), entry->state, machine_->Now(), response.add_entries());
      }
    }
    std::stable_sort(response.mutable_entries()->begin(), response.mutable_entries()->end(),
                     [pack = machine_->PackOf(request.school())](const v1::RegisterEntry& a, const v1::RegisterEntry& b) { return pack->Rank(a.level()) > pack->Rank(b.level()); });
    reply(std::move(response));
  });
}

namespace {

std::vector<const domain::FileState*> StatesOf(const std::vector<FileEntry*>& entries) {
  std::vector<const domain::FileState*> states;
  for (const FileEntry* entry : entries) states.push_back(&entry->state);
  return states;
}

}  // namespace

void Intake::GetReadiness(const Caller& caller, const v1::GetReadinessRequest& request, Reply<v1::Readiness> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "case.list", request.school()); !may.ok()) return reply(may);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (school == nullptr) return reply(absl::NotFoundError("no such school"));
    const auto of_school = files_by_school_.find(request.school());
    reply(ReadinessOf(PackOf(request.school()), *school, of_school == files_by_school_.end() ? std::vector<const domain::FileState*>() : StatesOf(of_school->second), machine_->Now()));
  });
}

void Intake::GetStatistics(const Caller& caller, const v1::GetStatisticsRequest& request, Reply<v1::Statistics> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "case.list", request.school()); !may.ok()) return reply(may);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (school == nullptr) return reply(absl::NotFoundError("no such school"));
    const absl::Time from = request.has_from_time() ? contract::TimeFromProto(request.from_time()) : absl::InfinitePast();
    const absl::Time to = request.has_to_time() ? contract::TimeFromProto(request.to_time()) : absl::InfiniteFuture();
    if (to <= from) return reply(rpc::InvalidField("to_time", "is after from_time"));
    const auto of_school = files_by_school_.find(request.school());
    const FileEntry* own = machine_->FindFile(SchoolFileId(request.school()));
    reply(StatisticsOf(PackOf(request.school()), *school, own == nullptr ? nullptr : &own->state,
                       of_school == files_by_school_.end() ? std::vector<const domain::FileState*>() : StatesOf(of_school->second), from, to, machine_->Now()));
  });
}

// ------------------------------------------------------------------------------------------------ calendar

namespace {

std::optional<absl::CivilDay> DayOf(const std::string& text) {
  absl::CivilDay day;
  if (text.size() != 10 || !absl::ParseCivilTime(text, &day)) return std::nullopt;
  return day;
}

}  // namespace

void Intake::PutCalendar(const Caller& caller, const v1::PutCalendarRequest& request, Reply<v1::Calendar> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable { PutCalendarHere(caller, request, std::move(reply)); });
}

void Intake::PutCalendarHere(const Caller& caller, const v1::PutCalendarRequest& request, Reply<v1::Calendar> reply) {
  if (absl::Status may = Authorize(caller, "schedule.write", request.school()); !may.ok()) return reply(may);
  std::vector<rpc::FieldError> errors;
  domain::CalendarSet set;
  const auto read = [&](const auto& spans, const char* field, std::vector<domain::DaySpan>& into) {
    std::optional<absl::CivilDay> before;
    for (int i = 0; i < spans.size(); ++i) {
      const std::optional<absl::CivilDay> from = DayOf(spans[i].from_date());
      const std::optional<absl::CivilDay> to = DayOf(spans[i].to_date());
      const std::string at = absl::StrCat(field, "[", i, "]");
      if (!from) errors.push_back({absl::StrCat(at, ".from_date"), "is a day, as 2026-09-01"});
      if (!to) errors.push_back({absl::StrCat(at, ".to_date"), "is a day, as 2026-09-01"});
      if (!from || !to) continue;
      if (*to < *from) errors.push_back({absl::StrCat(at, ".to_date"), "is before from_date"});
      if (before && *from <= *before) errors.push_back({absl::StrCat(at, ".from_date"), "they are in order and do not overlap"});
      before = to;
      into.push_back({.from_day = domain::NumberOfDay(*from), .to_day = domain::NumberOfDay(*to)});
    }
  };
  read(request.terms(), "terms", set.terms);
  read(request.holidays(), "holidays", set.holidays);
  for (int i = 0; i < request.school_days_size(); ++i) {
    const std::optional<absl::CivilDay> day = DayOf(request.school_days(i));
    if (!day) errors.push_back({absl::StrCat("school_days[", i, "]"), "is a day, as 2026-09-01"});
    if (day) set.school_days.push_back(domain::NumberOfDay(*day));
  }
  if (request.terms().empty()) errors.push_back({"terms", "names at least one"});
  if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
  if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
  if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  machine_->SubmitHere(
      PartitionOf(request.school()), 0,
      [caller, set, school = request.school(), cause = NewCause()]() -> absl::StatusOr<Draft> {
        Draft draft{.cause = cause, .school = school, .actor = {.person = caller.person, .role = caller.role}};
        draft.events.push_back(domain::Event{set});
        return draft;
      },
      [this, request, reply = std::move(reply)](const absl::StatusOr<Machine::Outcome>& outcome) {
        if (!outcome.ok()) return reply(outcome.status());
        WithSchoolFile(request.school(), [request, reply](const absl::StatusOr<FileEntry*>& file) {
          if (!file.ok()) return reply(file.status());
          v1::Calendar calendar;
          *calendar.mutable_terms() = request.terms();
          *calendar.mutable_holidays() = request.holidays();
          *calendar.mutable_school_days() = request.school_days();
          reply(std::move(calendar));
        });
      });
}

}  // namespace vigil::intake
