#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/edge.h"
#include "platform/clock/clock.h"
#include "platform/config/service_options.h"
#include "platform/http/server.h"
#include "platform/metrics/metrics.h"
#include "platform/rpc/server.h"

namespace vigil::gateway {

// The settings that the gateway takes, some only because every service's file has them.
config::AcceptedOptions AcceptedOptions();

// The gateway, whole: what is between its sockets and the other services. Thread-safe once started.
class App {
 public:
  // NotFound, InvalidArgument or FailedPrecondition: a file, key or setting that is not good; Unavailable: a port
  // cannot be taken. It does not wait for the services behind it. `clock` (real time matters only) must outlive it.
  static absl::StatusOr<std::unique_ptr<App>> Start(const config::ServiceOptions& options, const Clock& clock);
  // Ends streams, gives running requests their grace, then stops.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  std::uint16_t http_port() const { return http_->port(); }
  int grpc_port() const { return grpc_->port(); }
  std::uint16_t metrics_port() const { return metrics_http_->port(); }

 private:
  explicit App(const Clock& clock);
  absl::Status Open(const config::ServiceOptions& options);
  absl::Status OpenRoutes();
  absl::Status OpenUpstreams(const config::ServiceOptions& options);
  absl::Status OpenSockets(const config::ServiceOptions& options);

  const Clock& clock_;
  metrics::Registry registry_;
  std::unique_ptr<RouteTable> table_;
  Transcoder transcoder_;
  std::unique_ptr<EdgeMetrics> metrics_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<Permissions> permissions_;
  std::vector<std::unique_ptr<Upstream>> callers_;  // intake, audit, notification
  std::unique_ptr<EventStreams> events_;
  std::unique_ptr<document::ProcessPrinter> printer_;
  std::unique_ptr<Edge> edge_;
  std::unique_ptr<rpc::Server> grpc_;
  std::unique_ptr<HttpServer> metrics_http_;  // metrics::Exposer takes two seconds to stop
  std::unique_ptr<HttpServer> http_;
};

}  // namespace vigil::gateway
