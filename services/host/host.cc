#include "host/host.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <future>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/pack/loader.h"
#include "machine/batch_codec.h"
#include "platform/config/durability_check.h"
#include "platform/config/settings.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/log/nats_log.h"
#include "platform/logging/log.h"
#include "platform/metrics/metric_names.h"
#include "platform/pack_directory/pack_directory.h"
#include "platform/snapshot/redis_snapshot_store.h"

namespace vigil {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr char kLogComponent[] = "log";
// How often the broker is tried at start, and how often that is said.
constexpr absl::Duration kTryAgainAfter = absl::Milliseconds(200);
constexpr absl::Duration kSayAgainAfter = absl::Seconds(10);
constexpr absl::Duration kReadinessInterval = absl::Milliseconds(50);
// How often the broker is asked where one of the partitions ends.
constexpr absl::Duration kNoteEndInterval = absl::Milliseconds(250);
// How often what has been read is put down for a later life of this service, and how often a partition that stands still is looked at again.
constexpr absl::Duration kSaveInterval = absl::Seconds(1);
constexpr absl::Duration kLookAgainInterval = absl::Seconds(2);
// How long running calls may still take at the end.
constexpr absl::Duration kGrace = absl::Seconds(1);

constexpr metrics::CounterMetric<0> kCommitsRead{"vigil_machine_commits_total", "Commits read from the log and folded.", {}};
constexpr metrics::CounterMetric<0> kBatchesWritten{"vigil_machine_batches_written_total", "Batches of this service, stored and read back.", {}};
constexpr metrics::CounterMetric<0> kVoidCommits{"vigil_machine_void_commits_total", "Commits whose guard failed where they landed.", {}};
constexpr metrics::CounterMetric<0> kRefusedMessages{
    "vigil_machine_refused_messages_total", "Messages of the log that are forged, replayed or damaged.", {}};
constexpr metrics::GaugeMetric<0> kStoppedPartitions{
    "vigil_machine_stopped_partitions", "Partitions that stand still: their stream is not the one that was known, and must be repaired.", {}};
constexpr metrics::GaugeMetric<0> kQuarantinedFiles{
    "vigil_machine_quarantined_files", "Files of which a commit ended a process twice: people act by hand.", {}};
constexpr metrics::CounterMetric<0> kConflicts{"vigil_machine_conflicts_total", "Appends that were refused or whose answer was lost.", {}};

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

absl::Status At(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

std::optional<int> ParseOptions(const ServiceIdentity& identity, const config::AcceptedOptions& own, int argc, const char* const* argv,
                                config::ServiceOptions& options) {
  using O = config::ServiceOptions;
  config::AcceptedOptions accepted = own;
  accepted.required.insert(accepted.required.begin(),
                           {&O::installation, &O::home, &O::grpc_listen, &O::metrics_listen, &O::tls_ca, &O::tls_certificate, &O::tls_key,
                            &O::nats_url, &O::nats_ca, &O::nats_seed_file, &O::pack, &O::data_directory, &O::trusted_sources});
  if (identity.writes) accepted.required.emplace_back(&O::signing_key_file);
  accepted.optional.insert(accepted.optional.begin(), {&O::redis_url_file, &O::log_store_directory, &O::not_durable, &O::log_level});

  config::Settings settings(absl::StrCat("vigil-", identity.name), identity.summary);
  config::AddServiceOptions(settings, options, std::move(accepted));
  if (const std::optional<int> code = settings.ParseOrExit(argc, argv)) return code;
  log::Level level = log::Level::kInfo;
  if (!log::ParseLevel(options.log_level, &level).ok()) return 2;
  log::Configure(identity.name, level);
  return std::nullopt;
}

int CannotStart(const absl::Status& status) {
  log::Error("cannot start", {{"reason", status}});
  return 1;
}

absl::StatusOr<Secret<std::string>> ReadKeyFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadText(path);
  if (!text.ok()) return text.status();
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' ')) text->pop_back();
  std::optional<std::string> bytes = HexDecode(*text);
  if (!bytes || bytes->empty()) return absl::InvalidArgumentError(absl::StrCat(path, " holds no key in hex"));
  return Secret<std::string>(*std::move(bytes));
}

