#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/transcoder/message_plan.h"
#include "gateway/transcoder/route_table.h"

namespace vigil {

// The OpenAPI 3.1 document of all routes, as JSON: paths, parameters, bodies, answers, errors and the bearer token.
//
// `descriptor_set` is a serialized google.protobuf.FileDescriptorSet with imports and source info (protoc
// --include_imports
// --include_source_info): the comments in the protos become descriptions. Empty: there are only the routes' summaries.
// InvalidArgument if it is not such a set. `plans` must have been made ready for the table.
absl::StatusOr<std::string> OpenApiJson(const RouteTable& table, const MessagePlans& plans,
                                        std::string_view descriptor_set, std::string_view version);

}  // namespace vigil
