#include "vigil/verify/stream_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/batch_codec.h"
#include "platform/crypto/random.h"
#include "platform/log/fake_log.h"

namespace vigil {
namespace {

using ::testing::ElementsAre;

class StreamReaderTest : public ::testing::Test {
 protected:
  StreamReaderTest() : key_(SigningKey::Generate(random_)), other_key_(SigningKey::Generate(random_)) {
    sources_ = {{"intake", key_.verify_key()}};
  }

  void Store(std::string source, const std::string& message) { broker_.Forge(3, std::move(source), message); }
  std::string Batch(const SigningKey& key, std::string_view previous, std::vector<std::string> commits) {
    return EncodeBatch(3, "intake", previous, std::move(commits), key);
  }
  std::vector<std::string> Read(std::uint64_t last) {
    absl::StatusOr<std::unique_ptr<StreamReader>> reader = StreamReader::Open(*log_, 3, last, sources_);
    if (!reader.ok()) return {std::string(reader.status().message())};
    broker_.Deliver();
    std::vector<std::string> read;
    StreamCommit commit;
    for (absl::StatusOr<bool> more = (*reader)->Next(commit); more.ok() && *more; more = (*reader)->Next(commit)) {
      read.push_back(std::to_string(commit.sequence) + "/" + std::to_string(commit.index) + " " + commit.bytes);
    }
    skipped_ = (*reader)->skipped();
    return read;
  }

  SeededRandom random_{1};
  const SigningKey key_;
  const SigningKey other_key_;
  TrustedSources sources_;
  FakeBroker broker_;
  std::unique_ptr<Log> log_ = broker_.Connect("reader");
  std::uint64_t skipped_ = 0;
};

TEST_F(StreamReaderTest, ReadsEveryCommitUpToTheLastMessageWanted) {
  const std::string first = Batch(key_, "", {"a", "b"});
  Store("intake", first);
  Store("intake", Batch(key_, BatchHash(first), {"c"}));
  Store("intake", "later");
  EXPECT_THAT(Read(2), ElementsAre("1/0 a", "1/1 b", "2/0 c"));
  EXPECT_EQ(skipped_, 0u);
}

TEST_F(StreamReaderTest, SkipsWhatEveryServiceSkips) {
  const std::string first = Batch(key_, "", {"a"});
  Store("intake", first);
  Store("intake", Batch(other_key_, BatchHash(first), {"forged"}));  // another's signature
  Store("intake", first);                                            // replayed
  Store("stranger", Batch(key_, BatchHash(first), {"x"}));           // of nobody
  Store("intake", "rubbish");
  Store("intake", Batch(key_, BatchHash(first), {"b"}));
  EXPECT_THAT(Read(6), ElementsAre("1/0 a", "6/0 b"));
  EXPECT_EQ(skipped_, 4u);
}

TEST_F(StreamReaderTest, AnEmptyPartitionHasNothing) { EXPECT_THAT(Read(0), ElementsAre()); }

}  // namespace
}  // namespace vigil
