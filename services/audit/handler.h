#pragma once

#include <memory>

namespace grpc {
class Service;
}  // namespace grpc

namespace vigil::audit {

class Audit;

// AuditService over gRPC, for the gateway and the operators' command line. `audit` outlives it.
std::unique_ptr<grpc::Service> MakeHandler(Audit* audit);

}  // namespace vigil::audit
