#include "intake/intake.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "contract/time_conversion.h"
#include "absl/strings/numbers.h"
#include "domain/classify.h"
#include "domain/on_call.h"
#include "domain/school_time.h"
#include "intake/views.h"
#include "platform/crypto/derive.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/logging/log.h"
#include "platform/metrics/metric_names.h"
#include "platform/rpc/problem.h"
#include "vigil/log/v1/commit.convert.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

// What intake writes as, and thereby part of its commits' ids.
constexpr std::string_view kSource = "intake";
constexpr absl::Duration kRetryAfter = absl::Seconds(2);
constexpr absl::Duration kReadingRetryAfter = absl::Seconds(1);
// How soon a report that waits in the outbox is tried again, where trying failed for another reason than the log's absence.
constexpr absl::Duration kOutboxRetryAfter = absl::Milliseconds(500);
constexpr absl::Duration kPlaceCodePeriod = absl::Minutes(10);
constexpr std::size_t kPeoplePerCommit = 150;
constexpr int kReportPriority = 50;
constexpr int kUrgentReportPriority = 100;

absl::Time TimeOf(bool has, const google::protobuf::Timestamp& t) { return has ? contract::TimeFromProto(t) : absl::InfinitePast(); }

absl::Status NoSuchCase() { return absl::NotFoundError("no such case"); }

absl::Status UsedWithAnotherBody() { return absl::AlreadyExistsError("this Idempotency-Key was used with another body"); }

// The id of the commit that a request makes: under it the answer is remembered.
std::string CommitIdOf(const std::string& school, const std::string& cause) { return DeriveId('m', {kSource, school, cause}); }
std::string CauseOfReport(const std::string& report_id) { return absl::StrCat("report/", report_id); }

v1::CreateReportResponse ReportAnswer(const domain::ReportReceived& received, const FileEntry& file, absl::Time accepted) {
  v1::CreateReportResponse response;
  response.set_report_id(received.report_id);
  response.set_case_id(received.case_id);
  response.set_file_id(file.state.file);
  contract::TimeToProto(accepted, response.mutable_accepted_time());
  response.set_provisional_level(received.answered_level);
  response.set_advice("receipt");
  return response;
}

std::string NameKey(const std::string& school, const std::string& name, const std::string& class_name) {
  return absl::StrCat(school, "/", name, "/", class_name);
}

std::string StudentKey(const std::string& school, const std::string& student) { return absl::StrCat(school, "/", student); }

// The person whose key seals what is written about a file: its student, or, while nobody knows who that is, the file itself.
std::string SubjectOf(const domain::FileState& file) { return file.student.empty() ? file.file : absl::StrCat(file.school, ".", file.student); }
std::string SubjectOf(const std::string& school, const std::string& person) { return absl::StrCat(school, ".", person); }

}  // namespace

struct Intake::PendingReport {
  Caller caller;
  v1::CreateReportRequest request;
  std::string cause;
  std::string report_id;
  std::string file_id;  // of a new file
  absl::Time accepted;  // domain time
  bool to_identify = false;
  std::vector<std::string> candidates;
  Reply<v1::CreateReportResponse> reply;  // empty once answered
  std::string outbox_row;                 // its id there, if it lies there
  bool submitted = false;                 // the machine has it, and keeps it until it is stored
  bool promised = false;                  // its answer is the outbox's, whatever comes first
};

Intake::Intake(IntakeDependencies dependencies) : dependencies_(std::move(dependencies)) {}
Intake::~Intake() = default;

void Intake::Attach(Machine* machine) { machine_ = machine; }

const domain::Pack& Intake::pack() const { return machine_->pack(); }

// ------------------------------------------------------------------------------------------------ who may

absl::Status Intake::Ready() const {
  return machine_->caught_up() ? absl::OkStatus() : rpc::UnavailableFor("still reading the log", kReadingRetryAfter);
}

absl::Status Intake::Authorize(const Caller& caller, std::string_view permission, std::string_view school) const {
  if (caller.school != "*" && !school.empty() && caller.school != school) return absl::PermissionDeniedError("this token is for another school");
  if (permission.empty()) return absl::OkStatus();
  const auto role = pack().roles.find(caller.role);
  if (role == pack().roles.end() || std::find(role->second.may.begin(), role->second.may.end(), permission) == role->second.may.end()) {
    return absl::PermissionDeniedError("this role may not do that");
  }
  return absl::OkStatus();
}

absl::Status Intake::AuthorizeCase(const Caller& caller, std::string_view permission, const FileEntry& file) const {
  if (absl::Status may = Authorize(caller, permission, file.state.school); !may.ok()) return may;
  // 回避 is silent: to who is off a matter, it is not there.
  const auto& recused = file.state.current->recused;
  if (std::find(recused.begin(), recused.end(), caller.person) != recused.end()) return NoSuchCase();
  return absl::OkStatus();
}

FileEntry* Intake::FileOfCase(const std::string& case_id) {
  const auto it = files_by_case_.find(case_id);
  if (it == files_by_case_.end()) return nullptr;
  // A closed case is still read by its id, until the file has another.
  return it->second->state.current && it->second->state.current->case_id == case_id ? it->second : nullptr;
}

std::string Intake::CauseOf(const Caller& caller, std::string_view school) const {
  if (!caller.idempotency_key.empty()) {
    return absl::StrCat("key/", caller.person, "/", absl::string_view(school.data(), school.size()), "/", caller.idempotency_key);
  }
  return absl::StrCat("once/", HexEncode(dependencies_.random->Bytes(16)));
}

// ------------------------------------------------------------------------------------------------ once

