// Whose case it is: a student identified, a case moved to another student's file.
#include <algorithm>

#include "domain/file.h"
#include "domain/school_time.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/once.h"
#include "intake/views.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
void Intake::IdentifyStudent(const Caller& caller, const v1::IdentifyStudentRequest& request, Reply<v1::Case> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (AnswerAgain(caller, request.case_(), "student.identify", reply)) return;
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "student.identify", file->state); !may.ok()) return reply(may);
    const domain::SchoolState& school = machine_->SchoolFor(file->state.school);
    if (!domain::HasOpenCase(file->state)) return reply(rpc::NotInState("the case is closed", PhaseName(file->state.current->phase), {}));
    const auto student = school.people.find(request.id());
    if (student == school.people.end() || student->second.kind != domain::PersonKind::kStudent) return reply(absl::NotFoundError("no such student"));
    const auto known = files_by_student_.find(StudentKey(file->state.school, request.id()));
    if (known != files_by_student_.end() && known->second != file) return JoinFiles(caller, file, request.id(), true, std::move(reply));
    Command(
        caller, request.case_(), "student.identify",
        [id = request.id()](const CommandContext&) -> absl::StatusOr<std::vector<domain::Event>> {
          return std::vector<domain::Event>{domain::Event{domain::StudentIdentified{.student = id}}};
        },
        std::move(reply));
  });
}

void Intake::MoveToStudent(const Caller& caller, const v1::MoveToStudentRequest& request, Reply<v1::Case> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (AnswerAgain(caller, request.case_(), "case.move", reply)) return;
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "case.move", file->state); !may.ok()) return reply(may);
    const domain::SchoolState& school = machine_->SchoolFor(file->state.school);
    if (!domain::HasOpenCase(file->state)) return reply(rpc::NotInState("the case is closed", PhaseName(file->state.current->phase), {}));
    const auto student = school.people.find(request.id());
    if (student == school.people.end() || student->second.kind != domain::PersonKind::kStudent) return reply(absl::NotFoundError("no such student"));
    // Until both are known to be safe, two children may be in danger: the case stays where it is.
    if (!request.both_located()) {
      return reply(rpc::NotInState("both children must be located first", PhaseName(file->state.current->phase),
                                   AllowedCommands(file->pack(), school, file->state)));
    }
    if (file->state.student == request.id()) {
      return reply(rpc::NotInState("the case is about this student", PhaseName(file->state.current->phase), AllowedCommands(file->pack(), school, file->state)));
    }
    JoinFiles(caller, file, request.id(), request.both_located(), std::move(reply));
  });
}

void Intake::JoinFiles(const Caller& caller, FileEntry* from, const std::string& student, bool both_located, Reply<v1::Case> reply) {
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  const std::string school = from->state.school;
  const std::string from_case = from->state.current->case_id;
  const std::string cause = absl::StrCat("join/", from_case, "/", student);
  // The second commit is the request's own: until it stands, the same request goes on where it was cut off.
  const std::string moved_cause = caller.idempotency_key.empty() ? absl::StrCat(cause, "/moved") : CauseOf(caller, school);
  if (!caller.idempotency_key.empty()) {
    return Once<v1::Case>(caller, CommitIdOf(school, moved_cause), std::move(reply), [this, caller, from, student, both_located, moved_cause, cause](Reply<v1::Case> answer) {
      Join(caller, from, student, both_located, cause, moved_cause, std::move(answer));
    });
  }
  Join(caller, from, student, both_located, cause, moved_cause, std::move(reply));
}

