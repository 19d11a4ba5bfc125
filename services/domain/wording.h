// The pack's texts in somebody's language, filled in. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "domain/pack/pack.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

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
std::string_view ChooseLanguage(const Text& text, std::string_view wanted, std::string_view* language);

// Replaces {school} and the like; what is in braces and none of them stays as it is.
std::string Render(std::string_view text, const TextValues& values);

// What a reporter is told, a line each: what the rules advise (120 and 110 first), then what every reporter is told. `keys` name texts of the
// pack; one that it no longer has is left out. `school` may be null: not known yet.
std::string ReportAdvice(const Pack& pack, const SchoolState* school, const std::vector<std::string>& keys, std::string_view wanted, std::string_view code);

}  // namespace vigil::domain