template <typename Response>
bool Intake::AnswerAgain(const Caller& caller, const std::string& key, const Reply<Response>& reply) {
  if (dependencies_.answers == nullptr) return false;
  const auto found = dependencies_.answers->Find(key);
  if (!found.ok()) {
    reply(found.status());
  } else if (!*found) {
    return false;
  } else if (Response response; (*found)->body_hash != caller.body_hash) {
    reply(UsedWithAnotherBody());
  } else if (!response.ParseFromString((*found)->response)) {
    reply(absl::DataLossError("a stored answer is damaged"));
  } else {
    reply(std::move(response));
  }
  return true;
}

bool Intake::AnswerAgain(const Caller& caller, const std::string& case_id, std::string_view permission, const Reply<v1::Case>& reply) {
  const auto known = files_by_case_.find(case_id);
  if (caller.idempotency_key.empty() || known == files_by_case_.end()) return false;
  const std::string& school = known->second->state.school;
  const FileEntry* present = FileOfCase(case_id);
  const absl::Status may = present != nullptr ? AuthorizeCase(caller, permission, *present) : Authorize(caller, permission, school);
  return may.ok() && AnswerAgain<v1::Case>(caller, CommitIdOf(school, CauseOf(caller, school)), reply);
}

template <typename Response>
void Intake::Once(const Caller& caller, const std::string& key, Reply<Response> reply, std::function<void(Reply<Response>)> start) {
  if (caller.idempotency_key.empty()) return start(std::move(reply));
  if (AnswerAgain(caller, key, reply)) return;
  auto [it, is_new] = under_way_.try_emplace(key);
  if (is_new) {
    it->second.body_hash = caller.body_hash;
  } else if (it->second.body_hash != caller.body_hash) {
    return reply(UsedWithAnotherBody());
  }
  it->second.waiting.push_back([reply = std::move(reply)](const absl::Status& status, const std::string& bytes) {
    if (!status.ok()) return reply(status);
    Response response;
    response.ParseFromString(bytes);
    reply(std::move(response));
  });
  if (!is_new) return;
  start([this, key](absl::StatusOr<Response> response) {
    const auto node = under_way_.extract(key);
    if (node.empty()) return;
    const std::string bytes = response.ok() ? response->SerializeAsString() : "";
    for (const auto& answer : node.mapped().waiting) answer(response.status(), bytes);
  });
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
  if (dependencies_.answers == nullptr || applied.commit.source != kSource) return;
  const auto partition = static_cast<std::uint32_t>(applied.partition);
  const IndexPosition position{applied.position.sequence, applied.position.index};
  if (position <= dependencies_.answers->StoredPosition(partition)) return;
  const bool keyed = applied.file != nullptr && applied.applied.guard.ok() && !applied.commit.request_hash.empty();
  const auto is_known = [&] {
    const auto known = dependencies_.answers->Find(applied.commit.id);
    return known.ok() && known->has_value();
  };
  // A report that was answered from the outbox keeps the answer that it had.
  if (keyed && !is_known()) {
    std::string response;
    if (const auto* received = std::get_if<domain::ReportReceived>(&applied.commit.events.front().body)) {
      response = ReportAnswer(*received, *applied.file, applied.commit.recorded_time).SerializeAsString();
    } else {
      // Who moved a case is shown where it went.
      const auto* moved = std::get_if<domain::CaseMoved>(&applied.commit.events.front().body);
      const FileEntry* shown = moved != nullptr ? machine_->FindFile(moved->to_file) : applied.file;
      v1::Case view;
      if (shown != nullptr && shown->state.current) FillCase(pack(), shown->state, &view);
      response = view.SerializeAsString();
    }
    Remember(applied.commit.id, applied.commit.request_hash, response, applied.partition, applied.position);
  }
  dependencies_.answers->SetPosition(partition, position);
}

// ------------------------------------------------------------------------------------------------ reports

void Intake::CreateReport(const Caller& caller, const v1::CreateReportRequest& request, Reply<v1::CreateReportResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status may = Authorize(caller, "report", request.school()); !may.ok()) return reply(may);
    // Started while the log is away, nobody is known here; a report is taken all the same, and looked at when the log has been read.
    const bool blind = !machine_->caught_up() && !machine_->connected();
    if (absl::Status ready = Ready(); !blind && !ready.ok()) return reply(ready);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (!blind && (school == nullptr || school->people.empty())) return reply(absl::NotFoundError("no such school"));

    std::vector<rpc::FieldError> errors;
    const auto check_codes = [&](const auto& codes, const char* field, domain::IndicatorRow::Kind kind) {
      for (int i = 0; i < codes.size(); ++i) {
        const auto row = pack().indicators.find(codes[i]);
        if (row == pack().indicators.end()) {
          errors.push_back({absl::StrCat(field, "[", i, "]"), "unknown code"});
        } else if (row->second.kind != kind) {
          errors.push_back({absl::StrCat(field, "[", i, "]"), kind == domain::IndicatorRow::Kind::kSignal ? "is a factor, not a signal" : "is a signal, not a factor"});
        }
      }
    };
    check_codes(request.signals(), "signals", domain::IndicatorRow::Kind::kSignal);
    check_codes(request.factors(), "factors", domain::IndicatorRow::Kind::kFactor);
    if (!request.claimed_level().empty() && pack().Rank(request.claimed_level()) < 0) errors.push_back({"claimed_level", "unknown level"});
    if (!request.channel().empty() && std::find(pack().channels.begin(), pack().channels.end(), request.channel()) == pack().channels.end()) {
      errors.push_back({"channel", "unknown channel"});
    }
    const absl::Time now = machine_->Now();
    if (request.has_discovered_time() && contract::TimeFromProto(request.discovered_time()) > now + pack().clock_tolerance) {
      errors.push_back({"discovered_time", "lies in the future"});
    }
    if (request.student().id().empty() && request.student().name().empty()) errors.push_back({"student", "needs an id, or a name and class"});
    if (!request.student().id().empty() && !request.student().name().empty()) errors.push_back({"student", "takes an id or a name, not both"});
    if (!blind && !request.in_sight().staff_id().empty() && !school->people.contains(request.in_sight().staff_id())) {
      errors.push_back({"in_sight.staff_id", "unknown staff member"});
    }
    if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
    if (!blind && !request.student().id().empty()) {
      const auto student = school->people.find(request.student().id());
      if (student == school->people.end() || student->second.kind != domain::PersonKind::kStudent) {
        return reply(absl::NotFoundError("no such student"));
      }
    }

    auto report = std::make_shared<PendingReport>();
    report->caller = caller;
    report->request = request;
    report->cause = CauseOf(caller, request.school());
    report->accepted = now;
    report->report_id = DeriveId('r', {request.school(), report->cause});
    const std::string key = CommitIdOf(request.school(), CauseOfReport(report->report_id));
    Once<v1::CreateReportResponse>(caller, key, std::move(reply), [this, report](Reply<v1::CreateReportResponse> answer) {
      report->reply = std::move(answer);
      AcceptReport(report);
    });
  });
}

