#include "platform/rpc/status.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"
#include "platform/rpc/problem.h"
#include "platform/rpc/reply.h"
#include "vigil/api/v1/problem.pb.h"

namespace vigil::rpc {
namespace {

struct Row {
  absl::StatusCode code;
  grpc::StatusCode grpc_code;
  int http;
};

constexpr std::array<Row, 17> kTable = {{
    {absl::StatusCode::kOk, grpc::StatusCode::OK, 200},
    {absl::StatusCode::kCancelled, grpc::StatusCode::CANCELLED, 499},
    {absl::StatusCode::kUnknown, grpc::StatusCode::UNKNOWN, 500},
    {absl::StatusCode::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT, 400},
    {absl::StatusCode::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED, 504},
    {absl::StatusCode::kNotFound, grpc::StatusCode::NOT_FOUND, 404},
    {absl::StatusCode::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS, 409},
    {absl::StatusCode::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED, 403},
    {absl::StatusCode::kResourceExhausted, grpc::StatusCode::RESOURCE_EXHAUSTED, 429},
    {absl::StatusCode::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION, 409},
    {absl::StatusCode::kAborted, grpc::StatusCode::ABORTED, 409},
    {absl::StatusCode::kOutOfRange, grpc::StatusCode::OUT_OF_RANGE, 400},
    {absl::StatusCode::kUnimplemented, grpc::StatusCode::UNIMPLEMENTED, 501},
    {absl::StatusCode::kInternal, grpc::StatusCode::INTERNAL, 500},
    {absl::StatusCode::kUnavailable, grpc::StatusCode::UNAVAILABLE, 503},
    {absl::StatusCode::kDataLoss, grpc::StatusCode::DATA_LOSS, 500},
    {absl::StatusCode::kUnauthenticated, grpc::StatusCode::UNAUTHENTICATED, 401},
}};

constexpr std::size_t kMaxMessageTextBytes = 512;

const Row& RowOf(absl::StatusCode code) {
  const auto found = std::find_if(kTable.begin(), kTable.end(), [code](const Row& row) { return row.code == code; });
  return found == kTable.end() ? kTable[2] : *found;
}

bool TellsHowWeAreBuilt(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown || code == absl::StatusCode::kDataLoss;
}

// At most `limit` bytes, without cutting a character of UTF-8.
std::string Cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return std::string(text.substr(0, limit));
}

absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const Row& row = RowOf(status.code());
  const std::string message =
      TellsHowWeAreBuilt(status.code()) ? "internal error" : Cut({status.message().data(), status.message().size()}, kMaxMessageTextBytes);
  const absl::optional<absl::Cord> payload = status.GetPayload(kProblemTypeUrl);
  if (!payload) return {row.grpc_code, message};
  api::v1::StatusDetails details;
  details.set_code(row.grpc_code);
  details.set_message(message);
  google::protobuf::Any* any = details.add_details();
  any->set_type_url(kProblemTypeUrl);
  any->set_value(std::string(*payload));
  return {row.grpc_code, message, details.SerializeAsString()};
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto found = std::find_if(kTable.begin(), kTable.end(), [&](const Row& row) { return row.grpc_code == status.error_code(); });
  absl::Status result(found == kTable.end() ? absl::StatusCode::kUnknown : found->code, status.error_message());
  api::v1::StatusDetails details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& any : details.details()) {
      if (any.type_url() == kProblemTypeUrl) result.SetPayload(kProblemTypeUrl, absl::Cord(any.value()));
    }
  }
  return result;
}

int HttpStatus(absl::StatusCode code) { return RowOf(code).http; }

void AttachProblem(absl::Status& status, const Problem& problem) {
  if (status.ok()) return;
  api::v1::Problem message;
  for (const FieldError& error : problem.errors) {
    if (message.errors_size() == kMaxFieldErrors) break;
    api::v1::FieldError* added = message.add_errors();
    added->set_field(Cut(error.field, kMaxProblemTextBytes));
    added->set_reason(Cut(error.reason, kMaxProblemTextBytes));
  }
  message.set_state(Cut(problem.state, kMaxProblemTextBytes));
  for (const std::string& allowed : problem.allowed) {
    if (message.allowed_size() == kMaxAllowed) break;
    message.add_allowed(Cut(allowed, kMaxProblemTextBytes));
  }
  if (problem.retry_after) {
    const std::int64_t nanoseconds = absl::ToInt64Nanoseconds(std::max(*problem.retry_after, absl::ZeroDuration()));
    message.mutable_retry_after()->set_seconds(nanoseconds / 1'000'000'000);
    message.mutable_retry_after()->set_nanos(static_cast<std::int32_t>(nanoseconds % 1'000'000'000));
  }
  status.SetPayload(kProblemTypeUrl, absl::Cord(message.SerializeAsString()));
}

std::optional<Problem> ReadProblem(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kProblemTypeUrl);
  api::v1::Problem message;
  if (!payload || !message.ParseFromString(std::string(*payload))) return std::nullopt;
  Problem problem;
  for (const api::v1::FieldError& error : message.errors()) problem.errors.push_back({error.field(), error.reason()});
  problem.state = message.state();
  problem.allowed.assign(message.allowed().begin(), message.allowed().end());
  if (message.has_retry_after()) {
    problem.retry_after = absl::Seconds(message.retry_after().seconds()) + absl::Nanoseconds(message.retry_after().nanos());
  }
  return problem;
}

absl::Status InvalidFields(std::vector<FieldError> errors) {
  absl::Status status = absl::InvalidArgumentError("the request is not valid");
  AttachProblem(status, Problem{.errors = std::move(errors)});
  return status;
}

absl::Status InvalidField(std::string_view field, std::string_view reason) {
  return InvalidFields({{std::string(field), std::string(reason)}});
}

absl::Status NotInState(std::string_view message, std::string_view state, std::vector<std::string> allowed) {
  absl::Status status = absl::FailedPreconditionError(AbslView(message));
  AttachProblem(status, Problem{.state = std::string(state), .allowed = std::move(allowed)});
  return status;
}

absl::Status UnavailableFor(std::string_view message, absl::Duration retry_after) {
  absl::Status status = absl::UnavailableError(AbslView(message));
  AttachProblem(status, Problem{.retry_after = retry_after});
  return status;
}

absl::Status TooMany(std::string_view message, absl::Duration retry_after) {
  absl::Status status = absl::ResourceExhaustedError(AbslView(message));
  AttachProblem(status, Problem{.retry_after = retry_after});
  return status;
}

std::string PeerService(const grpc::ServerContextBase& context) {
  const auto authentication = context.auth_context();
  if (authentication == nullptr || !authentication->IsPeerAuthenticated()) return "";
  const std::vector<grpc::string_ref> names = authentication->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  // More than one common name is no service of ours.
  return names.size() == 1 ? std::string(names[0].data(), names[0].size()) : "";
}

absl::Status RequirePeer(const grpc::ServerContextBase& context, std::initializer_list<std::string_view> allowed) {
  const std::string peer = PeerService(context);
  if (!peer.empty() && std::find(allowed.begin(), allowed.end(), std::string_view(peer)) != allowed.end()) return absl::OkStatus();
  return absl::PermissionDeniedError("this service may not call this method");
}

std::string Metadata(const grpc::ServerContextBase& context, std::string_view key) {
  const auto& all = context.client_metadata();
  const auto found = all.find(grpc::string_ref(key.data(), key.size()));
  return found == all.end() ? "" : std::string(found->second.data(), found->second.size());
}

absl::Time Deadline(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture() : absl::FromChrono(deadline);
}

}  // namespace vigil::rpc
