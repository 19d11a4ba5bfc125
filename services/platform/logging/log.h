// Log lines: one JSON object a line on standard output: time (real, RFC 3339 UTC), level, service, message, then the fields.
//
//   log::Info("report accepted", {{"partition", 3}, {"file", log::Id(file_id)}, {"took", duration}});
//
// Nothing about a person may get into a line, so what can be a value is a closed set, and a message is a literal: a std::string is neither,
// and a Secret<T> does not compile. Every function may be called from any thread, at any time, also before Configure.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vigil::log {

enum class Level { kDebug, kInfo, kWarn, kError };

inline constexpr std::size_t kMaxIdBytes = 256;

// Text that is known when the program is compiled.
class Literal {
 public:
  template <std::size_t size>
  consteval Literal(const char (&text)[size]) : text_(text, size - 1) {}  // NOLINT(google-explicit-constructor)
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

// An opaque id, a code of the pack, an address, a file's path: printable ASCII without spaces, at most kMaxIdBytes. Anything else is written
// as "(not an id)", so that a name or a narrative given here by mistake in any but the plainest form does not get through.
struct Id {
  explicit Id(std::string_view id_text) : text(id_text) {}
  std::string_view text;
};

// Booleans, numbers, spans (in seconds), instants, literals, ids, and a Status (code and message: our messages name fields, never what is in
// them).
class Value {
 public:
  // A template, so that a pointer does not become a boolean.
  template <std::same_as<bool> T>
  Value(T value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  template <std::signed_integral T>
  Value(T value) : value_(static_cast<std::int64_t>(value)) {}  // NOLINT(google-explicit-constructor)
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Value(T value) : value_(static_cast<std::uint64_t>(value)) {}  // NOLINT(google-explicit-constructor)
  Value(double value) : value_(value) {}                         // NOLINT(google-explicit-constructor)
  Value(absl::Duration value) : value_(value) {}                 // NOLINT(google-explicit-constructor)
  Value(absl::Time value) : value_(value) {}                     // NOLINT(google-explicit-constructor)
  Value(Id value) : value_(value) {}                             // NOLINT(google-explicit-constructor)
  Value(const absl::Status& value) : value_(&value) {}           // NOLINT(google-explicit-constructor)
  template <std::size_t size>
  consteval Value(const char (&text)[size]) : value_(Literal(text)) {}  // NOLINT(google-explicit-constructor)

  using Variant = std::variant<bool, std::int64_t, std::uint64_t, double, absl::Duration, absl::Time, Literal, Id, const absl::Status*>;
  const Variant& variant() const { return value_; }

 private:
  Variant value_;
};

struct Field {
  Literal key;
  Value value;
};
using Fields = std::initializer_list<Field>;

// Which lines are written, and the service's name in each. Before it is called: info and above, service "".
void Configure(std::string_view service, Level level);

// "debug", "info", "warn", "error"; InvalidArgument for anything else.
absl::Status ParseLevel(std::string_view text, Level* level);

void Write(Level level, Literal message, Fields fields);

inline void Debug(Literal message, Fields fields = {}) { Write(Level::kDebug, message, fields); }
inline void Info(Literal message, Fields fields = {}) { Write(Level::kInfo, message, fields); }
inline void Warn(Literal message, Fields fields = {}) { Write(Level::kWarn, message, fields); }
inline void Error(Literal message, Fields fields = {}) { Write(Level::kError, message, fields); }

// Tests: while one exists, lines go to `sink` (without the newline, one at a time) instead of standard output. One at a time.
class CaptureForTest {
 public:
  explicit CaptureForTest(std::function<void(std::string_view line)> sink);
  ~CaptureForTest();
  CaptureForTest(const CaptureForTest&) = delete;
  CaptureForTest& operator=(const CaptureForTest&) = delete;
};

// The line that Write would write, without the newline.
std::string FormatLine(absl::Time real_time, Level level, std::string_view service, Literal message, Fields fields);

}  // namespace vigil::log
