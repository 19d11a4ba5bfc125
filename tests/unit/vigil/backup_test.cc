// The copy of an installation on disk: what is whole is found whole, and whatever is not is refused and named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "audit/ledger/merkle.h"
#include "audit/ledger/note.h"
#include "machine/batch_codec.h"
#include "platform/blob/blob_store.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"
#include "support/child_process.h"
#include "vigil/backup/check.h"
#include "vigil/backup/copy.h"
#include "vigil/backup/erasures.h"
#include "vigil/backup/key_copy.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kPartition = 3;
constexpr char kInstallation[] = "00112233445566778899aabbccddeeff";

class CopyTest : public ::testing::Test {
 protected:
  CopyTest() { Write(checkpoint_key_); }

  std::string Path(const std::string& file) const { return absl::StrCat(directory_.path(), "/", file); }

  std::string CommitBytes(const std::string& id, const std::string& attachment = "") {
    log::v1::Commit commit;
    commit.set_id(id);
    commit.set_source("intake");
    if (!attachment.empty()) commit.add_events()->mutable_attachment_stored()->set_hash(attachment);
    return commit.SerializeAsString();
  }

  void Add(const std::string& source, const std::string& body) {
    messages_.push_back({.partition = kPartition, .sequence = messages_.size() + 1, .source = source, .body = body, .stored_time = absl::FromUnixSeconds(1)});
  }
  void AddBatch(std::vector<std::string> commits) {
    for (const std::string& commit : commits) tree_.Append(merkle::LeafHash(commit), completed_);
    const std::string message = EncodeBatch(kPartition, "intake", last_, std::move(commits), source_key_);
    last_ = BatchHash(message);
    Add("intake", message);
  }
  std::string SignedSize(const SigningKey& key) {
    const NoteSigner signer = *NoteSigner::Create(LedgerKeyName(kInstallation), key);
    return *signer.Sign(FormatCheckpoint({.origin = LedgerOrigin(kInstallation, kPartition), .size = tree_.size(), .root = tree_.Root()}));
  }

