#include "domain/wording.h"

namespace vigil::domain {

std::string_view ChooseLanguage(const Text& text, std::string_view wanted, std::string_view* language) {
  const auto found = [&](const Text::value_type& entry) -> std::string_view {
    *language = entry.first;
    return entry.second;
  };
  if (text.empty()) return {};
  if (const auto it = text.find(std::string(wanted)); it != text.end()) return found(*it);
  const std::string_view primary = wanted.substr(0, wanted.find('-'));
  for (const auto& entry : text) {
    if (!primary.empty() && std::string_view(entry.first).substr(0, entry.first.find('-')) == primary) return found(entry);
  }
  return found(*text.begin());
}

std::string Render(std::string_view text, const TextValues& values) {
  std::string out;
  out.reserve(text.size() + 64);
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    out.append(text.substr(0, open));
    if (open == std::string_view::npos) break;
    text.remove_prefix(open);
    const std::size_t close = text.find('}');
    const std::string_view name = close == std::string_view::npos ? std::string_view() : text.substr(1, close - 1);
    const std::string_view* value = name == "school"   ? &values.school
                                    : name == "code"   ? &values.code
                                    : name == "time"   ? &values.time
                                    : name == "phone"  ? &values.phone
                                    : name == "person" ? &values.person
                                    : name == "place"  ? &values.place
                                                       : nullptr;
    if (value == nullptr) {
      out.push_back('{');
      text.remove_prefix(1);
    } else {
      out.append(*value);
      text.remove_prefix(close + 1);
    }
  }
  return out;
}

std::string ReportAdvice(const Pack& pack, const SchoolState* school, const std::vector<std::string>& keys, std::string_view wanted, std::string_view code) {
  TextValues values{.code = code};
  if (school != nullptr) {
    values.school = school->school_name;
    values.phone = school->duty_phone;
    if (wanted.empty()) wanted = school->language;
  }
  std::string words;
  const auto add = [&](const MessageText& text) {
    std::string_view language;
    if (!words.empty()) words.push_back('\n');
    words += Render(ChooseLanguage(text.text, wanted, &language), values);
  };
  for (const std::string& key : keys) {
    if (const auto text = pack.texts.find(key); text != pack.texts.end()) add(text->second);
  }
  if (const MessageText* answer = pack.ReportAnswer(); answer != nullptr) add(*answer);
  return words;
}

}  // namespace vigil::domain
