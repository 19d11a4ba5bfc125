#include "gateway/transcoder/transcoder.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/escaping.h"
#include "gateway/transcoder/json_document.h"
#include "gateway/transcoder/time_text.h"

namespace vigil {

namespace pb = google::protobuf;

namespace {

using JsonKind = JsonDocument::Kind;
using Kind = FieldPlan::Kind;

constexpr char kUnknownField[] = "unknown field";
constexpr char kEmpty[] = "must not be empty";

template <typename Number>
void AppendNumber(Number value, std::string& out) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out.append(buffer, end);
}

template <typename Number>
void AppendReal(Number value, std::string& out) {
  if (std::isfinite(value)) {
    AppendNumber(value, out);
  } else {
    out += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  }
}

std::string TooLong(size_t max_bytes) { return "must not be longer than " + std::to_string(max_bytes) + " bytes"; }

// Which fields of one message were given.
class Given {
 public:
  explicit Given(const MessagePlan& plan) : fields_(plan.fields.size(), false) {}
  bool Has(size_t field) const { return fields_[field]; }
  void Mark(size_t field) { fields_[field] = true; }

 private:
  absl::InlinedVector<bool, 64> fields_;
};

// One single value on its way into a field: set or, when repeated, added.
class Setter {
 public:
  Setter(pb::Message& message, const pb::FieldDescriptor& field)
      : message_(message), reflection_(*message.GetReflection()), field_(field) {}

  void Bool(bool value) {
    field_.is_repeated() ? reflection_.AddBool(&message_, &field_, value)
                         : reflection_.SetBool(&message_, &field_, value);
  }
  void Int32(int32_t value) {
    field_.is_repeated() ? reflection_.AddInt32(&message_, &field_, value)
                         : reflection_.SetInt32(&message_, &field_, value);
  }
  void Int64(int64_t value) {
    field_.is_repeated() ? reflection_.AddInt64(&message_, &field_, value)
                         : reflection_.SetInt64(&message_, &field_, value);
  }
  void Uint32(uint32_t value) {
    field_.is_repeated() ? reflection_.AddUInt32(&message_, &field_, value)
                         : reflection_.SetUInt32(&message_, &field_, value);
  }
  void Uint64(uint64_t value) {
    field_.is_repeated() ? reflection_.AddUInt64(&message_, &field_, value)
                         : reflection_.SetUInt64(&message_, &field_, value);
  }
  void Float(float value) {
    field_.is_repeated() ? reflection_.AddFloat(&message_, &field_, value)
                         : reflection_.SetFloat(&message_, &field_, value);
  }
  void Double(double value) {
    field_.is_repeated() ? reflection_.AddDouble(&message_, &field_, value)
                         : reflection_.SetDouble(&message_, &field_, value);
  }
  void Enum(int value) {
    field_.is_repeated() ? reflection_.AddEnumValue(&message_, &field_, value)
                         : reflection_.SetEnumValue(&message_, &field_, value);
  }
  void String(std::string value) {
    field_.is_repeated() ? reflection_.AddString(&message_, &field_, std::move(value))
                         : reflection_.SetString(&message_, &field_, std::move(value));
  }
  pb::Message& Message() {
    return field_.is_repeated() ? *reflection_.AddMessage(&message_, &field_)
                                : *reflection_.MutableMessage(&message_, &field_);
  }
  // Both well-known types are {int64 seconds = 1; int32 nanos = 2}.
  void Time(SecondsAndNanos value) {
    pb::Message& inner = Message();
    const pb::Reflection& reflection = *inner.GetReflection();
    reflection.SetInt64(&inner, inner.GetDescriptor()->FindFieldByNumber(1), value.seconds);
    reflection.SetInt32(&inner, inner.GetDescriptor()->FindFieldByNumber(2), value.nanos);
  }

