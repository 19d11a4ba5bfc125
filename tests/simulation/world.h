// A simulated installation: the services' real state machines, each a process of its own, over a broker, a key bucket, a clock and a telephone
// network in memory. One thread; time passes from one instant at which something happens to the next.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "intake/intake.h"
#include "machine/machine.h"
#include "notification/channels/provider.h"
#include "notification/notification.h"
#include "platform/clock/clock.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sign.h"
#include "platform/keys/fake_key_store.h"
#include "platform/log/fake_log.h"
#include "platform/outbox/outbox.h"
#include "simulation/history.h"
#include "simulation/loop.h"
#include "simulation/plan.h"
#include "simulation/random.h"

namespace vigil::simulation {

inline constexpr std::array<const char*, 4> kSources{"intake", "risk", "timer", "notice"};

// Which commits a reader took for void, as one number a partition: equal numbers, equal opinions.
struct Opinion {
  std::array<std::uint64_t, kPartitions> voids{};
};

class World;

// One process of a service, which may be killed and started again.
class Process {
 public:
  // `instance` 0 is the one that clients and providers talk to.
  Process(World* world, int service, int instance);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Start();
  void Kill();
  bool running() const { return machine_ != nullptr; }
  bool ready() const { return running() && machine_->caught_up(); }
  Machine& machine() { return *machine_; }
  intake::Intake& intake() { return static_cast<intake::Intake&>(*service_); }
  notification::Notification& notification() { return static_cast<notification::Notification&>(*service_); }
  const Opinion& opinion() const;
  const char* source() const { return kSources[static_cast<std::size_t>(service_number_)]; }

 private:
  friend class World;
  class Watched;

  World* const world_;
  const int service_number_;
  const int instance_;
  FakeOutbox outbox_;
  std::unique_ptr<IdempotencyIndex> answers_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<SimulatedLoop> loop_;
  std::unique_ptr<SimulatedLoop> worker_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Watched> watched_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Machine> machine_;
};

class World {
 public:
  World(const Options& options, std::shared_ptr<const domain::Pack> pack);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Providers, before Start. They outlive it.
  void AddProvider(notification::Provider* provider) { providers_.push_back(provider); }
  void Start();

  // Something of the outside happens at `at`.
  void At(absl::Time at, std::function<void()> what);
  void After(absl::Duration span, std::function<void()> what) { At(now() + span, std::move(what)); }

  // Time passes until `end`.
  void RunUntil(absl::Time end);
  // Whatever is broken is mended, and time passes until everybody has read everything; false: that does not come to an end.
  bool ComeToRest();

  Process& process(int service) { return *processes_[static_cast<std::size_t>(service)]; }
  Process& intake() { return process(0); }
  Process& notice() { return process(3); }
  std::vector<Process*> AllProcesses();
  FakeBroker& broker() { return broker_; }
  FakeKeyBucket& keys() { return keys_; }
  ManualClock& clock() { return clock_; }
  Random& random() { return random_; }
  absl::Time now() const { return clock_.Now(); }
  absl::Time start() const { return start_; }
  const domain::Pack& pack() const { return *packs_.common(); }
  const PackLibrary& packs() const { return packs_; }
  const Options& options() const { return options_; }
  History& history() { return history_; }
  TraceHash& trace() { return trace_; }
  const std::vector<Fault>& faults() const { return faults_; }

  static SigningKey KeyOf(const std::string& source);
  static std::vector<std::pair<std::string, VerifyKey>> TrustedSources();

  // What intake reads from the log after it has caught up.
  std::function<void(const AppliedCommit&)> on_intake_commit;
  // State of the outside that faults change.
  std::array<bool, 2> provider_down{};
  std::array<bool, 2> provider_stalls{};
  std::array<bool, 2> provider_errs{};
  bool receipts_lost = false;

  void Say(const std::string& line) const;

 private:
  friend class Process;
  struct Entry {
    absl::Time at;
    std::uint64_t order;
    std::shared_ptr<std::function<void()>> what;
    bool operator>(const Entry& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  void Begin(const Fault& fault);
  std::size_t OpenOutage(unsigned parts, int partition = -1);
  void CloseOutage(std::size_t outage);
  // Once the service can work again, or is broken again.
  void CloseWhenReady(std::size_t outage, int service);
  void Settle();
  absl::Time NextTime();
  absl::Duration Latency();

  const Options options_;
  const PackLibrary packs_;
  const absl::Time start_;
  ManualClock clock_;
  SeededRandom random_;
  Dice network_;
  FakeBroker broker_;
  FakeKeyBucket keys_;
  std::vector<notification::Provider*> providers_;
  std::vector<std::unique_ptr<Process>> processes_;  // four, then second instances
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> agenda_;
  std::uint64_t next_order_ = 0;
  std::vector<Fault> faults_;
  History history_;
  TraceHash trace_;
  int slow_ = 0;
  int log_down_ = 0;
  std::array<int, 4> cut_{};
  std::array<int, 4> down_{};
  std::map<int, int> held_;
  int keys_down_ = 0;
};

}  // namespace vigil::simulation
