// The gRPC surface: what the gateway passes on from providers.
#pragma once

#include "notification/break_glass/ringer.h"
#include "notification/notification.h"
#include "vigil/notification/v1/notification.grpc.pb.h"

namespace vigil::notification {

// Thread-safe. `notification` outlives it.
class Handler final : public v1::NotificationService::CallbackService {
 public:
  // `ringer` outlives it too.
  Handler(Notification* notification, break_glass::Ringer* ringer) : notification_(notification), ringer_(ringer) {}

  grpc::ServerUnaryReactor* ReceiveCallback(grpc::CallbackServerContext* context, const v1::ReceiveCallbackRequest* request,
                                            v1::ReceiveCallbackResponse* response) override;
  // From intake, when it has seen no call in time. Needs neither the log nor the machine's loop.
  grpc::ServerUnaryReactor* RingBreakGlass(grpc::CallbackServerContext* context, const v1::RingBreakGlassRequest* request,
                                           v1::RingBreakGlassResponse* response) override;

 private:
  Notification* const notification_;
  break_glass::Ringer* const ringer_;
};

}  // namespace vigil::notification
