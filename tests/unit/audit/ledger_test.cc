#include "audit/ledger/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "audit/ledger/sqlite.h"
#include "ledger_sample.h"

namespace vigil {
namespace {

using sample::Follow;
using sample::OpenLedger;
using sample::Streams;

class LedgerTest : public testing::Test {
 protected:
  std::string path() const { return directory_.path("ledger"); }

  void Edit(const char* sql) {
    ASSERT_TRUE(SqliteDatabase::Open(path() + "/ledger.db", false).value()->Execute(sql).ok());
  }

  sample::Directory directory_;
  const Streams streams_ = sample::MakeStreams(7, {0, 3, 15}, 40);
};

Checkpoint CheckpointOf(const Ledger& ledger, std::uint32_t partition) {
  return OpenCheckpoint(ledger.SignedCheckpoint(partition), ledger.key(),
                        LedgerOrigin(sample::kInstallation, partition))
      .value();
}

TEST_F(LedgerTest, EveryEntryIsProvedUnderTheSignedCheckpoint) {
  auto ledger = OpenLedger(path()).value();
  ASSERT_TRUE(Follow(*ledger, streams_).ok());
  for (const auto& [partition, messages] : streams_) {
    const Checkpoint checkpoint = CheckpointOf(*ledger, partition);
    ASSERT_EQ(checkpoint.size, ledger->Size(partition));
    ASSERT_GT(checkpoint.size, 20u);
    std::uint64_t leaf = 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      for (std::size_t j = 0; j < messages[i].commits.size(); ++j, ++leaf) {
        const LedgerEntry entry = ledger->Entry({partition, leaf}).value();
        EXPECT_EQ(entry.bytes, messages[i].commits[j]);
        EXPECT_EQ(entry.sequence, i + 1);
        EXPECT_EQ(entry.index, j);
        EXPECT_EQ(entry.leaf_hash, merkle::LeafHash(entry.bytes));
        const CommitFacts facts = sample::FactsOf(entry.bytes).value();
        EXPECT_EQ((CommitFacts{entry.file, entry.school, entry.recorded_time}), facts);
        const auto proof = ledger->InclusionProof(partition, leaf, checkpoint.size).value();
        EXPECT_TRUE(merkle::VerifyInclusion(leaf, checkpoint.size, entry.leaf_hash, proof, checkpoint.root).ok());
      }
    }
    EXPECT_EQ(leaf, checkpoint.size);
  }
}

TEST_F(LedgerTest, EveryCheckpointIsConsistentWithEveryLaterOne) {
  auto ledger = OpenLedger(path()).value();
  std::vector<Checkpoint> checkpoints = {CheckpointOf(*ledger, 3)};
  for (std::size_t i = 0; i < streams_.at(3).size(); ++i) {
    ASSERT_TRUE(sample::AppendMessage(*ledger, 3, i + 1, streams_.at(3)[i]).ok());
    ASSERT_TRUE(ledger->Commit().ok());
    checkpoints.push_back(CheckpointOf(*ledger, 3));
  }
  for (std::size_t later = 0; later < checkpoints.size(); ++later) {
    for (std::size_t earlier = 0; earlier <= later; ++earlier) {
      const auto proof = ledger->ConsistencyProof(3, checkpoints[earlier].size, checkpoints[later].size).value();
      EXPECT_TRUE(merkle::VerifyConsistency(checkpoints[earlier].size, checkpoints[later].size, proof,
                                            checkpoints[earlier].root, checkpoints[later].root)
                      .ok());
    }
    EXPECT_EQ(ledger->Root(3, checkpoints[later].size).value(), checkpoints[later].root);
  }
}

TEST_F(LedgerTest, AnEmptyLedgerAlreadyHasCheckpoints) {
  auto ledger = OpenLedger(path()).value();
  EXPECT_EQ(CheckpointOf(*ledger, 9).size, 0u);
  EXPECT_EQ(CheckpointOf(*ledger, 9).root, merkle::EmptyRoot());
  EXPECT_EQ(ledger->key().name(), "vigil/rehearsal/audit");
}

TEST_F(LedgerTest, OnlyTheNextMessageIsTaken) {
  auto ledger = OpenLedger(path()).value();
  const sample::Message& message = streams_.at(0)[1];
  EXPECT_TRUE(absl::IsFailedPrecondition(sample::AppendMessage(*ledger, 0, 0, message)));
  EXPECT_TRUE(absl::IsFailedPrecondition(sample::AppendMessage(*ledger, 0, 2, message))) << "a gap";
  ASSERT_TRUE(sample::AppendMessage(*ledger, 0, 1, message).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(sample::AppendMessage(*ledger, 0, 1, message))) << "the same again";
  EXPECT_TRUE(absl::IsInvalidArgument(sample::AppendMessage(*ledger, 16, 1, message)));
  ASSERT_TRUE(ledger->Commit().ok());
  EXPECT_EQ(ledger->Position(0), 1u);
  EXPECT_EQ(ledger->Size(0), message.commits.size()) << "a refusal leaves what was appended before";
}

TEST_F(LedgerTest, ASkippedMessageMovesThePositionOnly) {
  auto ledger = OpenLedger(path()).value();
  ASSERT_TRUE(ledger->Append({4, 1, {}}).ok());
  ASSERT_TRUE(ledger->Append({4, 2, {}}).ok());
  ASSERT_TRUE(ledger->Commit().ok());
  ledger.reset();
  ledger = OpenLedger(path()).value();
  EXPECT_EQ(ledger->Position(4), 2u);
  EXPECT_EQ(ledger->Size(4), 0u);
}

TEST_F(LedgerTest, WhatIsNotCommittedIsNotServed) {
  auto ledger = OpenLedger(path()).value();
  const std::string before = ledger->SignedCheckpoint(0);
  for (std::size_t i = 0; i < 10; ++i) ASSERT_TRUE(sample::AppendMessage(*ledger, 0, i + 1, streams_.at(0)[i]).ok());
  EXPECT_EQ(ledger->Size(0), 0u);
  EXPECT_EQ(ledger->Position(0), 0u);
  EXPECT_EQ(ledger->AppendedPosition(0), 10u);
  EXPECT_EQ(ledger->SignedCheckpoint(0), before);
  EXPECT_TRUE(absl::IsNotFound(ledger->Entry({0, 0}).status()));
  EXPECT_TRUE(ledger->EntriesOfSchool("school-0-0", {}).value().empty());
  EXPECT_TRUE(absl::IsOutOfRange(ledger->Root(0, 1).status()));
  EXPECT_TRUE(absl::IsOutOfRange(ledger->InclusionProof(0, 0, 1).status()));
  ledger.reset();
  ledger = OpenLedger(path()).value();
  EXPECT_EQ(ledger->AppendedPosition(0), 0u) << "and is gone after a crash";
  ASSERT_TRUE(Follow(*ledger, streams_).ok());
  EXPECT_FALSE(ledger->EntriesOfSchool("school-0-0", {}).value().empty());
}

TEST_F(LedgerTest, GoesOnAfterEveryRestartAsIfThereHadBeenNone) {
  auto whole = OpenLedger(directory_.path("whole")).value();
  ASSERT_TRUE(Follow(*whole, streams_).ok());
  for (std::size_t length = 1; length <= 40; length += 3) {
    auto ledger = OpenLedger(path()).value();
    Streams part = streams_;
    for (auto& [partition, messages] : part) messages.resize(length);
    ASSERT_TRUE(Follow(*ledger, part).ok());
  }
  auto ledger = OpenLedger(path()).value();
  ASSERT_TRUE(Follow(*ledger, streams_).ok());
  for (const auto& [partition, messages] : streams_) {
    EXPECT_EQ(ledger->SignedCheckpoint(partition), whole->SignedCheckpoint(partition))
        << "same key here, so the same text";
    EXPECT_EQ(ledger->Position(partition), messages.size());
  }
}

TEST_F(LedgerTest, BuiltAgainFromTheLogHasTheSameRoots) {
  auto first = OpenLedger(path(), 1).value();
  auto second = OpenLedger(directory_.path("replica"), 2).value();
  ASSERT_TRUE(Follow(*first, streams_).ok());
  ASSERT_TRUE(Follow(*second, streams_).ok());
  EXPECT_EQ(CheckpointOf(*first, 15), CheckpointOf(*second, 15));
  EXPECT_NE(first->SignedCheckpoint(15), second->SignedCheckpoint(15)) << "each replica has its own key";
}

TEST_F(LedgerTest, PagesOfAFileAndASchoolAreCompleteInBothOrdersHoweverManyAreInTheLists) {
  for (const std::size_t list_after : {1, 50, 100'000}) {
    const std::string directory = directory_.path(absl::StrCat("listed-", list_after));
    auto ledger = OpenLedger(directory, 1, list_after).value();
    Streams part = streams_;
    for (auto& [partition, messages] : part) messages.resize(30);
    ASSERT_TRUE(Follow(*ledger, part).ok());
    ASSERT_TRUE(Follow(*ledger, streams_).ok());
    ledger.reset();
    ledger = OpenLedger(directory, 1, list_after).value();
    std::vector<EntryId> of_file;
    std::vector<EntryId> of_school;
    const std::vector<LedgerEntry> all = ledger->Entries(3, 0, 1000).value();
    for (const LedgerEntry& entry : all) {
      if (entry.file == "file-3-2") of_file.push_back(entry.id);
      if (entry.school == "school-3-1") of_school.push_back(entry.id);
    }
    ASSERT_GT(of_file.size(), 5u);
    ASSERT_GT(of_school.size(), 5u);
    const auto read = [&](auto method, const char* name, bool newest_first) {
      std::vector<EntryId> ids;
      Ledger::Page page{.limit = 4, .newest_first = newest_first};
      while (true) {
        const std::vector<LedgerEntry> entries = (*ledger.*method)(name, page).value();
        EXPECT_LE(entries.size(), 4u);
        if (entries.empty()) return ids;
        for (const LedgerEntry& entry : entries) ids.push_back(entry.id);
        page.after = ids.back();
      }
    };
    EXPECT_EQ(read(&Ledger::EntriesOfFile, "file-3-2", false), of_file);
    EXPECT_EQ(read(&Ledger::EntriesOfSchool, "school-3-1", false), of_school);
    std::reverse(of_file.begin(), of_file.end());
    std::reverse(of_school.begin(), of_school.end());
    EXPECT_EQ(read(&Ledger::EntriesOfFile, "file-3-2", true), of_file);
    EXPECT_EQ(read(&Ledger::EntriesOfSchool, "school-3-1", true), of_school);
    EXPECT_TRUE(ledger->EntriesOfFile("", {}).value().empty()) << "what concerns a school is of no file";
  }
}

TEST_F(LedgerTest, AReadIsLimited) {
  auto ledger = OpenLedger(path()).value();
  const std::string big(Ledger::kMaxBytesPerRead / 2 + 1, 'x');
  const std::vector<LedgerCommit> commits(4, {"f", "s", absl::UnixEpoch(), big});
  ASSERT_TRUE(ledger->Append({0, 1, commits}).ok());
  const std::vector<LedgerCommit> small(1100, {"f", "s", absl::UnixEpoch(), "x"});
  ASSERT_TRUE(ledger->Append({1, 1, small}).ok());
  ASSERT_TRUE(ledger->Commit().ok());
  EXPECT_EQ(ledger->Entries(0, 0, 4).value().size(), 2u);
  EXPECT_EQ(ledger->EntriesOfFile("f", {}).value().size(), 2u);
  EXPECT_EQ(ledger->Entries(1, 0, 5000).value().size(), Ledger::kMaxEntriesPerRead);
  EXPECT_EQ(ledger->Entries(1, 1000, 5000).value().size(), 100u);
  EXPECT_TRUE(ledger->Entries(1, ~std::uint64_t{0}, 5000).value().empty());
}

TEST_F(LedgerTest, OnlyOneHasItOpen) {
  auto ledger = OpenLedger(path()).value();
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenLedger(path()).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(SqliteDatabase::Open(path() + "/ledger.db", false).status()));
  ASSERT_TRUE(Follow(*ledger, streams_).ok());
}

TEST_F(LedgerTest, TheKeyIsPrivateAndItsLossIsNoticed) {
  OpenLedger(path()).value().reset();
  struct stat key {};
  ASSERT_EQ(::stat((path() + "/ledger.key").c_str(), &key), 0);
  EXPECT_EQ(key.st_mode & 0777, 0600u);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(Ledger::Open({path(), "another"}, *std::make_unique<SystemRandom>()).status()));
  std::filesystem::rename(path() + "/ledger.key", path() + "/elsewhere");
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenLedger(path()).status()));
  std::filesystem::rename(path() + "/elsewhere", path() + "/ledger.key");
  EXPECT_TRUE(OpenLedger(path()).ok());
}

