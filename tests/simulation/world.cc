#include "simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "escalation-timer/escalation_timer.h"
#include "platform/crypto/hash.h"
#include "risk-rules/risk_rules.h"
#include "simulation/answers_in_memory.h"

namespace vigil::simulation {
namespace {

// More turns than this at one instant, and something feeds itself.
constexpr int kMostTurns = 200'000;

absl::Time StartOf(std::uint64_t seed) {
  // Some Monday of 2026, midnight in school.
  const absl::Time monday = absl::FromCivil(absl::CivilDay(2026, 1, 5), absl::FixedTimeZone(8 * 60 * 60));
  return monday + absl::Hours(168) * static_cast<std::int64_t>(Dice(seed, "start").Below(50));
}

std::string AnswersPath(const World* world, int instance) {
  return absl::StrCat(reinterpret_cast<std::uintptr_t>(world), "/", instance);
}

}  // namespace

// Sees what a service reads, without changing it.
class Process::Watched final : public Service {
 public:
  Watched(World* world, Service* service, bool tells) : world_(*world), service_(*service), tells_(tells) {}

  void OnCommit(const AppliedCommit& applied) override {
    if (applied.file != nullptr && !applied.applied.guard.ok()) {
      std::uint64_t& seen = opinion.voids[static_cast<std::size_t>(applied.partition)];
      seen = Mix(seen ^ Mix(applied.position.sequence * 4096 + applied.position.index));
    }
    service_.OnCommit(applied);
    if (tells_ && caught_up_ && world_.on_intake_commit) world_.on_intake_commit(applied);
  }
  Plan PlanFor(const FileEntry& file, const domain::SchoolState& school, absl::Time now) override { return service_.PlanFor(file, school, now); }
  void OnCaughtUp() override {
    caught_up_ = true;
    service_.OnCaughtUp();
  }

  void OnQuarantine(FileEntry& file) override { service_.OnQuarantine(file); }

  Opinion opinion;

