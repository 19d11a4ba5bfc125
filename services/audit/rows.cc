#include "audit/rows.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>

#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "contract/time_conversion.h"
#include "domain/file.h"
#include "domain/school_time.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::audit {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// ATTEMPT_EVENT_NO_ANSWER of enum AttemptEvent, whose zero is ATTEMPT_EVENT_UNSPECIFIED: no_answer.
std::string EnumText(const EnumValueDescriptor& value) {
  absl::string_view prefix = value.type()->FindValueByNumber(0)->name();
  absl::ConsumeSuffix(&prefix, "UNSPECIFIED");
  return absl::AsciiStrToLower(absl::StripPrefix(value.name(), prefix));
}

std::string ShiftText(const log::v1::PlannedShift& shift) {
  return absl::StrCat(absl::StrJoin(shift.staff_ids(), "+"), " ", TimeText(contract::TimeFromProto(shift.from_time())), "/",
                      TimeText(contract::TimeFromProto(shift.to_time())));
}

// Whom an event is about is for those to see who may read the case itself.
bool NamesStudents(const FieldDescriptor& field) { return field.name() == "student" || field.name() == "candidates" || field.name() == "person_id" || field.name() == "population"; }

// A pack's text is longer than all the rows of a page; it is read where packs are read.
bool IsPackText(const FieldDescriptor& field) { return field.name() == "overlay"; }

std::string RepeatedText(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  std::vector<std::string> parts;
  for (int i = 0; i < size; ++i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      parts.push_back(reflection.GetRepeatedString(message, &field, i));
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message& element = reflection.GetRepeatedMessage(message, &field, i);
      if (const auto* fired = google::protobuf::DynamicCastToGenerated<log::v1::FiredRule>(&element)) parts.push_back(fired->rule());
      if (const auto* shift = google::protobuf::DynamicCastToGenerated<log::v1::PlannedShift>(&element)) parts.push_back(ShiftText(*shift));
    }
  }
  // Of people, stretches of a schedule and blobs only how many.
  if (parts.empty() || field.name() == "attachments" || field.name() == "removed") return absl::StrCat(size);
  return absl::StrJoin(parts, ",");
}

// Empty: nothing to show.
std::string SingleText(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? "" : reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrCat(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumValueDescriptor* value = reflection.GetEnum(message, &field);
      return value->number() == 0 ? "" : EnumText(*value);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      if (!reflection.HasField(message, &field)) return "";
      const auto* time = google::protobuf::DynamicCastToGenerated<google::protobuf::Timestamp>(&reflection.GetMessage(message, &field));
      // Every other single message is Sealed.
      return time == nullptr ? "" : TimeText(contract::TimeFromProto(*time));
    }
    default:
      return "";
  }
}

void AddDetail(const Message& event, google::protobuf::Map<std::string, std::string>* detail) {
  for (int i = 0; i < event.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *event.GetDescriptor()->field(i);
    if (NamesStudents(field) || IsPackText(field)) continue;
    if (field.is_repeated()) {
      if (event.GetReflection()->FieldSize(event, &field) > 0) (*detail)[field.name()] = RepeatedText(event, field);
    } else if (std::string text = SingleText(event, field); !text.empty()) {
      (*detail)[field.name()] = std::move(text);
    }
  }
}

// ------------------------------------------------------------------------------------------------ what the fold adds

struct Notes {
  const domain::FileState& file;

  Detail Ladder(const std::string& alert_id) const {
    const domain::AlertState* alert = domain::FindAlert(file, alert_id);
    return alert == nullptr ? Detail{} : Detail{{"ladder", alert->ladder}};
  }
  // A clock's id ends in "-<ordinal>".
  Detail Kind(const std::string& clock_id) const { return {{"kind", clock_id.substr(0, clock_id.rfind('-'))}}; }

  Detail operator()(const domain::ClockWarned& e) const { return Kind(e.clock_id); }
  Detail operator()(const domain::ClockExpired& e) const { return Kind(e.clock_id); }
  Detail operator()(const domain::ClockReviewed& e) const { return Kind(e.clock_id); }
  Detail operator()(const domain::LadderClimbed& e) const { return Ladder(e.alert_id); }
  Detail operator()(const domain::AlertTaken& e) const { return Ladder(e.alert_id); }
  Detail operator()(const domain::AttemptIntended& e) const { return Ladder(e.alert_id); }
  Detail operator()(const domain::AttemptProgressed& e) const {
    if (!file.current) return {};
    for (const domain::AlertState& alert : file.current->alerts) {
      for (const domain::AttemptState& attempt : alert.attempts) {
        if (attempt.attempt_id != e.attempt_id) continue;
        return {{"alert_id", alert.alert_id}, {"ladder", alert.ladder}, {"person", attempt.person}, {"channel", attempt.channel}};
      }
    }
    return {};
  }
  template <typename Other>
  Detail operator()(const Other&) const {
    return {};
  }
};

const char* TypeOf(domain::ClockPhase phase) {
  switch (phase) {
    case domain::ClockPhase::kRunning:
      return "clock_started";
    case domain::ClockPhase::kMet:
      return "clock_met";
    case domain::ClockPhase::kCancelled:
      return "clock_cancelled";
    case domain::ClockPhase::kOverdue:
      return "clock_overdue";
    case domain::ClockPhase::kUnspecified:
      break;
  }
  return "clock_changed";
}

