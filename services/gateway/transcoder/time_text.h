#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vigil {

// A Timestamp's or a Duration's two numbers.
struct SecondsAndNanos {
  int64_t seconds = 0;
  int32_t nanos = 0;  // For a Timestamp 0..999,999,999; for a Duration of the same sign as `seconds`.
};

// RFC 3339 with any offset, years 0001 to 9999, truncated to microseconds. False if `text` is anything else.
bool ParseTimestamp(std::string_view text, SecondsAndNanos& value);
// As UTC with "Z" and 0, 3 or 6 digits of a second.
void AppendTimestamp(SecondsAndNanos value, std::string& out);

// "3.5s", up to nanoseconds and 10,000 years. False if `text` is anything else.
bool ParseDuration(std::string_view text, SecondsAndNanos& value);
void AppendDuration(SecondsAndNanos value, std::string& out);

}  // namespace vigil
