// Photos and documents: encrypted, on disk, then in the log; from then on a report or a record of the school may name them.
#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/once.h"
#include "intake/school_views.h"
#include "platform/logging/log.h"
#include "platform/rpc/problem.h"
#include "vigil/log/v1/events.convert.h"

namespace vigil::intake {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMaxAttachmentBytes = 10 * 1024 * 1024;
// Each is held in memory several times over on its way.
constexpr int kMostReadAtOnce = 4;

struct Magic {
  std::string_view bytes;
  std::string_view media_type;
};
// What a file begins with; its name and its Content-Type say nothing.
constexpr std::array<Magic, 3> kMagics{{{"\xFF\xD8\xFF"sv, "image/jpeg"}, {"\x89PNG\r\n\x1A\n"sv, "image/png"}, {"%PDF-"sv, "application/pdf"}}};

}  // namespace

absl::StatusOr<domain::Attachment> Intake::FindAttachment(const std::string& school, const std::string& id) const {
  if (dependencies_.answers == nullptr) return absl::NotFoundError("no such attachment");
  const auto found = dependencies_.answers->Find(AttachmentKey(school, id));
  if (!found.ok()) return found.status();
  log::v1::Attachment stored;
  if (!*found || !stored.ParseFromString((*found)->response)) return absl::NotFoundError("no such attachment");
  return contract::FromProto(stored);
}

absl::StatusOr<std::vector<domain::Attachment>> Intake::Attachments(const std::string& school,
                                                                    const google::protobuf::RepeatedPtrField<std::string>& ids) const {
  std::vector<domain::Attachment> attachments;
  for (int i = 0; i < ids.size(); ++i) {
    auto attachment = FindAttachment(school, ids[i]);
    if (absl::IsNotFound(attachment.status())) return rpc::InvalidField(absl::StrCat("attachments[", i, "]"), "unknown attachment");
    if (!attachment.ok()) return attachment.status();
    attachments.push_back(*std::move(attachment));
  }
  return attachments;
}

void Intake::StoreAttachment(const Caller& caller, const v1::StoreAttachmentRequest& request, Reply<v1::Attachment> reply) {
  const auto content = std::make_shared<const std::string>(request.content());
  machine_->loop()->Post([this, caller, school = request.school(), content, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "report", school); !may.ok()) return reply(may);
    const domain::SchoolState* known = machine_->FindSchool(school);
    if (known == nullptr || known->people.empty()) return reply(absl::NotFoundError("no such school"));
    const auto magic = std::find_if(kMagics.begin(), kMagics.end(), [&](const Magic& m) { return content->starts_with(m.bytes); });
    if (magic == kMagics.end()) return reply(rpc::InvalidField("content", "is not a jpeg, png or pdf"));
    if (content->size() > kMaxAttachmentBytes) return reply(rpc::InvalidField("content", "is over 10 MiB"));
    if (dependencies_.blobs == nullptr || dependencies_.answers == nullptr) return reply(absl::UnimplementedError("attachments are not taken here"));
    if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));

    const std::string cause = absl::StrCat("attachment/", CauseOf(caller, school));
    const std::string id = DeriveId('a', {school, cause});
    domain::AttachmentStored stored{.id = id, .media_type = std::string(magic->media_type), .bytes = static_cast<std::int64_t>(content->size())};
    Once<v1::Attachment>(caller, CommitIdOf(school, cause), std::move(reply), [this, caller, school, content, cause, stored](Reply<v1::Attachment> answer) {
      // Encrypting ten megabytes and waiting for the disk: off the loop.
      dependencies_.worker->Post([this, caller, school, content, cause, stored, answer]() mutable {
        // A key of its own: nobody knows yet whom it is about, and erasing that child erases what its reports name.
        const std::string subject = SubjectOf(school, stored.id);
        const auto refuse = [&](absl::Status status) { machine_->loop()->Post([answer, status = std::move(status)] { answer(status); }); };
        if (absl::Status kept = dependencies_.keys->EnsureKey(subject).status(); !kept.ok()) return refuse(rpc::UnavailableFor("keys cannot be stored", kRetryAfter));
        const auto key = dependencies_.keys->Find(subject);
        if (!key.ok()) return refuse(key.status());
        const std::string sealed = key->Seal(*content, subject, *dependencies_.random);
        auto hash = dependencies_.blobs->Put(SealedBytes(sealed));
        if (!hash.ok()) {
          log::Error("an attachment cannot be stored", {{"attachment", log::Id(stored.id)}, {"reason", hash.status()}});
          return refuse(rpc::UnavailableFor("the attachment could not be stored", kRetryAfter));
        }
        stored.hash = *std::move(hash);
        machine_->Submit(
            PartitionOf(school), kReportPriority,
            [caller, school, cause, stored]() -> absl::StatusOr<Draft> {
              Draft draft;
              draft.cause = cause;
              draft.school = school;
              draft.actor = {.person = caller.person, .role = caller.role};
              draft.request_hash = caller.idempotency_key.empty() ? "" : caller.body_hash;
              draft.traceparent = caller.traceparent;
              draft.events.push_back(domain::Event{stored});
              return draft;
            },
            [id = stored.id, answer](absl::StatusOr<Machine::Outcome> outcome) {
              if (!outcome.ok() && !absl::IsAlreadyExists(outcome.status())) return answer(outcome.status());
              v1::Attachment attachment;
              attachment.set_id(id);
              answer(std::move(attachment));
            });
      });
    });
  });
}

