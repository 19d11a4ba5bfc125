#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "contract/log/log_harness.h"

namespace vigil {
namespace {

using ::testing::ElementsAre;
using testing::FakeHarness;
using testing::LogHarness;
using testing::NatsHarness;

enum class Kind { kFake, kNats, kNatsTls };

// What a follower has seen; the handler runs on a library thread.
class Seen {
 public:
  std::function<void(LogMessage)> Handler() {
    return [this](LogMessage message) {
      std::lock_guard lock(mutex_);
      messages_.push_back(std::move(message));
    };
  }
  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return messages_.size();
  }
  std::vector<LogMessage> messages() const {
    std::lock_guard lock(mutex_);
    return messages_;
  }
  std::vector<std::uint64_t> Sequences() const {
    std::vector<std::uint64_t> sequences;
    for (const LogMessage& message : messages()) sequences.push_back(message.sequence);
    return sequences;
  }
  std::uint64_t LastOf(std::string_view source) const {
    std::uint64_t last = 0;
    for (const LogMessage& message : messages()) {
      if (message.source == source) last = message.sequence;
    }
    return last;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<LogMessage> messages_;
};

class LogContract : public ::testing::TestWithParam<Kind> {
 protected:
  LogContract() {
    if (GetParam() == Kind::kFake) {
      harness_ = std::make_unique<FakeHarness>();
    } else {
      harness_ = std::make_unique<NatsHarness>(GetParam() == Kind::kNatsTls);
    }
  }

  AppendOutcome Append(Log& log, int partition, std::uint64_t expected, std::string body) {
    std::mutex mutex;
    std::vector<AppendOutcome> outcomes;
    log.Append(partition, expected, std::move(body), [&](AppendOutcome outcome) {
      std::lock_guard lock(mutex);
      outcomes.push_back(std::move(outcome));
    });
    EXPECT_TRUE(harness_->Until([&] {
      std::lock_guard lock(mutex);
      return !outcomes.empty();
    }));
    std::lock_guard lock(mutex);
    return outcomes.empty() ? AppendOutcome{absl::InternalError("no outcome"), 0} : outcomes.front();
  }

