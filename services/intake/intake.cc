#include "intake/intake.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "contract/time_conversion.h"
#include "domain/file.h"
#include "domain/planted.h"
#include "intake/names.h"
#include "intake/once.h"
#include "intake/pending_report.h"
#include "intake/school_views.h"
#include "intake/views.h"
#include "notification/break_glass/list_keeper.h"
#include "platform/crypto/encoding.h"
#include "platform/logging/log.h"
#include "platform/metrics/metric_names.h"
#include "platform/rpc/problem.h"
#include "vigil/log/v1/events.convert.h"
#include "vigil/state/v1/state.convert.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

constexpr absl::Duration kReadingRetryAfter = absl::Seconds(1);

}  // namespace

Intake::Intake(IntakeDependencies dependencies) : dependencies_(std::move(dependencies)) {}
Intake::~Intake() = default;

void Intake::Attach(Machine* machine) { machine_ = machine; }

const domain::Pack& Intake::PackOfCase(const domain::FileState& file) const {
  const FileEntry* entry = machine_->FindFile(file.file);
  const bool present = entry != nullptr && entry->state.current && file.current && entry->state.current->case_id == file.current->case_id;
  return present ? entry->pack() : PackOf(file.school);
}

// ------------------------------------------------------------------------------------------------ who may

absl::Status Intake::Ready() const {
  return machine_->caught_up() ? absl::OkStatus() : rpc::UnavailableFor("still reading the log", kReadingRetryAfter);
}

absl::Status Intake::Authorize(const Caller& caller, std::string_view permission, std::string_view school) const {
  if (caller.school != "*" && !school.empty() && caller.school != school) return absl::PermissionDeniedError("this token is for another school");
  if (permission.empty()) return absl::OkStatus();
  const domain::Pack& pack = PackOf(std::string(school));
  const auto role = pack.roles.find(caller.role);
  if (role == pack.roles.end() || std::find(role->second.may.begin(), role->second.may.end(), permission) == role->second.may.end()) {
    return absl::PermissionDeniedError("this role may not do that");
  }
  return absl::OkStatus();
}

absl::Status Intake::AuthorizeCase(const Caller& caller, std::string_view permission, const domain::FileState& file) const {
  if (absl::Status may = Authorize(caller, permission, file.school); !may.ok()) return may;
  // 回避 is silent: to who is off a matter, it is not there.
  const auto& recused = file.current->recused;
  if (std::find(recused.begin(), recused.end(), caller.person) != recused.end()) return NoSuchCase();
  return absl::OkStatus();
}

FileEntry* Intake::FileOfCase(const std::string& case_id) {
  const auto it = files_by_case_.find(case_id);
  if (it == files_by_case_.end()) return nullptr;
  return it->second->state.current && it->second->state.current->case_id == case_id ? it->second : nullptr;
}

std::string Intake::CauseOf(const Caller& caller, std::string_view school) const {
  if (!caller.idempotency_key.empty()) {
    return absl::StrCat("key/", caller.person, "/", absl::string_view(school.data(), school.size()), "/", caller.idempotency_key);
  }
  return NewCause();
}

std::string Intake::NewCause() const { return absl::StrCat("once/", HexEncode(dependencies_.random->Bytes(16))); }

// ------------------------------------------------------------------------------------------------ once

bool Intake::AnswerAgain(const Caller& caller, const std::string& case_id, std::string_view permission, const Reply<v1::Case>& reply) {
  const auto known = files_by_case_.find(case_id);
  if (caller.idempotency_key.empty() || known == files_by_case_.end()) return false;
  const std::string& school = known->second->state.school;
  const FileEntry* present = FileOfCase(case_id);
  const absl::Status may = present != nullptr ? AuthorizeCase(caller, permission, present->state) : Authorize(caller, permission, school);
  return may.ok() && AnswerAgain<v1::Case>(caller, CommitIdOf(school, CauseOf(caller, school)), reply);
}

void Intake::Remember(const std::string& key, const std::string& body_hash, const std::string& response, int partition,
                      domain::CommitPosition position) {
  dependencies_.answers->Add(key, {.body_hash = body_hash,
                                   .partition = static_cast<std::uint32_t>(partition),
                                   .position = {position.sequence, position.index},
                                   .response = response});
}