void Intake::AcceptReport(std::shared_ptr<PendingReport> report) {
  const v1::CreateReportRequest& request = report->request;
  const std::string& school = request.school();
  // An id that was accepted unseen and is nobody's is for a person to look at, like a name.
  if (request.student().id().empty() || !IsStudent(school, request.student().id())) {
    report->to_identify = true;
    if (auto found = FindByName(school, request.student().name(), request.student().class_()); found.ok()) report->candidates = *std::move(found);
    report->file_id = DeriveId('f', {school, "report", report->report_id});
  } else {
    report->file_id = DeriveId('f', {school, "student", request.student().id()});
  }
  pending_reports_[report->report_id] = report;
  if (!machine_->connected() || !machine_->caught_up()) return AnswerFromOutbox(std::move(report));

  const bool urgent = request.deteriorating() || request.signals_size() > 0 || !request.claimed_level().empty();
  const auto submit = [this, report, urgent] {
    report->submitted = true;
    machine_->SubmitHere(
        PartitionOf(report->request.school()), urgent ? kUrgentReportPriority : kReportPriority, [this, report] { return DecideReport(*report); },
        [this, report](const absl::StatusOr<Machine::Outcome>& outcome) { OnReportStored(*report, outcome); });
  };
  if (!report->to_identify) return submit();
  // Nobody knows yet whose key this would be: the file gets one of its own, durable before the first commit that needs it.
  dependencies_.worker->Post([this, report, submit] {
    const auto key = dependencies_.keys->EnsureKey(report->file_id);
    machine_->loop()->Post([this, report, submit, status = key.status()] {
      if (status.ok()) return submit();
      AnswerFromOutbox(report);
    });
  });
}

void Intake::OnReportStored(PendingReport& report, const absl::StatusOr<Machine::Outcome>& outcome) {
  report.submitted = false;
  pending_reports_.erase(report.report_id);
  const bool stored = outcome.ok() || absl::IsAlreadyExists(outcome.status());
  if (!report.outbox_row.empty()) {
    if (!stored) {
      log::Warn("a report of the outbox cannot be appended yet", {{"report", log::Id(report.report_id)}, {"reason", outcome.status()}});
      return DrainLater();
    }
    if (absl::Status removed = dependencies_.outbox->Remove(std::span(&report.outbox_row, 1)); !removed.ok()) {
      log::Warn("a delivered report stays in the outbox for now", {{"reason", removed}});
    }
  }
  if (!report.reply || report.promised) return;
  if (!outcome.ok()) return std::exchange(report.reply, nullptr)(outcome.status());
  const auto& received = std::get<domain::ReportReceived>(outcome->commit.events.front().body);
  std::exchange(report.reply, nullptr)(ReportAnswer(received, *outcome->file, outcome->commit.recorded_time));
}

