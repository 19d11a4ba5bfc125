#include "sandbox/requests.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vigil::sandbox {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsKey(char c) { return IsDigit(c) || c == '*' || c == '#'; }

bool IsCallbackUrl(std::string_view url) {
  for (const std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
    if (url.substr(0, scheme.size()) == scheme && url.size() > scheme.size()) {
      return std::none_of(url.begin(), url.end(), [](char c) { return c <= ' ' || c == '\x7f'; });
    }
  }
  return false;
}

std::string Time(absl::Time time) { return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", time, absl::UTCTimeZone()); }

// Reads the fields of one JSON object and notes what is wrong with them.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string prefix, std::vector<FieldError>& errors,
               std::initializer_list<std::string_view> known)
      : object_(object), prefix_(std::move(prefix)), errors_(errors) {
    if (!object.is_object()) {
      Wrong("", "must be an object");
      return;
    }
    for (const auto& [name, value] : object.items()) {
      if (std::find(known.begin(), known.end(), name) == known.end()) Wrong(name, "unknown field");
    }
  }

  void Wrong(std::string_view name, std::string reason) {
    std::string field = prefix_;
    if (!field.empty() && !name.empty()) field += '.';
    field.append(name);
    errors_.push_back({field.empty() ? "body" : std::move(field), std::move(reason)});
  }

  // Absent and null are the same.
  const Json* Find(std::string_view name) const {
    if (!object_.is_object()) return nullptr;
    const auto field = object_.find(name);
    return field == object_.end() || field->is_null() ? nullptr : &*field;
  }

  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  const Json* Required(std::string_view name) {
    const Json* const field = Find(name);
    if (field == nullptr && object_.is_object()) Wrong(name, "is required");
    return field;
  }

  std::string Text(std::string_view name, bool required, std::size_t max_bytes) {
    const Json* const field = required ? Required(name) : Find(name);
    if (field == nullptr) return "";
    if (!field->is_string()) return Wrong(name, "must be a string"), "";
    const auto& text = field->get_ref<const std::string&>();
    if (required && text.empty()) return Wrong(name, "must not be empty"), "";
    if (text.size() > max_bytes) return Wrong(name, absl::StrCat("is longer than ", max_bytes, " bytes")), "";
    return text;
  }

  std::string PhoneNumber(std::string_view name, bool required) {
    std::string number = Text(name, required, 32);
    if (!number.empty() && !IsPhoneNumber(number)) Wrong(name, "must be an optional + and 3 to 20 digits");
    return number;
  }

  std::string CallbackUrl(std::string_view name) {
    std::string url = Text(name, true, kMaxUrlBytes);
    if (!url.empty() && !IsCallbackUrl(url)) Wrong(name, "must be an http or https URL");
    return url;
  }

  std::int64_t Integer(std::string_view name, bool required, std::int64_t min, std::int64_t max) {
    const Json* const field = required ? Required(name) : Find(name);
    if (field == nullptr) return 0;
    const bool whole =
        field->is_number_integer() && (!field->is_number_unsigned() || field->get<std::uint64_t>() <= INT64_MAX);
    if (!whole || field->get<std::int64_t>() < min || field->get<std::int64_t>() > max) {
      return Wrong(name, absl::StrCat("must be a whole number from ", min, " to ", max)), 0;
    }
    return field->get<std::int64_t>();
  }

  absl::Duration Milliseconds(std::string_view name) {
    return absl::Milliseconds(Integer(name, false, 0, absl::ToInt64Milliseconds(kMaxDelay)));
  }

  double Probability(std::string_view name) {
    const Json* const field = Find(name);
    if (field == nullptr) return 0;
    if (!field->is_number() || !(field->get<double>() >= 0 && field->get<double>() <= 1)) {
      return Wrong(name, "must be a number from 0 to 1"), 0;
    }
    return field->get<double>();
  }

 private:
  const Json& object_;
  const std::string prefix_;
  std::vector<FieldError>& errors_;
};

Json ParseJson(std::string_view text, std::vector<FieldError>& errors) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) errors.push_back({"body", "must be JSON in UTF-8"});
  return json;
}

// What is said, a line for each language.
std::string SaidText(ObjectReader& call, std::vector<FieldError>& errors) {
  const Json* const say = call.Required("say");
  if (say == nullptr) return "";
  if (!say->is_array() || say->empty() || say->size() > kMaxSaid) {
    return call.Wrong("say", absl::StrCat("must be a list of 1 to ", kMaxSaid)), "";
  }
  std::string all;
  for (std::size_t i = 0; i < say->size(); ++i) {
    ObjectReader said((*say)[i], absl::StrCat("say[", i, "]"), errors, {"language", "text"});
    said.Text("language", true, 64);
    const std::string text = said.Text("text", true, kMaxTextBytes);
    absl::StrAppend(&all, i == 0 ? "" : "\n", text);
  }
  return all;
}

OrderedJson ReceivedOne(const Received& received) {
  OrderedJson events = OrderedJson::array();
  for (const Event event : received.events) events.push_back(EventName(event));
  return {{"id", received.id},
          {"kind", KindName(received.kind)},
          {"time", Time(received.time)},
          {"text", received.text},
          {"events", std::move(events)}};
}

std::string Dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

}  // namespace

