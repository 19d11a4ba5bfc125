// Metrics, in Prometheus text. A metric is declared once as a constant (metric_names.h for those of docs' contract; a component's own beside
// it) and is asked for by that constant, with a value for each of its labels in order.
//
//   metrics::Counter accepted = registry.Get(metrics::kReportsAccepted, {"web"});
//   accepted.Increment();
//
// No label may hold anything about a person. Base units: seconds, bytes.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace vigil::metrics {

template <std::size_t label_count>
struct CounterMetric {
  const char* name;  // ends in _total
  const char* help;
  std::array<const char*, label_count> labels;
};

template <std::size_t label_count>
struct GaugeMetric {
  const char* name;
  const char* help;
  std::array<const char*, label_count> labels;
};

// Upper bounds of buckets in seconds, ascending; +Inf is added.
using Buckets = std::span<const double>;
inline constexpr std::array kLatencyBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0};
inline constexpr std::array kHumanBuckets = {1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0};

template <std::size_t label_count>
struct HistogramMetric {
  const char* name;
  const char* help;
  std::array<const char*, label_count> labels;
  Buckets buckets;
};

// Handles: cheap to copy, thread-safe, valid as long as the registry. A default-made handle counts nothing (tests, optional metrics).
class Counter {
 public:
  Counter() = default;
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  // `amount` >= 0; a negative one is ignored.
  void Increment(double amount = 1) const;
  double value() const;

 private:
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  void Set(double value) const;
  void Add(double amount) const;
  double value() const;

 private:
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  void Observe(double value) const;
  void Observe(absl::Duration value) const { Observe(absl::ToDoubleSeconds(value)); }

 private:
  prometheus::Histogram* histogram_ = nullptr;
};

// A process's metrics, vigil_build_info and the usual process_… figures among them. Thread-safe.
class Registry {
 public:
  Registry(std::string_view service, std::string_view version);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The series of `metric` with these label values; made at the first call (value 0). It takes a lock: keep the handle where it is hot.
  template <std::size_t label_count>
  Counter Get(const CounterMetric<label_count>& metric, const std::array<std::string_view, label_count>& values) {
    return GetCounter(metric.name, metric.help, metric.labels, values);
  }
  Counter Get(const CounterMetric<0>& metric) { return GetCounter(metric.name, metric.help, {}, {}); }

  template <std::size_t label_count>
  Gauge Get(const GaugeMetric<label_count>& metric, const std::array<std::string_view, label_count>& values) {
    return GetGauge(metric.name, metric.help, metric.labels, values);
  }
  Gauge Get(const GaugeMetric<0>& metric) { return GetGauge(metric.name, metric.help, {}, {}); }

  template <std::size_t label_count>
  Histogram Get(const HistogramMetric<label_count>& metric, const std::array<std::string_view, label_count>& values) {
    return GetHistogram(metric.name, metric.help, metric.labels, values, metric.buckets);
  }
  Histogram Get(const HistogramMetric<0>& metric) { return GetHistogram(metric.name, metric.help, {}, {}, metric.buckets); }

  // Called before each scrape, to set gauges that are read rather than counted. It must be quick, and what it uses must outlive the registry
  // or the Exposer, whichever ends first.
  void OnScrape(std::function<void()> callback);

  // The text that /metrics serves.
  std::string Text() const;

 private:
  friend class Exposer;
  class Impl;

  Counter GetCounter(const char* name, const char* help, std::span<const char* const> labels, std::span<const std::string_view> values);
  Gauge GetGauge(const char* name, const char* help, std::span<const char* const> labels, std::span<const std::string_view> values);
  Histogram GetHistogram(const char* name, const char* help, std::span<const char* const> labels, std::span<const std::string_view> values,
                         Buckets buckets);

  std::shared_ptr<Impl> impl_;
};

// Serves a registry's text at http://<address>/metrics until destroyed. It keeps the registry's contents alive.
class Exposer {
 public:
  // `address`: "127.0.0.1:9100"; port 0 takes a free one. InvalidArgument: not such an address; Unavailable: it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<Exposer>> Start(const Registry& registry, std::string_view address);
  ~Exposer();
  Exposer(const Exposer&) = delete;
  Exposer& operator=(const Exposer&) = delete;

  int port() const;

 private:
  class Impl;
  explicit Exposer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vigil::metrics
