// For handlers (callback API). Includes gRPC: only handlers do.
//
//   grpc::ServerUnaryReactor* Handler::Take(grpc::CallbackServerContext* context, const TakeRequest* request, TakeResponse* response) {
//     if (auto allowed = rpc::RequirePeer(*context, {"gateway", "vigil"}); !allowed.ok()) return rpc::ReplyNow(context, allowed);
//     auto* reactor = context->DefaultReactor();
//     machine_.Decide(…, [=](absl::StatusOr<Taken> taken) { *response = …; rpc::Reply(reactor, taken.status()); });
//     return reactor;
//   }
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "platform/rpc/status.h"

namespace vigil::rpc {

// Ends the call, once, from any thread. What the response points to must be complete before.
template <typename Reactor>
void Reply(Reactor* reactor, const absl::Status& status) {
  reactor->Finish(ToGrpcStatus(status));
}

inline grpc::ServerUnaryReactor* ReplyNow(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Reply(reactor, status);
  return reactor;
}

// The common name in the verified certificate of whoever calls: a service's name. Empty: none (never so behind Server).
std::string PeerService(const grpc::ServerContextBase& context);

// PermissionDenied unless the peer is one of `allowed`.
absl::Status RequirePeer(const grpc::ServerContextBase& context, std::initializer_list<std::string_view> allowed);

// The first value of a request's metadata `key` (lower case), or empty.
std::string Metadata(const grpc::ServerContextBase& context, std::string_view key);

// When the caller gives up, as real time; InfiniteFuture if it never does.
absl::Time Deadline(const grpc::ServerContextBase& context);

}  // namespace vigil::rpc
