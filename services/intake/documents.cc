// Records on paper. A document is made in turns: the commits are read back (loop), what was sealed is opened (reader), names are looked up in the
// directory's commits (loop, reader), and that it was given out is told in the log (loop) before it is. Nothing here is on the way of a report:
// keys are opened on a loop of its own, commits go after everything urgent, and the pages are made in another process (the gateway's).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "contract/time_conversion.h"
#include "domain/file.h"
#include "domain/record.h"
#include "domain/school_time.h"
#include "intake/commands.h"
#include "intake/copy_token.h"
#include "intake/document.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/school_views.h"
#include "intake/views.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

constexpr int kPriority = 5;  // after everything that a child waits for
constexpr std::size_t kMostCopiesRemembered = 1000;

absl::Status Erased() { return absl::NotFoundError("the words of this record were erased"); }
absl::Status NothingThere() { return absl::NotFoundError("this address opens nothing"); }

std::string Text(const json& object, const char* key) {
  const auto value = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && value != object.end() && value->is_string() ? value->get<std::string>() : std::string();
}

}  // namespace

struct Intake::Printing {
  std::shared_ptr<const domain::Pack> pack;
  Caller caller;
  bool for_guardian = false;
  int partition = 0;
  FileEntry* entry = nullptr;
  DocumentSource source;
  std::string language;
  LogPlace report{0, 0};
  // Of the same number of people in the school's directory.
  std::set<std::string> people;
  Reply<document::v1::Document> reply;
};

bool Intake::CopiesAllowed(const domain::FileState& file) const {
  if (!dependencies_.installation_key || !file.current || file.student.empty()) return false;
  const domain::CaseState& c = *file.current;
  // Contact with the household is held, or one of it must not know: whoever has the paper asks at school.
  if (std::any_of(c.holds.begin(), c.holds.end(), [](const domain::HoldState& hold) { return hold.kind == "guardians"; })) return false;
  const domain::SchoolState* school = machine_->FindSchool(file.school);
  if (school == nullptr) return false;
  const auto guardians = school->guardians_by_student.find(file.student);
  if (guardians == school->guardians_by_student.end()) return true;
  return std::none_of(guardians->second.ids.begin(), guardians->second.ids.end(),
                      [&](const std::string& id) { return std::find(c.recused.begin(), c.recused.end(), id) != c.recused.end(); });
}

void Intake::GetRecordDocument(const Caller& caller, const v1::GetRecordDocumentRequest& request, Reply<document::v1::Document> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "record.read", file->state); !may.ok()) return reply(may);
    const domain::RecordState* record = domain::FindRecord(file->state, request.record());
    if (record == nullptr || record->sequence == 0) return reply(absl::NotFoundError("no such record"));
    if (!MayReadRecord(file->pack(), caller, *record)) return reply(absl::PermissionDeniedError("this role does not read this record"));
    auto printing = std::make_shared<Printing>();
    printing->caller = caller;
    printing->entry = file;
    printing->source.record = *record;
    printing->source.printed_by = caller.person;
    printing->reply = std::move(reply);
    Print(std::move(printing));
  });
}

void Intake::GetSchoolRecordDocument(const Caller& caller, const v1::GetSchoolRecordDocumentRequest& request, Reply<document::v1::Document> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "record.read", request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    FileEntry* file = machine_->FindFile(SchoolFileId(request.school()));
    const domain::RecordState* record = file == nullptr ? nullptr : domain::FindRecord(file->state, request.record());
    if (record == nullptr || record->sequence == 0) return reply(absl::NotFoundError("no such record"));
    if (!MayReadRecord(file->pack(), caller, *record)) return reply(absl::PermissionDeniedError("this role does not read this record"));
    auto printing = std::make_shared<Printing>();
    printing->caller = caller;
    printing->entry = file;
    printing->source.record = *record;
    printing->source.printed_by = caller.person;
    printing->reply = std::move(reply);
    Print(std::move(printing));
  });
}

