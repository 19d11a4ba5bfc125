// Erasing what is written about a person (PRV-05, REG-08): first a fact in the log, then the keys. Whoever reads the fact erases the keys that
// it names, where they are still there; so a crash in between, or a copy of before, changes nothing.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "domain/file.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/views.h"
#include "platform/logging/log.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

absl::Status StillInDirectory() { return rpc::NotInState("the person is in the directory: remove them first", "in_directory", {}); }

absl::Status EraseAll(KeyStore& keys, const std::vector<domain::ErasedKey>& erased) {
  for (const domain::ErasedKey& key : erased) {
    if (absl::Status done = keys.EraseKey(key.person, key.key_hash); !done.ok()) return done;
  }
  return absl::OkStatus();
}

}  // namespace

void Intake::NoteSubjects(const AppliedCommit& applied) {
  FileEntry* file = applied.file;
  if (file == nullptr || !applied.applied.guard.ok()) return;
  const std::string own = SubjectOf(file->state);
  const auto note = [&](const std::string& subject) {
    if (!subject.empty() && subject != own) subjects_of_file_[file].insert(subject);
  };
  const auto note_attachments = [&](const std::vector<domain::Attachment>& attachments) {
    for (const domain::Attachment& attachment : attachments) note(SubjectOf(file->state.school, attachment.id));
  };
  for (const domain::Event& event : applied.commit.events) {
    if (const auto* received = std::get_if<domain::ReportReceived>(&event.body)) {
      if (received->personal) note(received->personal->person);
      note_attachments(received->attachments);
    } else if (const auto* filed = std::get_if<domain::RecordFiled>(&event.body)) {
      note_attachments(filed->attachments);
    } else if (std::holds_alternative<domain::StudentIdentified>(event.body)) {
      note(file->state.file);
    } else if (const auto* joined = std::get_if<domain::CaseJoined>(&event.body)) {
      // What was written while nobody knew whom it was about was about this child.
      const FileEntry* from = machine_->FindFile(joined->from_file);
      if (from == nullptr || !from->state.student.empty()) continue;
      note(joined->from_file);
      if (const auto theirs = subjects_of_file_.find(from); theirs != subjects_of_file_.end()) {
        const std::set<std::string> copy = theirs->second;
        for (const std::string& subject : copy) note(subject);
      }
    }
  }
}

void Intake::NoteErasures(const AppliedCommit& applied) {
  if (applied.file != nullptr && !applied.applied.guard.ok()) return;
  for (const domain::Event& event : applied.commit.events) {
    const auto* erased = std::get_if<domain::PersonErased>(&event.body);
    if (erased == nullptr) continue;
    erased_people_.insert(StudentKey(applied.commit.school, erased->person_id));
    for (const domain::ErasedKey& key : erased->keys) given_up_.push_back(key);
    for (auto& [name, ids] : students_by_name_) {
      if (name.starts_with(applied.commit.school + "/")) std::erase(ids, erased->person_id);
    }
  }
  if (machine_->caught_up()) EraseGivenUp();
}

void Intake::EraseGivenUp() {
  if (given_up_.empty() || erasing_ || !machine_->connected()) return;
  erasing_ = true;
  dependencies_.worker->Post([this, keys = given_up_] {
    absl::Status done = EraseAll(*dependencies_.keys, keys);
    machine_->loop()->Post([this, count = keys.size(), done = std::move(done)] {
      erasing_ = false;
      if (!done.ok()) return log::Warn("keys that were given up cannot be erased yet", {{"reason", done}});
      given_up_.erase(given_up_.begin(), given_up_.begin() + static_cast<std::ptrdiff_t>(count));
      EraseGivenUp();
    });
  });
}

void Intake::ErasePerson(const Caller& caller, const v1::ErasePersonRequest& request, Reply<v1::ErasePersonResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    const std::string& school = request.school();
    const std::string& person = request.person();
    if (absl::Status may = Authorize(caller, "person.erase", school); !may.ok()) return reply(may);
    const domain::SchoolState* state = machine_->FindSchool(school);
    if (state == nullptr) return reply(absl::NotFoundError("no such school"));
    if (state->people.contains(person)) return reply(StillInDirectory());
    if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
    std::vector<std::string> subjects{SubjectOf(school, person)};
    if (const auto known = files_by_student_.find(StudentKey(school, person)); known != files_by_student_.end()) {
      if (domain::HasOpenCase(known->second->state)) {
        return reply(rpc::NotInState("the student has an open case", PhaseName(known->second->state.current->phase), {}));
      }
      if (const auto theirs = subjects_of_file_.find(known->second); theirs != subjects_of_file_.end()) {
        subjects.insert(subjects.end(), theirs->second.begin(), theirs->second.end());
      }
    }
    const bool before = erased_people_.contains(StudentKey(school, person));
    // Looking keys up may wait for the store: off the loop.
    dependencies_.worker->Post([this, caller, request, subjects = std::move(subjects), before, reply = std::move(reply)]() mutable {
      const auto on_loop = [this](auto task) { machine_->loop()->Post(std::move(task)); };
      domain::PersonErased erased{.person_id = request.person()};
      for (const std::string& subject : subjects) {
        absl::StatusOr<std::string> hash = dependencies_.keys->KeyHash(subject);
        if (hash.ok()) {
          erased.keys.push_back({.person = subject, .key_hash = *std::move(hash)});
        } else if (!absl::IsNotFound(hash.status())) {
          return on_loop([reply = std::move(reply)] { reply(rpc::UnavailableFor("the keys cannot be read", kRetryAfter)); });
        }
      }
      v1::ErasePersonResponse response;
      response.set_person(request.person());
      if (erased.keys.empty()) {
        return on_loop([reply = std::move(reply), response, before] {
          if (!before) return reply(absl::NotFoundError("nothing is written about such a person"));
          reply(response);
        });
      }
      const std::vector<domain::ErasedKey> keys = erased.keys;
      machine_->Submit(
          PartitionOf(request.school()), kReportPriority,
          [this, caller, request, erased = std::move(erased), cause = NewCause()]() -> absl::StatusOr<Draft> {
            const std::string& school_id = request.school();
            if (machine_->SchoolFor(school_id).people.contains(request.person())) return StillInDirectory();
            Draft draft;
            draft.cause = cause;
            draft.school = school_id;
            // In a student's own file it is checked again where it lands: nothing that is still needed is given up.
            if (const auto known = files_by_student_.find(StudentKey(school_id, request.person())); known != files_by_student_.end()) {
              draft.file = known->second->state.file;
            }
            draft.actor = {.person = caller.person, .role = caller.role};
            draft.traceparent = caller.traceparent;
            draft.events.push_back(domain::Event{erased});
            return draft;
          },
          [this, keys, response, reply = std::move(reply)](const absl::StatusOr<Machine::Outcome>& outcome) {
            if (!outcome.ok()) return reply(outcome.status());
            // It is answered when nobody can read it any more.
            dependencies_.worker->Post([this, keys, response, reply] {
              absl::Status done = EraseAll(*dependencies_.keys, keys);
              machine_->loop()->Post([reply, response, done = std::move(done)] {
                if (!done.ok()) return reply(rpc::UnavailableFor("it stands in the log, and the keys are erased as soon as they can be reached", kRetryAfter));
                reply(response);
              });
            });
          });
    });
  });
}

}  // namespace vigil::intake
