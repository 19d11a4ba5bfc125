// The one table of codes: absl::Status, gRPC, HTTP. A Problem (problem.h) goes along in the details, in the form of google.rpc.Status.
#pragma once

#include "absl/status/status.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace vigil::rpc {

// The message goes to the caller as it is, except for Internal, Unknown and DataLoss, whose text may say how we are built: "internal error".
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

// 200 for ok; what the caller should understand by it otherwise (400, 401, 403, 404, 409, 429, 499, 500, 501, 503, 504).
int HttpStatus(absl::StatusCode code);

}  // namespace vigil::rpc