void Intake::OpenCopy(const v1::OpenCopyRequest& request, Reply<document::v1::Document> reply) {
  machine_->loop()->Post([this, token = request.token(), reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (!dependencies_.installation_key) return reply(NothingThere());
    const auto claims = OpenCopyToken(*dependencies_.installation_key, token, machine_->Now());
    if (!claims.ok()) return reply(claims.status());
    FileEntry* file = FileOfCase(claims->case_id);
    const domain::RecordState* record = file == nullptr ? nullptr : domain::FindRecord(file->state, claims->record_id);
    if (record == nullptr || record->sequence == 0 || !CopiesAllowed(file->state)) return reply(NothingThere());
    const auto layout = file->pack().documents.find(record->kind);
    if (layout == file->pack().documents.end() || !layout->second.copy) return reply(NothingThere());
    if (domain::IsSet(record->copies_revoked_time) && claims->issued_time <= record->copies_revoked_time) return reply(NothingThere());
    auto printing = std::make_shared<Printing>();
    printing->for_guardian = true;
    printing->entry = file;
    printing->source.record = *record;
    printing->reply = [reply = std::move(reply)](absl::StatusOr<document::v1::Document> made) {
      // Erased, or not to be found: the same as an address that was never given.
      if (absl::IsNotFound(made.status()) || absl::IsPermissionDenied(made.status())) return reply(NothingThere());
      reply(std::move(made));
    };
    Print(std::move(printing));
  });
}

void Intake::Print(std::shared_ptr<Printing> printing) {
  const domain::FileState& file = printing->entry->state;
  const domain::SchoolState& school = machine_->SchoolFor(file.school);
  printing->partition = printing->entry->partition;
  printing->pack = printing->entry->shared_pack();
  printing->source.file = file;
  printing->source.now = machine_->Now();
  printing->source.rehearsal = dependencies_.rehearsal;
  printing->language = DocumentLanguage(*printing->pack, printing->caller.language, school.language);
  std::set<LogPlace> places{{printing->source.record.sequence, printing->source.record.index}};
  // The report that the case began with, as far as it was known when the record was filed.
  for (const domain::ReportState& report : file.current->reports) {
    if (report.sequence == 0 || report.recorded_time > printing->source.record.filed_time) continue;
    printing->report = {report.sequence, report.index};
    printing->source.reporter = report.reporter;
    printing->source.observed_time = report.observed_time;
    printing->source.discovered_time = report.discovered_time;
    printing->source.recorded_time = report.recorded_time;
    printing->source.indicators = ReadableIndicators(*printing->pack, printing->for_guardian ? Caller{} : printing->caller, file, report);
    places.insert(printing->report);
    break;
  }
  if (!file.duties) {
    const domain::Text& name = domain::EffectiveLevel(*printing->pack, file).name;
    if (const auto words = name.find(printing->language); words != name.end()) printing->source.level = words->second;
  }
  ReadCommits(printing->partition, places, [this, printing](absl::StatusOr<LogCommits> commits) {
    if (!commits.ok()) return printing->reply(commits.status());
    reader()->Post([this, printing, commits = *std::move(commits)] { OpenPrinted(printing, commits); });
  });
}

