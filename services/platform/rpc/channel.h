// Channels to other services: mutual TLS, quick reconnection, limits.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/rpc/limits.h"
#include "platform/rpc/tls.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace vigil::rpc {

struct ChannelOptions {
  std::string address;  // host:port
  TlsFiles tls;
  // The name that must be in the server's certificate; empty: the address's host.
  std::string server_name;
  // No call takes longer, whatever its context says: a forgotten deadline is not for ever.
  absl::Duration longest_call = kDefaultDeadline;
  // Except these, which may stay open without end: "vigil.audit.v1.AuditService/Follow".
  std::vector<std::string> endless_methods;
  int max_message_bytes = kMaxMessageBytes;
};

// It connects when first used and again whenever needed; a call while it is not connected fails at once with Unavailable (unless it asks to
// wait). Errors as ReadTls.
//
// The last reference to the channel, and those in ClientContexts count, must not be dropped on one of gRPC's threads (in a callback): gRPC 1.51
// then joins that thread from itself and aborts. Keep one where the process stops it, after its calls have ended. GenericCaller sees to its own.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options);

// Asks grpc.health.v1.Health: true if `component` ("" for the whole) serves. NotFound: no such component. Blocks up to `deadline`.
absl::StatusOr<bool> ReadHealth(const std::shared_ptr<grpc::Channel>& channel, std::string_view component, absl::Duration deadline);

}  // namespace vigil::rpc
