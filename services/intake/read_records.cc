// Records read back: the fold keeps where each stands in the log, the log keeps the bytes, the person's key opens them.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "contract/time_conversion.h"
#include "domain/classify.h"
#include "domain/form.h"
#include "domain/record.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/school_views.h"
#include "platform/rpc/problem.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::intake {
namespace {

using nlohmann::json;

constexpr std::size_t kMostRecords = 100;
constexpr std::size_t kPageOfRecords = 50;

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

// The event that filed the record; null: the commit holds another.
const log::v1::RecordFiled* FindFiled(const log::v1::Commit& commit, const std::string& record_id) {
  for (const log::v1::Event& event : commit.events()) {
    if (event.has_record_filed() && event.record_filed().record_id() == record_id) return &event.record_filed();
  }
  return nullptr;
}

}  // namespace

void Intake::ReadRecords(const Caller& caller, const FileEntry& file, const std::vector<const domain::RecordState*>& records,
                         Reply<v1::ListRecordsResponse> reply) {
  std::set<LogPlace> places;
  std::vector<domain::RecordState> states;
  for (const domain::RecordState* record : records) {
    states.push_back(*record);
    places.emplace(record->sequence, record->index);
  }
  ReadCommits(file.partition, places, [this, caller, pack = file.shared_pack(), states = std::move(states), reply = std::move(reply)](absl::StatusOr<LogCommits> commits) mutable {
    if (!commits.ok()) return reply(commits.status());
    // Keys may need a round trip: not on the loop.
    reader()->Post([this, caller, pack, states = std::move(states), reply = std::move(reply), commits = *std::move(commits)] {
      v1::ListRecordsResponse response;
      for (const domain::RecordState& state : states) {
        v1::Record* view = response.add_records();
        FillRecord(state, view);
        const auto commit = commits.find({state.sequence, state.index});
        const log::v1::RecordFiled* filed = commit == commits.end() ? nullptr : FindFiled(commit->second, state.record_id);
        if (filed == nullptr) continue;
        view->set_supersedes(filed->supersedes());
        for (const log::v1::Attachment& attachment : filed->attachments()) view->add_attachments(attachment.id());
        for (const auto& [id, value] : filed->plain()) (*view->mutable_fields())[id] = value;
        if (!filed->has_fields()) continue;
        const auto key = dependencies_.keys->Find(filed->fields().person());
        if (!key.ok()) continue;  // erased: what is left is that it was filed
        const auto opened = key->Open(filed->fields().content(), filed->fields().person());
        const json content = opened.ok() ? json::parse(*opened, nullptr, false) : json();
        if (!content.is_object() || !content.contains("fields")) continue;
        for (const auto& [id, value] : content["fields"].items()) {
          if (!MayReadField(*pack, caller, state, id)) {
            view->add_withheld(id);
          } else if (value.is_string()) {
            (*view->mutable_fields())[id] = ReadableValue(*pack, caller, state, id, value.get<std::string>());
          }
        }
      }
      reply(std::move(response));
    });
  });
}

namespace {

bool IsAuthor(const Caller& caller, const domain::RecordState& record) { return !caller.person.empty() && record.author == caller.person; }

}  // namespace

bool MayReadRecord(const domain::Pack& pack, const Caller& caller, const domain::RecordState& record) {
  const auto row = pack.records.find(record.kind);
  return (row != pack.records.end() && Contains(row->second.read_by, caller.role)) || IsAuthor(caller, record);
}

bool MayReadField(const domain::Pack& pack, const Caller& caller, const domain::RecordState& record, std::string_view id) {
  const auto row = pack.records.find(record.kind);
  const domain::FieldRow* field = row == pack.records.end() ? nullptr : row->second.FindField(id);
  return field == nullptr || field->read_by.empty() || IsAuthor(caller, record) || Contains(field->read_by, caller.role);
}

std::vector<std::string> ReadableIndicators(const domain::Pack& pack, const Caller& caller, const domain::FileState& file, const domain::ReportState& report) {
  const bool own = !caller.person.empty() && report.reporter == caller.person;
  std::vector<std::string> shown;
  for (const std::string& id : report.indicators) {
    if (own || pack.ShowsIndicator(caller.role, id)) shown.push_back(domain::ShownIndicator(pack, file, id));
  }
  return shown;
}

std::string ReadableValue(const domain::Pack& pack, const Caller& caller, const domain::RecordState& record, std::string_view id, const std::string& value) {
  const auto row = pack.records.find(record.kind);
  const domain::FieldRow* field = row == pack.records.end() ? nullptr : row->second.FindField(id);
  if (field == nullptr || field->type != domain::FieldRow::Type::kList || IsAuthor(caller, record)) return value;
  std::vector<std::string> items = domain::ListOf(value);
  if (std::erase_if(items, [&](const std::string& item) { return !pack.ShowsIndicator(caller.role, item); }) == 0) return value;
  return absl::StrJoin(items, ", ");
}

namespace {

// The newest that the caller may read, of the kind if one is named.
std::vector<const domain::RecordState*> Readable(const domain::Pack& pack, const Caller& caller, const domain::FileState& file, const std::string& kind,
                                                 std::size_t most, const std::function<bool(const domain::RecordState&)>& wanted) {
  std::vector<const domain::RecordState*> records;
  for (auto record = file.current->records.rbegin(); record != file.current->records.rend() && records.size() < most; ++record) {
    if ((!kind.empty() && record->kind != kind) || record->sequence == 0 || !wanted(*record)) continue;
    if (MayReadRecord(pack, caller, *record)) records.push_back(&*record);
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
    if (absl::Status asked = CheckAsked(file->pack(), request.kind(), request.page_size()); !asked.ok()) return reply(asked);
    const std::size_t most = request.page_size() == 0 ? kPageOfRecords : static_cast<std::size_t>(request.page_size());
    ReadRecords(caller, *file, Readable(file->pack(), caller, file->state, request.kind(), most, [](const domain::RecordState&) { return true; }), std::move(reply));
  });
}

void Intake::ListSchoolRecords(const Caller& caller, const v1::ListSchoolRecordsRequest& request, Reply<v1::ListRecordsResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "record.read", request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    if (absl::Status asked = CheckAsked(PackOf(request.school()), request.kind(), request.page_size()); !asked.ok()) return reply(asked);
    const FileEntry* file = machine_->FindFile(SchoolFileId(request.school()));
    if (file == nullptr || !file->state.current) return reply(v1::ListRecordsResponse());
    const std::size_t most = request.page_size() == 0 ? kPageOfRecords : static_cast<std::size_t>(request.page_size());
    const auto wanted = [&](const domain::RecordState& record) {
      return (request.student().empty() || record.student == request.student()) && (request.class_().empty() || record.class_name == request.class_());
    };
    ReadRecords(caller, *file, Readable(file->pack(), caller, file->state, request.kind(), most, wanted), std::move(reply));
  });
}

}  // namespace vigil::intake
