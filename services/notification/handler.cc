#include "notification/handler.h"

#include "platform/rpc/reply.h"

namespace vigil::notification {

grpc::ServerUnaryReactor* Handler::ReceiveCallback(grpc::CallbackServerContext* context, const v1::ReceiveCallbackRequest* request,
                                                   v1::ReceiveCallbackResponse* /*response*/) {
  if (const absl::Status allowed = rpc::RequirePeer(*context, {"gateway"}); !allowed.ok()) return rpc::ReplyNow(context, allowed);
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  notification_->ReceiveCallback(request->kind(), request->body(), [reactor](const absl::Status& status) { rpc::Reply(reactor, status); });
  return reactor;
}

grpc::ServerUnaryReactor* Handler::RingBreakGlass(grpc::CallbackServerContext* context, const v1::RingBreakGlassRequest* request,
                                                  v1::RingBreakGlassResponse* response) {
  if (const absl::Status allowed = rpc::RequirePeer(*context, {"intake"}); !allowed.ok()) return rpc::ReplyNow(context, allowed);
  break_glass::RingOrder order{.school = request->school(), .codes = {request->codes().begin(), request->codes().end()}, .calls = {}};
  for (const auto& call : request->calls()) order.calls.push_back({call.id(), call.person()});
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  ringer_->Ring(order, [reactor, response](const absl::StatusOr<std::vector<std::string>>& taken) {
    if (taken.ok()) response->mutable_taken()->Assign(taken->begin(), taken->end());
    rpc::Reply(reactor, taken.status());
  });
  return reactor;
}

}  // namespace vigil::notification
