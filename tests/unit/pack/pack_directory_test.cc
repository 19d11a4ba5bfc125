#include "platform/pack_directory/pack_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace vigil {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class PackDirectoryTest : public ::testing::Test {
 protected:
  PackDirectoryTest() : directory_(std::filesystem::path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~PackDirectoryTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(directory_ / name) << text; }

  const std::filesystem::path directory_;
};

TEST_F(PackDirectoryTest, ReadsOnlyYamlFiles) {
  Write("a.yaml", "a: 1\n");
  Write("b.yaml", "");
  Write("notes.txt", "no");
  std::filesystem::create_directory(directory_ / "sub.yaml");
  const auto files = ReadPackDirectory(directory_.string());
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, ElementsAre(Pair("a.yaml", "a: 1\n"), Pair("b.yaml", "")));
}

TEST_F(PackDirectoryTest, DirectoryWithoutYamlIsNotFound) {
  Write("notes.txt", "no");
  EXPECT_EQ(ReadPackDirectory(directory_.string()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadPackDirectory((directory_ / "nowhere").string()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PackDirectoryTest, TooLargeIsRefused) {
  Write("a.yaml", std::string((2u << 20) + 1, '#'));
  EXPECT_EQ(ReadPackDirectory(directory_.string()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PackDigestTest, IsSha256InHex) {
  EXPECT_EQ(PackDigest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace vigil