void Intake::Join(const Caller& caller, FileEntry* from, const std::string& student, bool both_located, const std::string& cause,
                  const std::string& moved_cause, Reply<v1::Case> reply) {
  const std::string school = from->state.school;
  const std::string from_case = from->state.current->case_id;
  const auto move = [this, caller, from, school, moved_cause, both_located, reply](FileEntry* to) {
    machine_->SubmitHere(
        from->partition, kUrgentReportPriority,
        [caller, from, school, moved_cause, both_located, to]() -> absl::StatusOr<Draft> {
          Draft draft;
          draft.cause = moved_cause;
          draft.school = school;
          draft.file = from->state.file;
          draft.actor = {.person = caller.person, .role = caller.role};
          draft.request_hash = caller.idempotency_key.empty() ? "" : caller.body_hash;
          draft.events.push_back(domain::Event{domain::CaseMoved{.to_file = to->state.file, .to_case = to->state.current->case_id, .both_located = both_located}});
          return draft;
        },
        [this, caller, to, reply](const absl::StatusOr<Machine::Outcome>& moved) {
          if (!moved.ok()) return reply(moved.status());
          v1::Case view;
          FillCase(to->pack(), to->state, caller, &view);
          reply(std::move(view));
        });
  };
  // Joined already, by a request that was cut off?
  if (const auto known = files_by_student_.find(StudentKey(school, student)); known != files_by_student_.end() && domain::HasOpenCase(known->second->state)) {
    const auto& there = known->second->state.current->reports;
    const auto& here = from->state.current->reports;
    const bool joined = !here.empty() && std::all_of(here.begin(), here.end(), [&](const domain::ReportState& report) {
      return std::any_of(there.begin(), there.end(), [&](const domain::ReportState& other) { return other.report_id == report.report_id; });
    });
    if (joined) return move(known->second);
  }
  // First it is owed there, then no longer here: a crash between leaves it owed twice, never not at all.
  machine_->SubmitHere(
      from->partition, kUrgentReportPriority,
      [this, caller, from, school, student, from_case, cause]() -> absl::StatusOr<Draft> {
        const auto known = files_by_student_.find(StudentKey(school, student));
        FileEntry* to = known == files_by_student_.end() ? nullptr : known->second;
        domain::CaseJoined joined{.from_file = from->state.file, .from_case = from_case};
        for (const domain::ReportState& report : from->state.current->reports) {
          // A report that is not classified yet would be taken for one that says nothing.
          if (!report.classified) return rpc::UnavailableFor("a report of this case is still being read by the rules", kRetryAfter);
          joined.report_ids.push_back(report.report_id);
          for (const std::string& id : report.indicators) joined.indicators.push_back(id);
        }
        joined.level = domain::EffectiveLevel(from->pack(), from->state).id;
        for (const domain::TriggerState& trigger : from->state.current->triggers) {
          joined.discovered_time = domain::IsSet(joined.discovered_time) ? std::min(joined.discovered_time, trigger.discovered_time) : trigger.discovered_time;
        }
        // What keeps guardians off that case keeps them off this one, until somebody decides here (PRV-06).
        for (const domain::HoldState& hold : from->state.current->holds) joined.holds.push_back(hold.kind);
        joined.student = student;
        joined.case_id = to != nullptr && domain::HasOpenCase(to->state) ? to->state.current->case_id : DeriveId('c', {school, cause});
        Draft draft;
        draft.cause = cause;
        draft.school = school;
        draft.file = to != nullptr ? to->state.file : DeriveId('f', {school, "student", student});
        draft.actor = {.person = caller.person, .role = caller.role};
        draft.events.push_back(domain::Event{std::move(joined)});
        // What keeps colleagues off that case keeps them off this one (回避).
        const domain::CaseState* here = to != nullptr && domain::HasOpenCase(to->state) ? &*to->state.current : nullptr;
        for (const std::string& person : from->state.current->recused) {
          if (here != nullptr && std::find(here->recused.begin(), here->recused.end(), person) != here->recused.end()) continue;
          draft.events.push_back(domain::Event{domain::Recused{.person = person}});
        }
        return draft;
      },
      [move, reply](const absl::StatusOr<Machine::Outcome>& outcome) {
        if (!outcome.ok()) return reply(outcome.status());
        move(outcome->file);
      });
}

}  // namespace vigil::intake
