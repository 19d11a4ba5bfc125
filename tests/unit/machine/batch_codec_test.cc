#include "machine/batch_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"

namespace vigil {
namespace {

using ::testing::ElementsAre;

class BatchCodecTest : public testing::Test {
 protected:
  SeededRandom random_{1};
  const SigningKey key_ = SigningKey::Generate(random_);
  const SigningKey other_key_ = SigningKey::Generate(random_);
  const std::string previous_ = BatchHash("the batch before");
  const std::string message_ = EncodeBatch(7, "intake", previous_, {"first", "", "third"}, key_);
};

TEST_F(BatchCodecTest, GivesBackWhatWasSigned) {
  const auto batch = DecodeBatch(message_, 7, "intake", key_.verify_key());
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->previous_hash, previous_);
  EXPECT_THAT(batch->commits, ElementsAre("first", "", "third"));
}

TEST_F(BatchCodecTest, RefusesAnotherPlaceOrSigner) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeBatch(message_, 8, "intake", key_.verify_key()).status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeBatch(message_, 7, "timer", key_.verify_key()).status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeBatch(message_, 7, "intake", other_key_.verify_key()).status()));
}

TEST_F(BatchCodecTest, RefusesEveryChangedByte) {
  for (std::size_t i = 0; i < message_.size(); ++i) {
    std::string changed = message_;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto batch = DecodeBatch(changed, 7, "intake", key_.verify_key());
    if (!batch.ok()) continue;
    // Protobuf knows several spellings of one message; what it says must be what was signed.
    EXPECT_EQ(batch->previous_hash, previous_) << "byte " << i;
    EXPECT_THAT(batch->commits, ElementsAre("first", "", "third")) << "byte " << i;
  }
}

TEST_F(BatchCodecTest, BoundariesOfCommitsAreSigned) {
  // The same bytes cut elsewhere are other commits.
  const std::string one = EncodeBatch(7, "intake", previous_, {"ab", "c"}, key_);
  const std::string two = EncodeBatch(7, "intake", previous_, {"a", "bc"}, key_);
  EXPECT_NE(one, two);
  EXPECT_NE(one.substr(0, 70), two.substr(0, 70)) << "the signatures are the same";
}

TEST(TrustedSourcesTest, ReadsALineASource) {
  SeededRandom random(1);
  const VerifyKey key = SigningKey::Generate(random).verify_key();
  const auto sources = ParseTrustedSources(absl::StrCat("# who may write\nintake ", HexEncode(key.bytes()), "\n\n"));
  ASSERT_TRUE(sources.ok()) << sources.status();
  ASSERT_EQ(sources->size(), 1u);
  EXPECT_EQ(sources->front().first, "intake");
  EXPECT_EQ(sources->front().second, key);
}

TEST(TrustedSourcesTest, NamesTheLineThatIsWrong) {
  const auto sources = ParseTrustedSources("\nintake abc\n");
  ASSERT_TRUE(absl::IsInvalidArgument(sources.status()));
  EXPECT_NE(sources.status().message().find("line 2"), absl::string_view::npos);
  EXPECT_TRUE(absl::IsInvalidArgument(ParseTrustedSources("").status()));
}

}  // namespace
}  // namespace vigil
