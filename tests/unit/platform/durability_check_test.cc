#include "platform/config/durability_check.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace vigil::config {
namespace {

class DurabilityCheckTest : public testing::Test {
 protected:
  DurabilityCheckTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vigil-durability-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~DurabilityCheckTest() override { std::filesystem::remove_all(folder_); }

  bool MakeSynchronous() const {
    const int file = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long attributes = 0;
    bool done = ioctl(file, FS_IOC_GETFLAGS, &attributes) == 0;
    attributes |= FS_SYNC_FL;
    done = done && ioctl(file, FS_IOC_SETFLAGS, &attributes) == 0;
    close(file);
    return done;
  }

  std::string folder_;
};

TEST_F(DurabilityCheckTest, RefusesAStoreThatIsNotSynchronous) {
  const absl::Status status = CheckDurable(folder_, false);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("--not-durable"));
}

TEST_F(DurabilityCheckTest, AcceptsOneThatIs) {
  if (!MakeSynchronous()) GTEST_SKIP() << "this file system has no synchronous attribute";
  EXPECT_TRUE(CheckDurable(folder_, false).ok()) << CheckDurable(folder_, false);
}

TEST_F(DurabilityCheckTest, AcceptsAnythingWhenToldTo) { EXPECT_TRUE(CheckDurable(folder_, true).ok()); }

TEST_F(DurabilityCheckTest, NamesAStoreThatIsNotThere) {
  EXPECT_EQ(CheckDurable(folder_ + "/none", false).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace vigil::config
