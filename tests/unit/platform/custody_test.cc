#include "platform/custody/custody.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vigil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CustodyTest : public ::testing::Test {
 protected:
  CustodyTest() {
    for (int i = 0; i < 2; ++i) keys_.push_back(BoxSecretKey::Generate(random_));
    custodians_ = {{"custodian-1", keys_[0].public_key()}, {"custodian-2", keys_[1].public_key()}};
    secrets_.emplace("installation.key", Secret<std::string>("deadbeef"));
    secrets_.emplace("intake.sign", Secret<std::string>(std::string("\0\n", 2)));
  }

  SeededRandom random_{1};
  std::vector<BoxSecretKey> keys_;
  std::vector<Custodian> custodians_;
  Secrets secrets_;
};

TEST_F(CustodyTest, EitherCustodianOpensItAlone) {
  const std::string sealed = SealSecrets(secrets_, custodians_, random_);
  EXPECT_THAT(sealed, Not(HasSubstr("deadbeef")));
  for (const BoxSecretKey& key : keys_) {
    const absl::StatusOr<Secrets> opened = OpenSecrets(sealed, key);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_EQ(opened->size(), 2U);
    EXPECT_EQ(opened->at("installation.key").reveal(), "deadbeef");
    EXPECT_EQ(opened->at("intake.sign").reveal(), std::string("\0\n", 2));
  }
}

TEST_F(CustodyTest, NobodyElseDoesAndNothingThatWasAltered) {
  const std::string sealed = SealSecrets(secrets_, custodians_, random_);
  EXPECT_EQ(OpenSecrets(sealed, BoxSecretKey::Generate(random_)).status().code(), absl::StatusCode::kPermissionDenied);
  int opened = 0;
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    const absl::StatusOr<Secrets> secrets = OpenSecrets(altered, keys_[0]);
    // What stands for the other custodian, and spaces, do not matter to this one.
    if (secrets.ok()) {
      ++opened;
      EXPECT_EQ(secrets->at("installation.key").reveal(), "deadbeef");
    }
  }
  EXPECT_LT(opened, static_cast<int>(sealed.size()));
  EXPECT_FALSE(OpenSecrets("", keys_[0]).ok());
  EXPECT_FALSE(OpenSecrets(sealed.substr(0, sealed.size() / 2), keys_[0]).ok());
}

TEST_F(CustodyTest, AFileThatWouldLeaveTheDirectoryIsRefused) {
  Secrets bad;
  bad.emplace("../authorized_keys", Secret<std::string>("x"));
  EXPECT_EQ(OpenSecrets(SealSecrets(bad, custodians_, random_), keys_[0]).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CustodyTest, TheFilesAreReadBack) {
  const Secret<std::string> file = CustodianFile("custodian-1", "0011", keys_[0]);
  EXPECT_THAT(file.reveal(), HasSubstr("custodian-1 of installation 0011"));
  const absl::StatusOr<BoxSecretKey> key = ParseCustodianFile(file.reveal());
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->public_key(), keys_[0].public_key());
  EXPECT_FALSE(ParseCustodianFile("vigil-custodian-key 00").ok());
  EXPECT_FALSE(ParseCustodianFile("").ok());

  const absl::StatusOr<std::vector<Custodian>> custodians = ParseCustodians(CustodiansText(custodians_));
  ASSERT_TRUE(custodians.ok()) << custodians.status();
  ASSERT_EQ(custodians->size(), 2U);
  EXPECT_EQ((*custodians)[1].key, keys_[1].public_key());
  EXPECT_EQ((*custodians)[1].name, "custodian-2");
  EXPECT_FALSE(ParseCustodians("# none\n").ok());
  EXPECT_THAT(std::string(ParseCustodians("a 00\n").status().message()), HasSubstr("line 1"));
}

}  // namespace
}  // namespace vigil
