#include "vigil/command_runner.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "platform/http/url.h"
#include "vigil/display.h"
#include "vigil/event_stream.h"

namespace vigil {
namespace {

using nlohmann::json;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }
void Complain(std::string_view text) {
  std::fputs("vigil: ", stderr);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void PrintJson(std::string_view body) {
  Print(body);
  if (!body.ends_with('\n')) Print("\n");
}

ExitCode Unreachable(const absl::Status& status, const Connection& connection) {
  Complain(absl::StrCat(View(Words{"连不上 ", "cannot reach "}.In(connection.language)), connection.url, ": ", status.message(), "\n"));
  return kExitUnreachable;
}

bool AsksForNow(const CommandRow& row, const CommandInput& input) {
  return std::any_of(row.options.begin(), row.options.end(), [&](const OptionRow& option) {
    const auto given = input.values.find(option.option);
    return option.kind == ValueKind::kTime && given != input.values.end() && !given->second.empty() && given->second.front() == "now";
  });
}

// Readable by its owner alone: it is about a child.
ExitCode WriteFile(std::string_view bytes, const RunOptions& options) {
  if (options.output == "-") {
    Print(bytes);
    return std::fflush(stdout) == 0 ? kExitDone : kExitRefused;
  }
  const int file = open(options.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::string_view rest = bytes;
  while (file >= 0 && !rest.empty()) {
    const ssize_t count = write(file, rest.data(), rest.size());
    if (count <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  if (file < 0 || close(file) != 0 || !rest.empty()) {
    Complain(absl::StrCat(View(Words{"写不了 ", "cannot write "}.In(options.connection.language)), options.output, "\n"));
    return kExitRefused;
  }
  Print(options.json ? json{{"file", options.output}, {"bytes", bytes.size()}}.dump() + "\n" : absl::StrCat(options.output, "  ", bytes.size(), " B\n"));
  return kExitDone;
}

volatile std::sig_atomic_t g_interrupted = 0;

}  // namespace

absl::StatusOr<absl::Time> DomainNow(const Connection& connection) {
  absl::StatusOr<HttpResponse> answer = Call(connection, {.path = "/api/v1/clock"});
  if (!answer.ok()) return answer.status();
  const json clock = json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  absl::Time now;
  std::string error;
  if (!clock.is_object() || !clock.contains("now_time") || !clock["now_time"].is_string() ||
      !absl::ParseTime(absl::RFC3339_full, clock["now_time"].get<std::string>(), &now, &error)) {
    return absl::UnavailableError("the gateway did not say what time it is");
  }
  return now;
}

ExitCode PrintAnswer(const absl::StatusOr<HttpResponse>& answer, Answer shown, const RunOptions& options) {
  if (!answer.ok()) return Unreachable(answer.status(), options.connection);
  if (answer->status / 100 != 2) {
    if (options.json) PrintJson(answer->body);
    Complain(DisplayProblem(answer->status, answer->body, options.connection.language));
    return kExitRefused;
  }
  if (options.json) {
    PrintJson(answer->body);
  } else {
    Print(Display(shown, answer->body, options.connection.language));
  }
  return kExitDone;
}

ExitCode RunCommand(const CommandRow& row, const CommandInput& input, const RunOptions& options) {
  absl::Time now = absl::InfinitePast();
  if (AsksForNow(row, input)) {
    absl::StatusOr<absl::Time> domain_now = DomainNow(options.connection);
    if (!domain_now.ok()) return Unreachable(domain_now.status(), options.connection);
    now = *domain_now;
  }
  absl::StatusOr<ApiRequest> request = BuildRequest(row, input, now);
  if (!request.ok()) {
    Complain(absl::StrCat(request.status().message(), "\n"));
    return kExitWrongUsage;
  }
  request->if_match = options.if_match;
  if (request->method == "POST") request->idempotency_key = options.idempotency_key.empty() ? RandomKey() : options.idempotency_key;
  const absl::StatusOr<HttpResponse> answer = Call(options.connection, *request);
  if (options.only_code && answer.ok() && answer->status / 100 == 2) {
    const json custody = json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
    const std::string code = custody.is_object() ? custody.value("code", "") : "";
    if (code.empty()) {
      Complain(std::string(Words{"没有口令：没有特别监护，或此令牌不可查看\n", "no code: no special supervision, or this token may not see it\n"}.In(
          options.connection.language)));
      return kExitRefused;
    }
    Print(options.json ? json{{"code", code}}.dump() + "\n" : code + "\n");
    return kExitDone;
  }
  if (row.answer == Answer::kFile && answer.ok() && answer->status / 100 == 2) return WriteFile(answer->body, options);
  return PrintAnswer(answer, row.answer, options);
}

ExitCode RunClock(double speed, const RunOptions& options) {
  ApiRequest request{.path = "/api/v1/clock"};
  if (speed > 0) {
    request.method = "PUT";
    request.body = json{{"speed", speed}}.dump();
  }
  return PrintAnswer(Call(options.connection, request), Answer::kClock, options);
}

ExitCode RunTail(const std::string& school, const std::string& after, const RunOptions& options) {
  std::signal(SIGINT, [](int) { g_interrupted = 1; });
  std::signal(SIGTERM, [](int) { g_interrupted = 1; });
  std::signal(SIGPIPE, SIG_IGN);
  const auto show = [&](std::string_view, std::string_view data) {
    Print(options.json ? std::string(data) : DisplayRow(data, options.connection.language));
    Print("\n");
    return std::fflush(stdout) == 0;
  };
  const absl::Status status =
      FollowEvents(options.connection, {.school = school, .after = after}, show, [] { return g_interrupted == 0; });
  if (status.ok()) return kExitDone;
  if (!absl::IsPermissionDenied(status)) return Unreachable(status, options.connection);
  Complain(std::string(status.message()));
  return kExitRefused;
}

ExitCode RunAttach(const std::string& school, const std::string& path, const RunOptions& options) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  if (!file || !(content << file.rdbuf())) {
    Complain(absl::StrCat(View(Words{"读不了 ", "cannot read "}.In(options.connection.language)), path, "\n"));
    return kExitWrongUsage;
  }
  ApiRequest request{.method = "POST", .path = "/api/v1/schools/" + PercentEncode(school) + "/attachments"};
  request.body = content.str();
  const auto begins = [&](std::string_view magic) { return std::string_view(request.body).starts_with(magic); };
  request.content_type = begins("%PDF") ? "application/pdf" : begins("\x89PNG") ? "image/png" : begins("\xff\xd8") ? "image/jpeg" : "application/octet-stream";
  request.idempotency_key = options.idempotency_key;
  return PrintAnswer(Call(options.connection, request), Answer::kPlain, options);
}

}  // namespace vigil