// The answers are a function of the log: what was not yet written when we died is written again from what we read.
void Intake::RememberAnswer(const AppliedCommit& applied) {
  if (dependencies_.answers == nullptr || applied.commit.source != kSource || Planted("answers-are-forgotten")) return;
  const auto partition = static_cast<std::uint32_t>(applied.partition);
  const IndexPosition position{applied.position.sequence, applied.position.index};
  if (position <= dependencies_.answers->StoredPosition(partition)) return;
  const bool keyed = applied.file != nullptr && applied.applied.guard.ok() && !applied.commit.request_hash.empty();
  const auto is_known = [&] {
    const auto known = dependencies_.answers->Find(applied.commit.id);
    return known.ok() && known->has_value();
  };
  if (const bool school_keyed = applied.file == nullptr && !applied.commit.request_hash.empty(); school_keyed) {
    if (const auto* attached = std::get_if<domain::AttachmentStored>(&applied.commit.events.front().body); attached != nullptr && !is_known()) {
      v1::Attachment answer;
      answer.set_id(attached->id);
      Remember(applied.commit.id, applied.commit.request_hash, answer.SerializeAsString(), applied.partition, applied.position);
    }
    const auto& what = applied.commit.events.front().body;
    const bool of_pack = std::holds_alternative<domain::PackAdopted>(what) || std::holds_alternative<domain::PackRejected>(what);
    if (of_pack && applied.applied.guard.ok() && !is_known()) {
      Remember(applied.commit.id, applied.commit.request_hash, SchoolPackAnswer(applied.school, machine_->common_pack()).SerializeAsString(), applied.partition,
               applied.position);
    }
  }
  // A report that was answered from the outbox keeps the answer that it had.
  if (keyed && !is_known()) {
    std::string response;
    if (const auto* received = std::get_if<domain::ReportReceived>(&applied.commit.events.front().body)) {
      response = ReportAnswer(*received, *applied.file, applied.commit.recorded_time).SerializeAsString();
    } else if (applied.file->state.duties) {
      response = SchoolRecordAnswer(applied.file->state, applied.commit).SerializeAsString();
    } else {
      // Who moved a case is shown where it went.
      const auto* moved = std::get_if<domain::CaseMoved>(&applied.commit.events.front().body);
      const FileEntry* shown = moved != nullptr ? machine_->FindFile(moved->to_file) : applied.file;
      v1::Case view;
      Caller asked;
      if (applied.commit.actor) asked = {.person = applied.commit.actor->person, .role = applied.commit.actor->role};
      if (shown != nullptr && shown->state.current) FillCase(shown->pack(), shown->state, asked, &view);
      response = view.SerializeAsString();
    }
    Remember(applied.commit.id, applied.commit.request_hash, response, applied.partition, applied.position);
  }
  KeepWhatStateForgets(applied);
  dependencies_.answers->SetPosition(partition, position);
}

// A closed episode as it stood, and what an attachment's id stands for: read by whoever asks for it, of no use to any decision.
void Intake::KeepWhatStateForgets(const AppliedCommit& applied) {
  const auto keep = [&](const std::string& key, const std::string& bytes) { Remember(key, "", bytes, applied.partition, applied.position); };
  if (applied.file == nullptr) {
    for (const domain::Event& event : applied.commit.events) {
      const auto* stored = std::get_if<domain::AttachmentStored>(&event.body);
      if (stored == nullptr) continue;
      const domain::Attachment attachment{
          .id = stored->id, .hash = stored->hash, .person = applied.commit.actor ? applied.commit.actor->person : "", .stored_time = applied.commit.recorded_time};
      log::v1::Attachment bytes;
      contract::ToProto(attachment, &bytes);
      keep(AttachmentKey(applied.commit.school, stored->id), bytes.SerializeAsString());
    }
    return;
  }
  const domain::FileState& file = applied.file->state;
  if (!applied.applied.guard.ok() || !file.current || file.current->phase != domain::CasePhase::kClosed) return;
  domain::FileState episode{.file = file.file, .school = file.school, .student = file.student, .version = file.version, .current = file.current, .returned = file.returned};
  state::v1::FileState bytes;
  contract::ToProto(episode, &bytes);
  keep(EpisodeKey(file.current->case_id), bytes.SerializeAsString());
}

// ------------------------------------------------------------------------------------------------ commands

absl::StatusOr<domain::Sealed> Intake::CommandContext::Seal(std::string_view text) const {
  const std::string subject = SubjectOf(file.state);
  const auto key = intake.dependencies_.keys->Find(subject);
  if (!key.ok()) return key.status();
  return domain::Sealed{.person = subject, .content = key->Seal(text, subject, *intake.dependencies_.random)};
}

std::string Intake::CommandContext::Id(char kind) const { return DeriveId(kind, {file.state.file, cause}); }