  std::unique_ptr<LogHarness> harness_;
};

TEST_P(LogContract, AnAppendGivesItsSequence) {
  const auto log = harness_->Connect("intake");
  EXPECT_EQ(log->source(), "intake");
  const AppendOutcome first = Append(*log, 3, 0, "one");
  EXPECT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(first.sequence, 1U);
  const AppendOutcome second = Append(*log, 3, 1, "two");
  EXPECT_TRUE(second.status.ok()) << second.status;
  EXPECT_EQ(second.sequence, 2U);
  EXPECT_EQ(Append(*log, 4, 0, "another partition").sequence, 1U);
}

TEST_P(LogContract, AnAppendOnAnOldPlaceIsRefusedAndNotStored) {
  const auto log = harness_->Connect("intake");
  ASSERT_TRUE(Append(*log, 0, 0, "one").status.ok());
  EXPECT_EQ(Append(*log, 0, 0, "again").status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Append(*log, 0, 2, "ahead").status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(log->Info(0)->last_sequence, 1U);
}

TEST_P(LogContract, TheExpectedPlaceIsThatOfTheOwnSubject) {
  const auto intake = harness_->Connect("intake");
  const auto risk = harness_->Connect("risk");
  EXPECT_EQ(Append(*intake, 0, 0, "a").sequence, 1U);
  EXPECT_EQ(Append(*risk, 0, 0, "b").sequence, 2U);
  EXPECT_EQ(Append(*intake, 0, 1, "c").sequence, 3U);
  EXPECT_EQ(Append(*risk, 0, 3, "d").status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Append(*risk, 0, 2, "d").sequence, 4U);
}

TEST_P(LogContract, OfTwoWritersOfOneSubjectTheOneThatReadLessIsRefused) {
  const auto leader = harness_->Connect("timer");
  const auto zombie = harness_->Connect("timer");
  ASSERT_TRUE(Append(*zombie, 0, 0, "old").status.ok());
  ASSERT_TRUE(Append(*leader, 0, 1, "new").status.ok());
  EXPECT_EQ(Append(*zombie, 0, 1, "late").status.code(), absl::StatusCode::kAborted);
}

TEST_P(LogContract, AFollowerReadsWhatWasAndWhatComes) {
  const auto intake = harness_->Connect("intake");
  const auto risk = harness_->Connect("risk");
  const std::string binary("\0\xff\r\n{", 5);
  ASSERT_TRUE(Append(*intake, 7, 0, "before").status.ok());
  ASSERT_TRUE(Append(*intake, 7, 1, binary).status.ok());
  Seen seen;
  const auto subscription = risk->Follow(7, 1, seen.Handler());
  ASSERT_TRUE(subscription.ok());
  EXPECT_TRUE(harness_->Until([&] { return seen.size() == 2; }));
  ASSERT_TRUE(Append(*risk, 7, 0, "").status.ok());
  EXPECT_TRUE(harness_->Until([&] { return seen.size() == 3; }));
  const std::vector<LogMessage> messages = seen.messages();
  EXPECT_THAT(seen.Sequences(), ElementsAre(1, 2, 3));
  EXPECT_EQ(messages[0].source, "intake");
  EXPECT_EQ(messages[1].body, binary);
  EXPECT_EQ(messages[2].source, "risk");
  EXPECT_EQ(messages[2].body, "");
  EXPECT_EQ(messages[2].partition, 7);
}

TEST_P(LogContract, AFollowerBeginsWhereItIsTold) {
  const auto log = harness_->Connect("intake");
  for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(Append(*log, 0, i, "x").status.ok());
  Seen middle;
  Seen future;
  const auto one = log->Follow(0, 4, middle.Handler());
  const auto two = log->Follow(0, 8, future.Handler());
  EXPECT_TRUE(harness_->Until([&] { return middle.size() == 2; }));
  for (std::uint64_t i = 5; i < 9; ++i) ASSERT_TRUE(Append(*log, 0, i, "x").status.ok());
  EXPECT_TRUE(harness_->Until([&] { return middle.size() == 6 && future.size() == 2; }));
  harness_->Settle();
  EXPECT_THAT(middle.Sequences(), ElementsAre(4, 5, 6, 7, 8, 9));
  EXPECT_THAT(future.Sequences(), ElementsAre(8, 9));
}

TEST_P(LogContract, AFollowerHearsNothingAfterItsEnd) {
  const auto log = harness_->Connect("intake");
  Seen seen;
  Seen other;
  auto subscription = log->Follow(0, 1, seen.Handler());
  const auto witness = log->Follow(0, 1, other.Handler());
  ASSERT_TRUE(Append(*log, 0, 0, "x").status.ok());
  ASSERT_TRUE(harness_->Until([&] { return seen.size() == 1; }));
  subscription->reset();
  ASSERT_TRUE(Append(*log, 0, 1, "y").status.ok());
  ASSERT_TRUE(harness_->Until([&] { return other.size() == 2; }));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_P(LogContract, AHandlerMayEndItsOwnSubscriptionAndAppend) {
  const auto log = harness_->Connect("intake");
  std::unique_ptr<Subscription> subscription;
  std::atomic<int> handled = 0;
  std::atomic<bool> appended = false;
  for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(Append(*log, 0, i, "x").status.ok());
  std::mutex made;
  {
    std::lock_guard lock(made);
    auto followed = log->Follow(0, 1, [&](const LogMessage&) {
      std::lock_guard wait(made);
      ++handled;
      subscription.reset();
      log->Append(0, 3, "y", [&](const AppendOutcome& outcome) { appended = outcome.status.ok(); });
    });
    subscription = *std::move(followed);
  }
  EXPECT_TRUE(harness_->Until([&] { return appended.load(); }));
  harness_->Settle();
  EXPECT_EQ(handled, 1);
}

TEST_P(LogContract, EveryPartitionIsFollowedByOneThreadAtATime) {
  const auto log = harness_->Connect("intake");
  constexpr int kEach = 40;
  std::atomic<int> inside = 0;
  std::atomic<int> total = 0;
  std::atomic<bool> ok = true;
  std::map<int, std::uint64_t> next;
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  for (int partition = 0; partition < kPartitions; ++partition) {
    next[partition] = 1;
    subscriptions.push_back(*log->Follow(partition, 1, [&](const LogMessage& message) {
      if (++inside != 1) ok = false;
      if (next[message.partition]++ != message.sequence) ok = false;
      if (message.body != std::to_string(message.partition)) ok = false;
      --inside;
      ++total;
    }));
  }
  // One append in flight a partition, all partitions at once.
  std::atomic<int> stored = 0;
  std::function<void(int, std::uint64_t)> append = [&](int partition, std::uint64_t last) {
    log->Append(partition, last, std::to_string(partition), [&, partition](const AppendOutcome& outcome) {
      if (++inside != 1 || !outcome.status.ok()) ok = false;
      ++stored;
      if (outcome.sequence < kEach) append(partition, outcome.sequence);
      --inside;
    });
  };
  for (int partition = 0; partition < kPartitions; ++partition) append(partition, 0);
  EXPECT_TRUE(harness_->Until([&] { return total == kEach * kPartitions && stored == kEach * kPartitions; })) << total << ' ' << stored;
  EXPECT_TRUE(ok);
}

TEST_P(LogContract, TheLargestBodyFitsAndNoLarger) {
  const auto log = harness_->Connect("intake");
  Seen seen;
  const auto subscription = log->Follow(0, 1, seen.Handler());
  const std::string largest(kMaxLogMessageBytes, 'x');
  EXPECT_EQ(Append(*log, 0, 0, largest + "x").status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Append(*log, 0, 0, largest).status.ok());
  ASSERT_TRUE(harness_->Until([&] { return seen.size() == 1; }));
  EXPECT_EQ(seen.messages()[0].body, largest);
}

TEST_P(LogContract, WhatCannotBeIsInvalid) {
  const auto log = harness_->Connect("intake");
  for (const int partition : {-1, kPartitions}) {
    EXPECT_EQ(Append(*log, partition, 0, "x").status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(log->Follow(partition, 1, [](const LogMessage&) {}).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(log->Info(partition).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(log->Follow(0, 0, [](const LogMessage&) {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(LogContract, InfoTellsTheStreamApart) {
  const auto log = harness_->Connect("intake");
  const auto empty = log->Info(2);
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->first_sequence, 1U);
  EXPECT_EQ(empty->last_sequence, 0U);
  ASSERT_TRUE(Append(*log, 2, 0, "0123456789").status.ok());
  harness_->Kill();
  harness_->Start();
  ASSERT_TRUE(harness_->Until([&] { return log->connected(); }));
  const auto info = log->Info(2);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->first_sequence, 1U);
  EXPECT_EQ(info->last_sequence, 1U);
  EXPECT_GE(info->bytes, 10U);
  EXPECT_EQ(info->created_time, empty->created_time);
}

TEST_P(LogContract, WhileTheBrokerIsAwayAppendsFailAtOnceAndNothingWaits) {
  const auto log = harness_->Connect("intake");
  std::vector<bool> told;
  std::mutex mutex;
  log->OnConnection([&](bool up) {
    std::lock_guard lock(mutex);
    told.push_back(up);
  });
  ASSERT_TRUE(Append(*log, 0, 0, "x").status.ok());
  EXPECT_TRUE(log->connected());
  harness_->Kill();
  ASSERT_TRUE(harness_->Until([&] { return !log->connected(); }));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(Append(*log, 0, 1, "y").status.code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(500));
  EXPECT_EQ(log->Info(0).status().code(), absl::StatusCode::kUnavailable);
  harness_->Start();
  ASSERT_TRUE(harness_->Until([&] { return log->connected(); }));
  harness_->Settle();
  EXPECT_EQ(log->Info(0)->last_sequence, 1U);
  EXPECT_EQ(Append(*log, 0, 1, "z").sequence, 2U);
  std::lock_guard lock(mutex);
  EXPECT_THAT(told, ElementsAre(true, false, true));
}

TEST_P(LogContract, AFollowerBegunWhileTheBrokerIsAwayCatchesUp) {
  const auto log = harness_->Connect("intake");
  ASSERT_TRUE(Append(*log, 0, 0, "x").status.ok());
  harness_->Kill();
  ASSERT_TRUE(harness_->Until([&] { return !log->connected(); }));
  Seen seen;
  const auto subscription = log->Follow(0, 1, seen.Handler());
  ASSERT_TRUE(subscription.ok());
  harness_->Start();
  EXPECT_TRUE(harness_->Until([&] { return seen.size() == 1; }));
}

// A writer does what the contract says: on an unknown outcome it reads back before it decides again. Whatever the broker suffers, each
// decision is then stored once, and every follower reads the same.
TEST_P(LogContract, NothingIsLostOrDoubledWhileTheBrokerIsKilledAgainAndAgain) {
  constexpr int kDecisions = 400;
  constexpr int kKills = 4;
  const auto log = harness_->Connect("intake");
  const auto reader = harness_->Connect("audit");
  Seen own;
  Seen other;
  const auto one = log->Follow(5, 1, own.Handler());
  const auto two = reader->Follow(5, 1, other.Handler());
  int unknown = 0;
  int kills = 0;
  for (int decision = 0; decision < kDecisions;) {
    std::mutex mutex;
    std::vector<AppendOutcome> outcomes;
    log->Append(5, own.LastOf("intake"), std::to_string(decision), [&](AppendOutcome outcome) {
      std::lock_guard lock(mutex);
      outcomes.push_back(std::move(outcome));
    });
    if (decision == (kills + 1) * kDecisions / (kKills + 1)) {
      ++kills;
      harness_->Kill();  // with that append on its way
      harness_->Start();
    }
    ASSERT_TRUE(harness_->Until([&] {
      std::lock_guard lock(mutex);
      return !outcomes.empty();
    }));
    const AppendOutcome outcome = outcomes.front();
    if (outcome.status.ok()) {
      ASSERT_TRUE(harness_->Until([&] { return own.LastOf("intake") == outcome.sequence; })) << outcome.sequence;
      ++decision;
      continue;
    }
    ASSERT_TRUE(absl::IsUnavailable(outcome.status) || absl::IsAborted(outcome.status)) << outcome.status;
    ++unknown;
    // Read back: everything up to the stream's end.
    ASSERT_TRUE(harness_->Until([&] { return log->connected(); }));
    const auto info = log->Info(5);
    if (!info.ok()) continue;
    ASSERT_TRUE(harness_->Until([&] { return own.LastOf("intake") >= info->last_sequence; }));
    if (!own.messages().empty() && own.messages().back().body == std::to_string(decision)) ++decision;
  }
  EXPECT_EQ(kills, kKills);
  ASSERT_TRUE(harness_->Until([&] { return other.size() >= static_cast<std::size_t>(kDecisions); })) << other.size();
  harness_->Settle();
  for (const Seen* seen : {&own, &other}) {
    const std::vector<LogMessage> messages = seen->messages();
    ASSERT_EQ(messages.size(), static_cast<std::size_t>(kDecisions));
    for (std::size_t i = 0; i < messages.size(); ++i) {
      ASSERT_EQ(messages[i].sequence, i + 1);
      ASSERT_EQ(messages[i].body, std::to_string(i));
    }
  }
  RecordProperty("unknown_outcomes", unknown);
}

TEST_P(LogContract, AnAppendInFlightHasItsOutcomeWhenTheLogIsDestroyed) {
  std::atomic<int> outcomes = 0;
  {
    const auto log = harness_->Connect("intake");
    for (int partition = 0; partition < kPartitions; ++partition) {
      log->Append(partition, 0, "x", [&](const AppendOutcome&) { ++outcomes; });
    }
  }
  EXPECT_EQ(outcomes, kPartitions);
  harness_->Settle();
  EXPECT_EQ(outcomes, kPartitions);
}

INSTANTIATE_TEST_SUITE_P(Logs, LogContract, ::testing::Values(Kind::kFake, Kind::kNats, Kind::kNatsTls), [](const auto& instance) {
  switch (instance.param) {
    case Kind::kFake:
      return "Fake";
    case Kind::kNats:
      return "Nats";
    default:
      return "NatsTls";
  }
});

}  // namespace
}  // namespace vigil
