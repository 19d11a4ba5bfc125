// RELIABILITY 17, scaled down: whatever is done to a ledger's files is found offline, from the public key and one older
// checkpoint a partition, by a verifier that has nothing else.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_format.h"
#include "audit/ledger/format.h"
#include "audit/ledger/ledger_file.h"
#include "audit/ledger/sqlite.h"
#include "ledger_sample.h"

namespace vigil {
namespace {

using sample::Message;
using sample::Streams;

class TamperingTest : public testing::Test {
 protected:
  static constexpr int kMessages = 40;
  static constexpr int kSeenMessages = 25;  // an outsider kept the checkpoints of then

  TamperingTest() {
    auto ledger = sample::OpenLedger(original()).value();
    Streams seen = streams_;
    for (auto& [partition, messages] : seen) messages.resize(kSeenMessages);
    EXPECT_TRUE(sample::Follow(*ledger, seen).ok());
    for (const auto& [partition, messages] : seen) {
      earlier_[partition] = {ledger->SignedCheckpoint(partition)};
      seen_leaves_[partition] = ledger->Size(partition);
    }
    EXPECT_TRUE(sample::Follow(*ledger, streams_).ok());
    for (const auto& [partition, messages] : streams_) leaves_[partition] = ledger->Size(partition);
    key_ = ledger->key();
  }

  std::string original() const { return directory_.path("original"); }
  std::string path() const { return directory_.path("altered"); }

  void Restore() {
    std::filesystem::remove_all(path());
    std::filesystem::copy(original(), path());
  }

  LedgerFileVerification Verify() {
    const auto verified = VerifyLedgerFile(
        {.directory = path(), .installation = sample::kInstallation, .key = *key_, .earlier = earlier_});
    EXPECT_TRUE(verified.ok()) << verified.status();
    return *verified;
  }

  std::uint64_t Pick(std::uint64_t below) { return random_() % below; }
  std::uint32_t PickPartition() { return kPartitions[Pick(kPartitions.size())]; }
  std::int64_t PickPosition(std::uint32_t partition) {
    return format::EntryPosition({partition, Pick(leaves_[partition])});
  }

  void Edit(const std::string& sql, int expected_changes = 1) {
    auto database = SqliteDatabase::Open(path() + "/ledger.db", false).value();
    ASSERT_TRUE(database->Execute(sql.c_str()).ok()) << sql;
    SqliteStatement changes = database->Prepare("SELECT changes()").value();
    ASSERT_TRUE(changes.Step().value());
    ASSERT_GE(changes.Integer(0), expected_changes) << "the edit changed nothing: " << sql;
  }

  // One bit of a column of a row, whatever its type.
  void FlipBit(const std::string& table, const std::string& column, const std::string& where) {
    auto database = SqliteDatabase::Open(path() + "/ledger.db", false).value();
    SqliteStatement select = database->Prepare("SELECT " + column + " FROM " + table + " WHERE " + where).value();
    ASSERT_TRUE(select.Step().value()) << where;
    std::string bytes(select.Bytes(0));
    if (bytes.empty()) bytes = std::string(1, '\0');
    bytes[Pick(bytes.size())] ^= static_cast<char>(1 << Pick(7));
    select.Reset();
    const bool text = column == "file" || column == "school" || column == "checkpoint" || column == "rows";
    SqliteStatement update = database->Prepare("UPDATE " + table + " SET " + column + " = ?1 WHERE " + where).value();
    text ? update.BindText(1, bytes) : update.BindBlob(1, bytes);
    ASSERT_TRUE(update.Run().ok());
  }

  // Builds a ledger anew over other commits, signed with the ledger's own key, as only its holder can.
  void SignAnew(const Streams& streams) {
    const std::string key = directory_.path("key");
    std::filesystem::remove_all(key);
    std::filesystem::copy(original() + "/ledger.key", key);
    std::filesystem::remove_all(path());
    std::filesystem::create_directory(path());
    std::filesystem::copy(key, path() + "/ledger.key");
    ASSERT_TRUE(sample::Follow(*sample::OpenLedger(path(), 5).value(), streams).ok());
  }

