// Reports: from the request to the log, in the order in which that happens.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "contract/time_conversion.h"
#include "domain/classify.h"
#include "domain/file.h"
#include "domain/planted.h"
#include "domain/wording.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/once.h"
#include "intake/pending_report.h"
#include "platform/logging/log.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

// A report is never refused for state: after so many void commits it is appended without what can be void.
constexpr int kMostDecisionsWithLevel = 5;

}  // namespace

v1::CreateReportResponse Intake::ReportAnswer(const domain::ReportReceived& received, const FileEntry& file, absl::Time accepted) const {
  v1::CreateReportResponse response;
  response.set_report_id(received.report_id);
  response.set_case_id(received.case_id);
  response.set_file_id(file.state.file);
  contract::TimeToProto(accepted, response.mutable_accepted_time());
  response.set_provisional_level(received.answered_level);
  response.set_advice(domain::ReportAdvice(file.pack_in_force(), machine_->FindSchool(file.state.school), received.advice, received.language,
                                           domain::SpokenCode(received.case_id)));
  return response;
}

void Intake::CreateReport(const Caller& caller, const v1::CreateReportRequest& request, Reply<v1::CreateReportResponse> reply) {
  machine_->loop()->Dispatch([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status may = Authorize(caller, "report", request.school()); !may.ok()) return reply(may);
    // Started while the log is away, or while this part of it stands still, nobody is known here; a report is taken all the same, and looked at
    // when the log has been read.
    const bool blind = (!machine_->caught_up() && !machine_->connected()) || machine_->stopped(PartitionOf(request.school()));
    if (absl::Status ready = Ready(); !blind && !ready.ok()) return reply(ready);
    const domain::SchoolState* school = machine_->FindSchool(request.school());
    if (!blind && (school == nullptr || school->people.empty())) return reply(absl::NotFoundError("no such school"));

    // What may be reported is what is in force, also about a child whose case was opened under an earlier version.
    const domain::Pack& pack = PackOf(request.school());
    std::vector<rpc::FieldError> errors;
    const auto check_codes = [&](const auto& codes, const char* field, domain::IndicatorRow::Kind kind) {
      for (int i = 0; i < codes.size(); ++i) {
        const auto row = pack.indicators.find(codes[i]);
        if (row == pack.indicators.end()) {
          // Which codes the school has added nobody knows while the log has not been read: a person will look at what no rule knows.
          if (!blind) errors.push_back({absl::StrCat(field, "[", i, "]"), "unknown code"});
        } else if (row->second.kind != kind) {
          errors.push_back({absl::StrCat(field, "[", i, "]"), kind == domain::IndicatorRow::Kind::kSignal ? "is a factor, not a signal" : "is a signal, not a factor"});
        }
      }
    };
    check_codes(request.signals(), "signals", domain::IndicatorRow::Kind::kSignal);
    check_codes(request.factors(), "factors", domain::IndicatorRow::Kind::kFactor);
    if (!request.claimed_level().empty() && pack.Rank(request.claimed_level()) < 0) errors.push_back({"claimed_level", "unknown level"});
    if (!request.channel().empty() && std::find(pack.channels.begin(), pack.channels.end(), request.channel()) == pack.channels.end()) {
      errors.push_back({"channel", "unknown channel"});
    }
    const absl::Time now = machine_->Now();
    if (request.has_discovered_time() && contract::TimeFromProto(request.discovered_time()) > now + pack.clock_tolerance) {
      errors.push_back({"discovered_time", "lies in the future"});
    }
    if (request.student().id().empty() && request.student().name().empty()) errors.push_back({"student", "needs an id, or a name and class"});
    if (!request.student().id().empty() && !request.student().name().empty()) errors.push_back({"student", "takes an id or a name, not both"});
    if (!blind && !request.in_sight().staff_id().empty() && !school->people.contains(request.in_sight().staff_id())) {
      errors.push_back({"in_sight.staff_id", "unknown staff member"});
    }
    for (int i = 0; !blind && i < request.attachments_size(); ++i) {
      const absl::Status found = FindAttachment(request.school(), request.attachments(i)).status();
      if (absl::IsNotFound(found)) errors.push_back({absl::StrCat("attachments[", i, "]"), "unknown attachment"});
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
    report->arrived = machine_->clock()->NowReal();
    report->report_id = DeriveId('r', {request.school(), report->cause});
    const std::string key = CommitIdOf(request.school(), CauseOfReport(report->report_id));
    Once<v1::CreateReportResponse>(caller, key, std::move(reply), [this, report](Reply<v1::CreateReportResponse> answer) {
      report->reply = std::move(answer);
      AcceptReport(report);
    });
  });
}