 private:
  pb::Message& message_;
  const pb::Reflection& reflection_;
  const pb::FieldDescriptor& field_;
};

// Sets the field from a text, be it a JSON string, a path's segment or a query's value. False, with the reason, if it
// does not fit.
bool SetFromText(const FieldPlan& plan, std::string_view text, Setter& setter, std::string& reason) {
  switch (plan.kind) {
    case Kind::kString:
      if (text.size() > plan.max_bytes) {
        reason = TooLong(plan.max_bytes);
        return false;
      }
      if (text.empty() && plan.required) {
        reason = kEmpty;
        return false;
      }
      setter.String(std::string(text));
      return true;
    case Kind::kBytes: {
      std::string decoded;
      // Unescaping forgives spaces and missing padding; what is not written as we would write it is refused.
      if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &decoded) ||
          absl::Base64Escape(decoded) != absl::string_view(text.data(), text.size())) {
        reason = "must be base64";
        return false;
      }
      if (decoded.size() > plan.max_bytes) {
        reason = TooLong(plan.max_bytes);
        return false;
      }
      setter.String(std::move(decoded));
      return true;
    }
    case Kind::kEnum: {
      const EnumPlan::Value* value = plan.enumeration->FindName(text);
      if (value == nullptr || (plan.required && value->number == 0 && plan.enumeration->zero_is_unspecified)) {
        reason = "must be one of: " + plan.enumeration->listed;
        return false;
      }
      setter.Enum(value->number);
      return true;
    }
    case Kind::kTimestamp: {
      SecondsAndNanos value;
      if (!ParseTimestamp(text, value)) {
        reason = "must be a time such as 2026-03-02T08:30:00Z";
        return false;
      }
      setter.Time(value);
      return true;
    }
    case Kind::kDuration: {
      SecondsAndNanos value;
      if (!ParseDuration(text, value)) {
        reason = "must be a duration such as \"3.5s\"";
        return false;
      }
      setter.Time(value);
      return true;
    }
    default:
      reason = "must not be a string";
      return false;
  }
}

// For errors: what a field takes.
const char* Wanted(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return "must be true or false";
    case Kind::kInt32:
    case Kind::kInt64:
    case Kind::kUint32:
    case Kind::kUint64:
      return "must be an integer";
    case Kind::kFloat:
    case Kind::kDouble:
      return "must be a number";
    case Kind::kMessage:
      return "must be an object";
    default:
      return "must be a string";
  }
}

bool IsTextual(Kind kind) {
  return kind == Kind::kString || kind == Kind::kBytes || kind == Kind::kEnum || kind == Kind::kTimestamp ||
         kind == Kind::kDuration;
}

template <typename Number>
std::string OutOfRange() {
  return "must be between " + std::to_string(std::numeric_limits<Number>::min()) + " and " +
         std::to_string(std::numeric_limits<Number>::max());
}

template <typename Number>
std::optional<Number> InRange(const JsonDocument::Node& node) {
  if (node.kind == JsonKind::kUnsigned) {
    if (node.unsigned_integer <= static_cast<uint64_t>(std::numeric_limits<Number>::max()))
      return static_cast<Number>(node.unsigned_integer);
  } else if (node.integer >= 0
                 ? static_cast<uint64_t>(node.integer) <= static_cast<uint64_t>(std::numeric_limits<Number>::max())
                 : std::numeric_limits<Number>::min() < 0 &&
                       node.integer >= static_cast<int64_t>(std::numeric_limits<Number>::min())) {
    return static_cast<Number>(node.integer);
  }
  return std::nullopt;
}

bool SetInteger(Kind kind, const JsonDocument::Node& node, Setter& setter, std::string& reason) {
  switch (kind) {
    case Kind::kInt32:
      if (const auto value = InRange<int32_t>(node)) return setter.Int32(*value), true;
      reason = OutOfRange<int32_t>();
      return false;
    case Kind::kInt64:
      if (const auto value = InRange<int64_t>(node)) return setter.Int64(*value), true;
      reason = OutOfRange<int64_t>();
      return false;
    case Kind::kUint32:
      if (const auto value = InRange<uint32_t>(node)) return setter.Uint32(*value), true;
      reason = OutOfRange<uint32_t>();
      return false;
    default:
      if (const auto value = InRange<uint64_t>(node)) return setter.Uint64(*value), true;
      reason = OutOfRange<uint64_t>();
      return false;
  }
}

