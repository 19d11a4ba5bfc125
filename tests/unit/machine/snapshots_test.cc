#include "machine/snapshots.h"

#include <gtest/gtest.h>

#include "escalation-timer/escalation_timer.h"
#include "platform/snapshot/fake_snapshot_store.h"
#include "risk-rules/risk_rules.h"
#include "scenario/support/world.h"
#include "vigil/state/v1/snapshot.pb.h"

namespace vigil {
namespace {

using scenario::Node;
using scenario::World;

const int kPartition = PartitionOf("school");

class SnapshotsTest : public testing::Test {
 protected:
  SnapshotsTest() {
    world_.OpenSchool(intake_);
    for (const char* file : {"a", "b", "c"}) world_.Report(intake_, {.indicators = {"W1a"}, .student = ""}, file);
    world_.Advance(absl::Hours(2));
  }

  void Attach(Service& service, Machine& machine) {
    snapshots_ = std::make_unique<Snapshots>(&machine, &service, &store_, machine.loop(), machine.loop(), World::KeyOf(signer_), options_);
    const std::unique_ptr<Log> reader = world_.broker().Connect("reader");
    restored_ = snapshots_->Restore(*reader);
  }
  void File(const std::string& file, const std::string& record) {
    domain::RecordFiled filed{.record_id = record, .kind = "talk"};
    ASSERT_TRUE(intake_.Do("school", file, std::move(filed)).ok());
  }
  void TakeSnapshot() {
    const std::uint64_t before = snapshots_->written();
    snapshots_->Consider();
    world_.Settle();
    ASSERT_EQ(snapshots_->written(), before + 1);
  }
  // Of the file in the snapshot that is stored; 0: it is not in it.
  std::uint64_t SavedVersion(const std::string& file) {
    const absl::StatusOr<Snapshot> snapshot = store_.Get("timer/" + std::to_string(kPartition));
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    if (!snapshot.ok()) return 0;
    for (std::size_t i = 1; i < snapshot->chunks.size(); ++i) {
      state::v1::SnapshotFiles files;
      EXPECT_TRUE(files.ParseFromString(snapshot->chunks[i]));
      for (const state::v1::FileState& saved : files.files()) {
        if (saved.file() == file) return saved.version();
      }
    }
    return 0;
  }
  void ExpectStateOfTheLog() {
    Node& reader = world_.Run({.source = "audit", .writes = false});
    EXPECT_EQ(timer_.StateBytes(), reader.StateBytes());
  }

