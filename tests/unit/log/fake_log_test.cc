// The fake's faults: each must really hurt, or the tests built on it prove nothing.
#include "platform/log/fake_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace vigil {
namespace {

using ::testing::ElementsAre;

class FakeLogTest : public ::testing::Test {
 protected:
  // Sends an append; its outcome is there once it was delivered.
  std::shared_ptr<std::optional<AppendOutcome>> Send(Log& log, std::uint64_t expected, std::string body, int partition = 0) {
    auto outcome = std::make_shared<std::optional<AppendOutcome>>();
    log.Append(partition, expected, std::move(body), [outcome](AppendOutcome result) {
      EXPECT_FALSE(outcome->has_value()) << "told twice";
      *outcome = std::move(result);
    });
    return outcome;
  }
  std::unique_ptr<Subscription> Follow(Log& log, int partition = 0) {
    return *log.Follow(partition, 1, [this](LogMessage message) { seen_.push_back(std::move(message.body)); });
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  FakeBroker broker_{[this] { return now_; }};
  std::unique_ptr<Log> log_ = broker_.Connect("intake");
  std::vector<std::string> seen_;
};

TEST_F(FakeLogTest, NothingHappensUntilItIsDelivered) {
  const auto outcome = Send(*log_, 0, "x");
  EXPECT_EQ(broker_.LastSequence(0), 0U);
  EXPECT_FALSE(outcome->has_value());
  EXPECT_EQ(broker_.NextTime(), now_);
  broker_.Deliver();
  EXPECT_TRUE((*outcome)->status.ok());
  EXPECT_EQ(broker_.Message(0, 1).stored_time, now_);
  EXPECT_EQ(broker_.NextTime(), absl::InfiniteFuture());
}

TEST_F(FakeLogTest, ALostAnswerIsStoredAndALostRequestIsNot) {
  broker_.LoseAnswers(0, 1);
  const auto stored = Send(*log_, 0, "stored");
  broker_.Deliver();
  EXPECT_TRUE(absl::IsUnavailable((*stored)->status));
  EXPECT_EQ(broker_.LastSequence(0), 1U);
  broker_.LoseRequests(0, 1);
  const auto lost = Send(*log_, 1, "lost");
  broker_.Deliver();
  EXPECT_TRUE(absl::IsUnavailable((*lost)->status));
  EXPECT_EQ(broker_.LastSequence(0), 1U);
  const auto again = Send(*log_, 0, "stored");
  broker_.Deliver();
  EXPECT_TRUE(absl::IsAborted((*again)->status));
}

TEST_F(FakeLogTest, WhatWasNotSyncedIsLostWithThePowerButNotWithTheProcess) {
  broker_.SyncEveryAppend(false);
  Send(*log_, 0, "a");
  broker_.Deliver();
  broker_.Sync();
  Send(*log_, 1, "b");
  broker_.Deliver();
  broker_.Stop();
  EXPECT_EQ(broker_.LastSequence(0), 2U);
  broker_.LosePower();
  EXPECT_EQ(broker_.LastSequence(0), 1U);
  broker_.Start();
  const auto subscription = Follow(*log_);
  broker_.Deliver();
  EXPECT_THAT(seen_, ElementsAre("a"));
  const auto reused = Send(*log_, 1, "c");
  broker_.Deliver();
  EXPECT_EQ((*reused)->sequence, 2U) << "sequences are reused after a rollback, which is why it must be noticed";
}

TEST_F(FakeLogTest, ASynchronousStoreLosesNothingItAcknowledged) {
  const auto outcome = Send(*log_, 0, "a");
  broker_.Deliver();
  ASSERT_TRUE((*outcome)->status.ok());
  broker_.LosePower();
  EXPECT_EQ(broker_.LastSequence(0), 1U);
}

TEST_F(FakeLogTest, AFollowerBeyondTheEndOfARolledBackStreamWaitsInSilence) {
  const auto subscription = Follow(*log_);
  for (std::uint64_t i = 0; i < 3; ++i) {
    Send(*log_, i, std::to_string(i));
    broker_.Deliver();
  }
  const auto before = log_->Info(0);
  broker_.Rollback(0, 1);
  Send(*log_, 1, "other 1");
  broker_.Deliver();
  EXPECT_THAT(seen_, ElementsAre("0", "1", "2"));
  EXPECT_EQ(log_->Info(0)->created_time, before->created_time);
  broker_.Recreate(0);
  EXPECT_NE(log_->Info(0)->created_time, before->created_time);
  EXPECT_EQ(log_->Info(0)->last_sequence, 0U);
}

TEST_F(FakeLogTest, ACutSourceIsAloneInTheDark) {
  const auto other = broker_.Connect("risk");
  const auto subscription = Follow(*log_);
  const auto lost = Send(*log_, 0, "on its way");
  broker_.Cut("intake");
  const auto fine = Send(*other, 0, "risk");
  broker_.Deliver();
  EXPECT_TRUE(absl::IsUnavailable((*lost)->status));
  EXPECT_TRUE((*fine)->status.ok());
  EXPECT_FALSE(log_->connected());
  EXPECT_TRUE(other->connected());
  EXPECT_TRUE(seen_.empty());
  broker_.Mend("intake");
  broker_.Deliver();
  EXPECT_THAT(seen_, ElementsAre("risk"));
}

TEST_F(FakeLogTest, AnAnswerOnItsWayIsLostWithTheConnection) {
  const auto outcome = Send(*log_, 0, "x");
  ASSERT_TRUE(broker_.DeliverOne());  // the request arrives
  EXPECT_EQ(broker_.LastSequence(0), 1U);
  broker_.Stop();
  broker_.Deliver();
  EXPECT_TRUE(absl::IsUnavailable((*outcome)->status));
}

TEST_F(FakeLogTest, AFullDiskRefusesAndStoresNothing) {
  broker_.SetSpace(3);
  const auto full = Send(*log_, 0, "four");
  broker_.Deliver();
  EXPECT_TRUE(absl::IsResourceExhausted((*full)->status));
  EXPECT_EQ(broker_.LastSequence(0), 0U);
  broker_.SetSpace(1000);
  const auto fits = Send(*log_, 0, "four");
  broker_.Deliver();
  EXPECT_TRUE((*fits)->status.ok());
}

TEST_F(FakeLogTest, AHeldPartitionIsDeliveredLater) {
  const auto subscription = Follow(*log_);
  broker_.Hold(0);
  Send(*log_, 0, "x");
  broker_.Deliver();
  EXPECT_TRUE(seen_.empty());
  broker_.Release(0);
  broker_.Deliver();
  EXPECT_THAT(seen_, ElementsAre("x"));
}

TEST_F(FakeLogTest, AForgedMessageIsReadByAllAndMovesTheSubject) {
  const auto subscription = Follow(*log_);
  EXPECT_EQ(broker_.Forge(0, "intake", "forged"), 1U);
  const auto refused = Send(*log_, 0, "x");
  broker_.Deliver();
  EXPECT_THAT(seen_, ElementsAre("forged"));
  EXPECT_TRUE(absl::IsAborted((*refused)->status));
}

TEST_F(FakeLogTest, ThingsTakeTheirTimeAndKeepTheirOrder) {
  std::vector<absl::Duration> latencies = {absl::Seconds(5), absl::Seconds(1)};
  std::size_t drawn = 0;
  broker_.SetLatency([&] { return latencies[drawn++ % latencies.size()]; });
  Send(*log_, 0, "slow");
  Send(*log_, 1, "quick, but behind it");
  EXPECT_EQ(broker_.Deliver(), 0);
  EXPECT_EQ(broker_.NextTime(), now_ + absl::Seconds(5));
  now_ += absl::Seconds(5);
  broker_.Deliver();
  EXPECT_EQ(broker_.Message(0, 1).body, "slow");
  EXPECT_EQ(broker_.LastSequence(0), 2U);
}

TEST_F(FakeLogTest, TheChooserDecidesWhoIsFirst) {
  const auto other = broker_.Connect("risk");
  broker_.SetChooser([](std::size_t count) { return count - 1; });
  Send(*log_, 0, "first sent");
  Send(*other, 0, "chosen first");
  ASSERT_TRUE(broker_.DeliverOne());
  EXPECT_EQ(broker_.Message(0, 1).body, "chosen first");
}

}  // namespace
}  // namespace vigil