absl::StatusOr<SigningKey> ReadSigningKey(const std::string& path) {
  const absl::StatusOr<Secret<std::string>> seed = ReadKeyFile(path);
  if (!seed.ok()) return seed.status();
  absl::StatusOr<SigningKey> key = SigningKey::FromSeed(seed->reveal());
  if (!key.ok()) return At(key.status(), path);
  return key;
}

// ------------------------------------------------------------------------------------------------ opening

absl::StatusOr<std::unique_ptr<ServiceHost>> ServiceHost::Open(ServiceIdentity identity, config::ServiceOptions options) {
  std::unique_ptr<ServiceHost> host(new ServiceHost(std::move(identity), std::move(options)));
  if (absl::Status loaded = host->Load(); !loaded.ok()) return loaded;
  return host;
}

// Real time until the log says otherwise: only a rehearsal's log ever does.
ServiceHost::ServiceHost(ServiceIdentity identity, config::ServiceOptions options)
    : identity_(std::move(identity)),
      options_(std::move(options)),
      clock_(&system_clock_, {.real = absl::UnixEpoch(), .domain = absl::UnixEpoch(), .speed = 1}),
      registry_(identity_.name, kVersion) {}

ServiceHost::~ServiceHost() { lifecycle_.Stop(); }

NatsOptions ServiceHost::nats_options() const {
  NatsOptions nats;
  nats.url = options_.nats_url;
  nats.name = identity_.name;
  nats.ca_file = options_.nats_ca;
  nats.nkey_seed_file = options_.nats_seed_file;
  nats.inbox_prefix = absl::StrCat("_INBOX_", identity_.user);
  nats.on_problem = [](const std::string& text) { log::Warn("the broker", {{"reason", absl::UnavailableError(text)}}); };
  return nats;
}

absl::Status ServiceHost::Load() {
  if (!options_.log_store_directory.empty()) {
    if (absl::Status durable = config::CheckDurable(options_.log_store_directory, options_.not_durable); !durable.ok()) return durable;
  }
  const auto files = ReadPackDirectory(options_.pack);
  if (!files.ok()) return files.status();
  auto packs = PackLibrary::Open(*files, PackDigest);
  if (!packs.ok()) return packs.status();
  packs_ = *std::move(packs);

  const absl::StatusOr<std::string> trusted = ReadText(options_.trusted_sources);
  if (!trusted.ok()) return trusted.status();
  auto sources = ParseTrustedSources(*trusted);
  if (!sources.ok()) return At(sources.status(), options_.trusted_sources);
  machine_options_.trusted_sources = *std::move(sources);
  machine_options_.installation = options_.installation;
  machine_options_.rehearsal_clock = &clock_;
  if (identity_.writes) {
    absl::StatusOr<SigningKey> key = ReadSigningKey(options_.signing_key_file);
    if (!key.ok()) return key.status();
    machine_options_.signing_key = *std::move(key);
  }

  absl::StatusOr<std::unique_ptr<CrashMarker>> marker = CrashMarker::Open(options_.data_directory + "/folding");
  if (!marker.ok()) return marker.status();
  crash_marker_ = *std::move(marker);
  machine_options_.crash_marker = crash_marker_.get();
  absl::StatusOr<KnownPositions> known = LoadPositions(PositionsPath());
  if (known.ok()) {
    machine_options_.known = *known;
  } else if (!absl::IsNotFound(known.status())) {
    log::Error("what was read of the log before is not known; a stream that has lost its end would not be noticed", {{"reason", known.status()}});
  }

  if (identity_.snapshots && identity_.writes && !options_.redis_url_file.empty()) {
    absl::StatusOr<std::string> url = ReadText(options_.redis_url_file);
    if (!url.ok()) return url.status();
    url->erase(url->find_last_not_of(" \r\n") + 1);
    auto store = OpenRedisSnapshotStore({.url = *std::move(url)}, random_);
    if (!store.ok()) return At(store.status(), options_.redis_url_file);
    snapshot_store_ = *std::move(store);
    snapshot_worker_ = std::make_unique<ThreadLoop>(&system_clock_);
  }

  loop_ = std::make_unique<ThreadLoop>(&clock_);
  absl::StatusOr<std::unique_ptr<Log>> log = OpenNatsLog(nats_options(), identity_.user);
  if (!log.ok()) return log.status();
  log_ = *std::move(log);
  return absl::OkStatus();
}

