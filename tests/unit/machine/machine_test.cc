#include "machine/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "platform/durable_file/durable_file.h"
#include "scenario/support/world.h"

namespace vigil {
namespace {

using scenario::Node;
using scenario::World;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const int kPartition = PartitionOf("school");

// What is appended, in order: the report ids and record ids that commits carry, void ones in brackets.
class Recorder final : public Service {
 public:
  explicit Recorder(std::vector<std::string>* seen) : seen_(seen) {}
  void OnCommit(const AppliedCommit& applied) override {
    if (applied.file == nullptr) return;
    std::string name = "?";
    if (const auto* report = std::get_if<domain::ReportReceived>(&applied.commit.events.front().body)) name = report->report_id;
    if (const auto* record = std::get_if<domain::RecordFiled>(&applied.commit.events.front().body)) name = record->record_id;
    if (std::holds_alternative<domain::AlertTaken>(applied.commit.events.front().body)) name = absl::StrCat("taken by ", applied.commit.actor->person);
    seen_->push_back(applied.applied.guard.ok() ? name : absl::StrCat("(", name, ")"));
  }

 private:
  std::vector<std::string>* seen_;
};

domain::RecordFiled Record(std::string id) { return {.record_id = std::move(id), .kind = "talk"}; }
std::vector<domain::Event> Events(domain::RecordFiled record) {
  std::vector<domain::Event> events;
  events.push_back({std::move(record)});
  return events;
}

class MachineTest : public testing::Test {
 protected:
  MachineTest() {
    world_.OpenSchool(intake_);
    world_.Report(intake_, {.indicators = {}});
    at_start_ = world_.broker().LastSequence(kPartition);
    seen_.clear();
  }
  std::uint64_t Messages() { return world_.broker().LastSequence(kPartition) - at_start_; }