// On the reader: keys may need a round trip.
void Intake::OpenPrinted(std::shared_ptr<Printing> printing, const LogCommits& commits) {
  DocumentSource& source = printing->source;
  if (const auto report = commits.find(printing->report); report != commits.end()) {
    for (const log::v1::Event& event : report->second.events()) {
      if (event.has_report_received() && event.report_received().has_reported_time()) {
        source.reported_time = contract::TimeFromProto(event.report_received().reported_time());
      }
    }
  }
  const auto commit = commits.find({source.record.sequence, source.record.index});
  const log::v1::RecordFiled* filed = nullptr;
  if (commit != commits.end()) {
    for (const log::v1::Event& event : commit->second.events()) {
      if (event.has_record_filed() && event.record_filed().record_id() == source.record.record_id) filed = &event.record_filed();
      if (event.has_handed_over_to_guardian()) {
        source.guardian = event.handed_over_to_guardian().guardian();
        source.identity_checked = event.handed_over_to_guardian().identity_checked();
      }
    }
  }
  if (filed == nullptr) return printing->reply(absl::NotFoundError("no such record"));
  source.supersedes = filed->supersedes();
  Caller reader_of_fields = printing->caller;
  if (printing->for_guardian) reader_of_fields = Caller{};
  const auto add = [&](const std::string& id, const std::string& value) {
    if (MayReadField(*printing->pack, reader_of_fields, source.record, id)) {
      source.fields[id] = ReadableValue(*printing->pack, reader_of_fields, source.record, id, value);
    } else {
      source.withheld.push_back(id);
    }
  };
  for (const auto& [id, value] : filed->plain()) add(id, value);
  if (filed->has_fields()) {
    const auto key = dependencies_.keys->Find(filed->fields().person());
    if (absl::IsNotFound(key.status())) return printing->reply(Erased());
    if (!key.ok()) return printing->reply(rpc::UnavailableFor("keys cannot be read", kRetryAfter));
    const auto opened = key->Open(filed->fields().content(), filed->fields().person());
    // A person erased who came again has another key.
    if (!opened.ok()) return printing->reply(Erased());
    const json content = json::parse(*opened, nullptr, false);
    if (content.is_object() && content.contains("fields") && content["fields"].is_object()) {
      for (const auto& [id, value] : content["fields"].items()) {
        if (value.is_string()) add(id, value.get<std::string>());
      }
    }
    if (content.is_object() && content.contains("signatures") && content["signatures"].is_array()) {
      for (const json& signature : content["signatures"]) {
        if (signature.is_string()) source.signatures.push_back(signature.get<std::string>());
      }
    }
  }
  // A form without a word in it would look like one that nobody had filled in.
  if (source.fields.empty()) {
    return printing->reply(source.withheld.empty() ? absl::NotFoundError("nothing was written in this record") : absl::PermissionDeniedError("nothing of it is for this role"));
  }
  printing->people = PeopleIn(*printing->pack, source);
  machine_->loop()->Post([this, printing = std::move(printing)]() mutable { NamePrinted(std::move(printing)); });
}

void Intake::NamePrinted(std::shared_ptr<Printing> printing) {
  const domain::SchoolState& school = machine_->SchoolFor(printing->source.file.school);
  std::map<std::string, PersonWords> known;
  std::set<LogPlace> places;
  for (const std::string& id : printing->people) {
    const auto person = school.people.find(id);
    if (person == school.people.end()) continue;
    PersonWords words;
    words.class_name = person->second.class_name;
    const auto role = person->second.roles.empty() ? printing->pack->roles.end() : printing->pack->roles.find(person->second.roles.front());
    if (role != printing->pack->roles.end()) {
      const auto name = role->second.name.find(printing->language);
      if (name != role->second.name.end() && person->second.kind == domain::PersonKind::kStaff) words.role = name->second;
    }
    known[id] = std::move(words);
    if (person->second.sequence != 0) places.emplace(person->second.sequence, person->second.index);
  }
  printing->source.people = std::move(known);
  ReadCommits(printing->partition, places, [this, printing](absl::StatusOr<LogCommits> commits) {
    if (!commits.ok()) return printing->reply(commits.status());
    reader()->Post([this, printing, commits = *std::move(commits)]() mutable {
      // In the order of the log, so that what was said of a person last holds.
      for (const auto& [place, commit] : commits) {
        for (const log::v1::Event& event : commit.events()) {
          for (const log::v1::Person& person : event.directory_changed().people()) {
            const auto wanted = printing->source.people.find(person.person_id());
            if (wanted == printing->source.people.end() || !person.has_contact()) continue;
            const auto key = dependencies_.keys->Find(person.contact().person());
            if (!key.ok()) continue;  // erased: their id stands for them
            const auto opened = key->Open(person.contact().content(), person.contact().person());
            const json contact = opened.ok() ? json::parse(*opened, nullptr, false) : json();
            wanted->second.name = Text(contact, "name");
            wanted->second.phone = Text(contact, "phone");
          }
        }
      }
      machine_->loop()->Post([this, printing = std::move(printing)]() mutable { TellPrinted(std::move(printing)); });
    });
  });
}

