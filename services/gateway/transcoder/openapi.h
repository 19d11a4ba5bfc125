#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/transcoder/message_plan.h"
#include "gateway/transcoder/route_table.h"

namespace vigil {

// The OpenAPI 3.1 document of all routes, as JSON: paths, parameters, bodies, answers, errors and the bearer token.
//
// `descriptor_set` is a serialized google.protobuf.FileDescriptorSet with imports and source info (protoc's
// --include_imports and --include_source_info): the comments in the protos become descriptions. Empty: there are only
// the routes' summaries. `other_paths` is a JSON object, put under "paths", of what is no method of a service.
// InvalidArgument if either is not what it should be. `plans` must have been made ready for the table.
absl::StatusOr<std::string> OpenApiJson(const RouteTable& table, const MessagePlans& plans,
                                        std::string_view descriptor_set, std::string_view version,
                                        std::string_view other_paths = "{}");

}  // namespace vigil
