#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace vigil::gateway {

// Longest header of a caller's that is passed on.
inline constexpr size_t kMaxHeaderTextBytes = 255;

// Whether a text can be passed on as gRPC metadata: printable ASCII, not empty, not long.
inline bool IsHeaderText(std::string_view text) {
  return !text.empty() && text.size() <= kMaxHeaderTextBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7E; });
}

}  // namespace vigil::gateway