TEST_F(LedgerTest, AnAlteredHeadOrEdgeIsNoticedWhenOpened) {
  const char* const edits[] = {
      "UPDATE heads SET followed = followed + 1 WHERE partition = 3",
      "UPDATE heads SET listed = listed - 1 WHERE partition = 3",
      "UPDATE heads SET seal = zeroblob(32) WHERE partition = 3",
      "UPDATE heads SET checkpoint = (SELECT checkpoint FROM heads WHERE partition = 0) WHERE partition = 3",
      "UPDATE heads SET rows = checkpoint WHERE partition = 3",
      "UPDATE heads SET checkpoint = replace(checkpoint, 'A', 'B') WHERE partition = 3",
      "DELETE FROM heads WHERE partition = 3",
      "UPDATE heads SET partition = 77 WHERE partition = 3",
      "DELETE FROM entries WHERE position = (SELECT MAX(position) FROM entries)",
      "INSERT INTO heads SELECT 0, followed, listed, seal, checkpoint, rows FROM heads WHERE partition = 15 "
      "ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint",
      "INSERT INTO entries SELECT position + 1, leaf_hash, sequence, idx + 1, time, file, school, bytes FROM entries "
      "WHERE position = (SELECT MAX(position) FROM entries)",
      "UPDATE nodes SET hash = zeroblob(32)",
      "DELETE FROM nodes",
  };
  ASSERT_TRUE(Follow(*OpenLedger(directory_.path("original")).value(), streams_).ok());
  for (const char* edit : edits) {
    std::filesystem::remove_all(path());
    std::filesystem::copy(directory_.path("original"), path());
    ASSERT_TRUE(OpenLedger(path()).ok());
    Edit(edit);
    const absl::Status status = OpenLedger(path()).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << edit << ": " << status;
  }
}

