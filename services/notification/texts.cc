#include "notification/texts.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "domain/file.h"
#include "domain/school_time.h"

namespace vigil::notification {

absl::Time TimeOfAlert(const domain::Pack& pack, const domain::FileState& file, const domain::AlertState& alert) {
  const domain::ClockState* clock = domain::FindClock(file, alert.clock_id);
  if (clock == nullptr) return alert.raised_time;
  const domain::ClockRow* row = pack.FindClock(clock->kind);
  if (row != nullptr && row->expiry_opens_gap) {
    if (file.current->custody && !file.current->custody->gaps.empty()) return file.current->custody->gaps.back().from_time;
    return clock->start_time;
  }
  return domain::IsSet(clock->due_time) && clock->due_time != absl::InfiniteFuture() ? clock->due_time : alert.raised_time;
}

std::string TimeText(absl::Time t, absl::Time now, std::string_view language) {
  const absl::CivilSecond civil = absl::ToCivilSecond(t, domain::SchoolZone());
  const std::string clock = absl::StrFormat("%02d:%02d", civil.hour(), civil.minute());
  if (absl::CivilDay(civil) == absl::ToCivilDay(now, domain::SchoolZone())) return clock;
  if (language.starts_with("zh")) return absl::StrCat(civil.month(), "月", civil.day(), "日", clock);
  return absl::StrCat(absl::FormatTime("%e %b", t, domain::SchoolZone()), ", ", clock);
}

std::string FoldReply(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<std::uint8_t>(text[at]) : std::uint8_t{0}; };
    const std::string_view three = text.substr(i, 3);
    // U+FF01 … U+FF5E are ASCII's 0x21 … 0x7E at full width.
    if (byte(i) == 0xEF && (byte(i + 1) == 0xBC || byte(i + 1) == 0xBD) && byte(i + 2) >= 0x80 && byte(i + 2) <= 0xBF) {
      const int point = 0xF000 | (byte(i + 1) & 0x3F) << 6 | (byte(i + 2) & 0x3F);
      if (point >= 0xFF01 && point <= 0xFF5E) {
        const char folded = absl::ascii_toupper(static_cast<unsigned char>(point - 0xFF01 + 0x21));
        if (folded != '"' && folded != '\'') out.push_back(folded);
        i += 3;
        continue;
      }
    }
    if (three == "\u3000" || three == "“" || three == "”" || three == "「" || three == "」") {
      i += 3;
      continue;
    }
    const char ch = text[i++];
    if (ch == '"' || ch == '\'' || absl::ascii_isspace(static_cast<unsigned char>(ch))) continue;
    out.push_back(absl::ascii_toupper(static_cast<unsigned char>(ch)));
  }
  return out;
}

}  // namespace vigil::notification