// Writes one document into one message.
class Reader {
 public:
  Reader(const JsonDocument& document, FieldErrors& errors)
      : document_(document), nodes_(document.nodes()), errors_(errors) {}

  // Fills `message` from the object at `index`. `given` marks what the path filled already.
  void ReadObject(const MessagePlan& plan, uint32_t index, pb::Message& message, const FieldPath& path, Given& given) {
    ReportDuplicate(nodes_[index], path);
    for (uint32_t child = index + 1; child < nodes_[index].end && !errors_.full(); child = nodes_[child].end) {
      const FieldPath child_path{&path, nodes_[child].key};
      const int found = plan.Find(nodes_[child].key);
      if (found < 0 || plan.fields[static_cast<size_t>(found)].said_by_false) {
        errors_.Add(child_path, kUnknownField);
        continue;
      }
      const FieldPlan& field = plan.fields[static_cast<size_t>(found)];
      if (field.not_in_body) {
        errors_.Add(child_path, "is not taken from the body");
        continue;
      }
      if (given.Has(static_cast<size_t>(found))) {
        // A repeated name is reported once, for its object.
        if (!nodes_[index].duplicate_key) errors_.Add(child_path, "is given by the path");
        continue;
      }
      if (nodes_[child].kind == JsonKind::kNull) continue;
      if (OneofTaken(plan, field, given, child_path)) continue;
      given.Mark(static_cast<size_t>(found));
      if (field.map) {
        ReadMap(field, child, message, child_path);
      } else if (field.repeated) {
        ReadList(field, child, message, child_path);
      } else {
        ReadValue(field, child, message, child_path);
      }
    }
  }

  // Reports the fields of `plan` that must be there and are not.
  void CheckRequired(const MessagePlan& plan, const FieldPath& path, const Given& given) {
    for (size_t i = 0; i < plan.fields.size(); ++i) {
      if (plan.fields[i].required && !given.Has(i)) errors_.Add(FieldPath{&path, plan.fields[i].name}, "is required");
    }
  }

 private:
  void ReportDuplicate(const JsonDocument::Node& node, const FieldPath& path) {
    if (node.duplicate_key) errors_.Add(FieldPath{&path, node.text}, "is given more than once");
  }

  bool OneofTaken(const MessagePlan& plan, const FieldPlan& field, const Given& given, const FieldPath& path) {
    if (field.oneof == nullptr) return false;
    for (size_t i = 0; i < plan.fields.size(); ++i) {
      const FieldPlan& other = plan.fields[i];
      if (&other == &field || other.oneof != field.oneof || !given.Has(i)) continue;
      errors_.Add(path, "cannot be given together with " + other.name);
      return true;
    }
    return false;
  }

  // One element: `index` is no null, list or map of the field's own.
  void ReadValue(const FieldPlan& field, uint32_t index, pb::Message& message, const FieldPath& path) {
    const JsonDocument::Node& node = nodes_[index];
    Setter setter(message, *field.value);
    std::string reason = Wanted(field.kind);
    switch (field.kind) {
      case Kind::kBool:
        if (node.kind == JsonKind::kBool) return setter.Bool(node.boolean);
        break;
      case Kind::kInt32:
      case Kind::kInt64:
      case Kind::kUint32:
      case Kind::kUint64:
        if ((node.kind == JsonKind::kInteger || node.kind == JsonKind::kUnsigned) &&
            SetInteger(field.kind, node, setter, reason))
          return;
        break;
      case Kind::kFloat:
      case Kind::kDouble:
        if (const std::optional<double> value = NumberOf(node); value.has_value()) {
          if (field.kind == Kind::kDouble) return setter.Double(*value);
          if (std::abs(*value) <= static_cast<double>(std::numeric_limits<float>::max()))
            return setter.Float(static_cast<float>(*value));
          reason = "is a number out of range";
        }
        break;
      case Kind::kMessage: {
        if (node.kind == JsonKind::kBool && !node.boolean && field.false_means != nullptr) {
          pb::Message& inner = setter.Message();
          return inner.GetReflection()->SetBool(&inner, field.false_means, true);
        }
        if (node.kind != JsonKind::kObject) {
          if (field.false_means != nullptr) reason = "must be an object or false";
          break;
        }
        pb::Message& inner = setter.Message();
        Given given(*field.message);
        ReadObject(*field.message, index, inner, path, given);
        CheckRequired(*field.message, path, given);
        return;
      }
      default:
        if (node.kind == JsonKind::kString && SetFromText(field, node.text, setter, reason)) return;
        break;
    }
    errors_.Add(path, std::move(reason));
  }

