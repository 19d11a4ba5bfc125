#include "domain/form.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "domain/instrument.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

constexpr std::size_t kMaxListed = 500;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

const std::string* Given(const Fields& fields, const std::string& id) {
  const auto it = fields.find(id);
  return it == fields.end() || it->second.empty() ? nullptr : &it->second;
}

bool IsRequired(const FieldRow& field, const Fields& fields) {
  if (field.required) return true;
  if (field.required_if.empty()) return false;
  const std::string* asked = Given(fields, field.required_if);
  return asked != nullptr && (*asked == "true") == field.required_if_value;
}

// Why the value is none of the field's type; nullopt: it is one.
std::optional<std::string> WrongValue(const FieldRow& field, const std::string& value, const SchoolState& school, absl::Time now) {
  using Type = FieldRow::Type;
  switch (field.type) {
    case Type::kText:
      return std::nullopt;
    case Type::kBoolean:
      if (value != "true" && value != "false") return "is true or false";
      return std::nullopt;
    case Type::kTime: {
      const absl::Time time = TimeOfField(value);
      if (!IsSet(time)) return "is a time (RFC 3339) or a day";
      if (field.within && time > now + *field.within) return absl::StrCat("is at most ", absl::ToInt64Hours(*field.within) / 24, " days from now");
      return std::nullopt;
    }
    case Type::kNumber: {
      std::int64_t number = 0;
      if (!absl::SimpleAtoi(value, &number)) return "is a whole number";
      if (number < field.least || number > field.most) return absl::StrCat("is from ", field.least, " to ", field.most);
      return std::nullopt;
    }
    case Type::kPerson:
      if (!school.people.contains(value)) return "is nobody of this school";
      return std::nullopt;
    case Type::kChoice:
      if (std::find(field.choices.begin(), field.choices.end(), value) == field.choices.end()) return "is not one of the choices";
      return std::nullopt;
    case Type::kList:
    case Type::kPeople: {
      const std::vector<std::string> items = ListOf(value);
      if (items.empty()) return "names nobody and nothing";
      if (items.size() > kMaxListed) return "has too many items";
      for (const std::string& id : items) {
        if (field.type == Type::kPeople && !school.people.contains(id)) return "names somebody who is nobody of this school";
      }
      return std::nullopt;
    }
    case Type::kRecord:
      return std::nullopt;  // whether there is such a record is the file's to say
  }
  return std::nullopt;
}

}  // namespace

std::vector<FormError> CheckForm(const RecordRow& row, const Fields& fields, const SchoolState& school, absl::Time now, bool lenient) {
  std::vector<FormError> errors;
  const auto wrong = [&](const std::string& id, std::string reason) { errors.push_back({absl::StrCat("fields.", id), std::move(reason)}); };
  bool says_anything = false;
  for (const auto& [id, value] : fields) {
    says_anything = says_anything || !value.empty();
    const FieldRow* field = row.FindField(id);
    if (field == nullptr) {
      if (!lenient) wrong(id, "is not in this form");
      continue;
    }
    if (value.size() > static_cast<std::size_t>(field->max_bytes)) {
      wrong(id, "is too long");
    } else if (!lenient && !value.empty()) {
      if (auto reason = WrongValue(*field, value, school, now)) wrong(id, *std::move(reason));
    }
  }
  if (lenient && says_anything) return errors;
  for (const FieldRow& field : row.fields) {
    if (IsRequired(field, fields) && Given(fields, field.id) == nullptr) wrong(field.id, "is required");
  }
  return errors;
}

absl::StatusOr<Fields> Scored(const Pack& pack, const RecordRow& row, Fields fields) {
  if (!row.scored) return fields;
  const std::string* instrument = Given(fields, row.scored->instrument);
  const std::string* answers = Given(fields, row.scored->answers);
  if (instrument == nullptr || answers == nullptr) return fields;
  const auto key = pack.instruments.find(*instrument);
  // One that a person rates by hand.
  if (key == pack.instruments.end()) return fields;
  const auto score = ScoreAnswers(key->second, *answers);
  if (!score.ok()) return score.status();
  const auto set = [&](const std::string& field, std::string value) {
    if (!field.empty()) fields[field] = std::move(value);
  };
  set(row.scored->total, std::to_string(score->total));
  set(row.scored->voided, score->voided ? "true" : "false");
  set(row.scored->critical, score->critical.empty() ? "false" : "true");
  if (!score->proposes.empty()) set(row.scored->result, score->proposes);
  return fields;
}

SplitFields Split(const RecordRow& row, const Fields& fields) {
  SplitFields split;
  for (const auto& [id, value] : fields) {
    if (value.empty()) continue;
    const FieldRow* field = row.FindField(id);
    (field != nullptr && !field->sealed ? split.plain : split.sealed)[id] = value;
  }
  return split;
}

std::vector<std::string> ListOf(std::string_view text) {
  std::vector<std::string> items;
  std::string item;
  const auto flush = [&] {
    const std::size_t from = item.find_first_not_of(" \t\n");
    const std::size_t to = item.find_last_not_of(" \t\n");
    if (from != std::string::npos) items.push_back(item.substr(from, to - from + 1));
    item.clear();
  };
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin != std::string_view::npos && text[begin] == '[') {
    bool quoted = false;
    for (std::size_t i = begin + 1; i < text.size(); ++i) {
      const char c = text[i];
      if (quoted && c == '\\' && i + 1 < text.size()) {
        item.push_back(text[++i]);
      } else if (c == '"') {
        quoted = !quoted;
      } else if (!quoted && (c == ',' || c == ']')) {
        flush();
      } else {
        item.push_back(c);
      }
    }
    flush();
    return items;
  }
  for (const char c : text) {
    if (c == ',') {
      flush();
    } else {
      item.push_back(c);
    }
  }
  flush();
  return items;
}

absl::Time TimeOfField(std::string_view text) {
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, View(text), &time, nullptr)) return time;
  absl::CivilDay day;
  if (absl::ParseCivilTime(View(text), &day)) return absl::FromCivil(day, SchoolZone());
  return absl::InfinitePast();
}

}  // namespace vigil::domain
