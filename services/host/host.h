// What every process that follows the log has in common: its settings, pack, clock, connection to the log, machine, metrics and gRPC port.
// A service's main is then a page:
//
//   vigil::SignalWait signals;
//   vigil::config::ServiceOptions options;
//   if (auto code = vigil::ParseOptions(kIdentity, {}, argc, argv, options)) return *code;
//   auto host = vigil::ServiceHost::Open(kIdentity, options);
//   if (!host.ok()) return vigil::CannotStart(host.status());
//   vigil::RiskRules service;
//   (*host)->Attach(&service);
//   if (absl::Status started = (*host)->Start({}); !started.ok()) return vigil::CannotStart(started);
//   return vigil::RunUntilSignal(signals, (*host)->lifecycle());
//
// Also the process that tests start: nothing here is global but the log lines' service name.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "domain/pack/pack.h"
#include "machine/loop.h"
#include "machine/machine.h"
#include "machine/snapshots.h"
#include "platform/clock/clock.h"
#include "platform/config/service_options.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sign.h"
#include "platform/lifecycle/lifecycle.h"
#include "platform/log/log.h"
#include "platform/log/nats_client.h"
#include "platform/metrics/metrics.h"
#include "platform/rpc/server.h"
#include "platform/snapshot/snapshot_store.h"

namespace vigil {

struct ServiceIdentity {
  std::string name;     // "risk-rules": in log lines and metrics; the program is vigil-<name>
  std::string user;     // at the broker: intake risk timer notice audit
  bool writes = false;  // appends as source `user`; false: it only follows
  bool snapshots = false;  // begins from its own snapshots where there are some: all it knows is in the common fold or its SaveTables
  std::string summary;  // a line for --help
};

// The settings that every service's file has, and `own` besides. The exit code when the program should end now: 0, or 2 for wrong usage.
// Configures the log lines.
std::optional<int> ParseOptions(const ServiceIdentity& identity, const config::AcceptedOptions& own, int argc, const char* const* argv,
                                config::ServiceOptions& options);

// Logs why and returns the exit code, 1.
int CannotStart(const absl::Status& status);

// A key file of the installation: hex, perhaps with a newline at its end. NotFound, InvalidArgument with the path; never the content.
absl::StatusOr<Secret<std::string>> ReadKeyFile(const std::string& path);
absl::StatusOr<SigningKey> ReadSigningKey(const std::string& path);

// Made, attached, started and stopped by one thread; accessors are for any thread afterwards.
class ServiceHost {
 public:
  // Reads files and begins to connect; it does not wait for the broker. NotFound, InvalidArgument, FailedPrecondition: a file, the pack or the
  // durability of the log's store.
  static absl::StatusOr<std::unique_ptr<ServiceHost>> Open(ServiceIdentity identity, config::ServiceOptions options);
  // As lifecycle().Stop().
  ~ServiceHost();
  ServiceHost(const ServiceHost&) = delete;
  ServiceHost& operator=(const ServiceHost&) = delete;

  // Makes the machine for `service`, which outlives the host's Stop. Once, before Start.
  void Attach(Service* service);

  // Takes the ports, begins to follow the log and returns; goes on trying while the broker is away. `services` outlive the host's Stop.
  // `components` must be ready, beside "log", before health says so (server().SetReady). Unavailable: a port is taken.
  absl::Status Start(const std::vector<grpc::Service*>& services, std::vector<std::string> components = {});

  // What the service starts itself is put here after Start, and so is stopped before the ports and the log.
  Lifecycle& lifecycle() { return lifecycle_; }

  const config::ServiceOptions& options() const { return options_; }
  // The pack as installed, without what any school has laid over it.
  const domain::Pack& common_pack() const { return *packs_->common(); }
  // The domain clock: a rehearsal's may run faster, once the log has said so.
  Clock* clock() { return &clock_; }
  Log* log() { return log_.get(); }
  // Told of each connection to the log once its streams have been held against what is known, and of each loss at once. One listener, before
  // Start; on a thread of ours or the library's.
  void OnLogConnection(std::function<void(bool)> listener) { log_listener_ = std::move(listener); }
  Loop* loop() { return loop_.get(); }
  metrics::Registry& metrics() { return registry_; }
  // After Attach.
  Machine& machine() { return *machine_; }
  // After Start.
  rpc::Server& server() { return *server_; }
  int metrics_port() const { return exposer_->port(); }

  // For another connection of this service (the key bucket), as the same user.
  NatsOptions nats_options() const;

 private:
  ServiceHost(ServiceIdentity identity, config::ServiceOptions options);
  absl::Status Load();
  std::string PositionsPath() const { return options_.data_directory + "/log-positions"; }
  void CountOnScrape();
  // Follows the log as soon as the broker answers, then keeps readiness up to date.
  void Watch();
  void NoteEnds();
  // Holds the streams against what is known, after a reconnection and while a partition stands still.
  void CheckStreams();
  void SavePositions(absl::Duration every);
  // Takes over the snapshots; Unavailable: the broker does not say what streams there are.
  absl::Status Restore();
  void StopServing();
  // False when it is time to stop.
  bool Pause(absl::Duration duration);
  void StopWatching();

  const ServiceIdentity identity_;
  const config::ServiceOptions options_;
  SystemClock system_clock_;
  RehearsalClock clock_;
  metrics::Registry registry_;
  std::unique_ptr<PackLibrary> packs_;
  MachineOptions machine_options_;
  std::unique_ptr<CrashMarker> crash_marker_;
  std::unique_ptr<ThreadLoop> loop_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Machine> machine_;
  SystemRandom random_;
  std::unique_ptr<SnapshotStore> snapshot_store_;
  std::unique_ptr<ThreadLoop> snapshot_worker_;
  std::unique_ptr<Snapshots> snapshots_;  // null: none are kept
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<metrics::Exposer> exposer_;

  std::atomic<bool> following_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  // On the watcher.
  absl::Time noted_time_ = absl::InfinitePast();
  absl::Time checked_time_ = absl::InfinitePast();
  absl::Time saved_time_ = absl::InfinitePast();
  KnownPositions saved_;
  bool ending_ = false;
  std::function<void(bool)> log_listener_;
  int noted_partition_ = 0;
  std::thread watcher_;
  Lifecycle lifecycle_;
};

}  // namespace vigil
