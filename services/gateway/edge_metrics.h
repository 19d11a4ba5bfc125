#pragma once

#include <array>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "gateway/transcoder/route_table.h"
#include "platform/metrics/metrics.h"

namespace vigil::gateway {

inline constexpr metrics::HistogramMetric<2> kRequestSeconds{
    "vigil_http_request_seconds",
    "From a request being read to its answer being handed over.",
    {"verb", "route"},
    metrics::kLatencyBuckets};
inline constexpr metrics::CounterMetric<1> kResponses{"vigil_http_responses_total", "Answers, by status.", {"status"}};
inline constexpr metrics::GaugeMetric<0> kEventStreams{
    "vigil_http_event_streams", "Open streams of server-sent events.", {}};

// Handles taken once, so that a request takes no lock of the registry's. Thread-safe.
class EdgeMetrics {
 public:
  EdgeMetrics(metrics::Registry& registry, const RouteTable& table) {
    for (size_t i = 0; i < kStatuses.size(); ++i) {
      const std::string status = std::to_string(kStatuses[i]);
      responses_[i] = registry.Get(kResponses, {status});
    }
    other_ = registry.Get(kResponses, {"other"});
    for (const auto& route : table.routes()) {
      seconds_[route.get()] = registry.Get(kRequestSeconds, {HttpVerbName(route->verb), route->path});
    }
    event_streams_ = registry.Get(kEventStreams);
  }

  void Answered(int status) const {
    for (size_t i = 0; i < kStatuses.size(); ++i) {
      if (kStatuses[i] == status) return responses_[i].Increment();
    }
    other_.Increment();
  }
  void Took(const Route* route, absl::Duration duration) const {
    if (const auto found = seconds_.find(route); found != seconds_.end()) found->second.Observe(duration);
  }
  const metrics::Gauge& event_streams() const { return event_streams_; }

 private:
  static constexpr std::array kStatuses = {200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503};

  std::array<metrics::Counter, kStatuses.size()> responses_;
  metrics::Counter other_;
  metrics::Gauge event_streams_;
  absl::flat_hash_map<const Route*, metrics::Histogram> seconds_;
};

}  // namespace vigil::gateway