  static std::optional<double> NumberOf(const JsonDocument::Node& node) {
    switch (node.kind) {
      case JsonKind::kInteger:
        return static_cast<double>(node.integer);
      case JsonKind::kUnsigned:
        return static_cast<double>(node.unsigned_integer);
      case JsonKind::kDouble:
        return node.number;
      default:
        return std::nullopt;
    }
  }

  void ReadList(const FieldPlan& field, uint32_t index, pb::Message& message, const FieldPath& path) {
    if (nodes_[index].kind != JsonKind::kArray) return errors_.Add(path, "must be a list");
    size_t count = 0;
    for (uint32_t child = index + 1; child < nodes_[index].end && !errors_.full(); child = nodes_[child].end) {
      const FieldPath child_path{&path, {}, count};
      if (++count > field.max_items)
        return errors_.Add(path, "must not have more than " + std::to_string(field.max_items) + " items");
      if (nodes_[child].kind == JsonKind::kNull) {
        errors_.Add(child_path, "must not be null");
      } else {
        ReadValue(field, child, message, child_path);
      }
    }
    if (count == 0 && field.required) errors_.Add(path, kEmpty);
  }

  void ReadMap(const FieldPlan& field, uint32_t index, pb::Message& message, const FieldPath& path) {
    if (nodes_[index].kind != JsonKind::kObject) return errors_.Add(path, "must be an object");
    ReportDuplicate(nodes_[index], path);
    if (nodes_[index].duplicate_key) return;
    size_t count = 0;
    for (uint32_t child = index + 1; child < nodes_[index].end && !errors_.full(); child = nodes_[child].end) {
      const FieldPath child_path{&path, nodes_[child].key};
      if (++count > field.max_items)
        return errors_.Add(path, "must not have more than " + std::to_string(field.max_items) + " items");
      if (nodes_[child].key.size() > kMaxMapKeyBytes) {
        errors_.Add(child_path, "must not have a name longer than " + std::to_string(kMaxMapKeyBytes) + " bytes");
        continue;
      }
      if (nodes_[child].kind == JsonKind::kNull) continue;
      pb::Message& entry = *message.GetReflection()->AddMessage(&message, field.field);
      entry.GetReflection()->SetString(&entry, field.map_key, std::string(nodes_[child].key));
      if (field.any_scalar && nodes_[child].kind != JsonKind::kString) {
        ReadAny(field, child, entry, child_path);
      } else {
        ReadValue(field, child, entry, child_path);
      }
    }
    if (count == 0 && field.required) errors_.Add(path, kEmpty);
  }

  void ReadAny(const FieldPlan& field, uint32_t index, pb::Message& entry, const FieldPath& path) {
    if (const JsonDocument::Node* duplicate = document_.FindDuplicate(index)) return ReportDuplicate(*duplicate, path);
    std::string text;
    document_.AppendCompact(index, text);
    if (text.size() > field.max_bytes) return errors_.Add(path, TooLong(field.max_bytes));
    entry.GetReflection()->SetString(&entry, field.value, std::move(text));
  }

  const JsonDocument& document_;
  const std::vector<JsonDocument::Node>& nodes_;
  FieldErrors& errors_;
};

