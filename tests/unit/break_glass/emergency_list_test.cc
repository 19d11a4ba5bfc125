#include "notification/break_glass/emergency_list.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "platform/durable_file/durable_file.h"

namespace vigil::break_glass {
namespace {

class EmergencyListTest : public ::testing::Test {
 protected:
  EmergencyListTest() {
    std::string name = (std::filesystem::temp_directory_path() / "vigil-list-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    path_ = directory_ + "/list";
  }
  ~EmergencyListTest() override { std::filesystem::remove_all(directory_); }

  static ListedSchool School() {
    return {.name = "测试小学", .duty_phone = "02100000000", .language = "zh-CN", .people = {{"leader", Secret<std::string>("13900000001"), "zh-CN"}, {"deputy", Secret<std::string>("13900000002"), ""}}};
  }

  SystemRandom random_;
  std::string directory_;
  std::string path_;
};

TEST_F(EmergencyListTest, IsThereAgainAfterARestart) {
  {
    EmergencyList list(path_, *SealingKey::FromBytes(std::string(32, 'k')), &random_);
    EXPECT_TRUE(absl::IsNotFound(list.Load()));
    list.Put("school", School());
    ASSERT_TRUE(list.Save().ok());
  }
  EmergencyList list(path_, *SealingKey::FromBytes(std::string(32, 'k')), &random_);
  ASSERT_TRUE(list.Load().ok());
  const auto school = list.Find("school");
  ASSERT_TRUE(school.has_value());
  EXPECT_EQ(school->name, "测试小学");
  EXPECT_EQ(school->duty_phone, "02100000000");
  ASSERT_EQ(school->people.size(), 2U);
  EXPECT_EQ(school->people[0].person, "leader");
  EXPECT_EQ(school->people[0].phone.reveal(), "13900000001");
  EXPECT_FALSE(list.Find("another").has_value());
}

TEST_F(EmergencyListTest, ShowsNobodysNumberToWhoeverReadsTheDisk) {
  EmergencyList list(path_, *SealingKey::FromBytes(std::string(32, 'k')), &random_);
  list.Put("school", School());
  ASSERT_TRUE(list.Save().ok());
  const auto bytes = ReadWhole(path_);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes->find("13900000001"), std::string::npos);
  EXPECT_EQ(bytes->find("测试"), std::string::npos);
}

TEST_F(EmergencyListTest, ADamagedFileOrAnothersIsSaidAndReplaced) {
  EmergencyList list(path_, *SealingKey::FromBytes(std::string(32, 'k')), &random_);
  list.Put("school", School());
  ASSERT_TRUE(list.Save().ok());
  EmergencyList others(path_, *SealingKey::FromBytes(std::string(32, 'x')), &random_);
  EXPECT_TRUE(absl::IsDataLoss(others.Load()));
  auto bytes = *ReadWhole(path_);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  ASSERT_TRUE(WriteDurably(path_, bytes).ok());
  EmergencyList damaged(path_, *SealingKey::FromBytes(std::string(32, 'k')), &random_);
  EXPECT_TRUE(absl::IsDataLoss(damaged.Load()));
  EXPECT_EQ(damaged.size(), 0U);
  damaged.Put("school", School());
  ASSERT_TRUE(damaged.Save().ok());
  EmergencyList again(path_, *SealingKey::FromBytes(std::string(32, 'k')), &random_);
  EXPECT_TRUE(again.Load().ok());
}

TEST_F(EmergencyListTest, IsWrittenOnlyWhenItChanged) {
  EmergencyList list(path_, *SealingKey::FromBytes(std::string(32, 'k')), &random_);
  list.Put("school", School());
  ASSERT_TRUE(list.Save().ok());
  std::filesystem::remove(path_);
  list.Put("school", School());
  ASSERT_TRUE(list.Save().ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
  ListedSchool changed = School();
  changed.people.pop_back();
  list.Put("school", changed);
  ASSERT_TRUE(list.Save().ok());
  EXPECT_TRUE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace vigil::break_glass