Detail DetailOf(const domain::FileState& file, const domain::ClockChange& change) {
  Detail detail{{"clock_id", change.clock_id}, {"kind", change.kind}};
  const domain::ClockState* clock = domain::FindClock(file, change.clock_id);
  if (clock == nullptr) return detail;
  detail["start_time"] = TimeText(clock->start_time);
  if (domain::IsSet(clock->due_time)) detail["due_time"] = TimeText(clock->due_time);
  if (domain::IsSet(clock->met_time)) detail["met_time"] = TimeText(clock->met_time);
  if (clock->late) detail["late"] = "true";
  return detail;
}

void AddConsequence(const domain::FileState& file, const domain::FactDetail& fact, bool event_opened_gap, FoldNotes& notes) {
  const auto add = [&](const char* type, Detail detail = {}) { notes.consequences.push_back({type, std::move(detail)}); };
  const domain::CustodyState* custody = file.current->custody ? &*file.current->custody : nullptr;
  switch (fact.fact) {
    case domain::Fact::kSupervisionStarted:
      return add("supervision_started");
    case domain::Fact::kSupervisionEnded:
      return add("supervision_ended");
    case domain::Fact::kCustodyAccepted:
      return add("custody_accepted", {{"holders", custody == nullptr ? "" : absl::StrJoin(custody->holders, ",")}});
    case domain::Fact::kGapOpened:
      if (event_opened_gap || custody == nullptr || custody->gaps.empty()) return;
      return add("custody_gap_opened", {{"from_time", TimeText(custody->gaps.back().from_time)}, {"reason", fact.argument}});
    case domain::Fact::kGapClosed:
      if (custody == nullptr || custody->gaps.empty()) return;
      return add("custody_gap_closed", {{"from_time", TimeText(custody->gaps.back().from_time)}, {"to_time", TimeText(custody->gaps.back().to_time)}});
    case domain::Fact::kCoverMissing:
      if (event_opened_gap) return;
      return add("cover_missing", {{"missing", custody == nullptr ? "" : absl::StrJoin(custody->missing, ",", [](std::string* out, const std::string& role) {
                                      out->append(role.empty() ? "any_adult" : role);
                                    })}});
    case domain::Fact::kCoverComplete:
      return add("cover_complete");
    default:
      return;
  }
}

}  // namespace

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", time, absl::UTCTimeZone()); }

FoldNotes NotesOf(const AppliedCommit& applied) {
  FoldNotes notes;
  notes.time = applied.commit.recorded_time;
  notes.is_void = !applied.applied.guard.ok();
  if (applied.file == nullptr) return notes;
  const domain::FileState& file = applied.file->state;
  if (!file.current) return notes;
  notes.case_id = file.current->case_id;
  notes.recused = file.current->recused;
  bool event_opened_gap = false;
  for (const domain::Event& event : applied.commit.events) {
    notes.of_events.push_back(std::visit(Notes{file}, event.body));
    event_opened_gap = event_opened_gap || std::holds_alternative<domain::CustodyGapOpened>(event.body);
  }
  if (notes.is_void) return notes;
  for (const domain::FactDetail& fact : applied.applied.facts) AddConsequence(file, fact, event_opened_gap, notes);
  for (const domain::ClockChange& change : applied.applied.clocks) {
    notes.consequences.push_back({TypeOf(change.phase), DetailOf(file, change)});
  }
  return notes;
}

absl::StatusOr<v1::Timeline> RowsOf(int partition, domain::CommitPosition position, const std::string& bytes, const FoldNotes& notes) {
  log::v1::Commit commit;
  if (!commit.ParseFromString(bytes)) return absl::DataLossError("not a commit");
  v1::Timeline rows;
  const auto add = [&](const std::string& type) {
    v1::TimelineRow* row = rows.add_events();
    row->mutable_position()->set_partition(static_cast<std::uint32_t>(partition));
    row->mutable_position()->set_sequence(position.sequence);
    row->mutable_position()->set_index(position.index);
    contract::TimeToProto(notes.time, row->mutable_time());
    row->set_type(type);
    row->mutable_actor()->set_person(commit.actor().person());
    row->mutable_actor()->set_role(commit.actor().role());
    row->set_school(commit.school());
    row->set_case_id(notes.case_id);
    row->set_void_(notes.is_void);
    return row;
  };
  for (int i = 0; i < commit.events_size(); ++i) {
    const log::v1::Event& event = commit.events(i);
    const FieldDescriptor* which = event.GetReflection()->GetOneofFieldDescriptor(event, event.GetDescriptor()->oneof_decl(0));
    // What a later release added is still counted as something that happened.
    v1::TimelineRow* row = add(which == nullptr ? "unknown" : which->name());
    if (which != nullptr) AddDetail(event.GetReflection()->GetMessage(event, which), row->mutable_detail());
    if (static_cast<std::size_t>(i) >= notes.of_events.size()) continue;
    for (const auto& [name, value] : notes.of_events[static_cast<std::size_t>(i)]) (*row->mutable_detail())[name] = value;
  }
  for (const FoldNotes::Consequence& consequence : notes.consequences) {
    v1::TimelineRow* row = add(consequence.type);
    for (const auto& [name, value] : consequence.detail) (*row->mutable_detail())[name] = value;
  }
  return rows;
}

}  // namespace vigil::audit