// Sets a field from a path's segment or a query's value, which are texts for numbers too.
bool SetFromParameter(const FieldPlan& field, const std::string& text, pb::Message& message, std::string& reason) {
  Setter setter(message, *field.field);
  reason = Wanted(field.kind);
  if (field.kind == Kind::kBool) {
    if (text != "true" && text != "false") return false;
    setter.Bool(text == "true");
    return true;
  }
  if (field.kind == Kind::kTimestamp) {
    // An offset's '+' that was not encoded came as a space.
    std::string time = text;
    std::replace(time.begin(), time.end(), ' ', '+');
    return SetFromText(field, time, setter, reason);
  }
  if (IsTextual(field.kind)) return SetFromText(field, text, setter, reason);
  if (field.kind == Kind::kFloat || field.kind == Kind::kDouble) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return false;
    field.kind == Kind::kDouble ? setter.Double(value) : setter.Float(static_cast<float>(value));
    return true;
  }
  if (field.kind == Kind::kMessage) return false;
  JsonDocument::Node node;
  const bool negative = !text.empty() && text.front() == '-';
  node.kind = negative ? JsonKind::kInteger : JsonKind::kUnsigned;
  const auto [end, error] = negative ? std::from_chars(text.data(), text.data() + text.size(), node.integer)
                                     : std::from_chars(text.data(), text.data() + text.size(), node.unsigned_integer);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  return SetInteger(field.kind, node, setter, reason);
}

void ReadPath(const MessagePlan& plan, const RouteTable::Match& match, pb::Message& request, Given& given,
              FieldErrors& errors) {
  const FieldPath root;
  for (size_t i = 0; i < match.route->captures.size(); ++i) {
    const int index = plan.Find(match.route->captures[i]->name());
    const FieldPlan& field = plan.fields[static_cast<size_t>(index)];
    const FieldPath path{&root, field.name};
    given.Mark(static_cast<size_t>(index));
    std::string text, reason;
    if (!PercentDecode(match.captured[i], /*form=*/false, text)) {
      errors.Add(path, "is not valid percent-encoded UTF-8");
    } else if (text.find('/') != std::string::npos) {
      errors.Add(path, "must not contain '/'");
    } else if (!SetFromParameter(field, text, request, reason)) {
      errors.Add(path, std::move(reason));
    }
  }
}

void ReadQuery(const MessagePlan& plan, std::string_view query, pb::Message& request, Given& given,
               FieldErrors& errors) {
  const FieldPath root;
  while (!query.empty() && !errors.full()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    std::string name, text, reason;
    if (!PercentDecode(pair.substr(0, equals), /*form=*/true, name)) {
      errors.Add(root, "the query is not valid percent-encoded UTF-8");
      continue;
    }
    const FieldPath path{&root, name};
    const int index = plan.Find(name);
    const FieldPlan* field = index < 0 ? nullptr : &plan.fields[static_cast<size_t>(index)];
    if (field == nullptr || field->map || field->kind == Kind::kMessage) {
      errors.Add(path, "unknown query parameter");
      continue;
    }
    if (given.Has(static_cast<size_t>(index)) && !field->repeated) {
      errors.Add(path, "is given more than once");
      continue;
    }
    given.Mark(static_cast<size_t>(index));
    if (field->repeated &&
        static_cast<size_t>(request.GetReflection()->FieldSize(request, field->field)) >= field->max_items) {
      errors.Add(path, "must not have more than " + std::to_string(field->max_items) + " items");
      continue;
    }
    if (!PercentDecode(pair.substr(std::min(pair.size(), equals + 1)), /*form=*/true, text)) {
      errors.Add(path, "is not valid percent-encoded UTF-8");
    } else if (!SetFromParameter(*field, text, request, reason)) {
      errors.Add(path, std::move(reason));
    }
  }
}

// Reads the body into the root message.
void ReadRoot(const MessagePlan& plan, std::string_view body, pb::Message& message, Given& given, FieldErrors& errors) {
  const FieldPath root;
  JsonDocument document;
  Reader reader(document, errors);
  if (!body.empty()) {
    if (std::optional<FieldError> error = document.Parse(body); error.has_value()) {
      // Here the field is written out already, and the rest of the document cannot be judged.
      errors.Add(FieldPath{nullptr, error->field}, std::move(error->reason));
      return;
    }
    if (document.nodes().front().kind != JsonKind::kObject) {
      errors.Add(root, "the body must be a JSON object");
      return;
    }
    reader.ReadObject(plan, 0, message, root, given);
  }
  reader.CheckRequired(plan, root, given);
}

