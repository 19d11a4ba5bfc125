// An installation in one thread: the services' machines over a broker in memory, on a clock that stands still until it is advanced. Nothing
// happens by itself and nothing is random but from the seed, so a failure repeats.
//
//   World world;
//   Node& risk = world.Run({.source = "risk", .make = [](Node&) { return std::make_unique<RiskRules>(); }});
//   Node& intake = world.RunWriter("intake");
//   world.OpenSchool(intake);
//   ASSERT_TRUE(intake.Do("school", "file", {…}).ok());
//   world.Advance(absl::Hours(24));
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "machine/loop.h"
#include "machine/machine.h"
#include "platform/clock/clock.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sign.h"
#include "platform/keys/fake_key_store.h"
#include "platform/log/fake_log.h"

namespace vigil::scenario {

// "2026-03-10 10:00" in school time (UTC+8). 2026-03-10 is a Tuesday.
absl::Time At(std::string_view local);

class World;
class Node;

// Stands for notification where the telephone does not matter: the leader takes every alert that can be taken, some time after it was raised.
class EverybodyAnswers final : public Service {
 public:
  explicit EverybodyAnswers(absl::Duration wait = absl::ZeroDuration()) : wait_(wait) {}
  Plan PlanFor(const FileEntry& file, const domain::SchoolState& school, absl::Time now) override;

 private:
  const absl::Duration wait_;
};

// How a service is made: again after each Restart.
struct NodeOptions {
  // What it is at the broker.
  std::string source;
  // False: it has no signing key and writes nothing.
  bool writes = true;
  std::function<std::unique_ptr<Service>(Node&)> make = {};
  // Once the machine is there, before it follows the log.
  std::function<void(Service&, Machine&)> attach = {};
  // Before a service goes; loops no longer run.
  std::function<void(Service&)> detach = {};
};

// One replica of a service.
class Node {
 public:
  Node(World* world, NodeOptions options);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Kills it where it stands: what it had in memory is gone, what it had on its way may arrive or not. Start makes it anew.
  void Kill();
  void Start();
  void Restart() {
    Kill();
    Start();
  }
  bool running() const { return machine_ != nullptr; }

  // While running.
  Machine& machine() { return *machine_; }
  Log& log() { return *log_; }
  ManualLoop& loop() { return *loop_; }
  template <typename T>
  T& service() {
    return static_cast<T&>(*service_);
  }
  World& world() { return *world_; }
  // A further loop of this service, for work that waits; ended with it. With hooks when given.
  ManualLoop* AddLoop(LoopHooks hooks = {});
  const std::string& source() const { return options_.source; }

  // Appends a commit as this node and settles the world; the state it was decided on is the newest. `expected_version` as of If-Match.
  absl::Status Do(const std::string& school, const std::string& file, std::vector<domain::Event> events, const std::string& person = "leader",
                  const std::string& role = "leader", std::uint64_t expected_version = 0);
  template <typename Body>
    requires(!std::same_as<Body, std::vector<domain::Event>>)
  absl::Status Do(const std::string& school, const std::string& file, Body body, const std::string& person = "leader",
                  const std::string& role = "leader") {
    std::vector<domain::Event> events;
    events.push_back(domain::Event{std::move(body)});
    return Do(school, file, std::move(events), person, role);
  }
  // The same without settling: the outcome is set when it is known.
  using Outcome = std::shared_ptr<std::optional<absl::Status>>;
  Outcome Submit(const std::string& school, const std::string& file, std::vector<domain::Event> events, const std::string& person = "leader",
                 const std::string& role = "leader", std::uint64_t expected_version = 0, int priority = 50);

  // The file as this node has folded it; fails the test when it does not know it.
  const domain::FileState& File(const std::string& file);
  // Of its present case; null: none of that kind or ladder. The newest of several.
  const domain::ClockState* Clock(std::string_view kind, const std::string& file = "file");
  const domain::AlertState* Alert(std::string_view ladder, const std::string& file = "file");

  // Every file and school that this node has folded, by id, serialized: equal bytes are equal state.
  std::string StateBytes() const;

 private:
  friend class World;

  World* const world_;
  const NodeOptions options_;
  std::vector<std::unique_ptr<ManualLoop>> loops_;
  std::unique_ptr<ManualLoop> loop_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Machine> machine_;
  int next_cause_ = 0;
  int life_ = 0;
};

// What a report says, with what a test leaves out filled in.
struct ReportOf {
  std::vector<std::string> indicators;
  std::string claimed_level = {};
  bool deteriorating = false;
  std::string reporter = "class_teacher";
  absl::Time discovered_time = absl::InfinitePast();  // now
  domain::SightClaim sight = domain::SightClaim::kUnspecified;
  std::string sight_person = {};
  std::string student = "child";
};

class World {
 public:
  // On the shipped pack.
  explicit World(absl::Time start = At("2026-03-10 10:00"), std::uint64_t seed = 1);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Makes and starts a node, and settles.
  Node& Run(NodeOptions options);
  // A node that does nothing by itself, for a test that writes by hand.
  Node& RunWriter(const std::string& source);

  // Everything that is due now happens, until nothing more does. False: it would not end.
  bool Settle();
  // Time passes, stopping wherever something falls due.
  void Advance(absl::Duration duration) { AdvanceTo(clock_.Now() + duration); }
  void AdvanceTo(absl::Time instant);
  // Steps from one instant at which something is due to the next until `done`; false when `longest` has passed before.
  bool AdvanceUntil(const std::function<bool()>& done, absl::Duration longest);

  // A school: leader, deputy, office, grade_head (grade 3), class_teacher (3-2), teacher, guard, guard_2, crisis, assessor, the child of class 3-2
  // with mother and father. All have telephones, sealed in the key bucket.
  void OpenSchool(Node& writer, const std::string& school = "school");
  // A report on `file`, written as intake would write it. Its id; settles.
  std::string Report(Node& writer, const ReportOf& report, const std::string& file = "file", const std::string& school = "school");

  // Of `person` at a school that OpenSchool made.
  static std::string PhoneOf(const std::string& school, const std::string& person);

  FakeBroker& broker() { return broker_; }
  ManualClock& clock() { return clock_; }
  absl::Time now() const { return clock_.Now(); }
  FakeKeyBucket& keys() { return keys_; }
  Random& random() { return random_; }
  const PackLibrary& packs() const { return *packs_; }
  // The common one.
  const domain::Pack& pack() const { return *packs_->common(); }
  // The key with which a source signs, the same in every world.
  static SigningKey KeyOf(const std::string& source);
  static std::vector<std::pair<std::string, VerifyKey>> TrustedSources();

 private:
  friend class Node;
  absl::Time NextTime() const;

  const PackLibrary* const packs_;
  ManualClock clock_;
  SeededRandom random_;
  FakeBroker broker_;
  FakeKeyBucket keys_;
  std::vector<std::unique_ptr<Node>> nodes_;
  int reports_ = 0;
};

}  // namespace vigil::scenario
