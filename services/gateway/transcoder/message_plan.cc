#include "gateway/transcoder/message_plan.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "vigil/api/v1/annotations.pb.h"

namespace vigil {

namespace pb = google::protobuf;

namespace {

// "ReportChannel" -> "REPORT_CHANNEL_"
std::string ValuePrefix(const std::string& enum_name) {
  std::string prefix;
  for (size_t i = 0; i < enum_name.size(); ++i) {
    const bool upper = absl::ascii_isupper(static_cast<unsigned char>(enum_name[i]));
    const bool after_lower = i > 0 && !absl::ascii_isupper(static_cast<unsigned char>(enum_name[i - 1]));
    const bool before_lower =
        i > 0 && i + 1 < enum_name.size() && absl::ascii_islower(static_cast<unsigned char>(enum_name[i + 1]));
    if (upper && (after_lower || before_lower)) prefix += '_';
    prefix += absl::ascii_toupper(static_cast<unsigned char>(enum_name[i]));
  }
  return prefix + "_";
}

absl::Status Unfit(const pb::FieldDescriptor& field, std::string_view what) {
  return absl::InvalidArgumentError(std::string(field.full_name()) + ": " + std::string(what));
}

FieldPlan::Kind KindOf(const pb::FieldDescriptor& field) {
  using Kind = FieldPlan::Kind;
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return Kind::kBool;
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return Kind::kInt32;
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return Kind::kInt64;
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return Kind::kUint32;
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return Kind::kUint64;
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return Kind::kFloat;
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return Kind::kDouble;
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return Kind::kEnum;
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return field.type() == pb::FieldDescriptor::TYPE_BYTES ? Kind::kBytes : Kind::kString;
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  switch (field.message_type()->well_known_type()) {
    case pb::Descriptor::WELLKNOWNTYPE_TIMESTAMP:
      return Kind::kTimestamp;
    case pb::Descriptor::WELLKNOWNTYPE_DURATION:
      return Kind::kDuration;
    default:
      return Kind::kMessage;
  }
}

}  // namespace

const EnumPlan::Value* EnumPlan::FindName(std::string_view name) const {
  const auto found = std::find_if(values.begin(), values.end(), [&](const Value& value) { return value.name == name; });
  return found == values.end() ? nullptr : &*found;
}

const EnumPlan::Value* EnumPlan::FindNumber(int number) const {
  // Values are nearly always numbered in order from zero.
  if (number >= 0 && static_cast<size_t>(number) < values.size() &&
      values[static_cast<size_t>(number)].number == number) {
    return &values[static_cast<size_t>(number)];
  }
  const auto found =
      std::find_if(values.begin(), values.end(), [&](const Value& value) { return value.number == number; });
  return found == values.end() ? nullptr : &*found;
}

int MessagePlan::Find(std::string_view name) const {
  const auto found = by_name.find(absl::string_view(name.data(), name.size()));
  return found == by_name.end() ? -1 : static_cast<int>(found->second);
}

absl::Status MessagePlans::Add(const pb::Descriptor* descriptor) {
  if (messages_.contains(descriptor)) return absl::OkStatus();
  MessagePlan& plan = *messages_.emplace(descriptor, std::make_unique<MessagePlan>()).first->second;
  plan.descriptor = descriptor;
  plan.fields.reserve(static_cast<size_t>(descriptor->field_count()));
  for (int i = 0; i < descriptor->field_count(); ++i) {
    absl::StatusOr<FieldPlan> field = PlanField(descriptor->field(i));
    if (!field.ok()) return field.status();
    plan.by_name.emplace(field->name, plan.fields.size());
    plan.fields.push_back(*std::move(field));
  }
  const auto outside_body = [&](const char* name, FieldPlan::Kind kind) -> const pb::FieldDescriptor* {
    const int found = plan.Find(name);
    if (found < 0) return nullptr;
    const FieldPlan& field = plan.fields[static_cast<size_t>(found)];
    return field.not_in_body && field.kind == kind && !field.field->is_repeated() ? field.field : nullptr;
  };
  plan.raw_body = outside_body("content", FieldPlan::Kind::kBytes);
  plan.raw_body_type = outside_body("content_type", FieldPlan::Kind::kString);
  if (plan.fields.size() == 1 && plan.fields[0].name == "text" && plan.fields[0].kind == FieldPlan::Kind::kString &&
      !plan.fields[0].field->is_repeated()) {
    plan.plain_text = plan.fields[0].field;
  }
  const int content = plan.Find("content");
  const int media_type = plan.Find("media_type");
  if (plan.fields.size() == 2 && content >= 0 && media_type >= 0 &&
      plan.fields[static_cast<size_t>(content)].kind == FieldPlan::Kind::kBytes &&
      plan.fields[static_cast<size_t>(media_type)].kind == FieldPlan::Kind::kString) {
    plan.raw_content = plan.fields[static_cast<size_t>(content)].field;
    plan.raw_content_type = plan.fields[static_cast<size_t>(media_type)].field;
  }
  plan.printed = descriptor->full_name() == "vigil.document.v1.Document";
  return absl::OkStatus();
}

const MessagePlan* MessagePlans::Find(const pb::Descriptor* descriptor) const {
  const auto found = messages_.find(descriptor);
  return found == messages_.end() ? nullptr : found->second.get();
}

absl::StatusOr<FieldPlan> MessagePlans::PlanField(const pb::FieldDescriptor* field) {
  FieldPlan plan;
  plan.field = field;
  plan.name = field->name();
  plan.quoted_name = "\"" + plan.name + "\":";
  plan.map = field->is_map();
  plan.repeated = field->is_repeated() && !plan.map;
  plan.oneof = field->real_containing_oneof();
  plan.value = field;
  if (plan.map) {
    plan.map_key = field->message_type()->map_key();
    plan.value = field->message_type()->map_value();
    if (plan.map_key->type() != pb::FieldDescriptor::TYPE_STRING) return Unfit(*field, "a map's keys must be strings");
  }
  plan.kind = KindOf(*plan.value);

  const api::v1::FieldRule& rule = field->options().GetExtension(api::v1::rule);
  plan.required = rule.required();
  plan.not_in_body = rule.not_in_body();
  plan.any_scalar = rule.any_scalar();
  plan.max_bytes = rule.max_bytes() > 0 ? static_cast<size_t>(rule.max_bytes()) : kDefaultMaxBytes;
  plan.max_items = rule.max_items() > 0 ? static_cast<size_t>(rule.max_items()) : kDefaultMaxItems;
  if (plan.any_scalar && !(plan.map && plan.kind == FieldPlan::Kind::kString))
    return Unfit(*field, "any_scalar is for map<string, string>");
  if (!rule.false_means().empty()) {
    if (plan.kind != FieldPlan::Kind::kMessage || plan.map || plan.repeated)
      return Unfit(*field, "false_means is for a single message");
    plan.false_means = plan.value->message_type()->FindFieldByName(rule.false_means());
    if (plan.false_means == nullptr || plan.false_means->type() != pb::FieldDescriptor::TYPE_BOOL ||
        plan.false_means->is_repeated()) {
      return Unfit(*field, "false_means names no boolean member");
    }
  }
  if (plan.kind == FieldPlan::Kind::kEnum) plan.enumeration = PlanEnum(plan.value->enum_type());
  if (plan.kind == FieldPlan::Kind::kMessage) {
    const pb::Descriptor* inner = plan.value->message_type();
    if (inner->well_known_type() != pb::Descriptor::WELLKNOWNTYPE_UNSPECIFIED)
      return Unfit(*field, "this well-known type is not supported");
    if (absl::Status status = Add(inner); !status.ok()) return status;
    MessagePlan& inner_plan = *messages_.at(inner);
    plan.message = &inner_plan;
    if (plan.false_means != nullptr) {
      const int member = inner_plan.Find(plan.false_means->name());
      if (member < 0) return Unfit(*field, "false_means is for a message that does not hold itself");
      inner_plan.fields[static_cast<size_t>(member)].said_by_false = true;
    }
  }
  return plan;
}

const EnumPlan* MessagePlans::PlanEnum(const pb::EnumDescriptor* descriptor) {
  auto& place = enums_[descriptor];
  if (place != nullptr) return place.get();
  place = std::make_unique<EnumPlan>();
  EnumPlan& plan = *place;
  const std::string prefix = ValuePrefix(descriptor->name());
  for (int i = 0; i < descriptor->value_count(); ++i) {
    const pb::EnumValueDescriptor* value = descriptor->value(i);
    if (plan.FindNumber(value->number()) != nullptr) continue;
    std::string name = value->name();
    if (name.size() > prefix.size() && name.compare(0, prefix.size(), prefix) == 0) name.erase(0, prefix.size());
    absl::AsciiStrToLower(&name);
    if (value->number() == 0 && name == "unspecified") {
      plan.zero_is_unspecified = true;
    } else {
      if (!plan.listed.empty()) plan.listed += ", ";
      plan.listed += name;
    }
    plan.values.push_back({std::move(name), value->number()});
  }
  return &plan;
}

}  // namespace vigil