 private:
  World& world_;
  Service& service_;
  const bool tells_;
  bool caught_up_ = false;
};

Process::Process(World* world, int service, int instance) : world_(world), service_number_(service), instance_(instance) {}

Process::~Process() { Kill(); }

const Opinion& Process::opinion() const { return watched_->opinion; }

void Process::Start() {
  if (running()) return;
  const domain::Pack* pack = &world_->pack();
  loop_ = std::make_unique<SimulatedLoop>(&world_->clock_);
  worker_ = std::make_unique<SimulatedLoop>(&world_->clock_);
  log_ = world_->broker_.Connect(source());
  keys_ = world_->keys_.Connect();
  std::function<void(Machine*)> attach;
  switch (service_number_) {
    case 0: {
      answers_ = *IdempotencyIndex::Open(AnswersPath(world_, instance_));
      intake::IntakeDependencies dependencies{.keys = keys_.get(),
                                              .outbox = &outbox_,
                                              .answers = answers_.get(),
                                              .random = &world_->random_,
                                              .worker = worker_.get(),
                                              .check_in_key = "a key for the codes of places"};
      dependencies.installation_key = *SealingKey::FromBytes(std::string(kSealingKeyBytes, 'k'));
      service_ = std::make_unique<intake::Intake>(std::move(dependencies));
      attach = [this](Machine* machine) { intake().Attach(machine); };
      break;
    }
    case 1:
      service_ = std::make_unique<RiskRules>();
      break;
    case 2:
      service_ = std::make_unique<EscalationTimer>(pack, &world_->clock_, nullptr);
      attach = [this](Machine* machine) { static_cast<EscalationTimer&>(*service_).Attach(machine); };
      break;
    default:
      service_ = std::make_unique<notification::Notification>(
          notification::NotificationDependencies{.keys = keys_.get(), .providers = world_->providers_});
      attach = [this](Machine* machine) { notification().Attach(machine); };
      break;
  }
  watched_ = std::make_unique<Watched>(world_, service_.get(), service_number_ == 0 && instance_ == 0);
  machine_ = std::make_unique<Machine>(&world_->packs(), log_.get(), &world_->clock_, loop_.get(), watched_.get(),
                                       MachineOptions{.installation = "simulated",
                                                      .signing_key = World::KeyOf(source()),
                                                      .trusted_sources = World::TrustedSources()});
  loop_->SetHooks(machine_->hooks());
  if (attach) attach(machine_.get());
  if (const absl::Status started = machine_->Start(); !started.ok()) return Kill();
  if (service_number_ == 0) log_->OnConnection([this](bool connected) { intake().OnLogConnection(connected); });
}

void Process::Kill() {
  if (log_ != nullptr) log_->OnConnection({});
  // The machine's subscriptions end before the log, whose last answers find the loop still there.
  machine_.reset();
  log_.reset();
  watched_.reset();
  service_.reset();
  worker_.reset();
  loop_.reset();
  keys_.reset();
  answers_.reset();
}

// ------------------------------------------------------------------------------------------------ the world

World::World(const Options& options, std::shared_ptr<const domain::Pack> pack)
    : options_(options),
      packs_(std::move(pack)),
      start_(StartOf(options.seed)),
      clock_(start_),
      random_(options.seed),
      network_(options.seed, "network"),
      broker_([this] { return clock_.Now(); }),
      keys_(random_),
      faults_(FaultsOf(options, start_)) {
  broker_.SetLatency([this] { return Latency(); });
  broker_.SetChooser([this](std::size_t count) { return network_.Below(count); });
}

World::~World() {
  // Services before the broker and what else they hold.
  processes_.clear();
  for (int instance = 0; instance < 2; ++instance) DeleteAnswers(AnswersPath(this, instance));
}

SigningKey World::KeyOf(const std::string& source) { return *SigningKey::FromSeed(AsString(Sha256(absl::StrCat("signs as ", source)))); }

std::vector<std::pair<std::string, VerifyKey>> World::TrustedSources() {
  std::vector<std::pair<std::string, VerifyKey>> sources;
  for (const char* source : kSources) sources.emplace_back(source, KeyOf(source).verify_key());
  return sources;
}

void World::Say(const std::string& line) const {
  if (!options_.trace) return;
  std::printf("%s %s\n", absl::FormatTime("%m-%d %H:%M:%E3S", now(), absl::FixedTimeZone(8 * 60 * 60)).c_str(), line.c_str());
}

std::vector<Process*> World::AllProcesses() {
  std::vector<Process*> all;
  for (const auto& process : processes_) all.push_back(process.get());
  return all;
}

void World::Start() {
  for (int instance = 0; instance < 2; ++instance) {
    for (int service = 0; service < 4; ++service) processes_.push_back(std::make_unique<Process>(this, service, instance));
  }
  for (int service = 0; service < 4; ++service) process(service).Start();
  Settle();
  for (const Fault& fault : faults_) At(fault.from, [this, fault] { Begin(fault); });
}

void World::At(absl::Time at, std::function<void()> what) {
  agenda_.push({at, next_order_++, std::make_shared<std::function<void()>>(std::move(what))});
}

absl::Duration World::Latency() {
  const double unit = network_.Unit();
  if (slow_ > 0) return absl::Microseconds(static_cast<std::int64_t>(unit * 1'000'000));
  // Mostly a moment; now and then one is late.
  if (unit < 0.97) return absl::Microseconds(50 + static_cast<std::int64_t>(unit * 400));
  return absl::Microseconds(static_cast<std::int64_t>((unit - 0.97) / 0.03 * 40'000));
}

void World::Settle() {
  for (int turn = 0; turn < kMostTurns; ++turn) {
    bool happened = false;
    for (const auto& process : processes_) {
      if (!process->running()) continue;
      happened = process->loop_->Run() || happened;
      happened = process->worker_->Run() || happened;
    }
    while (broker_.DeliverOne()) happened = true;
    if (!happened) return;
  }
  throw std::runtime_error("the world does not come to rest at one instant");
}

absl::Time World::NextTime() {
  absl::Time next = broker_.NextTime();
  for (const auto& process : processes_) {
    if (!process->running()) continue;
    next = std::min({next, process->loop_->next_time(), process->worker_->next_time()});
  }
  if (!agenda_.empty()) next = std::min(next, agenda_.top().at);
  return next;
}

void World::RunUntil(absl::Time end) {
  while (now() < end) {
    while (!agenda_.empty() && agenda_.top().at <= now()) {
      const auto what = agenda_.top().what;
      agenda_.pop();
      (*what)();
    }
    Settle();
    if (!agenda_.empty() && agenda_.top().at <= now()) continue;
    // What is still due now waits for something that only time brings.
    const absl::Time next = std::min(end, NextTime());
    clock_.Step(std::max(next, now() + absl::Microseconds(next <= now() ? 1000 : 1)));
  }
}

// ------------------------------------------------------------------------------------------------ what breaks

std::size_t World::OpenOutage(unsigned parts, int partition) {
  history_.outages.push_back({.from = now(), .to = absl::InfiniteFuture(), .parts = parts, .partition = partition});
  return history_.outages.size() - 1;
}

void World::CloseOutage(std::size_t outage) {
  Outage& over = history_.outages[outage];
  if (over.to == absl::InfiniteFuture()) over.to = now();
}

void World::CloseWhenReady(std::size_t outage, int service) {
  const auto s = static_cast<std::size_t>(service);
  if (process(service).ready() && cut_[s] == 0 && log_down_ == 0) return CloseOutage(outage);
  After(absl::Milliseconds(20), [this, outage, service] { CloseWhenReady(outage, service); });
}

void World::Begin(const Fault& fault) {
  Say(absl::StrCat("fault ", Describe(fault)));
  const auto target = static_cast<std::size_t>(fault.target);
  // Begins now, ends after the fault's span.
  const auto then = [&](std::function<void()> end) { After(fault.span, std::move(end)); };
  switch (fault.kind) {
    case FaultKind::kCrash: {
      const std::size_t outage = OpenOutage(kServiceParts[target]);
      ++down_[target];
      process(fault.target).Kill();
      const auto again = std::make_shared<std::function<void()>>();
      *again = [this, target, outage, weak = std::weak_ptr(again), service = fault.target] {
        if (down_[target] > 0) return CloseWhenReady(outage, service);
        process(service).Start();
        // Without a broker it cannot start; its supervisor tries again.
        if (!process(service).running()) {
          if (const auto self = weak.lock()) After(absl::Seconds(1), [self] { (*self)(); });
          return;
        }
        CloseWhenReady(outage, service);
      };
      then([this, target, again] {
        --down_[target];
        (*again)();
      });
      break;
    }
    case FaultKind::kLogDown:
    case FaultKind::kPowerLoss: {
      const std::size_t outage = OpenOutage(kLogPart);
      ++log_down_;
      fault.kind == FaultKind::kLogDown ? broker_.Stop() : broker_.LosePower();
      then([this, outage] {
        if (--log_down_ == 0) broker_.Start();
        // Writers that wait offer their batches again a moment later.
        After(absl::Milliseconds(500), [this, outage] { CloseOutage(outage); });
      });
      break;
    }
    case FaultKind::kCut: {
      const std::size_t outage = OpenOutage(kServiceParts[target]);
      const std::string source = kSources[target];
      ++cut_[target];
      broker_.Cut(source);
      then([this, outage, source, target] {
        if (--cut_[target] == 0) broker_.Mend(source);
        After(absl::Milliseconds(500), [this, outage] { CloseOutage(outage); });
      });
      break;
    }
    case FaultKind::kHeldDelivery: {
      const std::size_t outage = OpenOutage(kLogPart, fault.target);
      ++held_[fault.target];
      broker_.Hold(fault.target);
      then([this, outage, partition = fault.target] {
        if (--held_[partition] == 0) broker_.Release(partition);
        After(absl::Milliseconds(200), [this, outage] { CloseOutage(outage); });
      });
      break;
    }
    case FaultKind::kLostAnswers:
    case FaultKind::kLostRequests: {
      const std::size_t outage = OpenOutage(kLogPart, fault.target);
      const int count = 1 + static_cast<int>(network_.Below(4));
      fault.kind == FaultKind::kLostAnswers ? broker_.LoseAnswers(fault.target, count) : broker_.LoseRequests(fault.target, count);
      then([this, outage, partition = fault.target] {
        broker_.LoseAnswers(partition, 0);
        broker_.LoseRequests(partition, 0);
        After(absl::Milliseconds(500), [this, outage] { CloseOutage(outage); });
      });
      break;
    }
    case FaultKind::kSlowNetwork: {
      const std::size_t outage = OpenOutage(kLogPart);
      ++slow_;
      then([this, outage] {
        --slow_;
        After(absl::Seconds(3), [this, outage] { CloseOutage(outage); });
      });
      break;
    }
    case FaultKind::kSecondInstance: {
      Process& second = *processes_[4 + target];
      second.Start();
      then([&second] { second.Kill(); });
      break;
    }
    case FaultKind::kProviderDown:
    case FaultKind::kProviderStalls:
    case FaultKind::kProviderErrors: {
      const std::size_t outage = OpenOutage(kProvidersPart);
      auto& which = fault.kind == FaultKind::kProviderDown     ? provider_down
                    : fault.kind == FaultKind::kProviderStalls ? provider_stalls
                                                               : provider_errs;
      which[target] = true;
      then([this, outage, target, &which] {
        which[target] = false;
        After(absl::Seconds(30), [this, outage] { CloseOutage(outage); });
      });
      break;
    }
    case FaultKind::kReceiptsLost:
      receipts_lost = true;
      then([this] { receipts_lost = false; });
      break;
    case FaultKind::kKeysDown: {
      const std::size_t outage = OpenOutage(kKeysPart);
      ++keys_down_;
      keys_.SetAvailable(false);
      then([this, outage] {
        if (--keys_down_ == 0) keys_.SetAvailable(true);
        After(absl::Seconds(17), [this, outage] { CloseOutage(outage); });
      });
      break;
    }
    case FaultKind::kClockStep:
      history_.outages.push_back({.from = now(), .to = now() + fault.span + absl::Milliseconds(200), .parts = kClockPart});
      clock_.Step(now() + fault.span);
      break;
    case FaultKind::kOutboxFull:
      process(fault.target == 0 ? 0 : 0).outbox_.FailWith(absl::ResourceExhaustedError("the disk is full"));
      then([this] { intake().outbox_.FailWith(absl::OkStatus()); });
      break;
  }
}

bool World::ComeToRest() {
  // Whatever still lasts is left to its end; nothing new begins, as no fault begins after the world's hours.
  for (int tries = 0; tries < 200; ++tries) {
    RunUntil(now() + absl::Seconds(30));
    bool quiet = true;
    for (const Outage& outage : history_.outages) quiet = quiet && outage.to <= now();
    for (int service = 0; service < 4; ++service) quiet = quiet && process(service).ready();
    if (quiet) break;
  }
  // An instant at which nobody lags behind: between two things that time brings.
  for (int step = 0; step < 20'000; ++step) {
    Settle();
    bool all = true;
    for (int service = 0; service < 4; ++service) {
      if (!process(service).ready()) return false;
      for (int partition = 0; partition < kPartitions; ++partition) {
        process(service).machine().NoteEnd(partition, broker_.LastSequence(partition));
        all = all && process(service).machine().Lag(partition) == 0;
      }
    }
    if (all) return true;
    RunUntil(now() + absl::Microseconds(200));
  }
  return false;
}

}  // namespace vigil::simulation
