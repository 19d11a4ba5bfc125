// The gRPC surface: what the gateway passes on from providers.
#pragma once

#include "notification/notification.h"
#include "vigil/notification/v1/notification.grpc.pb.h"

namespace vigil::notification {

// Thread-safe. `notification` outlives it.
class Handler final : public v1::NotificationService::CallbackService {
 public:
  explicit Handler(Notification* notification) : notification_(notification) {}

  grpc::ServerUnaryReactor* ReceiveCallback(grpc::CallbackServerContext* context, const v1::ReceiveCallbackRequest* request,
                                            v1::ReceiveCallbackResponse* response) override;

 private:
  Notification* const notification_;
};

}  // namespace vigil::notification
