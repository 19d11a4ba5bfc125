// A report while the log is away: accepted once it is on disk here, appended when the log is back.
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "contract/time_conversion.h"
#include "domain/classify.h"
#include "domain/file.h"
#include "domain/planted.h"
#include "domain/wording.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/once.h"
#include "intake/pending_report.h"
#include "platform/crypto/encoding.h"
#include "platform/logging/log.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

// How soon a report that waits in the outbox is tried again, where trying failed for another reason than the log's absence.
constexpr absl::Duration kOutboxRetryAfter = absl::Milliseconds(500);

}  // namespace

void Intake::AnswerFromOutbox(std::shared_ptr<PendingReport> report) {
  // Sealed: a report lies here in words.
  json row{{"person", report->caller.person},
           {"role", report->caller.role},
           {"school", report->caller.school},
           {"idempotency_key", report->caller.idempotency_key},
           {"body_hash", report->caller.body_hash},
           {"language", report->caller.language},
           {"cause", report->cause},
           {"accepted", absl::ToUnixMicros(report->accepted)}};
  std::string request = report->request.SerializeAsString();
  if (report->to_identify) {
    // Nobody's key can be made durable in the bucket now: the file's own travels with the row, and is adopted when the report is appended.
    const PreparedKey key = dependencies_.keys->Prepare(report->file_id);
    request = key.key.Seal(request, report->file_id, *dependencies_.random);
    row["file"] = report->file_id;
    row["key"] = Base64Encode(key.wrapped);
  }
  row["request"] = Base64Encode(request);
  OutboxRow out{.id = report->report_id, .partition = static_cast<std::uint32_t>(PartitionOf(report->request.school()))};
  out.bytes = dependencies_.installation_key->Seal(row.dump(), report->report_id, *dependencies_.random);
  const domain::ReportFacts facts = FactsOf(*report);
  const auto known = files_by_student_.find(StudentKey(report->request.school(), report->request.student().id()));
  const domain::Pack& pack = PackOf(report->request.school());
  const FileEntry* file = known == files_by_student_.end() ? nullptr : known->second;
  const domain::Classification classification = domain::Classify(file == nullptr ? pack : file->pack(), pack, facts, file == nullptr ? nullptr : &file->state);
  v1::CreateReportResponse response;
  response.set_report_id(report->report_id);
  contract::TimeToProto(report->accepted, response.mutable_accepted_time());
  response.set_provisional_level(classification.level.empty() ? pack.Level(0).id : classification.level);
  // It has no case yet to be named by.
  response.set_advice(domain::ReportAdvice(pack, machine_->FindSchool(report->request.school()), classification.advice, report->caller.language,
                                           domain::SpokenCode(report->report_id)));
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
        StopWatching(report->report_id);
        return std::exchange(report->reply, nullptr)(rpc::UnavailableFor("the report could not be stored; please call the duty telephone", kRetryAfter));
      }
      report->outbox_row = report->report_id;
      if (report->reply) std::exchange(report->reply, nullptr)(response);
      // The log may have come back meanwhile, when this was not yet there to be found.
      if (!report->submitted && machine_->connected() && !machine_->stopped(PartitionOf(report->request.school()))) DrainLater();
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
    if (connected) {
      EraseGivenUp();
      return DrainOutbox();
    }
    // Appends on their way may or may not be stored. Their reports are promised now, on this disk; the log tells later which it has.
    for (const auto& [id, report] : pending_reports_) {
      if (report->reply && report->outbox_row.empty()) AnswerFromOutbox(report);
    }
  });
}

void Intake::DrainOutbox() {
  if (!machine_->caught_up() || !machine_->connected() || Planted("outbox-is-never-emptied")) return;
  absl::Status read = dependencies_.outbox->ForEach([this](const OutboxRow& row) {
    // It reached the log after all, or the append that was on its way when the log went will.
    if (files_by_report_.contains(row.id)) {
      const std::string id = row.id;
      (void)dependencies_.outbox->Remove(std::span(&id, 1));
      return true;
    }
    if (machine_->stopped(static_cast<int>(row.partition))) return true;
    if (const auto it = pending_reports_.find(row.id); it != pending_reports_.end() && (it->second->submitted || it->second->outbox_row.empty())) return true;
    if (std::shared_ptr<PendingReport> report = ReadOutboxRow(row)) AcceptReport(std::move(report));
    return true;
  });
  if (!read.ok()) log::Error("the outbox cannot be read", {{"reason", read}});
}

std::shared_ptr<Intake::PendingReport> Intake::ReadOutboxRow(const OutboxRow& row) const {
  const auto opened = dependencies_.installation_key->Open(row.bytes, row.id);
  const json parsed = opened.ok() ? json::parse(*opened, nullptr, false) : json();
  auto report = std::make_shared<PendingReport>();
  std::optional<std::string> bytes = parsed.is_object() ? Base64Decode(parsed.value("request", "")) : std::nullopt;
  // Rows of before a file's key travelled with them are sealed by the installation's alone.
  const bool with_key = bytes && parsed.contains("file");
  report->caller.idempotency_key = parsed.is_object() ? parsed.value(with_key || parsed.contains("idempotency_key") ? "idempotency_key" : "key", "") : "";
  if (with_key) {
    const std::string file = parsed.value("file", "");
    report->wrapped_key = Base64Decode(parsed.value("key", "")).value_or("");
    const absl::StatusOr<SealingKey> key = dependencies_.keys->Unwrap(file, report->wrapped_key);
    const absl::StatusOr<std::string> request = key.ok() ? key->Open(*bytes, file) : key.status();
    bytes = request.ok() ? std::optional(*request) : std::nullopt;
  }
  if (!bytes || !report->request.ParseFromString(*bytes)) {
    log::Error("a row of the outbox cannot be opened", {{"report", log::Id(row.id)}});
    return nullptr;
  }
  report->caller.person = parsed.value("person", "");
  report->caller.role = parsed.value("role", "");
  report->caller.school = parsed.value("school", "");
  report->caller.body_hash = parsed.value("body_hash", "");
  report->caller.language = parsed.value("language", "");
  report->cause = parsed.value("cause", "");
  report->accepted = absl::FromUnixMicros(parsed.value("accepted", std::int64_t{0}));
  report->arrived = machine_->clock()->NowReal();
  report->report_id = row.id;
  report->outbox_row = row.id;
  return report;
}

}  // namespace vigil::intake
