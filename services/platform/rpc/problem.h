// What an error says beside its code and message, carried as a payload of absl::Status, across gRPC too.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vigil::rpc {

// The payload is a serialized vigil.api.v1.Problem under this type URL.
inline constexpr char kProblemTypeUrl[] = "type.googleapis.com/vigil.api.v1.Problem";

// Limits on what is carried, so that a status's details fit into the 8 KB of metadata. What is over is cut.
inline constexpr int kMaxFieldErrors = 20;
inline constexpr int kMaxAllowed = 40;
inline constexpr std::size_t kMaxProblemTextBytes = 120;

struct FieldError {
  std::string field;   // path, as the caller wrote it: "student.id"
  std::string reason;  // repeats nothing of what was sent
};

struct Problem {
  std::vector<FieldError> errors;
  std::string state;                          // in which a command was refused
  std::vector<std::string> allowed;           // what that state allows
  std::optional<absl::Duration> retry_after;  // absent: asking again does not help
};

// Replaces the problem that `status` carries. Nothing on an ok status.
void AttachProblem(absl::Status& status, const Problem& problem);

// nullopt: it carries none, or a damaged one.
std::optional<Problem> ReadProblem(const absl::Status& status);

// InvalidArgument (HTTP 400) with the fields at fault.
absl::Status InvalidFields(std::vector<FieldError> errors);
absl::Status InvalidField(std::string_view field, std::string_view reason);

// FailedPrecondition (HTTP 409): the state does not allow it.
absl::Status NotInState(std::string_view message, std::string_view state, std::vector<std::string> allowed);

// Unavailable (503) and ResourceExhausted (429), both with retry_after.
absl::Status UnavailableFor(std::string_view message, absl::Duration retry_after);
absl::Status TooMany(std::string_view message, absl::Duration retry_after);

}  // namespace vigil::rpc
