// A gRPC server: mutual TLS (a client without a certificate of our authority is not let in), health, reflection, keepalive, limits.
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
class Service;
}  // namespace grpc

namespace vigil::rpc {

struct ServerOptions {
  std::string listen;  // host:port; port 0 takes a free one
  TlsFiles tls;
  int max_message_bytes = kMaxMessageBytes;
  // What must be ready before the whole is: "log", "snapshot", … Each is also a name to ask health for; none is ready at first.
  std::vector<std::string> components;
};

// Thread-safe.
class Server {
 public:
  // `services` (callback API) outlive the server. InvalidArgument: the address; NotFound, FailedPrecondition: TLS files; Unavailable: it cannot be
  // listened on.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options, const std::vector<grpc::Service*>& services);
  // As Stop with a second's grace.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;

  // grpc.health.v1.Health says SERVING for "" only while every component is ready. A server without components is ready from the start. A component that was not declared ends the program (a defect).
  void SetReady(std::string_view component, bool ready);
  bool ready() const;
  std::vector<std::string> NotReady() const;

  // Health says NOT_SERVING, no new calls; running ones have `grace` to end and are then cancelled. Returns when all handlers have.
  void Stop(absl::Duration grace);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vigil::rpc