void ServiceHost::Attach(Service* service) {
  machine_ = std::make_unique<Machine>(packs_.get(), log_.get(), &clock_, loop_.get(), service, machine_options_);
  if (snapshot_store_ == nullptr) return;
  const absl::StatusOr<std::string> program = ReadText("/proc/self/exe");
  if (!program.ok()) return;  // without it nothing tells whether a snapshot is of this program
  snapshots_ = std::make_unique<Snapshots>(machine_.get(), service, snapshot_store_.get(), loop_.get(), snapshot_worker_.get(),
                                           *machine_options_.signing_key, SnapshotOptions{.program = AsString(Sha256(*program))});
}

// ------------------------------------------------------------------------------------------------ running

absl::Status ServiceHost::Start(const std::vector<grpc::Service*>& services, std::vector<std::string> components) {
  CountOnScrape();
  components.insert(components.begin(), kLogComponent);
  auto server = rpc::Server::Start({.listen = options_.grpc_listen,
                                    .tls = {.ca = options_.tls_ca, .certificate = options_.tls_certificate, .key = options_.tls_key},
                                    .components = std::move(components)},
                                   services);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  auto exposer = metrics::Exposer::Start(registry_, options_.metrics_listen);
  if (!exposer.ok()) {
    server_.reset();
    return exposer.status();
  }
  exposer_ = *std::move(exposer);

  loop_->Start(machine_->hooks());
  // What answers to others stops first, and what it stands on last.
  lifecycle_.OnStop("log", [this] { log_->OnConnection({}); });
  lifecycle_.OnStop("machine", [this] { loop_->Stop(); });
  log_->OnConnection([this](bool connected) {
    if (connected) return;  // the watcher looks first
    machine_->Hold();
    if (log_listener_) log_listener_(false);
  });
  if (snapshots_ != nullptr) {
    snapshot_worker_->Start({.on_wake = [] { return absl::InfiniteFuture(); }});
    lifecycle_.OnStop("snapshots", [this] { snapshot_worker_->Stop(); });
  }
  watcher_ = std::thread([this] { Watch(); });
  lifecycle_.OnStop("watcher", [this] { StopWatching(); });
  lifecycle_.OnStop("metrics", [this] { exposer_.reset(); });
  lifecycle_.OnStop("grpc", [this] { StopServing(); });
  log::Info("started", {{"grpc_port", server_->port()}, {"metrics_port", exposer_->port()}, {"pack", log::Id(common_pack().digest)}});
  return absl::OkStatus();
}

absl::Status ServiceHost::Restore() {
  // The broker is asked first: while it is away, whether a snapshot goes with its streams cannot be known.
  if (const absl::StatusOr<StreamInfo> info = log_->Info(0); !info.ok()) return info.status();
  const absl::Time begin = system_clock_.NowReal();
  std::promise<int> restored;
  loop_->Post([&] { restored.set_value(snapshots_->Restore(*log_)); });
  const int partitions = restored.get_future().get();
  log::Info("began from snapshots", {{"partitions", partitions}, {"took", system_clock_.NowReal() - begin}});
  return absl::OkStatus();
}

void ServiceHost::Watch() {
  absl::Time said = absl::InfinitePast();
  bool restored = snapshots_ == nullptr;
  while (!following_) {
    absl::Status started = restored ? absl::OkStatus() : Restore();
    restored = started.ok();
    if (started.ok()) started = machine_->Start();
    if (started.ok()) {
      following_ = true;
      if (log_listener_) log_listener_(true);
      break;
    }
    if (const absl::Time now = system_clock_.NowReal(); now - said >= kSayAgainAfter) {
      said = now;
      log::Warn("the log cannot be read yet; trying again", {{"reason", started}});
    }
    if (!Pause(kTryAgainAfter)) return;
  }
  bool was_ready = false;
  do {
    CheckStreams();
    SavePositions(kSaveInterval);
    const bool ready = machine_->caught_up() && machine_->connected() && !machine_->any_stopped();
    if (ready) NoteEnds();
    if (ready == was_ready) continue;
    was_ready = ready;
    server_->SetReady(kLogComponent, ready);
    if (ready) {
      log::Info("the log has been read to its end", {{"commits", machine_->statistics().commits.load()}});
    } else {
      log::Warn("the log cannot be used as it is", {{"connected", log_->connected()}, {"partitions_that_stand_still", machine_->statistics().stopped_partitions.load()}});
    }
  } while (Pause(kReadinessInterval));
  SavePositions(absl::ZeroDuration());
}