  // A message that an outsider's checkpoint covers, and that has at least `commits`.
  Message& SeenMessage(Streams& streams, std::uint32_t partition, std::size_t commits) {
    while (true) {
      Message& message = streams.at(partition)[Pick(kSeenMessages)];
      if (message.commits.size() >= commits) return message;
    }
  }

  std::string Tamper(int which);

  static constexpr std::array<std::uint32_t, 3> kPartitions = {0, 7, 15};
  sample::Directory directory_;
  const Streams streams_ = sample::MakeStreams(11, {kPartitions.begin(), kPartitions.end()}, kMessages);
  std::map<std::uint32_t, std::vector<std::string>> earlier_;
  std::map<std::uint32_t, std::uint64_t> seen_leaves_;
  std::map<std::uint32_t, std::uint64_t> leaves_;
  std::optional<NoteVerifier> key_;
  std::mt19937_64 random_{2024};
};

constexpr int kWays = 28;

// Does one of kWays things to the files at path(), and says which.
std::string TamperingTest::Tamper(int which) {
  const std::uint32_t partition = PickPartition();
  const std::int64_t position = PickPosition(partition);
  const std::string row = absl::StrFormat("position = %d", position);
  const std::string head = absl::StrFormat("partition = %d", partition);
  const std::string from_row = absl::StrFormat(" FROM entries WHERE position = %d", position);
  Streams other = streams_;
  switch (which) {
    case 0:
      FlipBit("entries", "bytes", row);
      return "a bit of a commit";
    case 1:
      FlipBit("entries", "leaf_hash", row);
      return "a bit of a leaf hash";
    case 2:
      FlipBit("entries", "file", row);
      return "a file";
    case 3:
      FlipBit("entries", "school", row);
      return "a school";
    case 4:
      Edit("UPDATE entries SET time = time + 1 WHERE " + row);
      return "a time";
    case 5:
      Edit("UPDATE entries SET sequence = sequence + 1 WHERE " + row);
      return "a sequence";
    case 6:
      Edit("UPDATE entries SET idx = idx + 4294967296 WHERE " + row);
      return "an index, by what 32 bits do not show";
    case 7:
      Edit("UPDATE entries SET idx = idx + 1 WHERE " + row);
      return "an index";
    case 8:
      Edit("DELETE FROM entries WHERE " + row);
      return "an entry deleted";
    case 9: {
      Edit("DELETE FROM entries WHERE " + row);
      Edit(absl::StrFormat("UPDATE entries SET position = position - 1 WHERE position > %d AND position < %d", position,
                           format::EntryPosition({partition + 1, 0})),
           0);
      return "an entry deleted, the others moved up";
    }
    case 10: {
      const std::int64_t second =
          format::EntryPosition({partition, 0}) + (position == format::EntryPosition({partition, 0}) ? 1 : 0);
      Edit(absl::StrFormat("UPDATE entries SET position = -1 WHERE position = %d", second));
      Edit(absl::StrFormat("UPDATE entries SET position = %d WHERE position = %d", second, position));
      Edit(absl::StrFormat("UPDATE entries SET position = %d WHERE position = -1", position));
      return "two entries exchanged";
    }
    case 11:
      Edit(absl::StrFormat("DELETE FROM entries WHERE position >= %d AND position < %d", position,
                           format::EntryPosition({partition + 1, 0})));
      return "cut off";
    case 12:
      Edit(absl::StrFormat("INSERT INTO entries SELECT %d, leaf_hash, sequence + 999, idx, time, file, school, bytes",
                           format::EntryPosition({partition, leaves_[partition]})) +
           from_row);
      return "an entry added";
    case 13:
      Edit(absl::StrFormat("INSERT INTO entries SELECT %d, leaf_hash, sequence, idx, time, file, school, bytes",
                           format::EntryPosition({static_cast<std::uint32_t>(16 + Pick(50)), Pick(100)})) +
           from_row);
      return "an entry hidden in a partition that cannot be";
    case 14:
      FlipBit("nodes", "hash", absl::StrFormat("position = (SELECT position FROM nodes LIMIT 1 OFFSET %d)", Pick(100)));
      return "a node";
    case 15:
      Edit(absl::StrFormat("DELETE FROM nodes WHERE position = (SELECT position FROM nodes LIMIT 1 OFFSET %d)",
                           Pick(100)));
      return "a node deleted";
    case 16:
      Edit("INSERT INTO nodes SELECT MAX(position) + 2, hash FROM nodes");
      return "a node added";
    case 17:
      FlipBit("heads", "seal", head);
      return "a seal";
    case 18:
      FlipBit("heads", Pick(2) == 0 ? "checkpoint" : "rows", head);
      return "a bit of a signed head";
    case 19:
      Edit("UPDATE heads SET followed = followed - 1 WHERE " + head);
      return "the position followed";
    case 20:
      Edit("DELETE FROM heads WHERE " + head);
      return "a whole partition forgotten";
    case 21: {
      SeenMessage(other, partition, 1).commits[0] += "!";
      SignAnew(other);
      return "a commit edited, all signed anew";
    }
    case 22: {
      std::vector<std::string>& commits = SeenMessage(other, partition, 1).commits;
      Pick(2) == 0 || commits.size() == 1 ? commits.pop_back() : std::swap(commits.front(), commits.back());
      SignAnew(other);
      return "a commit taken out or moved, all signed anew";
    }
    case 23: {
      // A fork: the same until some point an outsider has seen, then another story, of any length.
      const std::size_t fork = Pick(kSeenMessages - 3);
      const Streams story = sample::MakeStreams(1000 + Pick(1000), {partition}, kMessages);
      std::vector<Message>& messages = other.at(partition);
      messages.resize(fork);
      messages.insert(messages.end(), story.at(partition).begin() + static_cast<std::ptrdiff_t>(fork),
                      story.at(partition).end());
      SignAnew(other);
      return "a fork, signed";
    }
    case 24:
      Edit(absl::StrFormat("DELETE FROM %s WHERE position = (SELECT position FROM by_school LIMIT 1 OFFSET %d)",
                           "by_school", Pick(30)));
      return "an entry taken off a school's list";
    case 25:
      Edit(
          absl::StrFormat("UPDATE by_file SET name = 'file-0-9' WHERE position = "
                          "(SELECT position FROM by_file LIMIT 1 OFFSET %d)",
                          Pick(30)));
      return "an entry moved to another file's list";
    case 26:
      Edit("UPDATE heads SET listed = listed - 1 WHERE " + head);
      return "how far the lists go";
    default: {
      other.at(partition).resize(1 + Pick(kSeenMessages - 5));
      Pick(2) == 0 ? SignAnew(other) : [&] {
        std::filesystem::remove_all(path());
        // Everything as it was, but under another key.
        ASSERT_TRUE(sample::Follow(*sample::OpenLedger(path(), 77).value(), streams_).ok());
      }();
      return "cut off and signed anew, or signed by another key";
    }
  }
}

TEST_F(TamperingTest, AnUntouchedLedgerHasNoDifferences) {
  Restore();
  const LedgerFileVerification verified = Verify();
  for (const Difference& difference : verified.differences) ADD_FAILURE() << difference.text;
  std::uint64_t leaves = 0;
  for (const auto& [partition, count] : leaves_) leaves += count;
  EXPECT_EQ(verified.leaves, leaves);
  SignAnew(streams_);
  EXPECT_TRUE(Verify().differences.empty()) << "the way that the forgeries below are made is not itself what is found";
}

TEST_F(TamperingTest, TwoHundredAndMoreAlterationsAreAllFound) {
  for (int trial = 0; trial < 224; ++trial) {
    Restore();
    const std::string what = Tamper(trial % kWays);
    if (HasFatalFailure()) return;
    EXPECT_FALSE(Verify().differences.empty()) << "trial " << trial << ": " << what;
  }
}

// All that a ledger says, in order.
std::string Contents(const std::string& directory) {
  auto database = SqliteDatabase::Open(directory + "/ledger.db", false).value();
  std::string all;
  for (const char* sql :
       {"SELECT position, leaf_hash, sequence, idx, time, file, school, bytes FROM entries ORDER BY position",
        "SELECT position, hash FROM nodes ORDER BY position",
        "SELECT name, position FROM by_file ORDER BY name, position",
        "SELECT name, position FROM by_school ORDER BY name, position",
        "SELECT partition, followed, listed, seal, checkpoint, rows FROM heads ORDER BY partition"}) {
    SqliteStatement rows = database->Prepare(sql).value();
    const int columns = std::count(sql, sql + std::strlen(sql), ',') + 1;
    while (rows.Step().value()) {
      for (int i = 0; i < columns; ++i) {
        const std::string_view value = rows.Bytes(i);
        absl::StrAppend(&all, value.size(), ":", std::string(value), ",");
      }
    }
  }
  return all;
}

TEST_F(TamperingTest, AnyByteOfTheFileIsEitherFoundOrOfNoConsequence) {
  Restore();
  const std::string contents = Contents(path());
  const std::uintmax_t size = std::filesystem::file_size(path() + "/ledger.db");
  int found = 0;
  for (int trial = 0; trial < 150; ++trial) {
    Restore();
    std::fstream file(path() + "/ledger.db", std::ios::in | std::ios::out | std::ios::binary);
    const auto offset = static_cast<std::streamoff>(Pick(size));
    file.seekg(offset);
    const char old = static_cast<char>(file.get());
    file.seekp(offset);
    file.put(static_cast<char>(old ^ (1 << Pick(8))));
    file.close();
    if (!Verify().differences.empty()) {
      ++found;
    } else {
      EXPECT_EQ(Contents(path()), contents) << "byte " << offset << " changed what the ledger says, and nobody noticed";
    }
  }
  EXPECT_GT(found, 75);
}

TEST_F(TamperingTest, TheStreamShowsWhatTheKeysHolderAddedSince) {
  // From the older checkpoint alone nobody can know what came after it; with the stream it is plain.
  Streams other = streams_;
  other.at(7).back().commits.push_back("file-7-1|school-7-0|5|never happened");
  SignAnew(other);
  EXPECT_TRUE(Verify().differences.empty());
  const auto verified =
      VerifyLedgerFile({.directory = path(),
                        .installation = sample::kInstallation,
                        .key = *key_,
                        .earlier = earlier_,
                        .stream = [&](std::uint32_t p) { return sample::ReadStream(streams_.at(p)); }});
  ASSERT_EQ(verified->differences.size(), 1u);
  EXPECT_EQ(verified->differences[0].kind, DifferenceKind::kCheckpointAhead);
}

TEST_F(TamperingTest, CommitsShowWhatTheKeysHolderListedElsewhere) {
  // The commits as they were, but one kept under another file, from which it would be missing; sealed and signed.
  std::filesystem::remove_all(path());
  {
    auto ledger = sample::OpenLedger(path()).value();
    const std::string bytes = "file-7-1|school-7-0|5|true";
    const LedgerCommit commit{"file-of-nobody", "school-7-0", absl::FromUnixNanos(5), bytes};
    ASSERT_TRUE(ledger->Append({7, 1, std::span(&commit, 1)}).ok());
    ASSERT_TRUE(ledger->Commit().ok());
  }
  LedgerFileToVerify what{.directory = path(), .installation = sample::kInstallation, .key = *key_};
  EXPECT_TRUE(VerifyLedgerFile(what)->differences.empty());
  what.facts = sample::FactsOf;
  const auto verified = VerifyLedgerFile(what);
  ASSERT_EQ(verified->differences.size(), 1u);
  EXPECT_EQ(verified->differences[0].kind, DifferenceKind::kEntryColumns);
}

TEST_F(TamperingTest, AnOpenLedgerIsNotVerifiedBehindItsBack) {
  Restore();
  auto ledger = sample::OpenLedger(path()).value();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      VerifyLedgerFile({.directory = path(), .installation = sample::kInstallation, .key = *key_}).status()));
  EXPECT_TRUE(absl::IsNotFound(
      VerifyLedgerFile({.directory = directory_.path("nowhere"), .installation = sample::kInstallation, .key = *key_})
          .status()));
}

}  // namespace
}  // namespace vigil
