// The pages of a document, as PDF: A4, Pango's line breaking, fonts subset and embedded. Only the program vigil-document links this: fonts and
// shaping are large, and what they are given was written by people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "platform/document/document.h"

namespace vigil::document {

// The fonts that deploy/local/install puts there, in order of preference. Others on the machine are not looked at: the same document looks the
// same everywhere.
std::vector<std::string> FontFiles();

struct Pages {
  std::string pdf;
  int count = 0;
  // Characters that are in none of the fonts, of a private area, or could turn the line around; each is shown as 〔U+XXXX〕.
  int unknown_characters = 0;
};

// InvalidArgument: text that is no UTF-8; OutOfRange: over kMaxPages; NotFound: none of the fonts is there. The same document gives the same
// pages. Not thread-safe.
absl::StatusOr<Pages> MakePages(const Document& document, const std::vector<std::string>& font_files);

}  // namespace vigil::document