  // Two segments, a forged message between, an attachment, two checkpoints.
  void Write(const SigningKey& key) {
    const auto blobs = *BlobStore::Open(Path(kAttachmentsFolder));
    attachment_ = *blobs->Put(SealedBytes("sealed photo"));
    nlohmann::json notes = nlohmann::json::array();
    AddBatch({CommitBytes("m1"), CommitBytes("m2", attachment_)});
    notes.push_back(SignedSize(key));
    Add("intake", "forged");
    AddBatch({CommitBytes("m3")});
    Add("stranger", std::string("\0\n", 2));
    notes.push_back(SignedSize(key));
    AddBatch({CommitBytes("m4")});

    manifest_ = {.installation = kInstallation, .made_time = absl::FromUnixSeconds(1'700'000'000), .segments = {}, .files = {}};
    AddSegment(1, 2);
    AddSegment(3, messages_.size());
    AddFile("installation.json", absl::StrCat("{\"id\": \"", kInstallation, "\"}\n"));
    AddFile("trust/sources", absl::StrCat("intake ", HexEncode(source_key_.verify_key().bytes()), "\n"));
    AddFile("trust/checkpoint.pub", HexEncode(key.verify_key().bytes()));
    AddFile("checkpoints~1", nlohmann::json{{absl::StrCat(kPartition), notes}}.dump());
    AddFile("attachments.list~1", attachment_ + "\n");
    AddFile("erasures~1", Erasures().Text(key));
    WriteManifest(key);
  }
  void AddSegment(std::uint64_t first, std::uint64_t last) {
    std::string content;
    for (std::uint64_t i = first; i <= last; ++i) AddToSegment(messages_[i - 1], content);
    manifest_.segments.push_back({kPartition, first, last, *WriteCopied(directory_.path(), absl::StrCat("log/03/", first, "-", last), content)});
  }
  void AddFile(const std::string& path, const std::string& content) { manifest_.files.push_back(*WriteCopied(directory_.path(), path, content)); }
  void WriteManifest(const SigningKey& key) { testing::WriteFile(Path(kManifestFile), ManifestText(manifest_, key)); }

  std::string Finding(const std::string& trust = "") {
    const absl::StatusOr<CheckedCopy> checked = CheckCopy(directory_.path(), trust);
    return checked.ok() ? "whole" : std::string(checked.status().message());
  }
  void Flip(const std::string& file, std::size_t at) {
    std::string text = testing::ReadFile(Path(file));
    ASSERT_GT(text.size(), at);
    text[at] = static_cast<char>(text[at] ^ 1);
    testing::WriteFile(Path(file), text);
  }

  testing::TemporaryDirectory directory_;
  SeededRandom random_{1};
  const SigningKey source_key_ = SigningKey::Generate(random_);
  const SigningKey checkpoint_key_ = SigningKey::Generate(random_);
  const SigningKey other_key_ = SigningKey::Generate(random_);
  std::vector<LogMessage> messages_;
  std::string last_;
  merkle::Frontier tree_;
  std::vector<std::pair<merkle::NodeId, Digest>> completed_;
  std::string attachment_;
  Manifest manifest_;
};

TEST_F(CopyTest, AWholeCopyIsFoundWholeAndCounted) {
  const absl::StatusOr<CheckedCopy> checked = CheckCopy(directory_.path());
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->messages(), 5U);
  EXPECT_EQ(checked->commits(), 4U);
  const CheckedPartition& partition = checked->partitions[kPartition];
  EXPECT_EQ(partition.skipped, 2U);
  EXPECT_EQ(partition.signed_size, 3U);
  EXPECT_EQ(checked->attachments, 1U);
  EXPECT_EQ(checked->manifest.installation, kInstallation);
  EXPECT_EQ(checked->manifest.LastSequence(kPartition), 5U);
  EXPECT_EQ(checked->manifest.LastSequence(0), 0U);
}

TEST_F(CopyTest, MessagesComeBackAsTheyWere) {
  std::vector<LogMessage> back;
  ASSERT_TRUE(ForEachCopied(directory_.path(), manifest_, kPartition, [&](LogMessage message) {
                back.push_back(std::move(message));
                return absl::OkStatus();
              }).ok());
  ASSERT_EQ(back.size(), messages_.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].sequence, messages_[i].sequence);
    EXPECT_EQ(back[i].source, messages_[i].source);
    EXPECT_EQ(back[i].body, messages_[i].body);
    EXPECT_EQ(back[i].stored_time, messages_[i].stored_time);
  }
}

TEST_F(CopyTest, EveryFileThatIsTornMissingOrAlteredIsNamed) {
  for (const std::string file : {"log/03/1-2", "log/03/3-5", "checkpoints~1", "attachments.list~1", "erasures~1", "trust/sources"}) {
    const std::string content = testing::ReadFile(Path(file));
    fs::resize_file(Path(file), content.size() - 1);
    EXPECT_THAT(Finding(), HasSubstr(file == "trust/sources" ? "sources" : file)) << "torn";
    testing::WriteFile(Path(file), content);
    Flip(file, content.size() / 2);
    EXPECT_THAT(Finding(), HasSubstr(file == "trust/sources" ? "sources" : file)) << "altered";
    fs::remove(Path(file));
    EXPECT_THAT(Finding(), HasSubstr(file)) << "missing";
    testing::WriteFile(Path(file), content);
    EXPECT_EQ(Finding(), "whole");
  }
}

TEST_F(CopyTest, AnAttachmentThatIsAlteredOrMissingIsNamed) {
  const std::string file = absl::StrCat(kAttachmentsFolder, "/", attachment_.substr(0, 2), "/", attachment_);
  Flip(file, 0);
  EXPECT_THAT(Finding(), HasSubstr(attachment_ + " is not what was copied"));
  fs::remove(Path(file));
  EXPECT_THAT(Finding(), HasSubstr(attachment_ + " is missing"));
  // Nor may the list leave out what the log names.
  std::erase_if(manifest_.files, [](const CopiedFile& one) { return one.path == "attachments.list~1"; });
  AddFile("attachments.list~2", "");
  WriteManifest(checkpoint_key_);
  EXPECT_THAT(Finding(), HasSubstr(absl::StrCat("the log names attachment ", attachment_)));
}

