#include "vigil/request_builder.h"

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "platform/http/url.h"

namespace vigil {
namespace {

using nlohmann::json;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::TimeZone SchoolZone() {
  absl::TimeZone zone;
  if (!absl::LoadTimeZone("Asia/Shanghai", &zone)) zone = absl::FixedTimeZone(8 * 60 * 60);
  return zone;
}

// "ming,hong/2026-11-22 22:00/2026-11-23 02:00/room 2".
absl::StatusOr<json> ShiftFromText(std::string_view text, absl::Time now) {
  const std::vector<std::string> parts = absl::StrSplit(View(text), absl::MaxSplits('/', 3));
  constexpr std::size_t kLeastParts = 3;
  if (parts.size() < kLeastParts) return absl::InvalidArgumentError("a shift is STAFF,STAFF/FROM/TO/PLACE");
  json shift;
  shift["staff_ids"] = std::vector<std::string>(absl::StrSplit(parts[0], ',', absl::SkipEmpty()));
  const char* const fields[] = {"from_time", "to_time"};
  for (std::size_t i = 0; i < 2; ++i) {
    absl::StatusOr<absl::Time> time = TimeFromText(parts[i + 1], now);
    if (!time.ok()) return time.status();
    shift[fields[i]] = TimeText(*time);
  }
  if (parts.size() > kLeastParts) shift["place"] = parts[kLeastParts];
  return shift;
}

absl::StatusOr<json> ValueFromText(ValueKind kind, const std::string& text, absl::Time now) {
  switch (kind) {
    case ValueKind::kText:
    case ValueKind::kTexts:
    case ValueKind::kFile:  // read by who typed it
      return json(text);
    case ValueKind::kInteger: {
      std::int64_t number = 0;
      if (!absl::SimpleAtoi(text, &number)) return absl::InvalidArgumentError("not a whole number");
      return json(number);
    }
    case ValueKind::kNumber: {
      double number = 0;
      if (!absl::SimpleAtod(text, &number)) return absl::InvalidArgumentError("not a number");
      return json(number);
    }
    case ValueKind::kTime: {
      absl::StatusOr<absl::Time> time = TimeFromText(text, now);
      if (!time.ok()) return time.status();
      return json(TimeText(*time));
    }
    case ValueKind::kYes:
      return json(true);
    case ValueKind::kNo:
      return json(false);
    case ValueKind::kFields: {
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos || equals == 0) return absl::InvalidArgumentError("not FIELD=CONTENT");
      return json{{text.substr(0, equals), text.substr(equals + 1)}};
    }
    case ValueKind::kShifts:
      return ShiftFromText(text, now);
  }
  return absl::InternalError("no such kind of value");
}

// "student.id" -> /student/id
json::json_pointer Pointer(std::string_view field) {
  std::string path = "/";
  for (const char c : field) path.push_back(c == '.' ? '/' : c);
  return json::json_pointer(path);
}

void Put(json& body, const OptionRow& option, json value) {
  const json::json_pointer at = Pointer(option.field);
  if (option.kind == ValueKind::kTexts || option.kind == ValueKind::kShifts) {
    body[at].push_back(std::move(value));
  } else if (option.kind == ValueKind::kFields) {
    body[at].update(value);
  } else {
    body[at] = std::move(value);
  }
}

std::string QueryText(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

std::vector<std::string> PathParameters(std::string_view path_template) {
  std::vector<std::string> names;
  for (std::size_t open = path_template.find('{'); open != std::string_view::npos; open = path_template.find('{', open + 1)) {
    names.emplace_back(path_template.substr(open + 1, path_template.find('}', open) - open - 1));
  }
  return names;
}

absl::StatusOr<absl::Time> TimeFromText(std::string_view text, absl::Time now) {
  if (text == "now") return now;
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, View(text), &time, &error)) return time;
  for (const char* format : {"%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"}) {
    if (absl::ParseTime(format, View(text), SchoolZone(), &time, &error)) return time;
  }
  return absl::InvalidArgumentError("not a time: use 2026-11-22T01:17:00Z, \"2026-11-22 09:17\" (school time) or now");
}

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone()); }

absl::StatusOr<ApiRequest> BuildRequest(const CommandRow& row, const CommandInput& input, absl::Time now) {
  ApiRequest request;
  request.method = std::string(row.method);
  std::size_t next = 0;
  for (std::size_t i = 0; i < row.path.size(); ++i) {
    if (row.path[i] != '{') {
      request.path.push_back(row.path[i]);
      continue;
    }
    if (next >= input.positional.size() || input.positional[next].empty()) return absl::InvalidArgumentError("an argument is missing");
    request.path += PercentEncode(input.positional[next++]);
    i = row.path.find('}', i);
  }

  json body = json::object();
  for (const OptionRow& option : row.options) {
    const auto given = input.values.find(option.option);
    if (given == input.values.end()) continue;
    for (const std::string& text : given->second) {
      absl::StatusOr<json> value = ValueFromText(option.kind, text, now);
      if (!value.ok()) return absl::InvalidArgumentError(absl::StrCat(View(option.option), ": ", value.status().message()));
      try {
        Put(body, option, *std::move(value));
      } catch (const json::exception&) {  // two options that cannot both be: in sight, and not in sight
        return absl::InvalidArgumentError(absl::StrCat(View(option.option), " contradicts another option"));
      }
    }
  }
  if (row.method == "GET") {
    char separator = '?';
    for (const auto& [name, value] : body.items()) {
      absl::StrAppend(&request.path, std::string(1, separator), name, "=", PercentEncode(QueryText(value)));
      separator = '&';
    }
    return request;
  }
  if (!input.body.empty()) {
    const json document = json::parse(input.body, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object()) return absl::InvalidArgumentError("the body is not a JSON object");
    request.body = input.body;
    return request;
  }
  try {
    request.body = body.dump();
  } catch (const json::exception&) {
    return absl::InvalidArgumentError("an argument is not UTF-8");
  }
  return request;
}

}  // namespace vigil
