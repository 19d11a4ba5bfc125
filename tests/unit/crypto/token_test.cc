#include "platform/crypto/token.h"

#include <gtest/gtest.h>

#include <string>

#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"

namespace vigil {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

class TokenTest : public ::testing::Test {
 protected:
  absl::StatusCode CodeOf(std::string_view text, absl::Time now = kNow) const {
    return VerifyToken(key_.verify_key(), text, now).status().code();
  }

  SeededRandom random_{1};
  SigningKey key_ = SigningKey::Generate(random_);
  TokenClaims claims_{"t1", "s-阳光小学", "p9", "psych_teacher", kNow + absl::Hours(1)};
};

TEST_F(TokenTest, SaysWhatWasMinted) {
  const auto claims = VerifyToken(key_.verify_key(), MintToken(key_, claims_), kNow);
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(*claims, claims_);
  EXPECT_TRUE(claims->AllowsSchool("s-阳光小学"));
  EXPECT_FALSE(claims->AllowsSchool("s2"));
}

TEST_F(TokenTest, EverySchoolMeansEvery) {
  claims_.school = kEverySchool;
  EXPECT_TRUE(VerifyToken(key_.verify_key(), MintToken(key_, claims_), kNow)->AllowsSchool("s2"));
}

TEST_F(TokenTest, EndsAtItsInstant) {
  const std::string token = MintToken(key_, claims_);
  EXPECT_EQ(CodeOf(token, claims_.expires_time - absl::Nanoseconds(1)), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(token, claims_.expires_time), absl::StatusCode::kUnauthenticated);
}

TEST_F(TokenTest, AnyChangedCharacterIsRefused) {
  const std::string token = MintToken(key_, claims_);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(CodeOf(changed), absl::StatusCode::kUnauthenticated) << i;
    EXPECT_EQ(CodeOf(token.substr(0, i)), absl::StatusCode::kUnauthenticated) << i;
  }
  EXPECT_EQ(CodeOf(token + "A"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(std::string(100'000, 'A')), absl::StatusCode::kUnauthenticated);
}

TEST_F(TokenTest, AnotherInstallationsTokenIsRefused) {
  EXPECT_EQ(CodeOf(MintToken(SigningKey::Generate(random_), claims_)), absl::StatusCode::kUnauthenticated);
}

TEST_F(TokenTest, ASignatureMadeForAnotherPurposeIsNotAToken) {
  const std::string payload = MintToken(key_, claims_).substr(0, MintToken(key_, claims_).find('.'));
  EXPECT_EQ(CodeOf(payload + "." + Base64UrlEncode(key_.Sign(payload))), absl::StatusCode::kUnauthenticated);
}

TEST_F(TokenTest, SignedButWithoutItsClaimsIsRefused) {
  for (const char* json : {"{}", "[]", "null", "{\"id\":1}", "{\"id\":\"a\",\"school\":\"b\",\"person\":\"c\",\"role\":\"d\",\"expires_time\":\"x\"}", "\xff"}) {
    const std::string payload = Base64UrlEncode(json);
    EXPECT_EQ(CodeOf(payload + "." + Base64UrlEncode(key_.Sign("vigil token v1\n" + payload))), absl::StatusCode::kUnauthenticated)
        << json;
  }
}

}  // namespace
}  // namespace vigil