class Printer {
 public:
  explicit Printer(std::string& out) : out_(out) {}

  void PrintMessage(const MessagePlan& plan, const pb::Message& message) {
    const pb::Reflection& reflection = *message.GetReflection();
    out_ += '{';
    bool first = true;
    for (const FieldPlan& field : plan.fields) {
      if (field.said_by_false) continue;
      if (!field.field->is_repeated() && field.field->has_presence() && !reflection.HasField(message, field.field))
        continue;
      if (!first) out_ += ',';
      first = false;
      out_ += field.quoted_name;
      if (field.map) {
        PrintMap(field, message, reflection);
      } else if (field.repeated) {
        const int size = reflection.FieldSize(message, field.field);
        out_ += '[';
        for (int i = 0; i < size; ++i) {
          if (i > 0) out_ += ',';
          PrintElement(field, message, reflection, i);
        }
        out_ += ']';
      } else {
        PrintSingle(field, field.field, message, reflection);
      }
    }
    out_ += '}';
  }

 private:
  void PrintMap(const FieldPlan& field, const pb::Message& message, const pb::Reflection& reflection) {
    const int size = reflection.FieldSize(message, field.field);
    std::vector<std::pair<std::string, const pb::Message*>> entries;
    entries.reserve(static_cast<size_t>(size));
    for (int i = 0; i < size; ++i) {
      const pb::Message& entry = reflection.GetRepeatedMessage(message, field.field, i);
      entries.emplace_back(entry.GetReflection()->GetString(entry, field.map_key), &entry);
    }
    // A map has no order of its own.
    std::sort(entries.begin(), entries.end());
    out_ += '{';
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_ += ',';
      AppendJsonString(entries[i].first, out_);
      out_ += ':';
      PrintSingle(field, field.value, *entries[i].second, *entries[i].second->GetReflection());
    }
    out_ += '}';
  }

  void PrintSingle(const FieldPlan& plan, const pb::FieldDescriptor* field, const pb::Message& message,
                   const pb::Reflection& reflection) {
    switch (plan.kind) {
      case Kind::kBool:
        return PrintBool(reflection.GetBool(message, field));
      case Kind::kInt32:
        return AppendNumber(reflection.GetInt32(message, field), out_);
      case Kind::kInt64:
        return AppendNumber(reflection.GetInt64(message, field), out_);
      case Kind::kUint32:
        return AppendNumber(reflection.GetUInt32(message, field), out_);
      case Kind::kUint64:
        return AppendNumber(reflection.GetUInt64(message, field), out_);
      case Kind::kFloat:
        return AppendReal(reflection.GetFloat(message, field), out_);
      case Kind::kDouble:
        return AppendReal(reflection.GetDouble(message, field), out_);
      case Kind::kString:
      case Kind::kBytes:
        return PrintText(plan.kind, reflection.GetStringReference(message, field, &scratch_));
      case Kind::kEnum:
        return PrintEnum(*plan.enumeration, reflection.GetEnumValue(message, field));
      case Kind::kTimestamp:
      case Kind::kDuration:
      case Kind::kMessage:
        return PrintInner(plan, reflection.GetMessage(message, field));
    }
  }

  void PrintElement(const FieldPlan& plan, const pb::Message& message, const pb::Reflection& reflection, int index) {
    const pb::FieldDescriptor* field = plan.field;
    switch (plan.kind) {
      case Kind::kBool:
        return PrintBool(reflection.GetRepeatedBool(message, field, index));
      case Kind::kInt32:
        return AppendNumber(reflection.GetRepeatedInt32(message, field, index), out_);
      case Kind::kInt64:
        return AppendNumber(reflection.GetRepeatedInt64(message, field, index), out_);
      case Kind::kUint32:
        return AppendNumber(reflection.GetRepeatedUInt32(message, field, index), out_);
      case Kind::kUint64:
        return AppendNumber(reflection.GetRepeatedUInt64(message, field, index), out_);
      case Kind::kFloat:
        return AppendReal(reflection.GetRepeatedFloat(message, field, index), out_);
      case Kind::kDouble:
        return AppendReal(reflection.GetRepeatedDouble(message, field, index), out_);
      case Kind::kString:
      case Kind::kBytes:
        return PrintText(plan.kind, reflection.GetRepeatedStringReference(message, field, index, &scratch_));
      case Kind::kEnum:
        return PrintEnum(*plan.enumeration, reflection.GetRepeatedEnumValue(message, field, index));
      case Kind::kTimestamp:
      case Kind::kDuration:
      case Kind::kMessage:
        return PrintInner(plan, reflection.GetRepeatedMessage(message, field, index));
    }
  }

  void PrintBool(bool value) { out_ += value ? "true" : "false"; }

  void PrintText(Kind kind, const std::string& value) {
    if (kind == Kind::kString) return AppendJsonString(value, out_);
    out_ += '"';
    out_ += absl::Base64Escape(value);
    out_ += '"';
  }

  void PrintEnum(const EnumPlan& plan, int number) {
    const EnumPlan::Value* value = plan.FindNumber(number);
    if (value == nullptr) return AppendNumber(number, out_);
    out_ += '"';
    out_ += value->name;
    out_ += '"';
  }

  void PrintInner(const FieldPlan& plan, const pb::Message& inner) {
    const pb::Reflection& reflection = *inner.GetReflection();
    if (plan.kind == Kind::kMessage) {
      if (plan.false_means != nullptr && reflection.GetBool(inner, plan.false_means)) {
        out_ += "false";
        return;
      }
      return PrintMessage(*plan.message, inner);
    }
    const SecondsAndNanos value{reflection.GetInt64(inner, inner.GetDescriptor()->FindFieldByNumber(1)),
                                reflection.GetInt32(inner, inner.GetDescriptor()->FindFieldByNumber(2))};
    out_ += '"';
    plan.kind == Kind::kTimestamp ? AppendTimestamp(value, out_) : AppendDuration(value, out_);
    out_ += '"';
  }

  std::string& out_;
  std::string scratch_;
};

