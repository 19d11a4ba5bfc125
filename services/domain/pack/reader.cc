#include "domain/pack/reader.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace vigil::domain {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

constexpr int kMaxSpanDigits = 6;

}  // namespace

std::string Place::ToString() const { return absl::StrCat(file, ":", line); }

void Problems::Add(const Place& place, std::string what) { found_.insert({{place.file, place.line}, std::move(what)}); }

std::string Problems::ToString() const {
  std::string text;
  for (const auto& [where, what] : found_) {
    if (!text.empty()) text += '\n';
    absl::StrAppend(&text, where.first, ":", where.second, ": ", what);
  }
  return text;
}

std::optional<absl::Duration> ParseSpan(std::string_view text) {
  if (text.size() < 2 || text.size() > kMaxSpanDigits + 1) return std::nullopt;
  const std::string_view digits = text.substr(0, text.size() - 1);
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  std::int64_t count = 0;
  if (!absl::SimpleAtoi(View(digits), &count)) return std::nullopt;
  switch (text.back()) {
    case 's': return absl::Seconds(count);
    case 'm': return absl::Minutes(count);
    case 'h': return absl::Hours(count);
    case 'd': return absl::Hours(24) * count;
    default: return std::nullopt;
  }
}

std::optional<absl::Duration> ParseTimeOfDay(std::string_view text) {
  int hour = 0;
  int minute = 0;
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const std::size_t at : {0u, 1u, 3u, 4u}) {
    if (text[at] < '0' || text[at] > '9') return std::nullopt;
  }
  if (!absl::SimpleAtoi(View(text.substr(0, 2)), &hour) || !absl::SimpleAtoi(View(text.substr(3)), &minute)) return std::nullopt;
  if (hour > 23 || minute > 59) return std::nullopt;
  return absl::Hours(hour) + absl::Minutes(minute);
}

Value At(const YAML::Node& node, const Place& near) {
  const YAML::Mark mark = node.Mark();
  return {node, {near.file, mark.line >= 0 ? mark.line + 1 : near.line}};
}

std::optional<std::string> ReadString(const Value& value, std::string_view what, Problems& problems) {
  if (!value.node.IsScalar() || value.node.Scalar().empty()) {
    problems.Add(value.place, absl::StrCat(View(what), " must be a word or a text"));
    return std::nullopt;
  }
  return value.node.Scalar();
}

std::optional<absl::Duration> ReadSpan(const Value& value, std::string_view what, Problems& problems) {
  const std::string text = value.node.IsScalar() ? value.node.Scalar() : "";
  const auto span = ParseSpan(text);
  if (!span) {
    problems.Add(value.place, absl::StrCat(View(what), ": '", text, "' is no span; write a whole number and s, m, h or d, as in 30m"));
  }
  return span;
}

std::vector<Value> ReadList(const Value& value, std::string_view what, Problems& problems) {
  std::vector<Value> items;
  if (!value.node.IsSequence()) {
    problems.Add(value.place, absl::StrCat(View(what), " must be a list"));
    return items;
  }
  for (const YAML::Node& item : value.node) items.push_back(At(item, value.place));
  return items;
}

MapReader::MapReader(const Value& value, std::string what, Problems& problems)
    : place_(value.place), what_(std::move(what)), problems_(&problems) {
  if (!value.node.IsMap()) {
    Wrong("must be a map of keys and values");
    return;
  }
  for (const auto& pair : value.node) {
    const Value key = At(pair.first, place_);
    if (!pair.first.IsScalar()) {
      Wrong(key.place, "a key must be a word");
      continue;
    }
    const std::string& name = pair.first.Scalar();
    if (Has(name)) {
      Wrong(key.place, absl::StrCat("'", name, "' is written twice"));
      continue;
    }
    // The line of the key: a person looks for the key, and a value may begin further down.
    entries_.emplace_back(name, Value{pair.second, key.place});
  }
}

bool MapReader::Has(std::string_view key) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.first == key; });
}

