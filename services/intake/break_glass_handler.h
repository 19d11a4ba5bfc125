// The gRPC surface of break-glass: what the gateway passes on from providers.
#pragma once

#include "intake/break_glass.h"
#include "vigil/intake/v1/break_glass.grpc.pb.h"

namespace vigil::intake {

// Thread-safe. `break_glass` outlives it.
class BreakGlassHandler final : public v1::BreakGlassService::CallbackService {
 public:
  explicit BreakGlassHandler(BreakGlass* break_glass) : break_glass_(break_glass) {}

  grpc::ServerUnaryReactor* ReceiveCallback(grpc::CallbackServerContext* context, const v1::ReceiveBreakGlassCallbackRequest* request,
                                            v1::ReceiveBreakGlassCallbackResponse* response) override;

 private:
  BreakGlass* const break_glass_;
};

}  // namespace vigil::intake
