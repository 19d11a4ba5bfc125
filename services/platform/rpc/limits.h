#pragma once

#include "absl/time/time.h"

namespace vigil::rpc {

// An attachment of 10 MiB and what is around it.
inline constexpr int kMaxMessageBytes = 11 * 1024 * 1024;
inline constexpr int kMaxMetadataBytes = 8 * 1024;

// How long any call may take, if it is not an endless stream.
inline constexpr absl::Duration kDefaultDeadline = absl::Seconds(10);

// A dead peer is noticed after an idle kKeepaliveInterval and kKeepaliveTimeout.
inline constexpr absl::Duration kKeepaliveInterval = absl::Seconds(10);
inline constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(3);

// A restarted peer is found again this soon.
inline constexpr absl::Duration kMaxReconnectBackoff = absl::Milliseconds(200);

}  // namespace vigil::rpc
