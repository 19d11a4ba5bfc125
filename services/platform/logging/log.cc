#include "platform/logging/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace vigil::log {
namespace {

void AppendQuoted(std::string_view text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          char escaped[8];
          std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
          out += escaped;
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

void AppendTime(absl::Time time, std::string& out) {
  AppendQuoted(absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", time, absl::UTCTimeZone()), out);
}

void AppendNumber(double number, std::string& out) {
  if (std::isfinite(number)) {
    absl::StrAppend(&out, number);
  } else {
    out += "null";
  }
}

bool IsId(std::string_view text) {
  return text.size() <= kMaxIdBytes && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

struct AppendValue {
  std::string& out;
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(std::int64_t value) const { absl::StrAppend(&out, value); }
  void operator()(std::uint64_t value) const { absl::StrAppend(&out, value); }
  void operator()(double value) const { AppendNumber(value, out); }
  void operator()(absl::Duration value) const { AppendNumber(absl::ToDoubleSeconds(value), out); }
  void operator()(absl::Time value) const { AppendTime(value, out); }
  void operator()(Literal value) const { AppendQuoted(value.text(), out); }
  void operator()(Id value) const { AppendQuoted(IsId(value.text) ? value.text : "(not an id)", out); }
  void operator()(const absl::Status* value) const {
    const std::string text = value->ToString(absl::StatusToStringMode::kWithNoExtraData);
    AppendQuoted(text, out);
  }
};

std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarn: return "warn";
    case Level::kError: return "error";
  }
  return "error";
}

// A process has one standard output, so this one thing is the process's.
struct Output {
  std::atomic<Level> level{Level::kInfo};
  std::mutex mutex;
  std::string service;
  std::function<void(std::string_view)> capture;
  spdlog::logger logger{"vigil", std::make_shared<spdlog::sinks::stdout_sink_mt>()};

  Output() {
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
    logger.set_level(spdlog::level::trace);
    logger.flush_on(spdlog::level::trace);
    logger.set_error_handler([](const std::string&) {});
  }
};

Output& TheOutput() {
  // Never destroyed: threads may still write while the process ends.
  static Output& output = *new Output;
  return output;
}

}  // namespace

std::string FormatLine(absl::Time real_time, Level level, std::string_view service, Literal message, Fields fields) {
  std::string line = "{\"time\":";
  line.reserve(256);
  AppendTime(real_time, line);
  absl::StrAppend(&line, ",\"level\":\"", absl::string_view(Name(level).data(), Name(level).size()), "\",\"service\":");
  AppendQuoted(service, line);
  line += ",\"message\":";
  AppendQuoted(message.text(), line);
  for (const Field& field : fields) {
    line.push_back(',');
    AppendQuoted(field.key.text(), line);
    line.push_back(':');
    std::visit(AppendValue{line}, field.value.variant());
  }
  line.push_back('}');
  return line;
}

void Configure(std::string_view service, Level level) {
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  output.service = service;
  output.level = level;
}

absl::Status ParseLevel(std::string_view text, Level* level) {
  for (const Level candidate : {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError}) {
    if (Name(candidate) == text) {
      *level = candidate;
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError("a log level is one of debug, info, warn, error");
}

void Write(Level level, Literal message, Fields fields) {
  Output& output = TheOutput();
  if (level < output.level.load(std::memory_order_relaxed)) return;
  const absl::Time now = absl::Now();
  std::lock_guard lock(output.mutex);
  const std::string line = FormatLine(now, level, output.service, message, fields);
  if (output.capture) {
    output.capture(line);
  } else {
    output.logger.log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }
}

CaptureForTest::CaptureForTest(std::function<void(std::string_view line)> sink) {
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  output.capture = std::move(sink);
}

CaptureForTest::~CaptureForTest() {
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  output.capture = nullptr;
}

}  // namespace vigil::log
