// What a form asks of what was filled in, and which of it the engine may read. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// By field id, as text: true or false, a number, RFC 3339 or a day, a choice, ids with commas or as a JSON list.
using Fields = std::map<std::string, std::string>;

struct FormError {
  std::string field;
  std::string reason;
};

// What is wrong, by field; empty: it may be filed. `lenient`: what is missing or odd does not keep it out as long as it says anything at
// all (a written report in time is better than a complete one that is late); only what is too long does.
std::vector<FormError> CheckForm(const RecordRow& row, const Fields& fields, const SchoolState& school, absl::Time now, bool lenient);

// The same fields with what the answers score to, where the form is a scored one and answers were given. InvalidArgument: they are not
// answers to that instrument; the message names the field.
absl::StatusOr<Fields> Scored(const Pack& pack, const RecordRow& row, Fields fields);

// What stands in the log as it is, and what is sealed first. An empty value is in neither.
struct SplitFields {
  Fields plain;
  Fields sealed;
};
SplitFields Split(const RecordRow& row, const Fields& fields);

// "a, b" or ["a","b"], without empty ones.
std::vector<std::string> ListOf(std::string_view text);

// RFC 3339, or a day of the school's calendar ("2026-09-01", its beginning). InfinitePast: neither.
absl::Time TimeOfField(std::string_view text);

}  // namespace vigil::domain
