#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vigil {

// RFC 3986 percent-decoding. InvalidArgument for '%' not followed by two hex digits.
absl::StatusOr<std::string> PercentDecode(std::string_view text, bool plus_is_space = false);

// Escapes everything but RFC 3986 unreserved characters.
std::string PercentEncode(std::string_view text);

struct ParsedTarget {
  std::string path;
  std::vector<std::string> path_segments;
  std::vector<std::pair<std::string, std::string>> query;
};

// Takes the request target of an HTTP/1.1 request apart (origin form, or absolute form whose authority is dropped).
// InvalidArgument for anything else, for a bad escape, and for an escaped NUL.
absl::StatusOr<ParsedTarget> ParseTarget(std::string_view target);

}  // namespace vigil
