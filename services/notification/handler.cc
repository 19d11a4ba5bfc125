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

}  // namespace vigil::notification