absl::StatusOr<Draft> Intake::DecideReport(PendingReport& report) {
  // From the outbox and by an append that was thought lost it may come twice; it is one report.
  if (files_by_report_.contains(report.report_id)) return absl::AlreadyExistsError("the report is in the log");
  const v1::CreateReportRequest& request = report.request;
  const std::string& school_id = request.school();
  const absl::Time now = machine_->Now();

  FileEntry* file = nullptr;
  if (!report.to_identify) {
    if (const auto it = files_by_student_.find(StudentKey(school_id, request.student().id())); it != files_by_student_.end()) file = it->second;
  }
  Draft draft;
  draft.cause = CauseOfReport(report.report_id);
  draft.school = school_id;
  draft.file = file != nullptr ? file->state.file : report.file_id;
  draft.actor = {.person = report.caller.person, .role = report.caller.role};
  draft.request_hash = report.caller.idempotency_key.empty() ? "" : report.caller.body_hash;
  draft.traceparent = report.caller.traceparent;

  domain::ReportReceived event;
  event.report_id = report.report_id;
  event.case_id = file != nullptr && domain::HasOpenCase(file->state) ? file->state.current->case_id : DeriveId('c', {school_id, report.report_id});
  if (!report.to_identify) event.student = request.student().id();
  event.channel = request.channel().empty() ? "web" : request.channel();
  event.reporter_kind = request.reporter().kind().empty() ? "staff" : request.reporter().kind();
  event.reporter = report.caller.person;
  event.observed_time = TimeOf(request.has_observed_time(), request.observed_time());
  event.discovered_time = request.has_discovered_time() ? std::min(contract::TimeFromProto(request.discovered_time()), now) : report.accepted;
  event.reported_time = TimeOf(request.has_reported_time(), request.reported_time());
  for (const std::string& code : request.signals()) event.indicators.push_back(code);
  for (const std::string& code : request.factors()) event.indicators.push_back(code);
  event.claimed_level = request.claimed_level();
  event.deteriorating = request.deteriorating();
  if (request.has_in_sight()) {
    event.sight = request.in_sight().nobody() ? domain::SightClaim::kNotSeen : domain::SightClaim::kSeen;
    event.sight_person = request.in_sight().staff_id();
  }
  event.home_unsafe = static_cast<domain::HomeUnsafe>(request.home_unsafe());
  for (const std::string& id : request.attachments()) event.attachments.push_back(id);
  event.candidates = report.candidates;

  const domain::ReportFacts facts{.indicators = event.indicators,
                                  .claimed_level = event.claimed_level,
                                  .deteriorating = event.deteriorating,
                                  .reporter = event.reporter,
                                  .recorded_time = now};
  const domain::Classification classification = domain::Classify(pack(), facts, file == nullptr ? nullptr : &file->state);
  event.answered_level = classification.level.empty() ? pack().Level(0).id : classification.level;

  json personal;
  if (report.to_identify) personal["student"] = {{"id", request.student().id()}, {"name", request.student().name()}, {"class", request.student().class_()}};
  if (!request.reporter().name().empty()) personal["reporter_name"] = request.reporter().name();
  if (!request.narrative().empty()) personal["narrative"] = request.narrative();
  if (!request.verbatim().empty()) personal["verbatim"] = request.verbatim();
  if (!request.location().empty()) personal["location"] = request.location();
  if (!request.in_sight().name().empty()) personal["sight_name"] = request.in_sight().name();
  if (!personal.is_null()) {
    const std::string subject = report.to_identify ? report.file_id : SubjectOf(school_id, request.student().id());
    const auto key = dependencies_.keys->Find(subject);
    if (!key.ok()) return key.status();
    event.personal = domain::Sealed{.person = subject, .content = key->Seal(personal.dump(), subject, *dependencies_.random)};
  }
  draft.events.push_back(domain::Event{std::move(event)});
  return draft;
}

void Intake::AnswerFromOutbox(std::shared_ptr<PendingReport> report) {
  // Sealed: a report lies here in words.
  json row{{"person", report->caller.person},
           {"role", report->caller.role},
           {"school", report->caller.school},
           {"key", report->caller.idempotency_key},
           {"body_hash", report->caller.body_hash},
           {"cause", report->cause},
           {"accepted", absl::ToUnixMicros(report->accepted)},
           {"request", Base64Encode(report->request.SerializeAsString())}};
  OutboxRow out{.id = report->report_id, .partition = static_cast<std::uint32_t>(PartitionOf(report->request.school()))};
  out.bytes = dependencies_.installation_key->Seal(row.dump(), report->report_id, *dependencies_.random);
  domain::ReportFacts facts{.claimed_level = report->request.claimed_level(),
                            .deteriorating = report->request.deteriorating(),
                            .reporter = report->caller.person,
                            .recorded_time = report->accepted};
  for (const std::string& code : report->request.signals()) facts.indicators.push_back(code);
  for (const std::string& code : report->request.factors()) facts.indicators.push_back(code);
  const auto known = files_by_student_.find(StudentKey(report->request.school(), report->request.student().id()));
  const domain::Classification classification = domain::Classify(pack(), facts, known == files_by_student_.end() ? nullptr : &known->second->state);
  v1::CreateReportResponse response;
  response.set_report_id(report->report_id);
  contract::TimeToProto(report->accepted, response.mutable_accepted_time());
  response.set_provisional_level(classification.level.empty() ? pack().Level(0).id : classification.level);
  response.set_advice("receipt");
  const bool answers = report->reply && !report->caller.idempotency_key.empty() && dependencies_.answers != nullptr;
  report->promised = static_cast<bool>(report->reply);
  // fsync waits for the disk: off the loop.
  dependencies_.worker->Post([this, report, answers, out = std::move(out), response = std::move(response)]() mutable {
    absl::Status stored = dependencies_.outbox->Put(out);
    if (stored.ok() && answers) {
      Remember(CommitIdOf(report->request.school(), CauseOfReport(report->report_id)), report->caller.body_hash, response.SerializeAsString(),
               static_cast<int>(out.partition), {});
      stored = dependencies_.answers->Flush();
    }
    machine_->loop()->Post([this, report, stored, response = std::move(response)]() mutable {
      report->promised = false;
      if (!stored.ok() && files_by_report_.contains(report->report_id)) stored = absl::OkStatus();  // it is in the log after all
      if (!stored.ok()) {
        pending_reports_.erase(report->report_id);
        if (!report->reply) return DrainLater();
        return std::exchange(report->reply, nullptr)(rpc::UnavailableFor("the report could not be stored; please call the duty telephone", kRetryAfter));
      }
      report->outbox_row = report->report_id;
      if (report->reply) std::exchange(report->reply, nullptr)(response);
      // The log may have come back meanwhile, when this was not yet there to be found.
      if (!report->submitted && machine_->connected()) DrainLater();
    });
  });
}

void Intake::DrainLater() {
  if (std::exchange(drain_waits_, true)) return;
  dependencies_.worker->Post([this] {
    absl::SleepFor(kOutboxRetryAfter);
    machine_->loop()->Post([this] {
      drain_waits_ = false;
      DrainOutbox();
    });
  });
}

void Intake::OnLogConnection(bool connected) {
  machine_->loop()->Post([this, connected] {
    if (connected) return DrainOutbox();
    // Appends on their way may or may not be stored. Their reports are promised now, on this disk; the log tells later which it has.
    for (const auto& [id, report] : pending_reports_) {
      if (report->reply && report->outbox_row.empty()) AnswerFromOutbox(report);
    }
  });
}