TEST_F(LedgerTest, AListThatNamesAnotherFilesEntryIsNoticedWhenRead) {
  ASSERT_TRUE(Follow(*OpenLedger(path()).value(), streams_).ok());
  Edit("UPDATE by_file SET name = 'file-3-2' WHERE position = (SELECT MIN(position) FROM by_file)");
  EXPECT_TRUE(absl::IsDataLoss(OpenLedger(path()).value()->EntriesOfFile("file-3-2", {}).status()));
}

TEST_F(LedgerTest, AfterAPowerLossItHoldsWhatWasSyncedAndGoesOn) {
  // The disk as a crash may leave it: the database, and the write-ahead log cut anywhere.
  auto ledger = OpenLedger(path()).value();
  std::vector<std::pair<std::uintmax_t, std::uint64_t>> synced = {{0, 0}};  // bytes of the log on disk, position
  const std::string log = path() + "/ledger.db-wal";
  for (std::size_t i = 0; i < 40; ++i) {
    ASSERT_TRUE(sample::AppendMessage(*ledger, 0, i + 1, streams_.at(0)[i]).ok());
    ASSERT_TRUE(ledger->Commit().ok());
    synced.emplace_back(std::filesystem::file_size(log), i + 1);
  }
  std::mt19937_64 random(17);
  std::set<std::uint64_t> positions;
  for (int trial = 0; trial < 50; ++trial) {
    const std::string copy = directory_.path("copy");
    std::filesystem::remove_all(copy);
    std::filesystem::copy(path(), copy);
    const std::uintmax_t kept = random() % (synced.back().first + 1);
    std::filesystem::resize_file(copy + "/ledger.db-wal", kept);
    if (kept >= 4096) {  // the last block torn
      std::fstream file(copy + "/ledger.db-wal", std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(kept - random() % 512 - 1));
      file.put(static_cast<char>(random()));
    }
    auto again = OpenLedger(copy);
    ASSERT_TRUE(again.ok()) << again.status();
    const std::uint64_t position = (*again)->Position(0);
    positions.insert(position);
    for (const auto& [bytes, at] : synced) {
      if (kept >= bytes + 512) {
        EXPECT_GE(position, at) << "synced and lost";
      }
    }
    Streams one = {{0, streams_.at(0)}};
    ASSERT_TRUE(Follow(**again, one).ok());
    EXPECT_EQ((*again)->SignedCheckpoint(0), ledger->SignedCheckpoint(0));
  }
  EXPECT_GT(positions.size(), 10u) << "the cuts must have hit different commits";
}

