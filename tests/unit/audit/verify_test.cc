#include "audit/ledger/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/ledger/ledger.h"
#include "ledger_sample.h"
#include "platform/crypto/encoding.h"

namespace vigil {
namespace {

using sample::Message;
using sample::ReadEntries;
using sample::ReadStream;
using testing::HasSubstr;

constexpr std::uint32_t kPartition = 7;

// A ledger that is right, and the stream it came from; each test bends one thing.
class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    ledger_ = sample::OpenLedger(directory_.path("ledger")).value();
    EXPECT_TRUE(sample::Follow(*ledger_, {{kPartition, {messages_.begin(), messages_.begin() + 30}}}).ok());
    earlier_ = ledger_->SignedCheckpoint(kPartition);
    EXPECT_TRUE(sample::Follow(*ledger_, {{kPartition, messages_}}).ok());
    entries_ = ledger_->Entries(kPartition, 0, 1000).value();
  }

  PartitionToVerify What() {
    PartitionToVerify what{.partition = kPartition,
                           .installation = sample::kInstallation,
                           .key = ledger_->key(),
                           .checkpoint = ledger_->SignedCheckpoint(kPartition),
                           .ledger = ReadEntries(entries_),
                           .stream = ReadStream(messages_),
                           .earlier = {earlier_},
                           .facts = sample::FactsOf};
    return what;
  }

  void ExpectDifference(const PartitionToVerify& what, DifferenceKind kind, const std::string& text) {
    const auto verified = VerifyPartition(what);
    ASSERT_TRUE(verified.ok()) << verified.status();
    ASSERT_TRUE(verified->difference.has_value());
    EXPECT_EQ(verified->difference->kind, kind) << verified->difference->text;
    EXPECT_THAT(verified->difference->text, HasSubstr("partition 07: "));
    EXPECT_THAT(verified->difference->text, HasSubstr(text));
  }

  // Another ledger of the same key, over other commits.
  std::unique_ptr<Ledger> Forged(const std::vector<Message>& messages) {
    auto forged = sample::OpenLedger(directory_.path("forged")).value();
    EXPECT_EQ(forged->key().ToText(), ledger_->key().ToText());
    EXPECT_TRUE(sample::Follow(*forged, {{kPartition, messages}}).ok());
    return forged;
  }

  sample::Directory directory_;
  std::vector<Message> messages_ = sample::MakeStreams(3, {kPartition}, 50).at(kPartition);
  std::unique_ptr<Ledger> ledger_;
  std::string earlier_;
  std::vector<LedgerEntry> entries_;
};

std::string HexLeaf(const std::string& bytes) { return HexEncode(AsView(merkle::LeafHash(bytes))); }

TEST_F(VerifyTest, AgreesWhenAllThreeAgree) {
  const auto verified = VerifyPartition(What()).value();
  EXPECT_FALSE(verified.difference.has_value()) << verified.difference->text;
  EXPECT_EQ(verified.leaves, entries_.size());
  EXPECT_EQ(verified.checkpoint.size, entries_.size());
}

TEST_F(VerifyTest, AnEmptyPartitionAgrees) {
  PartitionToVerify what = What();
  what.partition = 8;
  what.checkpoint = ledger_->SignedCheckpoint(8);
  what.earlier = {ledger_->SignedCheckpoint(8)};
  what.ledger = ReadEntries({});
  what.stream = ReadStream({});
  EXPECT_FALSE(VerifyPartition(what).value().difference.has_value());
}

TEST_F(VerifyTest, NamesACommitThatDiffers) {
  LedgerEntry& entry = entries_[23];
  const std::string original = entry.bytes;
  entry.bytes += "!";
  ExpectDifference(What(), DifferenceKind::kCommitDiffers,
                   absl::StrCat("commit at sequence ", entry.sequence, " index ", entry.index, " differs: stream ",
                                HexLeaf(original), ", ledger ", HexLeaf(entry.bytes)));
}

