// Records read back: the fold keeps where each stands in the log, the log keeps the bytes, the person's key opens them.
#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "contract/time_conversion.h"
#include "domain/record.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/school_views.h"
#include "machine/batch_codec.h"
#include "platform/log/log.h"
#include "platform/rpc/problem.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

constexpr std::size_t kMostRecords = 100;
constexpr std::size_t kPageOfRecords = 50;

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

// The event that filed the record; nullopt: the message holds another.
std::optional<log::v1::RecordFiled> FindFiled(const std::string& body, std::uint32_t index, const std::string& record_id) {
  const auto batch = DecodeOwnBatch(body);
  if (!batch.ok() || index >= batch->commits.size()) return std::nullopt;
  log::v1::Commit commit;
  if (!commit.ParseFromString(batch->commits[index])) return std::nullopt;
  for (const log::v1::Event& event : commit.events()) {
    if (event.has_record_filed() && event.record_filed().record_id() == record_id) return event.record_filed();
  }
  return std::nullopt;
}

}  // namespace

struct Intake::Reading {
  std::vector<domain::RecordState> records;
  Caller caller;
  Reply<v1::ListRecordsResponse> reply;
  std::vector<std::unique_ptr<Subscription>> subscriptions;

  std::mutex mutex;
  std::vector<std::optional<log::v1::RecordFiled>> found;
  std::vector<bool> answered;
  std::size_t left = 0;
};

void Intake::ReadRecords(const Caller& caller, const FileEntry& file, const std::vector<const domain::RecordState*>& records,
                         Reply<v1::ListRecordsResponse> reply) {
  if (records.empty()) return reply(v1::ListRecordsResponse());
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  const auto reading = std::make_shared<Reading>();
  for (const domain::RecordState* record : records) reading->records.push_back(*record);
  reading->caller = caller;
  reading->reply = std::move(reply);
  reading->found.resize(records.size());
  reading->answered.resize(records.size());
  reading->left = records.size();
  const auto finish = [this, reading] {
    reading->subscriptions.clear();
    // Keys may need a round trip: not on the loop.
    dependencies_.worker->Post([this, reading] {
      v1::ListRecordsResponse response;
      for (std::size_t i = 0; i < reading->records.size(); ++i) {
        const domain::RecordState& state = reading->records[i];
        v1::Record* view = response.add_records();
        FillRecord(state, view);
        const auto row = pack().records.find(state.kind);
        const auto may_read = [&](const std::string& id) {
          const domain::FieldRow* field = row == pack().records.end() ? nullptr : row->second.FindField(id);
          return field == nullptr || field->read_by.empty() || state.author == reading->caller.person || Contains(field->read_by, reading->caller.role);
        };
        if (!reading->found[i]) continue;
        const log::v1::RecordFiled& filed = *reading->found[i];
        view->set_supersedes(filed.supersedes());
        for (const log::v1::Attachment& attachment : filed.attachments()) view->add_attachments(attachment.id());
        for (const auto& [id, value] : filed.plain()) (*view->mutable_fields())[id] = value;
        if (!filed.has_fields()) continue;
        const auto key = dependencies_.keys->Find(filed.fields().person());
        if (!key.ok()) continue;  // erased: what is left is that it was filed
        const auto opened = key->Open(filed.fields().content(), filed.fields().person());
        const json content = opened.ok() ? json::parse(*opened, nullptr, false) : json();
        if (!content.is_object() || !content.contains("fields")) continue;
        for (const auto& [id, value] : content["fields"].items()) {
          if (!may_read(id)) {
            view->add_withheld(id);
          } else if (value.is_string()) {
            (*view->mutable_fields())[id] = value.get<std::string>();
          }
        }
      }
      reading->reply(std::move(response));
    });
  };
  for (std::size_t i = 0; i < reading->records.size(); ++i) {
    const domain::RecordState& record = reading->records[i];
    auto subscription = machine_->log()->Follow(
        file.partition, record.sequence, [this, reading, i, finish, index = record.index, id = record.record_id](const LogMessage& message) {
          const std::lock_guard lock(reading->mutex);
          if (reading->answered[i]) return;
          reading->answered[i] = true;
          reading->found[i] = FindFiled(message.body, index, id);
          if (--reading->left == 0) machine_->loop()->Post(finish);
        });
    if (!subscription.ok()) {
      const std::lock_guard lock(reading->mutex);
      if (!reading->answered[i] && --reading->left == 0) machine_->loop()->Post(finish);
      reading->answered[i] = true;
      continue;
    }
    reading->subscriptions.push_back(*std::move(subscription));
  }
}

namespace {

// The newest that the caller may read, of the kind if one is named.
std::vector<const domain::RecordState*> Readable(const domain::Pack& pack, const Caller& caller, const domain::FileState& file, const std::string& kind,
                                                 std::size_t most, const std::function<bool(const domain::RecordState&)>& wanted) {
  std::vector<const domain::RecordState*> records;
  for (auto record = file.current->records.rbegin(); record != file.current->records.rend() && records.size() < most; ++record) {
    if ((!kind.empty() && record->kind != kind) || record->sequence == 0 || !wanted(*record)) continue;
    const auto row = pack.records.find(record->kind);
    const bool may = row != pack.records.end() && Contains(row->second.read_by, caller.role);
    if (may || record->author == caller.person) records.push_back(&*record);
  }
  return records;
}

absl::Status CheckAsked(const domain::Pack& pack, const std::string& kind, int page_size) {
  std::vector<rpc::FieldError> errors;
  if (!kind.empty() && !pack.records.contains(kind)) errors.push_back({"kind", "unknown record kind"});
  if (page_size < 0 || page_size > static_cast<int>(kMostRecords)) errors.push_back({"page_size", "is 1 to 100"});
  return errors.empty() ? absl::OkStatus() : rpc::InvalidFields(std::move(errors));
}

}  // namespace

void Intake::ListRecords(const Caller& caller, const v1::ListRecordsRequest& request, Reply<v1::ListRecordsResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    FileEntry* file = FileOfCase(request.case_());
    if (file == nullptr) return reply(NoSuchCase());
    if (absl::Status may = AuthorizeCase(caller, "record.read", file->state); !may.ok()) return reply(may);
    if (absl::Status asked = CheckAsked(pack(), request.kind(), request.page_size()); !asked.ok()) return reply(asked);
    const std::size_t most = request.page_size() == 0 ? kPageOfRecords : static_cast<std::size_t>(request.page_size());
    ReadRecords(caller, *file, Readable(pack(), caller, file->state, request.kind(), most, [](const domain::RecordState&) { return true; }), std::move(reply));
  });
}

void Intake::ListSchoolRecords(const Caller& caller, const v1::ListSchoolRecordsRequest& request, Reply<v1::ListRecordsResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "record.read", request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    if (absl::Status asked = CheckAsked(pack(), request.kind(), request.page_size()); !asked.ok()) return reply(asked);
    const FileEntry* file = machine_->FindFile(SchoolFileId(request.school()));
    if (file == nullptr || !file->state.current) return reply(v1::ListRecordsResponse());
    const std::size_t most = request.page_size() == 0 ? kPageOfRecords : static_cast<std::size_t>(request.page_size());
    const auto wanted = [&](const domain::RecordState& record) {
      return (request.student().empty() || record.student == request.student()) && (request.class_().empty() || record.class_name == request.class_());
    };
    ReadRecords(caller, *file, Readable(pack(), caller, file->state, request.kind(), most, wanted), std::move(reply));
  });
}

}  // namespace vigil::intake
