// The gRPC surface of intake: who calls and with what, out of the metadata that the gateway vouches for; everything else is Intake's.
#pragma once

#include <memory>

namespace grpc {
class Service;
}  // namespace grpc

namespace vigil::intake {

class Intake;

// The service to register; `intake` outlives it. Only the gateway and the operator's command line may call.
std::unique_ptr<grpc::Service> MakeHandler(Intake* intake);

}  // namespace vigil::intake