void Intake::Command(const Caller& caller, const std::string& case_id, std::string_view permission, MakeEvents events, Reply<v1::Case> reply) {
  machine_->loop()->Dispatch([this, caller, case_id, permission = std::string(permission), events = std::move(events), reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    // Also when the file has moved on to another case since.
    if (AnswerAgain(caller, case_id, permission, reply)) return;
    FileEntry* file = FileOfCase(case_id);
    if (const auto known = files_by_case_.find(case_id); file == nullptr && known != files_by_case_.end()) {
      const domain::FileState episode = ClosedEpisode(known->second->state, case_id);
      absl::Status may = AuthorizeCase(caller, permission, episode);
      return reply(may.ok() ? rpc::NotInState("the case is closed", PhaseName(episode.current->phase), {}) : may);
    }
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, permission, file->state); !may.ok()) return reply(may);
    const std::string school = file->state.school;
    const std::string cause = CauseOf(caller, school);
    Once<v1::Case>(caller, CommitIdOf(school, cause), std::move(reply), [this, caller, file, school, cause, events = std::move(events)](Reply<v1::Case> answer) {
      if (!machine_->connected()) return answer(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
      machine_->SubmitHere(
          file->partition, kReportPriority,
          [this, caller, file, school, cause, events]() -> absl::StatusOr<Draft> {
            const CommandContext context{.pack = file->pack(), .in_force = file->pack_in_force(), .school = machine_->SchoolFor(school), .file = *file, .caller = caller, .now = machine_->Now(), .intake = *this, .cause = cause};
            if (caller.expected_version != 0 && caller.expected_version != file->state.version) {
              return rpc::NotInState("the case has changed since it was read", PhaseName(file->state.current->phase),
                                     AllowedCommands(file->pack(), machine_->SchoolFor(school), file->state));
            }
            auto made = events(context);
            if (!made.ok()) return made.status();
            Draft draft;
            draft.cause = cause;
            draft.school = school;
            draft.file = file->state.file;
            draft.actor = {.person = caller.person, .role = caller.role};
            draft.request_hash = caller.idempotency_key.empty() ? "" : caller.body_hash;
            draft.expected_version = caller.expected_version;
            draft.traceparent = caller.traceparent;
            draft.events = *std::move(made);
            return draft;
          },
          [this, caller, file, school, cause, answer = std::move(answer)](absl::StatusOr<Machine::Outcome> outcome) {
            if (!outcome.ok()) {
              absl::Status status = outcome.status();
              if ((absl::IsFailedPrecondition(status) || absl::IsAborted(status)) && !rpc::ReadProblem(status) && file->state.current) {
                status = rpc::NotInState(std::string_view(status.message().data(), status.message().size()), PhaseName(file->state.current->phase),
                                         AllowedCommands(file->pack(), machine_->SchoolFor(school), file->state));
              }
              return answer(status);
            }
            v1::Case view;
            FillCase(outcome->file->pack(), outcome->file->state, caller, &view);
            answer(std::move(view));
          });
    });
  });
}

void Intake::TakeAlert(const Caller& caller, const v1::TakeAlertRequest& request, Reply<v1::Case> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    const auto it = files_by_alert_.find(request.alert());
    if (it == files_by_alert_.end() || !it->second->state.current) return reply(absl::NotFoundError("no such alert"));
    const std::string case_id = it->second->state.current->case_id;
    Command(
        caller, case_id, "alert.take",
        [alert = request.alert()](const CommandContext& context) -> absl::StatusOr<std::vector<domain::Event>> {
          return std::vector<domain::Event>{domain::Event{domain::AlertTaken{.alert_id = alert, .person = context.caller.person, .how = "api"}}};
        },
        std::move(reply));
  });
}

// ------------------------------------------------------------------------------------------------ clock

void Intake::GetClock(const Caller&, const v1::GetClockRequest&, Reply<v1::Clock> reply) {
  v1::Clock clock;
  contract::TimeToProto(machine_->clock()->Now(), clock.mutable_now_time());
  clock.set_speed(machine_->clock()->Speed());
  reply(std::move(clock));
}

void Intake::SetClock(const Caller& caller, const v1::SetClockRequest& request, Reply<v1::Clock> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status may = Authorize(caller, "clock.set", ""); !may.ok()) return reply(may);
    if (caller.school != "*") return reply(absl::PermissionDeniedError("the clock belongs to the installation"));
    if (!dependencies_.rehearsal) return reply(rpc::NotInState("an installation with real data has speed 1 for ever", "real", {}));
    if (!(request.speed() >= 0.1 && request.speed() <= 100'000)) return reply(rpc::InvalidField("speed", "is 0.1 to 100,000"));
    if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
    machine_->SubmitHere(
        0, kUrgentReportPriority,
        [this, caller, speed = request.speed(), cause = NewCause()]() -> absl::StatusOr<Draft> {
          Draft draft;
          draft.cause = cause;
          draft.actor = {.person = caller.person, .role = caller.role};
          draft.events.push_back(domain::Event{domain::ClockSet{.real_time = machine_->clock()->NowReal(), .domain_time = machine_->clock()->Now(), .speed = speed}});
          return draft;
        },
        [this, reply = std::move(reply)](absl::StatusOr<Machine::Outcome> outcome) {
          if (!outcome.ok()) return reply(outcome.status());
          GetClock({}, {}, reply);
        });
  });
}

