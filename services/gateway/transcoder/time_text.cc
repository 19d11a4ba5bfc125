#include "gateway/transcoder/time_text.h"

#include <charconv>
#include <cstdio>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace vigil {

namespace {

constexpr int64_t kMaxDurationSeconds = 315'576'000'000;
constexpr int64_t kMinTimestampSeconds = -62'135'596'800;  // 0001-01-01T00:00:00Z
constexpr int64_t kMaxTimestampSeconds = 253'402'300'799;  // 9999-12-31T23:59:59Z

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes exactly `digits` digits off the front.
bool TakeNumber(std::string_view& text, size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (!IsDigit(text[i])) return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool Take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

// ".5" and nothing are fractions; more than nine digits are not.
bool TakeFraction(std::string_view& text, int32_t& nanos) {
  nanos = 0;
  if (!Take(text, '.')) return true;
  int digits = 0;
  for (; !text.empty() && IsDigit(text.front()); text.remove_prefix(1)) {
    if (++digits > 9) return false;
    nanos = nanos * 10 + (text.front() - '0');
  }
  for (int i = digits; i < 9; ++i) nanos *= 10;
  return digits > 0;
}

void AppendFraction(int32_t nanos, int digits, std::string& out) {
  char buffer[10];
  std::snprintf(buffer, sizeof(buffer), "%09d", nanos);
  out += '.';
  out.append(buffer, static_cast<size_t>(digits));
}

}  // namespace

bool ParseTimestamp(std::string_view text, SecondsAndNanos& value) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!TakeNumber(text, 4, year) || !Take(text, '-') || !TakeNumber(text, 2, month) || !Take(text, '-') ||
      !TakeNumber(text, 2, day))
    return false;
  if (!Take(text, 'T') && !Take(text, 't')) return false;
  if (!TakeNumber(text, 2, hour) || !Take(text, ':') || !TakeNumber(text, 2, minute) || !Take(text, ':') ||
      !TakeNumber(text, 2, second))
    return false;
  int32_t nanos = 0;
  if (!TakeFraction(text, nanos)) return false;
  int64_t offset_seconds = 0;
  if (!Take(text, 'Z') && !Take(text, 'z')) {
    if (text.empty() || (text.front() != '+' && text.front() != '-')) return false;
    const int sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
    int offset_hours = 0, offset_minutes = 0;
    if (!TakeNumber(text, 2, offset_hours) || !Take(text, ':') || !TakeNumber(text, 2, offset_minutes)) return false;
    if (offset_hours > 23 || offset_minutes > 59) return false;
    offset_seconds = sign * (offset_hours * 3600 + offset_minutes * 60);
  }
  if (!text.empty() || year == 0) return false;
  const absl::CivilSecond civil(year, month, day, hour, minute, second);
  // A date that does not exist was moved by CivilSecond.
  if (civil.month() != month || civil.day() != day || civil.hour() != hour || civil.minute() != minute ||
      civil.second() != second)
    return false;
  const int64_t seconds = (civil - absl::CivilSecond(1970)) - offset_seconds;
  if (seconds < kMinTimestampSeconds || seconds > kMaxTimestampSeconds) return false;
  value = {seconds, nanos / 1000 * 1000};
  return true;
}

void AppendTimestamp(SecondsAndNanos value, std::string& out) {
  // What is out of range is a defect of its writer; still print something of the right form.
  if (value.seconds < kMinTimestampSeconds) value = {kMinTimestampSeconds, 0};
  if (value.seconds > kMaxTimestampSeconds) value = {kMaxTimestampSeconds, 0};
  if (value.nanos < 0 || value.nanos > 999'999'999) value.nanos = 0;
  const absl::CivilSecond civil = absl::CivilSecond(1970) + value.seconds;
  char buffer[64];
  const int length =
      std::snprintf(buffer, sizeof(buffer), "%04d-%02d-%02dT%02d:%02d:%02d", static_cast<int>(civil.year()),
                    civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second());
  out.append(buffer, static_cast<size_t>(length));
  const int32_t micros = value.nanos / 1000;
  if (micros != 0) AppendFraction(value.nanos, micros % 1000 == 0 ? 3 : 6, out);
  out += 'Z';
}

bool ParseDuration(std::string_view text, SecondsAndNanos& value) {
  if (text.size() < 2 || text.back() != 's') return false;
  text.remove_suffix(1);
  const bool negative = Take(text, '-');
  if (text.empty() || !IsDigit(text.front())) return false;
  int64_t seconds = 0;
  for (; !text.empty() && IsDigit(text.front()); text.remove_prefix(1)) {
    seconds = seconds * 10 + (text.front() - '0');
    if (seconds > kMaxDurationSeconds) return false;
  }
  int32_t nanos = 0;
  if (!TakeFraction(text, nanos) || !text.empty()) return false;
  value = negative ? SecondsAndNanos{-seconds, -nanos} : SecondsAndNanos{seconds, nanos};
  return true;
}

void AppendDuration(SecondsAndNanos value, std::string& out) {
  if (value.seconds < 0 || value.nanos < 0) out += '-';
  const uint64_t seconds =
      value.seconds < 0 ? ~static_cast<uint64_t>(value.seconds) + 1 : static_cast<uint64_t>(value.seconds);
  out += std::to_string(seconds);
  int64_t nanos = value.nanos < 0 ? -static_cast<int64_t>(value.nanos) : value.nanos;
  if (nanos > 999'999'999) nanos = 0;
  if (nanos != 0)
    AppendFraction(static_cast<int32_t>(nanos), nanos % 1'000'000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9, out);
  out += 's';
}

}  // namespace vigil
