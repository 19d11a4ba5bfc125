#include "vigil/words.h"

namespace vigil {
namespace {

bool IsWide(char32_t c) {
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0xfe30 && c <= 0xfe4f) || (c >= 0xff00 && c <= 0xff60) || (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff);
}

}  // namespace

Language ChooseLanguage(std::string_view wanted, std::string_view locale) {
  if (wanted.starts_with("en")) return Language::kEnglish;
  if (wanted.starts_with("zh")) return Language::kChinese;
  return locale.starts_with("en") ? Language::kEnglish : Language::kChinese;
}

std::string_view LanguageTag(Language language) { return language == Language::kChinese ? "zh-CN" : "en"; }

int DisplayWidth(std::string_view text) {
  int width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    char32_t c = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t k = 1; k < length && i + k < text.size(); ++k) c = (c << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3fu);
    width += IsWide(c) ? 2 : 1;
    i += length;
  }
  return width;
}

std::string Padded(std::string_view text, int width) {
  std::string padded(text);
  const int missing = width - DisplayWidth(text);
  if (missing > 0) padded.append(static_cast<std::size_t>(missing), ' ');
  return padded;
}

}  // namespace vigil
