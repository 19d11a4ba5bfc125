#include "intake/break_glass_handler.h"

#include "platform/rpc/reply.h"

namespace vigil::intake {

grpc::ServerUnaryReactor* BreakGlassHandler::ReceiveCallback(grpc::CallbackServerContext* context,
                                                             const v1::ReceiveBreakGlassCallbackRequest* request,
                                                             v1::ReceiveBreakGlassCallbackResponse* /*response*/) {
  if (const absl::Status allowed = rpc::RequirePeer(*context, {"gateway"}); !allowed.ok()) return rpc::ReplyNow(context, allowed);
  return rpc::ReplyNow(context, break_glass_->ReceiveCallback(request->body()));
}

}  // namespace vigil::intake
