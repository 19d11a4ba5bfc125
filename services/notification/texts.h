// The words of calls and messages, from the pack's texts. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::notification {

// What a text that leaves the house may ask for. Never who the child is or what is wrong (PRV-03).
struct TextValues {
  std::string_view school;
  std::string_view code;
  std::string_view time;
  std::string_view phone;
  std::string_view person;
  std::string_view place;
};

// The text in the wanted language, else in one that begins alike ("en-GB": "en"), else in the first there is. `*language` says which.
std::string_view ChooseLanguage(const domain::Text& text, std::string_view wanted, std::string_view* language);

// Replaces {school} and the like; what is in braces and none of them stays as it is.
std::string Render(std::string_view text, const TextValues& values);

// The instant that an alert's {time} means: since when nobody has confirmed, for one raised by the clock that opens the gap; when its clock
// is due, for another clock's; otherwise when it was raised.
absl::Time TimeOfAlert(const domain::Pack& pack, const domain::FileState& file, const domain::AlertState& alert);

// "21:14", with the date before it when that is not the day of `now`.
std::string TimeText(absl::Time t, absl::Time now, std::string_view language);

// What somebody typed, folded for comparing with a code: full-width forms to ASCII, upper-case, spaces and quotation marks left out.
std::string FoldReply(std::string_view text);

}  // namespace vigil::notification