TEST_F(CopyTest, AManifestIsWholeAndSignedOrIsRefused) {
  const std::string text = testing::ReadFile(Path(kManifestFile));
  for (std::size_t size = 0; size < text.size(); size += 7) {
    testing::WriteFile(Path(kManifestFile), text.substr(0, size));
    EXPECT_THAT(Finding(), HasSubstr("the manifest")) << "cut to " << size;
  }
  for (std::size_t at = 0; at < text.size(); at += 11) {
    testing::WriteFile(Path(kManifestFile), text);
    Flip(kManifestFile, at);
    EXPECT_THAT(Finding(), HasSubstr("the manifest")) << "altered at " << at;
  }
  WriteManifest(other_key_);
  EXPECT_THAT(Finding(), HasSubstr("not signed by this installation"));
  fs::remove(Path(kManifestFile));
  EXPECT_THAT(Finding(), HasSubstr("holds no copy"));
}

TEST_F(CopyTest, ASegmentLeftOutIsAGap) {
  const Manifest whole = manifest_;
  manifest_.segments.erase(manifest_.segments.begin());
  WriteManifest(checkpoint_key_);
  EXPECT_THAT(Finding(), HasSubstr("gap"));
  // The end left out is shown by what the ledger had signed.
  manifest_ = whole;
  manifest_.segments.pop_back();
  WriteManifest(checkpoint_key_);
  EXPECT_THAT(Finding(), HasSubstr("the ledger signed 3 commits; the copy holds 2"));
}

TEST_F(CopyTest, WhoHoldsTheManifestsKeyAloneCannotChangeACommit) {
  // The batch is signed again by the manifest's key, and the manifest is made anew.
  messages_[2].body = EncodeBatch(kPartition, "intake", BatchHash(messages_[0].body), {CommitBytes("other")}, checkpoint_key_);
  manifest_.segments.pop_back();
  AddSegment(3, messages_.size());
  WriteManifest(checkpoint_key_);
  EXPECT_THAT(Finding(), HasSubstr("the ledger signed 3 commits; the copy holds 2"));
  // Nor can who holds the source's key, unless the ledger signed that.
  messages_[2].body = EncodeBatch(kPartition, "intake", BatchHash(messages_[0].body), {CommitBytes("other")}, source_key_);
  manifest_.segments.pop_back();
  AddSegment(3, messages_.size());
  WriteManifest(checkpoint_key_);
  EXPECT_THAT(Finding(), HasSubstr("the first 3 commits are not what the ledger signed"));
}

TEST_F(CopyTest, KeysThatWereKeptElsewhereShowACopyThatWasMadeUp) {
  testing::TemporaryDirectory elsewhere;
  for (const char* file : {"sources", "checkpoint.pub"}) testing::WriteFile(elsewhere.path() + "/" + file, testing::ReadFile(Path(std::string("trust/") + file)));
  EXPECT_EQ(Finding(elsewhere.path()), "whole");
  // All of it anew under other keys: whole by its own word, and not by ours.
  for (const char* folder : {"log", "trust"}) fs::remove_all(Path(folder));
  messages_.clear();
  last_.clear();
  tree_ = {};
  Write(other_key_);
  EXPECT_EQ(Finding(), "whole");
  EXPECT_THAT(Finding(elsewhere.path()), HasSubstr("not signed by this installation"));
}

TEST_F(CopyTest, APathLeavesNoDirectory) {
  manifest_.files.push_back({.path = "../secret", .bytes = 0, .sha256 = ""});
  WriteManifest(checkpoint_key_);
  EXPECT_THAT(Finding(), HasSubstr("not what vigil backup writes"));
}

// ------------------------------------------------------------------------------------------------ erasures

class ErasuresTest : public ::testing::Test {
 protected:
  NamedKey Stored(const std::string& person, char fill) { return {KeyNameOf(person), false, std::string(kWrappedKeyBytes, fill)}; }
  static domain::PersonErased Erased(const std::string& person, const std::vector<NamedKey>& keys, const std::vector<std::string>& subjects) {
    domain::PersonErased erased{.person_id = person};
    for (std::size_t i = 0; i < keys.size(); ++i) erased.keys.push_back({.person = subjects[i], .key_hash = HashOfWrapped(keys[i].wrapped)});
    return erased;
  }

  SeededRandom random_{1};
  const SigningKey key_ = SigningKey::Generate(random_);
  const NoteVerifier verifier_ = *NoteVerifier::Create("n", key_.verify_key());
};