TEST_F(VerifyTest, NamesACommitThatIsMissingFromTheLedger) {
  const LedgerEntry gone = entries_[23];
  entries_.erase(entries_.begin() + 23);
  for (std::size_t i = 23; i < entries_.size(); ++i) entries_[i].id.leaf = i;
  ExpectDifference(
      What(), DifferenceKind::kEntryMissing,
      absl::StrCat("commit at sequence ", gone.sequence, " index ", gone.index, " is missing from the ledger"));
}

TEST_F(VerifyTest, NamesALeafThatIsMissing) {
  entries_.erase(entries_.begin() + 23);
  ExpectDifference(What(), DifferenceKind::kEntryMissing, "leaf 23 is missing");
}

TEST_F(VerifyTest, NamesAnEntryThatTheStreamDoesNotHave) {
  const LedgerEntry extra = entries_[23];
  for (Message& message : messages_) {
    const auto found = std::find(message.commits.begin(), message.commits.end(), extra.bytes);
    if (found == message.commits.end()) continue;
    messages_[extra.sequence - 1].commits.clear();
  }
  ExpectDifference(What(), DifferenceKind::kEntryExtra, "is not in the stream");
}

TEST_F(VerifyTest, NamesALedgerThatEndsEarly) {
  entries_.pop_back();
  ExpectDifference(What(), DifferenceKind::kEntryMissing,
                   absl::StrCat("the ledger ends before leaf ", entries_.size()));
}

TEST_F(VerifyTest, NamesALedgerThatGoesOnBeyondItsCheckpoint) {
  entries_.push_back(entries_.back());
  entries_.back().id.leaf += 1;
  ExpectDifference(What(), DifferenceKind::kEntryExtra, "beyond its checkpoint");
}

TEST_F(VerifyTest, NamesEntriesOutOfOrder) {
  std::swap(entries_[10].sequence, entries_[20].sequence);
  PartitionToVerify what = What();
  what.stream = nullptr;
  ExpectDifference(what, DifferenceKind::kEntryOrder, "comes after");
}

TEST_F(VerifyTest, NamesAnEntryListedUnderAnotherFile) {
  entries_[10].file = "file-of-somebody-else";
  ExpectDifference(What(), DifferenceKind::kEntryColumns, "leaf 10 is listed as of file 'file-of-somebody-else'");
}

TEST_F(VerifyTest, NamesAStoredLeafHashThatIsNotTheCommits) {
  entries_[10].leaf_hash[5] ^= 1;
  ExpectDifference(What(), DifferenceKind::kEntryColumns, "leaf 10: stored leaf hash");
}

TEST_F(VerifyTest, NamesARootThatIsNotTheEntries) {
  // The last commit is another, after what the earlier checkpoint covers.
  PartitionToVerify what = What();
  std::vector<Message> other = messages_;
  ASSERT_GT(entries_.back().sequence, 30u);
  other[entries_.back().sequence - 1].commits.back() = "file-7-1|school-7-0|5|rewritten";
  what.checkpoint = Forged(other)->SignedCheckpoint(kPartition);
  ExpectDifference(what, DifferenceKind::kRoot, "root of ");
}

TEST_F(VerifyTest, NamesABadSignature) {
  PartitionToVerify what = What();
  what.checkpoint = sample::OpenLedger(directory_.path("forged"), /*seed=*/99).value()->SignedCheckpoint(kPartition);
  ExpectDifference(what, DifferenceKind::kCheckpointSignature, "bad signature");
  what = What();
  what.checkpoint[what.checkpoint.find("\n") + 1] = '9';
  ExpectDifference(what, DifferenceKind::kCheckpointSignature, "bad signature");
}

TEST_F(VerifyTest, NamesACheckpointOfAnotherPartitionOrOfNothing) {
  PartitionToVerify what = What();
  what.checkpoint = ledger_->SignedCheckpoint(8);
  ExpectDifference(what, DifferenceKind::kCheckpointText, "partition-08");
  what = What();
  what.checkpoint = "";
  ExpectDifference(what, DifferenceKind::kCheckpointText, "bad checkpoint");
}