// ------------------------------------------------------------------------------------------------ following

void Intake::OnCommit(const AppliedCommit& applied) {
  RememberAnswer(applied);
  if (dependencies_.emergency_list != nullptr) dependencies_.emergency_list->Note(applied);
  NoteSubjects(applied);
  NoteErasures(applied);
  if (applied.file != nullptr && applied.applied.guard.ok()) {
    FileEntry* file = applied.file;
    for (const domain::Event& event : applied.commit.events) {
      if (const auto* received = std::get_if<domain::ReportReceived>(&event.body)) {
        if (files_by_case_.emplace(file->state.current->case_id, file).second && files_by_report_.find(received->report_id) == files_by_report_.end()) {
          auto& of_school = files_by_school_[file->state.school];
          if (std::find(of_school.rbegin(), of_school.rend(), file) == of_school.rend()) of_school.push_back(file);
        }
        files_by_report_[received->report_id] = file;
        reporters_[received->report_id] = received->reporter;
        if (!file->state.student.empty()) files_by_student_[StudentKey(file->state.school, file->state.student)] = file;
        if (dependencies_.metrics != nullptr) {
          dependencies_.metrics->Get(metrics::kReportsAccepted, {received->channel}).Increment();
        }
      } else if (std::holds_alternative<domain::CaseJoined>(event.body)) {
        if (files_by_case_.emplace(file->state.current->case_id, file).second) files_by_school_[file->state.school].push_back(file);
        for (const domain::ReportState& report : file->state.current->reports) files_by_report_[report.report_id] = file;
        files_by_student_[StudentKey(file->state.school, file->state.student)] = file;
      } else if (std::holds_alternative<domain::StudentIdentified>(event.body)) {
        files_by_student_[StudentKey(file->state.school, file->state.student)] = file;
      } else if (const auto* raised = std::get_if<domain::AlertRaised>(&event.body)) {
        files_by_alert_[raised->alert_id] = file;
      }
      const auto note = [&](const std::vector<domain::Attachment>& attachments, const std::string& kind) {
        const std::string author = applied.commit.actor ? applied.commit.actor->person : std::string();
        for (const domain::Attachment& attachment : attachments) {
          named_in_[AttachmentKey(file->state.school, attachment.id)].push_back({.file = file, .record_kind = kind, .author = author});
        }
      };
      if (const auto* received = std::get_if<domain::ReportReceived>(&event.body)) note(received->attachments, "");
      if (const auto* filed = std::get_if<domain::RecordFiled>(&event.body)) note(filed->attachments, filed->kind);
    }
  }
  if (applied.file == nullptr) {
    for (const domain::Event& event : applied.commit.events) {
      if (std::holds_alternative<domain::InstallationOpened>(event.body)) installation_opened_ = true;
      const auto* directory = std::get_if<domain::DirectoryChanged>(&event.body);
      if (directory == nullptr) continue;
      for (const domain::Person& person : directory->people) {
        if (person.kind != domain::PersonKind::kStudent || !person.contact) continue;
        const auto key = dependencies_.keys->Find(person.contact->person);
        if (!key.ok()) continue;  // erased
        const auto opened = key->Open(person.contact->content, person.contact->person);
        const json contact = opened.ok() ? json::parse(*opened, nullptr, false) : json();
        if (!contact.is_object()) continue;
        auto& ids = students_by_name_[NameKey(applied.commit.school, contact.value("name", ""), person.class_name)];
        if (std::find(ids.begin(), ids.end(), person.person_id) == ids.end()) ids.push_back(person.person_id);
      }
    }
  }
  NoteForBreakGlass(applied);
}

void Intake::OnCaughtUp() {
  if (!installation_opened_) OpenInstallation();
  WatchWhatIsOpen();
  machine_->loop()->Post([this] {
    DrainOutbox();
    RecordBreakGlass();
    EraseGivenUp();
  });
}

void Intake::OpenInstallation() {
  machine_->SubmitHere(
      0, kUrgentReportPriority,
      [this]() -> absl::StatusOr<Draft> {
        Draft draft;
        draft.cause = "installation";
        draft.actor = {.person = "intake", .role = ""};
        draft.events.push_back(domain::Event{domain::InstallationOpened{.installation = "", .rehearsal = dependencies_.rehearsal}});
        if (dependencies_.rehearsal) {
          draft.events.push_back(domain::Event{domain::ClockSet{
              .real_time = machine_->clock()->NowReal(), .domain_time = machine_->clock()->Now(), .speed = dependencies_.rehearsal_speed}});
        }
        return draft;
      },
      [](absl::StatusOr<Machine::Outcome> outcome) {
        if (!outcome.ok()) log::Error("the installation's first commit failed", {{"reason", outcome.status()}});
      });
}

}  // namespace vigil::intake