  World world_;
  std::vector<std::string> seen_;
  Node& reader_ = world_.Run({.source = "audit", .writes = false, .make = [this](Node&) { return std::make_unique<Recorder>(&seen_); }});
  Node& intake_ = world_.RunWriter("intake");
  std::uint64_t at_start_ = 0;
};

TEST_F(MachineTest, CallerIsAnsweredOnlyOnceTheCommitHasBeenReadBack) {
  world_.broker().Hold(kPartition);
  const auto outcome = intake_.Submit("school", "file", Events(Record("one")));
  world_.Settle();
  EXPECT_EQ(Messages(), 1u) << "stored";
  EXPECT_FALSE(outcome->has_value()) << "but not yet read";
  world_.broker().Release(kPartition);
  world_.Settle();
  ASSERT_TRUE(outcome->has_value());
  EXPECT_TRUE((*outcome)->ok());
}

TEST_F(MachineTest, LostAnswerStoresOnce) {
  world_.broker().LoseAnswers(kPartition, 1);
  EXPECT_TRUE(intake_.Do("school", "file", Record("one")).ok());
  world_.Advance(absl::Seconds(5));
  EXPECT_EQ(Messages(), 1u);
  EXPECT_THAT(seen_, ElementsAre("one"));
}

TEST_F(MachineTest, LostRequestIsOfferedAgain) {
  world_.broker().LoseRequests(kPartition, 3);
  const auto outcome = intake_.Submit("school", "file", Events(Record("one")));
  world_.Settle();
  EXPECT_EQ(Messages(), 0u);
  world_.Advance(absl::Seconds(1));
  ASSERT_TRUE(outcome->has_value());
  EXPECT_TRUE((*outcome)->ok());
  EXPECT_THAT(seen_, ElementsAre("one"));
}

TEST_F(MachineTest, AnswerLostWhileTheReaderIsBehindStoresOnce) {
  world_.broker().LoseAnswers(kPartition, 1);
  world_.broker().Hold(kPartition);
  const auto outcome = intake_.Submit("school", "file", Events(Record("one")));
  world_.Advance(absl::Seconds(2));
  EXPECT_EQ(Messages(), 1u) << "offered again, and refused";
  world_.broker().Release(kPartition);
  world_.Settle();
  ASSERT_TRUE(outcome->has_value());
  EXPECT_TRUE((*outcome)->ok());
  EXPECT_THAT(seen_, ElementsAre("one"));
}

TEST_F(MachineTest, BrokerThatGoesAndComesBackLosesNothing) {
  const auto before = intake_.Submit("school", "file", Events(Record("one")));
  world_.broker().Stop();
  const auto during = intake_.Submit("school", "file", Events(Record("two")));
  world_.Advance(absl::Minutes(1));
  EXPECT_FALSE(during->has_value());
  world_.broker().Start();
  world_.Advance(absl::Seconds(1));
  ASSERT_TRUE(before->has_value());
  ASSERT_TRUE(during->has_value());
  EXPECT_TRUE((*before)->ok());
  EXPECT_TRUE((*during)->ok());
  EXPECT_THAT(seen_, ElementsAre("one", "two"));
}

TEST_F(MachineTest, AStreamThatLostItsEndStopsItsPartitionBeforeAnyAppendAndOthersGoOn) {
  ASSERT_TRUE(intake_.Do("school", "file", Record("one")).ok());
  ASSERT_TRUE(intake_.Do("school", "file", Record("two")).ok());
  world_.broker().Stop();
  intake_.machine().Hold();
  reader_.machine().Hold();
  const std::uint64_t kept = world_.broker().LastSequence(kPartition) - 1;
  world_.broker().Rollback(kPartition, kept);
  world_.broker().Start();
  const auto outcome = intake_.Submit("school", "file", Events(Record("three")));
  world_.Advance(absl::Seconds(5));
  EXPECT_EQ(world_.broker().LastSequence(kPartition), kept) << "nothing is appended before the stream has been looked at";
  ASSERT_TRUE(intake_.machine().CheckStreams().ok());
  world_.Advance(absl::Seconds(5));
  EXPECT_TRUE(intake_.machine().stopped(kPartition));
  EXPECT_EQ(world_.broker().LastSequence(kPartition), kept);
  const auto refused = intake_.Submit("school", "file", Events(Record("four")));
  world_.Settle();
  ASSERT_TRUE(refused->has_value());
  EXPECT_TRUE(absl::IsUnavailable(**refused)) << **refused;
  std::string other = "another";
  while (PartitionOf(other) == kPartition) other += "x";
  world_.OpenSchool(intake_, other);
  EXPECT_FALSE(intake_.machine().stopped(PartitionOf(other)));
  EXPECT_GT(world_.broker().LastSequence(PartitionOf(other)), 0U);
  EXPECT_FALSE(outcome->has_value());
}

TEST_F(MachineTest, AfterALossOfConnectionAWholeStreamGoesOnAndWhatCameMeanwhileIsRead) {
  ASSERT_TRUE(intake_.Do("school", "file", Record("one")).ok());
  reader_.machine().Hold();
  intake_.machine().Hold();
  const auto outcome = intake_.Submit("school", "file", Events(Record("two")));
  world_.Settle();
  EXPECT_FALSE(outcome->has_value());
  ASSERT_TRUE(intake_.machine().CheckStreams().ok());
  world_.Settle();
  ASSERT_TRUE(outcome->has_value());
  EXPECT_TRUE((*outcome)->ok());
  EXPECT_THAT(seen_, ElementsAre("one")) << "the reader holds back what it has not checked";
  ASSERT_TRUE(reader_.machine().CheckStreams().ok());
  world_.Settle();
  EXPECT_THAT(seen_, ElementsAre("one", "two"));
}

TEST_F(MachineTest, ACommitThatEndedTheProcessTwiceIsPassedOverAndOnlyItsFileIsSetAside) {
  ASSERT_TRUE(intake_.Do("school", "file", Record("poison")).ok());
  const std::uint64_t sequence = world_.broker().LastSequence(kPartition);
  ASSERT_TRUE(intake_.Do("school", "file", Record("after")).ok());
  world_.Report(intake_, {.indicators = {}}, "other");
  ASSERT_TRUE(intake_.Do("school", "other", Record("elsewhere")).ok());

  std::string name = (std::filesystem::temp_directory_path() / "vigil-poison-XXXXXX").string();
  const std::string directory = mkdtemp(name.data());
  ASSERT_TRUE(WriteDurably(directory + "/folding.crashes", absl::StrCat("{\"", kPartition, "/", sequence, "/0\": 2}")).ok());
  const auto marker = CrashMarker::Open(directory + "/folding");
  ASSERT_TRUE(marker.ok()) << marker.status();
  std::vector<std::string> seen;
  Recorder recorder(&seen);
  ManualLoop loop;
  const std::unique_ptr<Log> log = world_.broker().Connect("intake");
  {
    Machine machine(&world_.packs(), log.get(), &world_.clock(), &loop, &recorder,
                    {.installation = "test", .signing_key = World::KeyOf("intake"), .trusted_sources = World::TrustedSources(), .crash_marker = marker->get()});
    loop.SetHooks(machine.hooks());
    ASSERT_TRUE(machine.Start().ok());
    const auto settle = [&] {
      for (int i = 0; i < 50; ++i) {
        world_.broker().Deliver();
        loop.RunAll();
      }
    };
    settle();
    EXPECT_TRUE(machine.FindFile("file")->quarantined);
    EXPECT_FALSE(machine.FindFile("other")->quarantined);
    EXPECT_THAT(seen, ::testing::IsSupersetOf({"(poison)", "after", "elsewhere"}));
    EXPECT_EQ(machine.statistics().quarantined_files, 1U);
    // It is told of in the log, once, and others set the file aside as they read of it.
    world_.Settle();
    EXPECT_TRUE(reader_.machine().FindFile("file")->quarantined);
    EXPECT_EQ(machine.FindFile("file")->state.quarantined_commits.size(), 1U);
    std::optional<absl::Status> refused;
    machine.Submit(
        kPartition, 50, [&]() -> absl::StatusOr<Draft> { return Draft{.cause = "by hand", .school = "school", .file = "file", .events = Events(Record("no"))}; },
        [&](absl::StatusOr<Machine::Outcome> outcome) { refused = outcome.status(); });
    settle();
    ASSERT_TRUE(refused.has_value());
    EXPECT_TRUE(absl::IsFailedPrecondition(*refused)) << *refused;
  }
  std::filesystem::remove_all(directory);
}

TEST_F(MachineTest, AtTheEndEveryCallerIsAnsweredWithoutTheBroker) {
  world_.broker().Stop();
  const auto on_its_way = intake_.Submit("school", "file", Events(Record("one")));
  const auto waiting = intake_.Submit("school", "file", Events(Record("two")));
  world_.Settle();
  EXPECT_EQ(intake_.machine().waiting_commands(), 2);
  intake_.machine().Refuse(absl::UnavailableError("stopping"));
  const auto late = intake_.Submit("school", "file", Events(Record("three")));
  world_.Settle();
  for (const auto& outcome : {on_its_way, waiting, late}) {
    ASSERT_TRUE(outcome->has_value());
    EXPECT_TRUE(absl::IsUnavailable(**outcome));
  }
  EXPECT_EQ(intake_.machine().waiting_commands(), 0);
}

TEST_F(MachineTest, LagIsWhatIsKnownToBeUnread) {
  EXPECT_EQ(reader_.machine().Lag(kPartition), 0u);
  world_.broker().Hold(kPartition);
  intake_.Submit("school", "file", Events(Record("one")));
  world_.Settle();
  reader_.machine().NoteEnd(kPartition, world_.broker().LastSequence(kPartition));
  EXPECT_EQ(reader_.machine().Lag(kPartition), 1u);
  world_.broker().Release(kPartition);
  world_.Settle();
  EXPECT_EQ(reader_.machine().Lag(kPartition), 0u);
}

TEST_F(MachineTest, ForgedMessageChangesNothingAndStopsNobody) {
  const std::string before = intake_.StateBytes();
  world_.broker().Forge(kPartition, "intake", "not even a batch");
  world_.broker().Forge(kPartition, "intake",
                        EncodeBatch(kPartition, "intake", "", {"forged"}, World::KeyOf("somebody else")));
  world_.Settle();
  EXPECT_EQ(intake_.StateBytes(), before);
  EXPECT_EQ(intake_.machine().statistics().refused_messages, 2u);
  EXPECT_EQ(reader_.machine().statistics().refused_messages, 2u);
  // Its sequence is taken as read: the writer goes on after it.
  EXPECT_TRUE(intake_.Do("school", "file", Record("one")).ok());
  EXPECT_THAT(seen_, ElementsAre("one"));
}

TEST_F(MachineTest, ReplayedBatchIsRefusedThoughItsSignatureHolds) {
  ASSERT_TRUE(intake_.Do("school", "file", Record("one")).ok());
  const std::string body = world_.broker().Message(kPartition, world_.broker().LastSequence(kPartition)).body;
  const std::string before = intake_.StateBytes();
  world_.broker().Forge(kPartition, "intake", body);
  world_.broker().Forge(kPartition, "timer", body);
  world_.broker().Forge((kPartition + 1) % kPartitions, "intake", body);
  world_.Settle();
  EXPECT_EQ(intake_.StateBytes(), before);
  EXPECT_EQ(reader_.machine().statistics().refused_messages, 3u);
  EXPECT_TRUE(intake_.Do("school", "file", Record("two")).ok());
  EXPECT_THAT(seen_, ElementsAre("one", "two"));
}

TEST_F(MachineTest, ForgedMessageOvertakingAnAppendHasItDecidedAgain) {
  const auto outcome = intake_.Submit("school", "file", Events(Record("one")));
  intake_.loop().RunAll();  // the append is on its way, expecting the sequence that is now taken
  world_.broker().Forge(kPartition, "intake", "in between");
  world_.Advance(absl::Seconds(1));
  ASSERT_TRUE(outcome->has_value());
  EXPECT_TRUE((*outcome)->ok());
  EXPECT_THAT(seen_, ElementsAre("one"));
}

TEST_F(MachineTest, TwoWritersOfOneSourceAreFencedAndBothSucceedOnce) {
  Node& zombie = world_.RunWriter("intake");
  const auto ours = intake_.Submit("school", "file", Events(Record("ours")));
  const auto theirs = zombie.Submit("school", "file", Events(Record("theirs")));
  world_.Advance(absl::Seconds(2));
  ASSERT_TRUE(ours->has_value());
  ASSERT_TRUE(theirs->has_value());
  EXPECT_TRUE((*ours)->ok()) << **ours;
  EXPECT_TRUE((*theirs)->ok()) << **theirs;
  EXPECT_THAT(seen_, testing::UnorderedElementsAre("ours", "theirs"));
  EXPECT_EQ(intake_.StateBytes(), zombie.StateBytes());
  EXPECT_GE(intake_.machine().statistics().conflicts + zombie.machine().statistics().conflicts, 1u);
}

TEST_F(MachineTest, CommitThatIsVoidWhereItLandsIsDecidedAgain) {
  Node& timer = world_.RunWriter("timer");
  ASSERT_TRUE(timer.Do("school", "file", domain::AlertRaised{.alert_id = "alert", .ladder = "severe_ladder", .trigger = 1}).ok());
  seen_.clear();
  const auto take = [](const char* person) {
    std::vector<domain::Event> events;
    events.push_back({domain::AlertTaken{.alert_id = "alert", .person = person, .how = "api"}});
    return events;
  };
  // Both decide before either has read the other.
  world_.broker().Hold(kPartition);
  const auto first = intake_.Submit("school", "file", take("leader"), "leader");
  const auto second = timer.Submit("school", "file", take("deputy"), "deputy");
  world_.Settle();
  world_.broker().Release(kPartition);
  world_.Settle();
  ASSERT_TRUE(first->has_value());
  ASSERT_TRUE(second->has_value());
  EXPECT_NE((*first)->ok(), (*second)->ok());
  EXPECT_TRUE(absl::IsFailedPrecondition((*first)->ok() ? **second : **first)) << "decided again, the second is told why";
  ASSERT_EQ(seen_.size(), 2u);
  EXPECT_EQ(seen_[1].front(), '(') << "the later of the two has no effect, in every reader";
  for (Node* node : {&intake_, &timer, &reader_}) EXPECT_EQ(node->machine().statistics().void_commits, 1u);
  EXPECT_EQ(intake_.StateBytes(), timer.StateBytes());
  EXPECT_EQ(intake_.StateBytes(), reader_.StateBytes());
}

TEST_F(MachineTest, StaleVersionIsAborted) {
  const std::uint64_t version = intake_.File("file").version;
  EXPECT_TRUE(intake_.Do("school", "file", Events(Record("one")), "leader", "leader", version).ok());
  EXPECT_TRUE(absl::IsAborted(intake_.Do("school", "file", Events(Record("two")), "leader", "leader", version)));
}

TEST_F(MachineTest, WhatIsReadyTogetherGoesInOneMessage) {
  for (int i = 0; i < 200; ++i) world_.Report(intake_, {.indicators = {}}, absl::StrCat("file ", i));
  at_start_ = world_.broker().LastSequence(kPartition);
  std::vector<Node::Outcome> outcomes;
  outcomes.push_back(intake_.Submit("school", "file 0", Events(Record("first"))));
  intake_.loop().RunAll();
  for (int i = 1; i < 200; ++i) outcomes.push_back(intake_.Submit("school", absl::StrCat("file ", i), Events(Record(absl::StrCat(i)))));
  world_.Settle();
  EXPECT_EQ(Messages(), 2u) << "one at once, and what gathered while it was on its way";
  for (const auto& outcome : outcomes) ASSERT_TRUE(outcome->has_value() && (*outcome)->ok());
}

TEST_F(MachineTest, UrgentGoesFirstButNeverReordersOneFile) {
  for (const char* file : {"a", "b", "c"}) world_.Report(intake_, {.indicators = {}}, file);
  seen_.clear();
  intake_.Submit("school", "a", Events(Record("a1")), "leader", "leader", 0, 10);
  intake_.Submit("school", "a", Events(Record("a2")), "leader", "leader", 0, 10);
  intake_.Submit("school", "b", Events(Record("b1")), "leader", "leader", 0, 10);
  intake_.Submit("school", "c", Events(Record("severe")), "leader", "leader", 0, 100);
  world_.Settle();
  EXPECT_THAT(seen_, ElementsAre("severe", "a1", "b1", "a2"));
}

TEST_F(MachineTest, TooLargeACommitIsRefusedAndTheOthersGo) {
  domain::RecordFiled large = Record("large");
  large.fields = domain::Sealed{.person = "child", .content = std::string(kMaxCommitBytes, 'x')};
  EXPECT_TRUE(absl::IsInvalidArgument(intake_.Do("school", "file", std::move(large))));
  EXPECT_TRUE(intake_.Do("school", "file", Record("small")).ok());
  EXPECT_THAT(seen_, ElementsAre("small"));
}

TEST_F(MachineTest, LargeCommitsAreSpreadOverMessages) {
  std::vector<Node::Outcome> outcomes;
  for (int i = 0; i < 20; ++i) {
    world_.Report(intake_, {.indicators = {}}, absl::StrCat("file ", i));
    domain::RecordFiled large = Record(absl::StrCat(i));
    large.fields = domain::Sealed{.person = "child", .content = std::string(100 * 1024, 'x')};
    outcomes.push_back(intake_.Submit("school", absl::StrCat("file ", i), Events(std::move(large))));
  }
  world_.Settle();
  for (const auto& outcome : outcomes) ASSERT_TRUE(outcome->has_value() && (*outcome)->ok());
  for (std::uint64_t sequence = 1; sequence <= world_.broker().LastSequence(kPartition); ++sequence) {
    EXPECT_LE(world_.broker().Message(kPartition, sequence).body.size(), kMaxLogMessageBytes);
  }
}

TEST_F(MachineTest, RestartFoldsTheSameStateByteForByte) {
  for (int i = 0; i < 30; ++i) {
    world_.Report(intake_, {.indicators = {"H1"}}, absl::StrCat("file ", i % 7));
    ASSERT_TRUE(intake_.Do("school", absl::StrCat("file ", i % 7), Record(absl::StrCat(i))).ok());
    world_.Advance(absl::Minutes(7));
  }
  const std::string before = intake_.StateBytes();
  EXPECT_EQ(reader_.StateBytes(), before);
  intake_.Restart();
  world_.Settle();
  EXPECT_EQ(intake_.StateBytes(), before);
  EXPECT_TRUE(intake_.Do("school", "file 1", Record("after")).ok());
}

TEST_F(MachineTest, KilledWithAnAppendOnItsWayTheNextLifeGoesOnAfterIt) {
  intake_.Submit("school", "file", Events(Record("one")));
  intake_.loop().RunAll();
  intake_.Kill();  // whether it was stored nobody knows
  world_.Settle();
  intake_.Start();
  world_.Settle();
  EXPECT_TRUE(intake_.Do("school", "file", Record("two")).ok());
  EXPECT_THAT(seen_, testing::AnyOf(ElementsAre("one", "two"), ElementsAre("two")));
  EXPECT_EQ(intake_.StateBytes(), reader_.StateBytes());
}

TEST_F(MachineTest, NothingIsWrittenBeforeThePastHasBeenRead) {
  intake_.Kill();
  world_.broker().Hold(kPartition);
  intake_.Start();
  world_.Settle();
  const auto outcome = intake_.Submit("school", "file", Events(Record("one")));
  world_.Advance(absl::Seconds(5));
  EXPECT_FALSE(intake_.machine().caught_up());
  EXPECT_EQ(Messages(), 0u);
  world_.broker().Release(kPartition);
  world_.Settle();
  ASSERT_TRUE(outcome->has_value());
  EXPECT_TRUE((*outcome)->ok());
}

TEST_F(MachineTest, RecordedTimeNeverDecreases) {
  ASSERT_TRUE(intake_.Do("school", "file", Record("one")).ok());
  const absl::Time first = intake_.File("file").current->records.back().filed_time;
  world_.clock().Step(world_.now() - absl::Hours(1));
  const auto second = intake_.Submit("school", "file", Events(Record("two")));
  // The broker, whose clock was stepped too, answers when it has caught up.
  ASSERT_TRUE(world_.AdvanceUntil([&] { return second->has_value(); }, absl::Hours(2)));
  EXPECT_TRUE((*second)->ok());
  EXPECT_EQ(intake_.File("file").current->records.back().filed_time, first);
}

TEST(PartitionOfTest, NeverChanges) {
  // Stored logs depend on it.
  EXPECT_EQ(PartitionOf("school"), PartitionOf(std::string("school")));
  EXPECT_EQ(PartitionOf(""), 0xe);
  EXPECT_EQ(PartitionOf("abc"), 0xb);
}

}  // namespace
}  // namespace vigil
