#include "platform/metrics/metrics.h"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "platform/metrics/metric_names.h"

namespace vigil::metrics {
namespace {

constexpr GaugeMetric<0> kResidentMemory{"process_resident_memory_bytes", "Resident memory size in bytes.", {}};
constexpr GaugeMetric<0> kOpenFiles{"process_open_fds", "Number of open file descriptors.", {}};
constexpr GaugeMetric<0> kProcessorTime{"process_cpu_seconds_total", "User and system processor time spent, in seconds.", {}};
constexpr GaugeMetric<0> kStartTime{"process_start_time_seconds", "Start of the process since the Unix epoch, in seconds.", {}};

double ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  long total = 0;
  long resident = 0;
  const int read = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return read == 2 ? static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) : 0;
}

double OpenFiles() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  double count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count - 3;  // ".", ".." and this directory itself
}

double ProcessorSeconds() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

prometheus::Labels MakeLabels(std::span<const char* const> names, std::span<const std::string_view> values) {
  prometheus::Labels labels;
  for (std::size_t i = 0; i < names.size(); ++i) labels.emplace(names[i], std::string(values[i]));
  return labels;
}

}  // namespace

void Counter::Increment(double amount) const {
  if (counter_ != nullptr && amount >= 0) counter_->Increment(amount);
}
double Counter::value() const { return counter_ == nullptr ? 0 : counter_->Value(); }

void Gauge::Set(double value) const {
  if (gauge_ != nullptr) gauge_->Set(value);
}
void Gauge::Add(double amount) const {
  if (gauge_ != nullptr) gauge_->Increment(amount);
}
double Gauge::value() const { return gauge_ == nullptr ? 0 : gauge_->Value(); }

void Histogram::Observe(double value) const {
  if (histogram_ != nullptr) histogram_->Observe(value);
}

class Registry::Impl : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    {
      std::lock_guard lock(mutex_);
      for (const auto& callback : callbacks_) callback();
    }
    return registry.Collect();
  }

  void AddCallback(std::function<void()> callback) {
    std::lock_guard lock(mutex_);
    callbacks_.push_back(std::move(callback));
  }

  void ClearCallbacks() {
    std::lock_guard lock(mutex_);
    callbacks_.clear();
  }

  prometheus::Registry registry;

 private:
  mutable std::mutex mutex_;
  std::vector<std::function<void()>> callbacks_;
};

Registry::Registry(std::string_view service, std::string_view version) : impl_(std::make_shared<Impl>()) {
  Get(kBuildInfo, {service, version}).Set(1);
  Get(kStartTime).Set(static_cast<double>(std::time(nullptr)));
  OnScrape([memory = Get(kResidentMemory), files = Get(kOpenFiles), processor = Get(kProcessorTime)] {
    memory.Set(ResidentBytes());
    files.Set(OpenFiles());
    processor.Set(ProcessorSeconds());
  });
}

Registry::~Registry() { impl_->ClearCallbacks(); }

Counter Registry::GetCounter(const char* name, const char* help, std::span<const char* const> labels,
                             std::span<const std::string_view> values) {
  auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
  return Counter(&family.Add(MakeLabels(labels, values)));
}

Gauge Registry::GetGauge(const char* name, const char* help, std::span<const char* const> labels,
                         std::span<const std::string_view> values) {
  auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
  return Gauge(&family.Add(MakeLabels(labels, values)));
}

Histogram Registry::GetHistogram(const char* name, const char* help, std::span<const char* const> labels,
                                 std::span<const std::string_view> values, Buckets buckets) {
  auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
  return Histogram(
      &family.Add(MakeLabels(labels, values), prometheus::Histogram::BucketBoundaries(buckets.begin(), buckets.end())));
}

void Registry::OnScrape(std::function<void()> callback) { impl_->AddCallback(std::move(callback)); }

std::string Registry::Text() const { return prometheus::TextSerializer().Serialize(impl_->Collect()); }

class Exposer::Impl {
 public:
  // The exposer keeps only a weak pointer, and reads the registry until it is gone: declared first, destroyed last.
  std::shared_ptr<Registry::Impl> registry;
  std::unique_ptr<prometheus::Exposer> exposer;
};

Exposer::Exposer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Exposer::~Exposer() = default;

absl::StatusOr<std::unique_ptr<Exposer>> Exposer::Start(const Registry& registry, std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == address.size()) {
    return absl::InvalidArgumentError("metrics: an address is host:port");
  }
  auto impl = std::make_unique<Impl>();
  impl->registry = registry.impl_;
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(std::string(address), 1);
    impl->exposer->RegisterCollectable(impl->registry);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("metrics: cannot listen on ", std::string(address), ": ", error.what()));
  }
  return std::unique_ptr<Exposer>(new Exposer(std::move(impl)));
}

int Exposer::port() const {
  const std::vector<int> ports = impl_->exposer->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace vigil::metrics