void Intake::AcceptReport(std::shared_ptr<PendingReport> report) {
  if (Planted("accepted-before-it-is-stored") && report->reply) {
    v1::CreateReportResponse early;
    early.set_report_id(report->report_id);
    std::exchange(report->reply, nullptr)(early);
  }
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
  WatchReport(*report);
  if (!machine_->connected() || !machine_->caught_up() || machine_->stopped(PartitionOf(school))) return AnswerFromOutbox(std::move(report));

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
    const auto key = report->wrapped_key.empty() ? dependencies_.keys->EnsureKey(report->file_id)
                                                 : dependencies_.keys->Adopt(report->file_id, report->wrapped_key);
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
  if (!stored && report.outbox_row.empty() && !report.promised) StopWatching(report.report_id);
  if (!report.reply || report.promised) return;
  if (!outcome.ok()) return std::exchange(report.reply, nullptr)(outcome.status());
  const auto& received = std::get<domain::ReportReceived>(outcome->commit.events.front().body);
  std::exchange(report.reply, nullptr)(ReportAnswer(received, *outcome->file, outcome->commit.recorded_time));
}

absl::StatusOr<Draft> Intake::DecideReport(PendingReport& report) {
  // From the outbox and by an append that was thought lost it may come twice; it is one report.
  if (files_by_report_.contains(report.report_id) && !Planted("outbox-reports-twice")) return absl::AlreadyExistsError("the report is in the log");
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
  if (Planted("a-name-in-clear")) event.reporter_kind = request.narrative();
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
  // Accepted while nobody could look them up, it keeps those that there are.
  for (const std::string& id : request.attachments()) {
    if (auto attachment = FindAttachment(school_id, id); attachment.ok()) event.attachments.push_back(*std::move(attachment));
  }
  event.candidates = report.candidates;

  const domain::FileState* known = file == nullptr ? nullptr : &file->state;
  const domain::ReportFacts facts = domain::FactsOf(event, now);
  const domain::Pack& in_force = PackOf(school_id);
  const domain::Pack& pack = file == nullptr ? in_force : file->pack();
  domain::Classification classification = domain::Classify(pack, in_force, facts, known);
  event.answered_level = classification.level.empty() ? in_force.Level(0).id : classification.level;
  event.advice = classification.advice;
  event.language = report.caller.language;

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
  // In the report's own commit, so that a severe child is never on record without the alert. Void again and again, because the state keeps
  // moving, the report goes alone, and rules classify it.
  if (report.decisions++ < kMostDecisionsWithLevel) {
    draft.events.push_back(domain::Event{domain::ClassifiedEvent(pack, report.report_id, facts, std::move(classification), known)});
  }
  return draft;
}

bool Intake::IsStudent(const std::string& school, const std::string& id) const {
  if (!machine_->caught_up() || machine_->stopped(PartitionOf(school))) return true;  // not known yet
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
    // Its reporter sees this much; so does who may read cases.
    const auto received = reporters_.find(request.report());
    const bool sees = (received != reporters_.end() && received->second == caller.person) || Authorize(caller, "case.read", request.school()).ok();
    const auto tell = [&](const domain::FileState& file) {
      for (const domain::ReportState& report : file.current->reports) {
        if (report.report_id != request.report()) continue;
        contract::TimeToProto(report.recorded_time, receipt.mutable_accepted_time());
        const bool handled = report.read || !file.current->taken_by.empty() || !file.current->final_level.empty();
        receipt.set_state(handled ? "being_handled" : "received");
        receipt.set_case_id(file.current->case_id);
        receipt.set_file_id(file.file);
        return true;
      }
      return false;
    };
    if (const auto it = files_by_report_.find(request.report()); sees && it != files_by_report_.end() && it->second->state.school == request.school()) {
      const domain::FileState& file = it->second->state;
      if (tell(file)) return reply(std::move(receipt));
      for (auto past = file.past.rbegin(); past != file.past.rend(); ++past) {
        if (tell(ClosedEpisode(file, past->case_id))) return reply(std::move(receipt));
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

}  // namespace vigil::intake
