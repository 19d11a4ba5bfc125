#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "vigil/api_client.h"
#include "vigil/command_table.h"

namespace vigil {

// The names in a path template, in order: {"school", "report"}.
std::vector<std::string> PathParameters(std::string_view path_template);

// What the operator typed for one row.
struct CommandInput {
  std::vector<std::string> positional;                      // the path's parameters
  std::map<std::string, std::vector<std::string>, std::less<>> values;  // by option; a flag has one empty value
  std::string body;                                         // of rows that read a body, JSON
};

// The row's request. InvalidArgument: a value that cannot be what its kind says; the text says which and why.
absl::StatusOr<ApiRequest> BuildRequest(const CommandRow& row, const CommandInput& input, absl::Time now);

// "now", RFC 3339, or "2026-11-22 09:17[:30]" as the school's clocks show it.
absl::StatusOr<absl::Time> TimeFromText(std::string_view text, absl::Time now);

// RFC 3339 in UTC, as the API writes times.
std::string TimeText(absl::Time time);

}  // namespace vigil