  World world_;
  FakeSnapshotStore store_;
  std::string signer_ = "timer";
  SnapshotOptions options_{.program = "this one", .interval = absl::ZeroDuration(), .least_messages = 1, .slice = 1};
  std::unique_ptr<Snapshots> snapshots_;
  int restored_ = -1;
  Node& intake_ = world_.RunWriter("intake");
  Node& timer_ = world_.Run({.source = "timer",
                             .make = [this](Node&) { return std::make_unique<EscalationTimer>(&world_.pack(), &world_.clock(), nullptr); },
                             .attach =
                                 [this](Service& service, Machine& machine) {
                                   static_cast<EscalationTimer&>(service).Attach(&machine);
                                   Attach(service, machine);
                                 },
                             .detach = [this](Service&) { snapshots_.reset(); }});
};

TEST_F(SnapshotsTest, ARestartBeginsThereAndEndsInTheSameState) {
  EXPECT_EQ(restored_, 0);
  TakeSnapshot();
  File("b", "after the snapshot");
  timer_.Kill();
  File("c", "while it was away");
  timer_.Start();
  EXPECT_EQ(restored_, 1);
  EXPECT_GT(timer_.machine().HeadOf(kPartition).sequence, 0u) << "before anything was read";
  world_.Settle();
  ExpectStateOfTheLog();
}

TEST_F(SnapshotsTest, AFileThatChangesBeforeItsTurnIsSavedAsItWas) {
  const std::uint64_t before = timer_.File("c").version;
  world_.broker().Hold(kPartition);
  intake_.Submit("school", "c", {domain::Event{domain::RecordFiled{.record_id = "meanwhile", .kind = "talk"}}});
  intake_.loop().RunAll();
  world_.broker().Deliver();
  snapshots_->Consider();  // its first slice waits in the loop, and the message comes between that and the rest
  world_.broker().Release(kPartition);
  world_.broker().Deliver();
  world_.Settle();
  ASSERT_EQ(snapshots_->written(), 1u);
  EXPECT_GT(timer_.File("c").version, before);
  EXPECT_EQ(SavedVersion("c"), before);
  timer_.Restart();
  EXPECT_EQ(restored_, 1);
  world_.Settle();
  ExpectStateOfTheLog();
}

TEST_F(SnapshotsTest, ItsTimersFireAfterARestart) {
  world_.Run({.source = "risk", .make = [](Node&) { return std::make_unique<RiskRules>(); }});
  world_.Report(intake_, {.indicators = {"W1a"}, .student = ""}, "d");
  TakeSnapshot();
  timer_.Restart();
  world_.Settle();
  ASSERT_EQ(restored_, 1);
  const domain::ClockState* clock = timer_.Clock("written_report", "d");
  ASSERT_NE(clock, nullptr);
  ASSERT_EQ(clock->phase, domain::ClockPhase::kRunning);
  world_.AdvanceTo(clock->due_time + absl::Seconds(1));
  EXPECT_EQ(timer_.Clock("written_report", "d")->phase, domain::ClockPhase::kOverdue);
}

TEST_F(SnapshotsTest, ItsSchoolsPacksDecideAfterARestart) {
  world_.Run({.source = "risk", .make = [](Node&) { return std::make_unique<RiskRules>(); }});
  const auto adopt = [&](const std::string& name, const std::string& overlay) {
    const absl::Status adopted = intake_.Do("school", "", std::vector<domain::Event>{domain::Event{domain::PackProposed{.digest = name, .overlay = overlay}},
                                                                                     domain::Event{domain::PackAdopted{.digest = name}}});
    ASSERT_TRUE(adopted.ok()) << adopted;
  };
  adopt("first", "clocks:\n  assessment:\n    due_after: 3h\n");
  world_.Report(intake_, {.indicators = {"W1a"}, .student = ""}, "d");
  adopt("second", "clocks:\n  assessment:\n    due_after: 2h\n");
  TakeSnapshot();
  timer_.Restart();
  world_.Settle();
  ASSERT_EQ(restored_, 1);
  ExpectStateOfTheLog();
  world_.Report(intake_, {.indicators = {"W1a"}, .deteriorating = true, .student = ""}, "d");
  world_.Report(intake_, {.indicators = {"W1a"}, .student = ""}, "e");
  const auto span = [&](const std::string& file) { return timer_.Clock("assessment", file)->due_time - timer_.Clock("assessment", file)->start_time; };
  EXPECT_EQ(span("d"), absl::Hours(3));
  EXPECT_EQ(span("e"), absl::Hours(2));
}

TEST_F(SnapshotsTest, NothingElseIsBelieved) {
  TakeSnapshot();
  const auto restart = [&] {
    timer_.Restart();
    world_.Settle();
    ExpectStateOfTheLog();
    return restored_;
  };
  EXPECT_EQ(restart(), 1);
  signer_ = "intake";
  EXPECT_EQ(restart(), 0) << "signed by somebody else";
  signer_ = "timer";
  options_.program = "another one";
  EXPECT_EQ(restart(), 0) << "of another version of the program";
  options_.program = "this one";
  store_.SetAvailable(false);
  EXPECT_EQ(restart(), 0) << "the store is down";
  store_.SetAvailable(true);
  EXPECT_EQ(restart(), 1);
  store_.Flush();
  EXPECT_EQ(restart(), 0) << "the store was flushed";
}

TEST_F(SnapshotsTest, OneOfAnotherStreamIsNotUsed) {
  TakeSnapshot();
  timer_.Kill();
  intake_.Kill();
  world_.broker().Recreate(kPartition);
  timer_.Start();
  EXPECT_EQ(restored_, 0);
}

TEST_F(SnapshotsTest, IsTakenWhenEnoughHasHappenedAndEnoughTimeHasPassed) {
  options_.interval = absl::Minutes(1);
  options_.least_messages = 3;
  timer_.Restart();
  world_.Settle();
  TakeSnapshot();
  for (int i = 0; i < 3; ++i) File("a", "record " + std::to_string(i));
  snapshots_->Consider();
  EXPECT_FALSE(snapshots_->under_way()) << "too soon";
  world_.clock().Advance(absl::Minutes(1));
  TakeSnapshot();
  world_.clock().Advance(absl::Minutes(1));
  snapshots_->Consider();
  EXPECT_FALSE(snapshots_->under_way()) << "nothing has happened";
}

}  // namespace
}  // namespace vigil
