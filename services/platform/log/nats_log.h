#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform/log/log.h"
#include "platform/log/nats_client.h"

namespace vigil {

// The log on NATS JetStream. `source` is the last token of the subjects it may write; `options.request_timeout` bounds an append. Works from
// the first moment, also while the broker is away. Its user needs, beyond NatsClient's permissions: publish `vigil.*.<source>`,
// `$JS.API.STREAM.INFO.VIGIL-*` (each by name).
absl::StatusOr<std::unique_ptr<Log>> OpenNatsLog(NatsOptions options, std::string source);

}  // namespace vigil
