// The words of calls and messages, from the pack's texts. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "domain/wording.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::notification {

using domain::ChooseLanguage;
using domain::Render;
using domain::TextValues;

// The instant that an alert's {time} means: since when nobody has confirmed, for one raised by the clock that opens the gap; when its clock
// is due, for another clock's; otherwise when it was raised.
absl::Time TimeOfAlert(const domain::Pack& pack, const domain::FileState& file, const domain::AlertState& alert);

// "21:14", with the date before it when that is not the day of `now`.
std::string TimeText(absl::Time t, absl::Time now, std::string_view language);

// What somebody typed, folded for comparing with a code: full-width forms to ASCII, upper-case, spaces and quotation marks left out.
std::string FoldReply(std::string_view text);

}  // namespace vigil::notification