const MessagePlan& Ready(const MessagePlans& plans, const pb::Message& message) {
  const MessagePlan* plan = plans.Find(message.GetDescriptor());
  // A type that nobody made ready is a mistake in the program, not in a request.
  if (plan == nullptr) std::abort();
  return *plan;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

absl::Status Transcoder::Create(const RouteTable& table, const std::vector<const pb::Descriptor*>& others) {
  for (const auto& route : table.routes()) {
    if (absl::Status status = plans_.Add(route->method->input_type()); !status.ok()) return status;
    if (absl::Status status = plans_.Add(route->method->output_type()); !status.ok()) return status;
  }
  for (const pb::Descriptor* other : others) {
    if (absl::Status status = plans_.Add(other); !status.ok()) return status;
  }
  return absl::OkStatus();
}

std::vector<FieldError> Transcoder::Read(const RouteTable::Match& match, std::string_view query, std::string_view body,
                                         pb::Message& request) const {
  const MessagePlan& plan = Ready(plans_, request);
  FieldErrors errors;
  Given given(plan);
  ReadPath(plan, match, request, given, errors);
  const bool has_body = match.route->verb == HttpVerb::kPost || match.route->verb == HttpVerb::kPut;
  if (!has_body) {
    ReadQuery(plan, query, request, given, errors);
    if (!body.empty()) errors.Add(FieldPath{}, "a body is not taken here");
    body = {};
  } else if (!query.empty()) {
    errors.Add(FieldPath{}, "a query is not taken here");
  }
  ReadRoot(plan, body, request, given, errors);
  return errors.Take();
}

std::vector<FieldError> Transcoder::ReadBody(std::string_view body, pb::Message& message) const {
  const MessagePlan& plan = Ready(plans_, message);
  FieldErrors errors;
  Given given(plan);
  ReadRoot(plan, body, message, given, errors);
  return errors.Take();
}

void Transcoder::Print(const pb::Message& message, std::string& out) const {
  Printer(out).PrintMessage(Ready(plans_, message), message);
}

bool PercentDecode(std::string_view text, bool form, std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && form) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (text.size() - i < 3) return false;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return IsUtf8(out) && out.find('\0') == std::string::npos;
}

}  // namespace vigil