void Intake::DrainOutbox() {
  if (!machine_->caught_up() || !machine_->connected()) return;
  absl::Status read = dependencies_.outbox->ForEach([this](const OutboxRow& row) {
    // It reached the log after all, or the append that was on its way when the log went will.
    if (files_by_report_.contains(row.id)) {
      const std::string id = row.id;
      (void)dependencies_.outbox->Remove(std::span(&id, 1));
      return true;
    }
    if (const auto it = pending_reports_.find(row.id); it != pending_reports_.end() && (it->second->submitted || it->second->outbox_row.empty())) return true;
    const auto opened = dependencies_.installation_key->Open(row.bytes, row.id);
    const json parsed = opened.ok() ? json::parse(*opened, nullptr, false) : json();
    auto report = std::make_shared<PendingReport>();
    const auto bytes = parsed.is_object() ? Base64Decode(parsed.value("request", "")) : std::nullopt;
    if (!bytes || !report->request.ParseFromString(*bytes)) {
      log::Error("a row of the outbox cannot be opened", {{"report", log::Id(row.id)}});
      return true;
    }
    report->caller = {.person = parsed.value("person", ""),
                      .role = parsed.value("role", ""),
                      .school = parsed.value("school", ""),
                      .idempotency_key = parsed.value("key", ""),
                      .body_hash = parsed.value("body_hash", "")};
    report->cause = parsed.value("cause", "");
    report->accepted = absl::FromUnixMicros(parsed.value("accepted", std::int64_t{0}));
    report->report_id = row.id;
    report->outbox_row = row.id;
    AcceptReport(std::move(report));
    return true;
  });
  if (!read.ok()) log::Error("the outbox cannot be read", {{"reason", read}});
}

bool Intake::IsStudent(const std::string& school, const std::string& id) const {
  if (!machine_->caught_up()) return true;  // not known yet
  const domain::SchoolState* state = machine_->FindSchool(school);
  if (state == nullptr) return false;
  const auto person = state->people.find(id);
  return person != state->people.end() && person->second.kind == domain::PersonKind::kStudent;
}

absl::StatusOr<std::vector<std::string>> Intake::FindByName(const std::string& school, const std::string& name, const std::string& class_name) const {
  const auto it = students_by_name_.find(NameKey(school, name, class_name));
  if (it == students_by_name_.end()) return absl::NotFoundError("nobody of that name in that class");
  return it->second;
}

void Intake::GetReport(const Caller& caller, const v1::GetReportRequest& request, Reply<v1::ReportReceipt> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "report", request.school()); !may.ok()) return reply(may);
    v1::ReportReceipt receipt;
    receipt.set_report_id(request.report());
    if (const auto it = files_by_report_.find(request.report()); it != files_by_report_.end() && it->second->state.school == request.school()) {
      const domain::FileState& file = it->second->state;
      for (const domain::ReportState& report : file.current->reports) {
        if (report.report_id != request.report()) continue;
        // Its reporter sees this much; so does who may read cases.
        const auto received = reporters_.find(report.report_id);
        if ((received == reporters_.end() || received->second != caller.person) && !Authorize(caller, "case.read", request.school()).ok()) break;
        contract::TimeToProto(report.recorded_time, receipt.mutable_accepted_time());
        const bool handled = report.read || !file.current->taken_by.empty() || !file.current->final_level.empty();
        receipt.set_state(handled ? "being_handled" : "received");
        receipt.set_case_id(file.current->case_id);
        receipt.set_file_id(file.file);
        return reply(std::move(receipt));
      }
    }
    if (const auto it = pending_reports_.find(request.report()); it != pending_reports_.end() && it->second->request.school() == request.school()) {
      contract::TimeToProto(it->second->accepted, receipt.mutable_accepted_time());
      receipt.set_state("received");
      return reply(std::move(receipt));
    }
    reply(absl::NotFoundError("no such report"));
  });
}

// ------------------------------------------------------------------------------------------------ reading

void Intake::GetCase(const Caller& caller, const v1::CaseRequest& request, Reply<v1::Case> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "case.read", *file); !may.ok()) return reply(may);
    v1::Case view;
    FillCase(pack(), file->state, &view);
    reply(std::move(view));
  });
}

void Intake::ListCases(const Caller& caller, const v1::ListCasesRequest& request, Reply<v1::ListCasesResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "case.list", request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    std::vector<rpc::FieldError> errors;
    if (!request.level().empty() && pack().Rank(request.level()) < 0) errors.push_back({"level", "unknown level"});
    if (request.page_size() < 0 || request.page_size() > 500) errors.push_back({"page_size", "is 1 to 500"});
    static const std::vector<std::string> kStates = {"open", "handed_over", "on_leave", "returned", "closed"};
    if (!request.state().empty() && std::find(kStates.begin(), kStates.end(), request.state()) == kStates.end()) {
      errors.push_back({"state", "is one of open, handed_over, on_leave, returned, closed"});
    }
    std::size_t skip = 0;
    if (!request.page_token().empty() && (request.page_token().size() > 9 || !absl::SimpleAtoi(request.page_token(), &skip))) {
      errors.push_back({"page_token", "is not from a previous answer"});
    }
    if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
    const std::size_t page = request.page_size() == 0 ? 50 : static_cast<std::size_t>(request.page_size());
    v1::ListCasesResponse response;
    const auto it = files_by_school_.find(request.school());
    // The token counts files from the oldest, so a page stays where it was while new cases come.
    std::size_t position = it == files_by_school_.end() ? 0 : it->second.size();
    if (!request.page_token().empty()) position = std::min(position, skip);
    while (position > 0) {
      --position;
      const FileEntry& file = *it->second[position];
      if (!file.state.current || !AuthorizeCase(caller, "case.list", file).ok()) continue;
      if (!request.state().empty() && PhaseName(file.state.current->phase) != request.state()) continue;
      if (!request.level().empty() && domain::EffectiveLevel(pack(), file.state).id != request.level()) continue;
      if (static_cast<std::size_t>(response.cases_size()) == page) {
        response.set_next_page_token(std::to_string(position + 1));
        break;
      }
      FillCase(pack(), file.state, response.add_cases());
    }
    reply(std::move(response));
  });
}