void ServiceHost::CheckStreams() {
  if (!log_->connected()) return;
  const bool reconnected = machine_->held();
  const absl::Time now = system_clock_.NowReal();
  if (!reconnected && (!machine_->any_stopped() || now - checked_time_ < kLookAgainInterval)) return;
  checked_time_ = now;
  if (const absl::Status checked = machine_->CheckStreams(); !checked.ok()) return;  // the next look comes in a moment
  if (reconnected && log_listener_) log_listener_(true);
  if (machine_->needs_restart() && !std::exchange(ending_, true)) {
    log::Warn("a partition that stood still is whole: ending, to be started again and read it");
    kill(getpid(), SIGTERM);
  }
}

void ServiceHost::SavePositions(absl::Duration every) {
  const absl::Time now = system_clock_.NowReal();
  if (now - saved_time_ < every && now >= saved_time_) return;
  saved_time_ = now;
  const KnownPositions known = machine_->known();
  if (known == saved_) return;
  const absl::Status saved = vigil::SavePositions(PositionsPath(), known);
  if (saved.ok()) {
    saved_ = known;
  } else {
    log::Error("what has been read of the log cannot be put down", {{"reason", saved}});
  }
}

// One partition at a time: a lag is for graphs and for admitting bulk, not for decisions.
void ServiceHost::NoteEnds() {
  const absl::Time now = system_clock_.NowReal();
  if (now - noted_time_ < kNoteEndInterval) return;
  noted_time_ = now;
  if (snapshots_ != nullptr) loop_->Post([this] { snapshots_->Consider(); });
  noted_partition_ = (noted_partition_ + 1) % kPartitions;
  const absl::StatusOr<StreamInfo> info = log_->Info(noted_partition_);
  if (info.ok()) machine_->NoteEnd(noted_partition_, info->last_sequence);
}

void ServiceHost::StopServing() {
  // What is on its way is answered; while the log is away it would keep its caller, and us, waiting for ever.
  const absl::Time end = system_clock_.NowReal() + kGrace / 2;
  while (machine_->waiting_commands() > 0 && system_clock_.NowReal() < end && Pause(absl::Milliseconds(5))) {
  }
  machine_->Refuse(absl::UnavailableError("this service is stopping"));
  server_->Stop(kGrace);
}

bool ServiceHost::Pause(absl::Duration duration) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, absl::ToChronoNanoseconds(duration), [this] { return stopping_; });
}

void ServiceHost::StopWatching() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void ServiceHost::CountOnScrape() {
  std::array<metrics::Gauge, kPartitions> lag;
  for (int partition = 0; partition < kPartitions; ++partition) {
    lag[static_cast<std::size_t>(partition)] = registry_.Get(metrics::kLogLag, {absl::StrCat(partition)});
  }
  // The machine counts for itself; a scrape takes over what has been added since the last one.
  const auto take_over = [](const metrics::Counter& counter, const std::atomic<std::uint64_t>& total) {
    counter.Increment(static_cast<double>(total.load()) - counter.value());
  };
  registry_.OnScrape([this, lag, take_over, stopped = registry_.Get(kStoppedPartitions), quarantined = registry_.Get(kQuarantinedFiles), commits = registry_.Get(kCommitsRead), batches = registry_.Get(kBatchesWritten),
                      voids = registry_.Get(kVoidCommits), refused = registry_.Get(kRefusedMessages), conflicts = registry_.Get(kConflicts)] {
    if (!following_) return;
    for (int partition = 0; partition < kPartitions; ++partition) {
      lag[static_cast<std::size_t>(partition)].Set(static_cast<double>(machine_->Lag(partition)));
    }
    const MachineStatistics& statistics = machine_->statistics();
    stopped.Set(statistics.stopped_partitions);
    quarantined.Set(static_cast<double>(statistics.quarantined_files));
    take_over(commits, statistics.commits);
    take_over(batches, statistics.own_batches);
    take_over(voids, statistics.void_commits);
    take_over(refused, statistics.refused_messages);
    take_over(conflicts, statistics.conflicts);
  });
}

}  // namespace vigil
