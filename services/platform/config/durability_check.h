#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace vigil::config {

// Whether what the broker acknowledges is on disk: `log_store_directory` must carry the synchronous attribute (chattr +S), which new files in it
// inherit; nats-server has no such option of its own.
// FailedPrecondition: it does not, or its file system has no such attribute. NotFound: no such directory. Ok at once where `not_durable`.
absl::Status CheckDurable(std::string_view log_store_directory, bool not_durable);

}  // namespace vigil::config