TEST_F(LedgerTest, AFullDiskLosesNothingThatWasCommitted) {
  auto ledger = OpenLedger(path()).value();
  Streams part = streams_;
  for (auto& [partition, messages] : part) messages.resize(20);
  ASSERT_TRUE(Follow(*ledger, part).ok());
  const std::string before = ledger->SignedCheckpoint(3);

  struct rlimit old {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight { std::filesystem::file_size(path() + "/ledger.db-wal") + 4096, old.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const absl::Status refused = Follow(*ledger, streams_);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, old_handler);

  EXPECT_TRUE(absl::IsUnavailable(refused) || absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(ledger->Position(3), 20u);
  EXPECT_EQ(ledger->AppendedPosition(3), 20u) << "to be followed again from here";
  EXPECT_EQ(ledger->SignedCheckpoint(3), before);
  ASSERT_TRUE(Follow(*ledger, streams_).ok());
  EXPECT_EQ(ledger->Position(3), 40u);
  const std::string after = ledger->SignedCheckpoint(3);
  ledger.reset();
  EXPECT_EQ(OpenLedger(path()).value()->SignedCheckpoint(3), after);
}

TEST_F(LedgerTest, ContinuesAfterARepairedStream) {
  auto ledger = OpenLedger(path()).value();
  ASSERT_TRUE(Follow(*ledger, streams_).ok());
  const Checkpoint before = CheckpointOf(*ledger, 0);
  ASSERT_TRUE(ledger->ContinueAfter(0, 25).ok());
  ledger.reset();
  ledger = OpenLedger(path()).value();
  EXPECT_EQ(ledger->Position(0), 25u);
  EXPECT_EQ(CheckpointOf(*ledger, 0), before);
  EXPECT_TRUE(sample::AppendMessage(*ledger, 0, 26, streams_.at(0)[26]).ok());
}

}  // namespace
}  // namespace vigil