TEST_F(ErasuresTest, AKeyIsGoneOnceTheBucketNoLongerHoldsIt) {
  const NamedKey child = Stored("s.child", 'a');
  const NamedKey photo = Stored("s.photo", 'b');
  Erasures erasures;
  erasures.Add("s", Erased("child", {child, photo}, {"s.child", "s.photo"}));
  EXPECT_TRUE(erasures.Gone().empty());
  // Void where it landed, or not carried out yet: both keys are there.
  erasures.NoteStored({child, photo});
  EXPECT_TRUE(erasures.Gone().empty());
  // One is marked, one is another: who came again.
  erasures.NoteStored({NamedKey{child.name, true, ""}, Stored("s.photo", 'c')});
  EXPECT_THAT(erasures.Gone(), ::testing::UnorderedElementsAre(std::pair(child.name, HashOfWrapped(child.wrapped)), std::pair(photo.name, HashOfWrapped(photo.wrapped))));
  EXPECT_FALSE(erasures.Gone().contains({photo.name, HashOfWrapped(Stored("s.photo", 'c').wrapped)})) << "the new key is not given up";
  // Gone is gone, also when an old bucket is looked at.
  erasures.NoteStored({child, photo});
  EXPECT_EQ(erasures.Gone().size(), 2U);
}

TEST_F(ErasuresTest, ListsAreMergedAndReadBack) {
  const NamedKey child = Stored("s.child", 'a');
  Erasures seen;
  seen.Add("s", Erased("child", {child}, {"s.child"}));
  Erasures carried_out = seen;
  carried_out.NoteStored({});
  const absl::StatusOr<Erasures> back = Erasures::Parse(carried_out.Text(key_), verifier_, "list");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->Gone(), carried_out.Gone());
  seen.Merge(*back);
  EXPECT_EQ(seen.Gone().size(), 1U);
  back->Gone();
  Erasures later = *back;
  later.Merge(Erasures());
  EXPECT_EQ(later.Gone().size(), 1U);
}

TEST_F(ErasuresTest, AListOfSomebodyElseIsRefusedAndSoIsATornOne) {
  Erasures erasures;
  erasures.Add("s", Erased("child", {Stored("s.child", 'a')}, {"s.child"}));
  const std::string text = erasures.Text(key_);
  EXPECT_EQ(Erasures::Parse(erasures.Text(SigningKey::Generate(random_)), verifier_, "list").status().code(), absl::StatusCode::kDataLoss);
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(Erasures::Parse(text.substr(0, size), verifier_, "list").ok()) << size;
}

// ------------------------------------------------------------------------------------------------ keys

TEST_F(ErasuresTest, ACopyOfKeysComesBackAsItWas) {
  KeyCopy copy{.installation = "i", .made_time = absl::FromUnixSeconds(5), .log = {}, .keys = {Stored("a", 'x'), NamedKey{KeyNameOf("b"), true, ""}}};
  copy.log[7] = 123;
  const std::string text = KeyCopyText(copy, key_);
  const absl::StatusOr<KeyCopy> back = ParseKeyCopy(text, verifier_);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->installation, "i");
  EXPECT_EQ(back->made_time, copy.made_time);
  EXPECT_EQ(back->log[7], 123U);
  ASSERT_EQ(back->keys.size(), 2U);
  EXPECT_EQ(back->keys[0].wrapped, copy.keys[0].wrapped);
  EXPECT_TRUE(back->keys[1].erased);
  for (std::size_t size = 0; size < text.size(); size += 3) EXPECT_FALSE(ParseKeyCopy(text.substr(0, size), verifier_).ok()) << size;
}

TEST_F(ErasuresTest, AnOldCopyOfKeysIsOverwritten) {
  testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/keys";
  ASSERT_TRUE(ReplaceAndWipe(path, "old key of somebody who is erased").ok());
  fs::create_hard_link(path, directory.path() + "/blocks");  // what a medium still holds
  ASSERT_TRUE(ReplaceAndWipe(path, "new").ok());
  EXPECT_EQ(testing::ReadFile(path), "new");
  EXPECT_THAT(testing::ReadFile(directory.path() + "/blocks"), ::testing::Not(HasSubstr("old key")));
}

}  // namespace
}  // namespace vigil
