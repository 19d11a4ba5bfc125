#include "gateway/transcoder/problem.h"

#include <algorithm>
#include <utility>

#include "gateway/transcoder/json_document.h"
#include "platform/rpc/problem.h"

namespace vigil {

namespace {

constexpr absl::Duration kDefaultRetryAfter = absl::Seconds(1);

int64_t WholeSeconds(absl::Duration duration) {
  return std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1))));
}

// A status made far away may hold any bytes.
void AppendText(std::string_view text, std::string& out) { AppendJsonString(IsUtf8(text) ? text : "(not text)", out); }

}  // namespace

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return 503;
    default:
      return 500;
  }
}

Problem ProblemFromStatus(const absl::Status& status) {
  Problem problem;
  problem.status = HttpStatusOf(status.code());
  if (problem.status == 500) return problem;
  problem.detail = std::string(status.message());
  if (problem.status == 429 || problem.status == 503) problem.retry_after = kDefaultRetryAfter;
  if (std::optional<rpc::Problem> attached = rpc::ReadProblem(status); attached.has_value()) {
    for (rpc::FieldError& error : attached->errors)
      problem.errors.push_back({std::move(error.field), std::move(error.reason)});
    problem.state = std::move(attached->state);
    problem.allowed = std::move(attached->allowed);
    if (attached->retry_after.has_value()) problem.retry_after = attached->retry_after;
  }
  return problem;
}

std::string ProblemJson(const Problem& problem) {
  std::string json = R"({"type":"about:blank","title":)";
  AppendText(HttpReason(problem.status), json);
  json += ",\"status\":";
  json += std::to_string(problem.status);
  if (!problem.detail.empty()) {
    json += ",\"detail\":";
    AppendText(problem.detail, json);
  }
  if (!problem.errors.empty()) {
    json += ",\"errors\":[";
    for (size_t i = 0; i < problem.errors.size(); ++i) {
      json += i == 0 ? "{\"field\":" : ",{\"field\":";
      AppendText(problem.errors[i].field, json);
      json += ",\"reason\":";
      AppendText(problem.errors[i].reason, json);
      json += '}';
    }
    json += ']';
  }
  // A conflict always says both, so that a client need not ask whether they are there.
  if (problem.status == 409) {
    json += ",\"state\":";
    AppendText(problem.state, json);
    json += ",\"allowed\":[";
    for (size_t i = 0; i < problem.allowed.size(); ++i) {
      if (i > 0) json += ',';
      AppendText(problem.allowed[i], json);
    }
    json += ']';
  }
  json += '}';
  return json;
}

HttpResponse ToResponse(const Problem& problem) {
  HttpResponse response;
  response.status = problem.status;
  response.headers.Add("Content-Type", "application/problem+json");
  if (problem.retry_after.has_value())
    response.headers.Add("Retry-After", std::to_string(WholeSeconds(*problem.retry_after)));
  if (problem.status == 401) response.headers.Add("WWW-Authenticate", "Bearer");
  response.body = ProblemJson(problem);
  return response;
}

}  // namespace vigil
