// A stream that has lost its end, or was made anew, is noticed before anything is appended.
#include "machine/incarnation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "contract/time_conversion.h"
#include "machine/batch_codec.h"
#include "platform/crypto/random.h"
#include "platform/durable_file/durable_file.h"
#include "platform/log/fake_log.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil {
namespace {

constexpr int kPartition = 3;

class IncarnationTest : public ::testing::Test {
 protected:
  IncarnationTest() : log_(broker_.Connect("intake")) {}

  // A message as intake would store it, perhaps with the word of a repair.
  void Append(const std::optional<log::v1::LogReopened>& reopened = std::nullopt) {
    log::v1::Commit commit;
    commit.set_id(absl::StrCat("m", ++number_));
    commit.set_source("intake");
    auto* event = commit.add_events();
    if (reopened) {
      *event->mutable_log_reopened() = *reopened;
    } else {
      event->mutable_school_registered()->set_school_name(absl::StrCat("school ", number_));
    }
    const std::string message = EncodeBatch(kPartition, "intake", chain_, {commit.SerializeAsString()}, key_);
    chain_ = BatchHash(message);
    broker_.Forge(kPartition, "intake", message);
  }
  KnownPosition Known() {
    const StreamInfo info = *log_->Info(kPartition);
    return {.created_time = info.created_time, .sequence = info.last_sequence, .hash = BatchHash(log_->Read(kPartition, info.last_sequence)->body), .incarnation = {}};
  }
  log::v1::LogReopened Reopened(std::uint64_t whole_until, const std::string& incarnation = "one") {
    log::v1::LogReopened reopened;
    reopened.set_incarnation(incarnation);
    reopened.set_whole_until(whole_until);
    contract::TimeToProto(log_->Info(kPartition)->created_time, reopened.mutable_created_time());
    return reopened;
  }
  absl::StatusOr<CheckedStream> Checked(const KnownPosition& known, bool fresh = false) {
    return CheckStream(*log_, kPartition, known, {{"intake", key_.verify_key()}}, fresh);
  }

  SystemRandom random_;
  SigningKey key_ = SigningKey::Generate(random_);
  FakeBroker broker_;
  std::unique_ptr<Log> log_;
  std::string chain_;
  int number_ = 0;
};

TEST_F(IncarnationTest, AStreamThatGoesOnIsTheSame) {
  EXPECT_TRUE(Checked({}).ok()) << "nothing is known";
  Append();
  Append();
  const KnownPosition known = Known();
  EXPECT_TRUE(Checked(known).ok());
  Append();
  EXPECT_TRUE(Checked(known).ok());
}

TEST_F(IncarnationTest, AStreamThatLostItsEndIsNoticed) {
  for (int i = 0; i < 5; ++i) Append();
  const KnownPosition known = Known();
  broker_.Rollback(kPartition, 3);
  EXPECT_TRUE(absl::IsDataLoss(Checked(known).status()));
  EXPECT_TRUE(absl::IsDataLoss(Checked(known, true).status())) << "also by a process that has read nothing yet";
}

TEST_F(IncarnationTest, AStreamThatLostItsEndAndGrewAgainIsNoticed) {
  for (int i = 0; i < 5; ++i) Append();
  const KnownPosition known = Known();
  broker_.Rollback(kPartition, 3);
  for (int i = 0; i < 4; ++i) Append();
  EXPECT_TRUE(absl::IsDataLoss(Checked(known).status()));
}

TEST_F(IncarnationTest, AStreamMadeAnewIsNoticedThoughItsMessagesAreTheSame) {
  Append();
  const std::string message = log_->Read(kPartition, 1)->body;
  const KnownPosition known = Known();
  broker_.Recreate(kPartition);
  EXPECT_TRUE(absl::IsDataLoss(Checked(known).status()));
  broker_.Forge(kPartition, "intake", message);
  EXPECT_TRUE(absl::IsDataLoss(Checked(known).status()));
}

TEST_F(IncarnationTest, ARepairedStreamIsTakenUpAgain) {
  for (int i = 0; i < 3; ++i) Append();
  std::vector<std::string> messages;
  for (std::uint64_t i = 1; i <= 3; ++i) messages.push_back(log_->Read(kPartition, i)->body);
  const KnownPosition known = Known();
  broker_.Recreate(kPartition);
  for (const std::string& message : messages) broker_.Forge(kPartition, "intake", message);
  Append(Reopened(3));
  EXPECT_TRUE(Checked(known).ok());
  // Not by the word of somebody else's key, nor by that of an earlier repair.
  key_ = SigningKey::Generate(random_);
  EXPECT_TRUE(absl::IsDataLoss(Checked(known).status()));
}

TEST_F(IncarnationTest, WhatTheRepairCouldNotBringBackIsGivenUpOnlyByAProcessThatHasNotReadIt) {
  for (int i = 0; i < 5; ++i) Append();
  KnownPosition known = Known();
  broker_.Rollback(kPartition, 3);
  chain_ = BatchHash(log_->Read(kPartition, 3)->body);
  Append(Reopened(3));
  EXPECT_TRUE(absl::IsDataLoss(Checked(known).status()));
  const auto fresh = Checked(known, true);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_TRUE(fresh->forget);
  // A repair that was known before does not speak for what was lost after it.
  known.incarnation = "one";
  EXPECT_TRUE(absl::IsDataLoss(Checked(known, true).status()));
}

TEST_F(IncarnationTest, WithoutTheBrokerNothingIsSaid) {
  Append();
  const KnownPosition known = Known();
  broker_.Stop();
  EXPECT_TRUE(absl::IsUnavailable(Checked(known).status()));
}

TEST_F(IncarnationTest, PositionsSurviveARestartAndDamageIsSaid) {
  std::string name = (std::filesystem::temp_directory_path() / "vigil-positions-XXXXXX").string();
  const std::string directory = mkdtemp(name.data());
  const std::string path = directory + "/log-positions";
  EXPECT_TRUE(absl::IsNotFound(LoadPositions(path).status()));
  Append();
  KnownPositions positions;
  positions[kPartition] = Known();
  positions[kPartition].incarnation = "one";
  ASSERT_TRUE(SavePositions(path, positions).ok());
  const auto loaded = LoadPositions(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*loaded, positions);
  ASSERT_TRUE(WriteDurably(path, "{\"3\": 7}").ok());
  EXPECT_TRUE(absl::IsDataLoss(LoadPositions(path).status()));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace vigil