void Intake::ListClocks(const Caller& caller, const v1::CaseRequest& request, Reply<v1::ListClocksResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "case.read", *file); !may.ok()) return reply(may);
    v1::ListClocksResponse response;
    FillClocks(file->state, response.mutable_clocks());
    reply(std::move(response));
  });
}

void Intake::GetCustody(const Caller& caller, const v1::CaseRequest& request, Reply<v1::Custody> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "case.read", *file); !may.ok()) return reply(may);
    v1::Custody custody;
    FillCustody(file->state, &custody);
    if (custody.supervised() && Authorize(caller, "shifts.plan", file->state.school).ok()) {
      custody.set_code(PlaceCode(request.case_(), machine_->Now()));
    }
    reply(std::move(custody));
  });
}

std::string Intake::PlaceCode(const std::string& case_id, absl::Time now) const {
  const std::int64_t period = absl::ToUnixSeconds(now) / absl::ToInt64Seconds(kPlaceCodePeriod);
  const Digest digest = HmacSha256(dependencies_.check_in_key, absl::StrCat("place/", case_id, "/", period));
  const int number = (digest[0] << 16 | digest[1] << 8 | digest[2]) % 10000;
  return absl::StrFormat("%04d", number);
}

bool Intake::PlaceCodeMatches(const std::string& case_id, const std::string& code, absl::Time now) const {
  // The one before is still right: it changes while one walks to the phone.
  return ConstantTimeEqual(code, PlaceCode(case_id, now)) || ConstantTimeEqual(code, PlaceCode(case_id, now - kPlaceCodePeriod));
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
  machine_->loop()->Post([this, caller, case_id, permission = std::string(permission), events = std::move(events), reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    // Also when the file has moved on to another case since.
    if (AnswerAgain(caller, case_id, permission, reply)) return;
    FileEntry* file = FileOfCase(case_id);
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, permission, *file); !may.ok()) return reply(may);
    const std::string school = file->state.school;
    const std::string cause = CauseOf(caller, school);
    Once<v1::Case>(caller, CommitIdOf(school, cause), std::move(reply), [this, caller, file, school, cause, events = std::move(events)](Reply<v1::Case> answer) {
      if (!machine_->connected()) return answer(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
      machine_->SubmitHere(
          file->partition, kReportPriority,
          [this, caller, file, school, cause, events]() -> absl::StatusOr<Draft> {
            const CommandContext context{.pack = pack(), .school = machine_->SchoolFor(school), .file = *file, .caller = caller, .now = machine_->Now(), .intake = *this, .cause = cause};
            if (caller.expected_version != 0 && caller.expected_version != file->state.version) {
              return rpc::NotInState("the case has changed since it was read", PhaseName(file->state.current->phase),
                                     AllowedCommands(pack(), machine_->SchoolFor(school), file->state));
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
                                         AllowedCommands(pack(), machine_->SchoolFor(school), file->state));
              }
              return answer(status);
            }
            v1::Case view;
            FillCase(pack(), outcome->file->state, &view);
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

// ------------------------------------------------------------------------------------------------ whose case is it

void Intake::IdentifyStudent(const Caller& caller, const v1::IdentifyStudentRequest& request, Reply<v1::Case> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (AnswerAgain(caller, request.case_(), "student.identify", reply)) return;
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "student.identify", *file); !may.ok()) return reply(may);
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
    if (absl::Status may = AuthorizeCase(caller, "case.move", *file); !may.ok()) return reply(may);
    const domain::SchoolState& school = machine_->SchoolFor(file->state.school);
    if (!domain::HasOpenCase(file->state)) return reply(rpc::NotInState("the case is closed", PhaseName(file->state.current->phase), {}));
    const auto student = school.people.find(request.id());
    if (student == school.people.end() || student->second.kind != domain::PersonKind::kStudent) return reply(absl::NotFoundError("no such student"));
    // Until both are known to be safe, two children may be in danger: the case stays where it is.
    if (!request.both_located()) {
      return reply(rpc::NotInState("both children must be located first", PhaseName(file->state.current->phase),
                                   AllowedCommands(pack(), school, file->state)));
    }
    if (file->state.student == request.id()) {
      return reply(rpc::NotInState("the case is about this student", PhaseName(file->state.current->phase), AllowedCommands(pack(), school, file->state)));
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
        [this, to, reply](const absl::StatusOr<Machine::Outcome>& moved) {
          if (!moved.ok()) return reply(moved.status());
          v1::Case view;
          FillCase(pack(), to->state, &view);
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
        joined.level = domain::EffectiveLevel(pack(), from->state).id;
        for (const domain::TriggerState& trigger : from->state.current->triggers) {
          joined.discovered_time = domain::IsSet(joined.discovered_time) ? std::min(joined.discovered_time, trigger.discovered_time) : trigger.discovered_time;
        }
        joined.student = student;
        joined.case_id = to != nullptr && domain::HasOpenCase(to->state) ? to->state.current->case_id : DeriveId('c', {school, cause});
        Draft draft;
        draft.cause = cause;
        draft.school = school;
        draft.file = to != nullptr ? to->state.file : DeriveId('f', {school, "student", student});
        draft.actor = {.person = caller.person, .role = caller.role};
        draft.events.push_back(domain::Event{std::move(joined)});
        // What keeps guardians or colleagues off that case keeps them off this one (PRV-06, 回避).
        const domain::CaseState* here = to != nullptr && domain::HasOpenCase(to->state) ? &*to->state.current : nullptr;
        for (const domain::HoldState& hold : from->state.current->holds) draft.events.push_back(domain::Event{domain::HoldPlaced{.kind = hold.kind}});
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

// ------------------------------------------------------------------------------------------------ the school

void Intake::PutDirectory(const Caller& caller, const v1::PutDirectoryRequest& request, Reply<v1::PutDirectoryResponse> reply) {
  if (absl::Status may = Authorize(caller, "directory.write", request.school()); !may.ok()) return reply(may);
  std::vector<rpc::FieldError> errors;
  for (int i = 0; i < request.people_size() && errors.size() < 10; ++i) {
    const v1::PersonInput& person = request.people(i);
    const auto at = [i](const char* field) { return absl::StrCat("people[", i, "].", field); };
    if (person.kind() != "staff" && person.kind() != "guardian" && person.kind() != "student") errors.push_back({at("kind"), "is staff, guardian or student"});
    for (int r = 0; r < person.roles_size(); ++r) {
      if (!pack().roles.contains(person.roles(r))) errors.push_back({absl::StrCat(at("roles"), "[", r, "]"), "unknown role"});
    }
    if (person.kind() == "guardian" && person.student_id().empty()) errors.push_back({at("student_id"), "a guardian needs one"});
  }
  if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));

  std::vector<std::string> subjects;
  for (const v1::PersonInput& person : request.people()) subjects.push_back(SubjectOf(request.school(), person.id()));
  dependencies_.keys->EnsureKeys(std::move(subjects), [this, caller, request, reply = std::move(reply)](absl::Status keys) mutable {
    if (!keys.ok()) return reply(rpc::UnavailableFor("keys cannot be stored", kRetryAfter));
    // Sealing thousands of names is work that can wait: not on the loop.
    dependencies_.worker->Post([this, caller, request = std::move(request), reply = std::move(reply)]() mutable {
      std::vector<std::vector<domain::Event>> commits;
      if (!request.school_name().empty()) {
        commits.push_back({domain::Event{domain::SchoolRegistered{.school_name = request.school_name(),
                                                                  .duty_phone = request.duty_phone(),
                                                                  .language = request.language().empty() ? "zh-CN" : request.language(),
                                                                  .short_code = ""}}});
      }
      domain::DirectoryChanged change;
      const auto flush = [&] {
        if (change.people.empty() && change.removed.empty()) return;
        commits.push_back({domain::Event{std::exchange(change, {})}});
      };
      for (const v1::PersonInput& input : request.people()) {
        domain::Person person{.person_id = input.id()};
        person.kind = input.kind() == "staff" ? domain::PersonKind::kStaff : input.kind() == "guardian" ? domain::PersonKind::kGuardian : domain::PersonKind::kStudent;
        for (const std::string& role : input.roles()) person.roles.push_back(role);
        person.grade = input.grade();
        person.class_name = input.class_();
        person.student_id = input.student_id();
        person.call_order = input.call_order();
        person.excluded = input.excluded();
        person.has_phone = !input.phone().empty();
        person.sex = input.sex();
        person.on_leave = input.on_leave();
        if (!input.name().empty() || !input.phone().empty()) {
          const std::string subject = SubjectOf(request.school(), input.id());
          const auto key = dependencies_.keys->Find(subject);
          if (!key.ok()) return reply(key.status());
          const json contact{{"name", input.name()}, {"phone", input.phone()}, {"language", input.language()}};
          person.contact = domain::Sealed{.person = subject, .content = key->Seal(contact.dump(), subject, *dependencies_.random)};
        }
        change.people.push_back(std::move(person));
        if (change.people.size() == kPeoplePerCommit) flush();
      }
      for (const std::string& id : request.removed()) change.removed.push_back(id);
      flush();
      if (commits.empty()) return reply(rpc::InvalidField("people", "nothing to set"));
      const std::string base = CauseOf(caller, request.school());
      v1::PutDirectoryResponse response;
      response.set_people(request.people_size());
      response.set_removed(request.removed_size());
      auto left = std::make_shared<std::size_t>(commits.size());
      auto failed = std::make_shared<absl::Status>();
      const auto shared_reply = std::make_shared<Reply<v1::PutDirectoryResponse>>(std::move(reply));
      for (std::size_t i = 0; i < commits.size(); ++i) {
        machine_->Submit(
            PartitionOf(request.school()), 0,
            [this, caller, school = request.school(), cause = absl::StrCat(base, "/", i), events = std::move(commits[i])]() -> absl::StatusOr<Draft> {
              for (const domain::Event& event : events) {
                const auto* directory = std::get_if<domain::DirectoryChanged>(&event.body);
                if (directory == nullptr) continue;
                for (const std::string& id : directory->removed) {
                  const auto it = files_by_student_.find(StudentKey(school, id));
                  if (it != files_by_student_.end() && domain::HasOpenCase(it->second->state)) {
                    return absl::FailedPreconditionError("a student with an open case cannot be removed");
                  }
                }
              }
              Draft draft;
              draft.cause = cause;
              draft.school = school;
              draft.actor = {.person = caller.person, .role = caller.role};
              draft.events = events;
              return draft;
            },
            [left, failed, shared_reply, response](absl::StatusOr<Machine::Outcome> outcome) {
              if (!outcome.ok() && failed->ok()) *failed = outcome.status();
              if (--*left > 0) return;
              if (!failed->ok()) return (*shared_reply)(*failed);
              (*shared_reply)(response);
            });
      }
    });
  });
}

namespace {

absl::StatusOr<int> MinuteOf(const std::string& text) {
  int hour = 0;
  int minute = 0;
  if (text.size() != 5 || text[2] != ':' || !absl::SimpleAtoi(text.substr(0, 2), &hour) || !absl::SimpleAtoi(text.substr(3), &minute) || hour < 0 ||
      hour > 24 || minute < 0 || minute > 59 || hour * 60 + minute > 1440) {
    return absl::InvalidArgumentError("is HH:MM");
  }
  return hour * 60 + minute;
}

}  // namespace

void Intake::PutSchedule(const Caller& caller, const v1::PutScheduleRequest& request, Reply<v1::Schedule> reply) {
  if (absl::Status may = Authorize(caller, "schedule.write", request.school()); !may.ok()) return reply(may);
  if (!pack().schedules.contains(request.id())) return reply(absl::NotFoundError("no such schedule"));
  std::vector<rpc::FieldError> errors;
  domain::ScheduleSet set{.schedule = request.id()};
  for (int i = 0; i < request.shifts_size(); ++i) {
    const v1::ScheduleShift& input = request.shifts(i);
    const auto at = [i](const char* field) { return absl::StrCat("shifts[", i, "].", field); };
    domain::ScheduleShift shift;
    for (const std::string& id : input.staff_ids()) shift.staff_ids.push_back(id);
    if (input.has_from_time() || input.has_to_time()) {
      shift.from_time = TimeOf(input.has_from_time(), input.from_time());
      shift.to_time = TimeOf(input.has_to_time(), input.to_time());
      if (!domain::IsSet(shift.from_time) || shift.to_time <= shift.from_time) errors.push_back({at("to_time"), "is after from_time"});
    } else {
      const auto from = MinuteOf(input.from());
      const auto to = MinuteOf(input.to());
      if (!from.ok()) errors.push_back({at("from"), "is HH:MM"});
      if (!to.ok()) errors.push_back({at("to"), "is HH:MM"});
      if (input.weekdays_size() == 0) errors.push_back({at("weekdays"), "names at least one day, 1 to 7"});
      for (const std::int32_t day : input.weekdays()) {
        if (day < 1 || day > 7) errors.push_back({at("weekdays"), "is 1 (Monday) to 7"});
        shift.weekdays.push_back(day);
      }
      if (from.ok() && to.ok()) {
        shift.from_minute = *from;
        shift.to_minute = *to > *from ? *to : *to + 1440;
      }
    }
    set.shifts.push_back(std::move(shift));
  }
  if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  machine_->Submit(
      PartitionOf(request.school()), 0,
      [this, caller, set, school = request.school(), cause = CauseOf(caller, request.school())]() -> absl::StatusOr<Draft> {
        const domain::SchoolState& state = machine_->SchoolFor(school);
        for (std::size_t i = 0; i < set.shifts.size(); ++i) {
          for (const std::string& id : set.shifts[i].staff_ids) {
            const auto person = state.people.find(id);
            if (person == state.people.end() || person->second.kind != domain::PersonKind::kStaff) {
              return rpc::InvalidField(absl::StrCat("shifts[", i, "].staff_ids"), "unknown staff member");
            }
          }
        }
        Draft draft;
        draft.cause = cause;
        draft.school = school;
        draft.actor = {.person = caller.person, .role = caller.role};
        draft.events.push_back(domain::Event{set});
        return draft;
      },
      [request, reply = std::move(reply)](absl::StatusOr<Machine::Outcome> outcome) {
        if (!outcome.ok()) return reply(outcome.status());
        v1::Schedule schedule;
        schedule.set_id(request.id());
        *schedule.mutable_shifts() = request.shifts();
        reply(std::move(schedule));
      });
}

void Intake::GetOnCall(const Caller& caller, const v1::GetOnCallRequest& request, Reply<v1::OnCall> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "oncall.read", request.school()); !may.ok()) return reply(may);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (school == nullptr) return reply(absl::NotFoundError("no such school"));
    const absl::Time at = request.has_time() ? contract::TimeFromProto(request.time()) : machine_->Now();
    v1::OnCall on_call;
    contract::TimeToProto(at, on_call.mutable_time());
    for (const auto& [id, row] : pack().schedules) {
      v1::OnCallLine* line = on_call.add_lines();
      line->set_schedule(id);
      for (const std::string& person : domain::OnCall(pack(), *school, id, at)) {
        line->add_staff_ids(person);
        if (!school->people.at(person).has_phone) line->add_unreachable(person);
      }
    }
    reply(std::move(on_call));
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
  if (absl::Status may = Authorize(caller, "clock.set", ""); !may.ok()) return reply(may);
  if (caller.school != "*") return reply(absl::PermissionDeniedError("the clock belongs to the installation"));
  if (!dependencies_.rehearsal) return reply(rpc::NotInState("an installation with real data has speed 1 for ever", "real", {}));
  if (!(request.speed() >= 0.1 && request.speed() <= 100'000)) return reply(rpc::InvalidField("speed", "is 0.1 to 100,000"));
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  machine_->Submit(
      0, kUrgentReportPriority,
      [this, caller, speed = request.speed(), cause = CauseOf(caller, "")]() -> absl::StatusOr<Draft> {
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
}

// ------------------------------------------------------------------------------------------------ following

void Intake::OnCommit(const AppliedCommit& applied) {
  RememberAnswer(applied);
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
}

void Intake::OnCaughtUp() {
  if (!installation_opened_) OpenInstallation();
  machine_->loop()->Post([this] { DrainOutbox(); });
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