bool IsPhoneNumber(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  return text.size() >= 3 && text.size() <= 20 && std::all_of(text.begin(), text.end(), IsDigit);
}

Parsed<CallRequest> ParseCall(std::string_view text) {
  Parsed<CallRequest> parsed;
  const Json json = ParseJson(text, parsed.errors);
  if (!parsed.errors.empty()) return parsed;
  ObjectReader reader(json, "", parsed.errors, {"id", "to", "say", "gather", "bridge_to", "callback"});
  CallRequest& call = parsed.value;
  call.id = reader.Text("id", true, kMaxIdBytes);
  call.to = reader.PhoneNumber("to", true);
  call.text = SaidText(reader, parsed.errors);
  if (const Json* const gather = reader.Find("gather")) {
    ObjectReader gather_reader(*gather, "gather", parsed.errors, {"digits", "timeout_ms"});
    call.gather_digits = static_cast<int>(gather_reader.Integer("digits", true, 1, kMaxGatheredDigits));
    call.gather_timeout = gather_reader.Milliseconds("timeout_ms");
  }
  call.bridge_to = reader.PhoneNumber("bridge_to", false);
  call.callback = reader.CallbackUrl("callback");
  return parsed;
}

Parsed<MessageRequest> ParseMessage(std::string_view text) {
  Parsed<MessageRequest> parsed;
  const Json json = ParseJson(text, parsed.errors);
  if (!parsed.errors.empty()) return parsed;
  ObjectReader reader(json, "", parsed.errors, {"id", "to", "text", "callback"});
  parsed.value.id = reader.Text("id", true, kMaxIdBytes);
  parsed.value.to = reader.PhoneNumber("to", true);
  parsed.value.text = reader.Text("text", true, kMaxTextBytes);
  parsed.value.callback = reader.CallbackUrl("callback");
  return parsed;
}

Parsed<Behaviour> ParseBehaviour(std::string_view text) {
  Parsed<Behaviour> parsed;
  const Json json = ParseJson(text, parsed.errors);
  if (!parsed.errors.empty()) return parsed;
  ObjectReader reader(json, "", parsed.errors, {"answer", "digits", "delay_ms"});
  const std::string answer = reader.Text("answer", true, 32);
  if (const std::optional<Answer> known = AnswerFromName(answer)) {
    parsed.value.answer = *known;
  } else if (!answer.empty()) {
    reader.Wrong("answer", "must be keypad, no_answer, busy, voicemail or fail");
  }
  parsed.value.digits = reader.Text("digits", false, kMaxGatheredDigits);
  if (!std::all_of(parsed.value.digits.begin(), parsed.value.digits.end(), IsKey)) {
    reader.Wrong("digits", "must be keys of a phone: 0 to 9, * and #");
  }
  parsed.value.delay = reader.Milliseconds("delay_ms");
  return parsed;
}

Parsed<std::string> ParseReply(std::string_view text) {
  Parsed<std::string> parsed;
  const Json json = ParseJson(text, parsed.errors);
  if (!parsed.errors.empty()) return parsed;
  ObjectReader reader(json, "", parsed.errors, {"text"});
  parsed.value = reader.Text("text", true, kMaxTextBytes);
  return parsed;
}

Parsed<Faults> ParseFaults(std::string_view text) {
  Parsed<Faults> parsed;
  const Json json = ParseJson(text, parsed.errors);
  if (!parsed.errors.empty()) return parsed;
  ObjectReader reader(json, "", parsed.errors, {"refuse", "stall_ms", "drop_receipts"});
  parsed.value.refuse = reader.Probability("refuse");
  parsed.value.stall = reader.Milliseconds("stall_ms");
  parsed.value.drop_receipts = reader.Probability("drop_receipts");
  return parsed;
}

std::string CallbackJson(const Callback& callback) {
  OrderedJson json = {{"id", callback.id}, {"event", EventName(callback.event)}};
  if (!callback.digits.empty()) json["digits"] = callback.digits;
  if (!callback.text.empty()) json["text"] = callback.text;
  if (!callback.reason.empty()) json["reason"] = callback.reason;
  json["time"] = Time(callback.time);
  return Dump(json);
}

std::string IdJson(std::string_view id) { return Dump(OrderedJson{{"id", id}}); }

std::string ReceivedJson(const std::vector<Received>& received) {
  OrderedJson list = OrderedJson::array();
  for (const Received& one : received) list.push_back(ReceivedOne(one));
  return Dump(OrderedJson{{"received", std::move(list)}});
}

std::string ReceivedPageJson(const std::vector<Received>& received, std::uint64_t after) {
  OrderedJson list = OrderedJson::array();
  for (const Received& one : received) {
    OrderedJson row = {{"sequence", one.sequence}, {"number", one.number}};
    row.update(ReceivedOne(one));
    list.push_back(std::move(row));
  }
  return Dump(
      OrderedJson{{"received", std::move(list)}, {"next", received.empty() ? after : received.back().sequence}});
}

std::string FaultsJson(const Faults& faults) {
  return Dump(OrderedJson{{"refuse", faults.refuse},
                          {"stall_ms", absl::ToInt64Milliseconds(faults.stall)},
                          {"drop_receipts", faults.drop_receipts}});
}

}  // namespace vigil::sandbox
