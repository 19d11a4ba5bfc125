#pragma once

#include <string>
#include <string_view>

namespace vigil {

enum class Language { kChinese, kEnglish };

// A text of ours in both languages.
struct Words {
  std::string_view zh;
  std::string_view en;
  constexpr std::string_view In(Language language) const { return language == Language::kChinese ? zh : en; }
};

// "zh" or "en" chooses; anything else falls back to the locale's name ("en_GB.UTF-8"), and that to Chinese.
Language ChooseLanguage(std::string_view wanted, std::string_view locale);

// "zh-CN" or "en", for Accept-Language.
std::string_view LanguageTag(Language language);

// Columns that a terminal needs for UTF-8 text: a Chinese character takes two.
int DisplayWidth(std::string_view text);
// The text with spaces after it up to `width` columns.
std::string Padded(std::string_view text, int width);

}  // namespace vigil
