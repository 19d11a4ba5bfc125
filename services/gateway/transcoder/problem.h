#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gateway/transcoder/field_error.h"

namespace vigil {

// An error answer of the HTTP edge (RFC 9457, application/problem+json).
struct Problem {
  int status = 500;
  std::string detail;                         // For the caller, in plain words; empty: left out.
  std::vector<FieldError> errors;             // 400
  std::string state;                          // 409: where the thing stands; empty: left out.
  std::vector<std::string> allowed;           // 409: what may be done from there.
  std::optional<absl::Duration> retry_after;  // 429 and 503.
};

// The one table of statuses: InvalidArgument 400, Unauthenticated 401, PermissionDenied 403, NotFound 404,
// FailedPrecondition, Aborted and AlreadyExists 409, ResourceExhausted 429, Unavailable and DeadlineExceeded 503, all
// else 500.
int HttpStatusOf(absl::StatusCode code);

// What a refused command says, with what platform/rpc attached to the status. A 500 says nothing of what happened
// inside; 429 and 503 always carry a retry_after.
Problem ProblemFromStatus(const absl::Status& status);

// The body.
std::string ProblemJson(const Problem& problem);

// The answer with Content-Type and Retry-After (whole seconds, rounded up).
HttpResponse ToResponse(const Problem& problem);

}  // namespace vigil