void Intake::TellPrinted(std::shared_ptr<Printing> printing) {
  DocumentSource& source = printing->source;
  const domain::SchoolState& school = machine_->SchoolFor(source.file.school);
  const auto layout = printing->pack->documents.find(source.record.kind);
  const bool offers = layout != printing->pack->documents.end() && layout->second.copy && !source.record.superseded;
  if (!printing->for_guardian && offers && CopiesAllowed(printing->entry->state)) {
    const absl::Time now = machine_->Now();
    source.copy_token = MintCopyToken(
        *dependencies_.installation_key,
        {.case_id = source.file.current->case_id, .record_id = source.record.record_id, .issued_time = now, .expires_time = now + layout->second.copy->valid},
        *dependencies_.random);
  }
  auto made = std::make_shared<document::v1::Document>(RecordDocument(*printing->pack, school, source, printing->language));
  // A copy opened again within the minute is one opening: a phone asks several times for what it shows once.
  const absl::Time now = machine_->Now();
  if (copies_told_.size() > kMostCopiesRemembered) copies_told_.clear();
  if (printing->for_guardian) {
    const auto told = copies_told_.find(source.record.record_id);
    if (told != copies_told_.end() && now < told->second + absl::Minutes(1)) return printing->reply(std::move(*made));
  }
  machine_->SubmitHere(
      printing->partition, kPriority,
      [printing, cause = NewCause()]() -> absl::StatusOr<Draft> {
        Draft draft{.cause = cause, .school = printing->source.file.school, .file = printing->source.file.file};
        draft.actor = printing->for_guardian ? domain::Actor{.person = std::string(kSource)} : domain::Actor{.person = printing->caller.person, .role = printing->caller.role};
        draft.traceparent = printing->caller.traceparent;
        draft.events.push_back(
            domain::Event{domain::DocumentOpened{.record_id = printing->source.record.record_id, .how = printing->for_guardian ? "guardian_copy" : "printed"}});
        return draft;
      },
      [this, printing, made, now](const absl::StatusOr<Machine::Outcome>& outcome) {
        if (!outcome.ok()) return printing->reply(outcome.status());
        if (printing->for_guardian) copies_told_[printing->source.record.record_id] = now;
        printing->reply(std::move(*made));
      });
}

void Intake::GetStatisticsDocument(const Caller& caller, const v1::GetStatisticsRequest& request, Reply<document::v1::Document> reply) {
  GetStatistics(caller, request, [this, caller, request, reply = std::move(reply)](absl::StatusOr<v1::Statistics> statistics) {
    if (!statistics.ok()) return reply(statistics.status());
    const domain::SchoolState& school = machine_->SchoolFor(request.school());
    reply(StatisticsDocument(PackOf(request.school()), school, *statistics, request.has_from_time() ? contract::TimeFromProto(request.from_time()) : absl::InfinitePast(),
                             request.has_to_time() ? contract::TimeFromProto(request.to_time()) : absl::InfiniteFuture(), caller.person, machine_->Now(),
                             dependencies_.rehearsal, DocumentLanguage(PackOf(request.school()), caller.language, school.language)));
  });
}

Intake::MakeEvents EventsFor(const v1::RevokeCopiesRequest& request) {
  return [request](const Intake::CommandContext& context) -> absl::StatusOr<std::vector<domain::Event>> {
    const domain::RecordState* record = domain::FindRecord(context.file.state, request.record());
    if (record == nullptr) return absl::NotFoundError("no such record");
    if (!MayReadRecord(context.pack, context.caller, *record)) return absl::PermissionDeniedError("this role does not read this record");
    return std::vector<domain::Event>{domain::Event{domain::DocumentCopiesRevoked{.record_id = record->record_id}}};
  };
}

}  // namespace vigil::intake