// NotFound where the caller is off a matter that names it: to them it is not there.
absl::Status Intake::MayReadAttachment(const Caller& caller, const std::string& school, const domain::Attachment& attachment) {
  const auto named = named_in_.find(AttachmentKey(school, attachment.id));
  bool may = !caller.person.empty() && attachment.person == caller.person;
  if (named != named_in_.end()) {
    for (const Naming& naming : named->second) {
      if (!naming.file->state.current) continue;
      const bool report = naming.record_kind.empty();
      const absl::Status of_case = AuthorizeCase(caller, report ? "case.read" : "record.read", naming.file->state);
      if (absl::IsNotFound(of_case)) return absl::NotFoundError("no such attachment");
      may = may || (of_case.ok() && (report || MayReadRecord(naming.file->pack(), caller, {.kind = naming.record_kind, .author = naming.author})));
    }
  }
  return may ? absl::OkStatus() : absl::PermissionDeniedError("this role does not read what names this attachment");
}

void Intake::GetAttachment(const Caller& caller, const v1::GetAttachmentRequest& request, Reply<v1::AttachmentContent> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "report", request.school()); !may.ok()) return reply(may);
    auto attachment = FindAttachment(request.school(), request.id());
    if (!attachment.ok()) return reply(attachment.status());
    if (absl::Status may = MayReadAttachment(caller, request.school(), *attachment); !may.ok()) return reply(may);
    if (dependencies_.blobs == nullptr) return reply(absl::UnimplementedError("attachments are not kept here"));
    if (attachments_being_read_ >= kMostReadAtOnce) return reply(rpc::TooMany("too many attachments are being read", kRetryAfter));
    ++attachments_being_read_;
    reader()->Post([this, school = request.school(), attachment = *std::move(attachment), reply = std::move(reply)] {
      const auto read = [&]() -> absl::StatusOr<v1::AttachmentContent> {
        const std::string subject = SubjectOf(school, attachment.id);
        const auto key = dependencies_.keys->Find(subject);
        if (absl::IsNotFound(key.status())) return absl::NotFoundError("this attachment was erased");
        if (!key.ok()) return rpc::UnavailableFor("keys cannot be read", kRetryAfter);
        const auto sealed = dependencies_.blobs->Get(attachment.hash);
        if (!sealed.ok()) {
          log::Error("an attachment cannot be read", {{"attachment", log::Id(attachment.id)}, {"reason", sealed.status()}});
          return absl::IsNotFound(sealed.status()) ? absl::NotFoundError("no such attachment") : rpc::UnavailableFor("the attachment cannot be read", kRetryAfter);
        }
        auto content = key->Open(*sealed, subject);
        if (!content.ok()) return absl::NotFoundError("this attachment was erased");
        v1::AttachmentContent answer;
        const auto magic = std::find_if(kMagics.begin(), kMagics.end(), [&](const Magic& m) { return content->starts_with(m.bytes); });
        answer.set_media_type(magic == kMagics.end() ? "application/octet-stream" : std::string(magic->media_type));
        answer.set_content(*std::move(content));
        return answer;
      };
      auto answer = read();
      machine_->loop()->Post([this] { --attachments_being_read_; });
      reply(std::move(answer));
    });
  });
}

}  // namespace vigil::intake