TEST_F(VerifyTest, NamesACheckpointLargerThanTheStream) {
  messages_.resize(40);
  ExpectDifference(What(), DifferenceKind::kCheckpointAhead, "the checkpoint is larger than the stream");
}

TEST_F(VerifyTest, NamesACheckpointSmallerThanTheStreamUnlessTheRestCameSince) {
  messages_.push_back({{"file-7-1|school-7-0|5|later"}});
  PartitionToVerify what = What();
  ExpectDifference(what, DifferenceKind::kCheckpointBehind, "commit at sequence 51 index 0 is not among them");
  what = What();
  what.required_sequence = 50;
  EXPECT_FALSE(VerifyPartition(what).value().difference.has_value());
}

TEST_F(VerifyTest, NamesAHistoryRewrittenAndSignedAnewByTheKeyItself) {
  std::vector<Message> rewritten = messages_;
  Message& message =
      *std::find_if(rewritten.begin(), rewritten.end(), [](const Message& m) { return !m.commits.empty(); });
  message.commits[0] = "file-7-1|school-7-0|5|rewritten";
  auto forged = Forged(rewritten);
  PartitionToVerify what = What();
  what.checkpoint = forged->SignedCheckpoint(kPartition);
  what.ledger = ReadEntries(forged->Entries(kPartition, 0, 1000).value());
  what.stream = nullptr;
  ExpectDifference(what, DifferenceKind::kEarlierCheckpoint, "it no longer contains what it signed");
  what = What();
  what.checkpoint = forged->SignedCheckpoint(kPartition);
  what.ledger = ReadEntries(forged->Entries(kPartition, 0, 1000).value());
  what.earlier.clear();
  ExpectDifference(what, DifferenceKind::kCommitDiffers, "differs");
}

TEST_F(VerifyTest, NamesAHistoryCutOffAndSignedAnew) {
  std::vector<Message> shorter(messages_.begin(), messages_.begin() + 20);
  auto forged = Forged(shorter);
  PartitionToVerify what = What();
  what.checkpoint = forged->SignedCheckpoint(kPartition);
  what.ledger = ReadEntries(forged->Entries(kPartition, 0, 1000).value());
  what.stream = nullptr;
  ExpectDifference(what, DifferenceKind::kEarlierCheckpoint, "cut off");
}

TEST_F(VerifyTest, NamesAStoredNodeThatWouldSpoilProofs) {
  PartitionToVerify what = What();
  what.stored_node = [](merkle::NodeId) -> absl::StatusOr<Digest> { return Digest{}; };
  ExpectDifference(what, DifferenceKind::kStoredNode, "node 0 of level 1 differs");
  what.stored_node = [](merkle::NodeId) -> absl::StatusOr<Digest> { return absl::NotFoundError(""); };
  what.ledger = ReadEntries(entries_);
  what.stream = nullptr;
  ExpectDifference(what, DifferenceKind::kStoredNode, "is not stored");
}

TEST_F(VerifyTest, AfterARepairOnlyTheCommitsCount) {
  // The new stream holds the same commits, one a message.
  std::vector<Message> repaired;
  for (const LedgerEntry& entry : entries_) repaired.push_back({{entry.bytes}});
  PartitionToVerify what = What();
  what.stream = ReadStream(repaired);
  EXPECT_TRUE(VerifyPartition(what).value().difference.has_value());
  what = What();
  what.stream = ReadStream(repaired);
  what.compare_positions = false;
  EXPECT_FALSE(VerifyPartition(what).value().difference.has_value());
}

TEST_F(VerifyTest, WhatCannotBeReadIsNoFinding) {
  PartitionToVerify what = What();
  what.stream = [](StreamCommit&) -> absl::StatusOr<bool> { return absl::UnavailableError("broker away"); };
  EXPECT_TRUE(absl::IsUnavailable(VerifyPartition(what).status()));
  what = What();
  what.ledger = [](LedgerEntry&) -> absl::StatusOr<bool> { return absl::DataLossError("page 7"); };
  ExpectDifference(what, DifferenceKind::kStoredFile, "page 7");
}

}  // namespace
}  // namespace vigil