std::optional<Value> MapReader::Take(std::string_view key) {
  taken_.insert(std::string(key));
  for (const auto& [name, value] : entries_) {
    if (name == key) return value;
  }
  return std::nullopt;
}

std::optional<Value> MapReader::Need(std::string_view key) {
  auto value = Take(key);
  if (!value) Wrong(absl::StrCat("'", View(key), "' is missing"));
  return value;
}

std::string MapReader::String(std::string_view key, std::string fallback) {
  const auto value = Take(key);
  if (!value) return fallback;
  return ReadString(*value, absl::StrCat(what_, ": ", View(key)), *problems_).value_or(fallback);
}

std::string MapReader::NeedString(std::string_view key) {
  const auto value = Need(key);
  if (!value) return "";
  return ReadString(*value, absl::StrCat(what_, ": ", View(key)), *problems_).value_or("");
}

bool MapReader::Bool(std::string_view key, bool fallback) {
  const auto value = Take(key);
  if (!value) return fallback;
  const std::string text = value->node.IsScalar() ? value->node.Scalar() : "";
  if (text == "true") return true;
  if (text == "false") return false;
  Wrong(value->place, absl::StrCat(View(key), " must be true or false"));
  return fallback;
}

int MapReader::Int(std::string_view key, int fallback, int least, int most) {
  const auto value = Take(key);
  if (!value) return fallback;
  int number = 0;
  if (!value->node.IsScalar() || !absl::SimpleAtoi(value->node.Scalar(), &number) || number < least || number > most) {
    Wrong(value->place, absl::StrCat(View(key), " must be a whole number from ", least, " to ", most));
    return fallback;
  }
  return number;
}

std::optional<absl::Duration> MapReader::Span(std::string_view key) {
  const auto value = Take(key);
  if (!value) return std::nullopt;
  return ReadSpan(*value, absl::StrCat(what_, ": ", View(key)), *problems_);
}

std::optional<absl::Duration> MapReader::TimeOfDay(std::string_view key) {
  const auto value = Take(key);
  if (!value) return std::nullopt;
  const std::string text = value->node.IsScalar() ? value->node.Scalar() : "";
  const auto time = ParseTimeOfDay(text);
  if (!time) Wrong(value->place, absl::StrCat(View(key), ": '", text, "' is no time of day; write it as in \"18:00\""));
  return time;
}

std::vector<std::pair<std::string, Place>> MapReader::Strings(std::string_view key) {
  std::vector<std::pair<std::string, Place>> strings;
  const auto value = Take(key);
  if (!value) return strings;
  const std::string name = absl::StrCat(what_, ": ", View(key));
  for (const Value& item : ReadList(*value, name, *problems_)) {
    auto text = ReadString(item, absl::StrCat(name, ": each"), *problems_);
    if (!text) continue;
    if (std::any_of(strings.begin(), strings.end(), [&](const auto& other) { return other.first == *text; })) {
      problems_->Add(item.place, absl::StrCat(name, ": '", *text, "' is written twice"));
      continue;
    }
    strings.emplace_back(std::move(*text), item.place);
  }
  return strings;
}

std::optional<int> MapReader::OneOf(std::string_view key, const std::vector<std::string_view>& names) {
  const auto value = Take(key);
  if (!value) return std::nullopt;
  const std::string text = value->node.IsScalar() ? value->node.Scalar() : "";
  for (std::size_t index = 0; index < names.size(); ++index) {
    if (names[index] == text) return static_cast<int>(index);
  }
  std::vector<std::string> list(names.begin(), names.end());
  Wrong(value->place, absl::StrCat(View(key), ": '", text, "' is none of ", absl::StrJoin(list, ", ")));
  return std::nullopt;
}

void MapReader::Wrong(const Place& place, std::string_view problem) {
  problems_->Add(place, absl::StrCat(what_, ": ", View(problem)));
}

void MapReader::Finish() {
  for (const auto& [name, value] : entries_) {
    if (taken_.count(name) == 0) Wrong(value.place, absl::StrCat("unknown key '", name, "'"));
  }
}

}  // namespace vigil::domain
