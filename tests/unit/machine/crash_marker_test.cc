// A commit that ends the process twice is known by the third life.
#include "machine/crash_marker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

namespace vigil {
namespace {

class CrashMarkerTest : public ::testing::Test {
 protected:
  CrashMarkerTest() {
    std::string name = (std::filesystem::temp_directory_path() / "vigil-marker-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~CrashMarkerTest() override { std::filesystem::remove_all(directory_); }

  // A life that folds one commit and, perhaps, dies of it.
  void Live(const CommitPlace& place, bool dies) {
    const pid_t child = fork();
    if (child == 0) {
      auto marker = CrashMarker::Open(directory_ + "/folding");
      if (!marker.ok()) _exit(2);
      (*marker)->Begin(place);
      if (dies) raise(SIGKILL);
      (*marker)->End();
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(WIFSIGNALED(status), dies);
  }
  int Crashes(const CommitPlace& place) { return (*CrashMarker::Open(directory_ + "/folding"))->crashes(place); }

  std::string directory_;
};

TEST_F(CrashMarkerTest, TwiceIsPoisonAndOnceIsNot) {
  const CommitPlace poison{3, 17, 2};
  Live(poison, true);
  EXPECT_EQ(Crashes(poison), 1);
  Live({3, 18, 0}, true);
  EXPECT_EQ(Crashes(poison), 1) << "another commit";
  Live(poison, true);
  EXPECT_EQ(Crashes(poison), kCrashesOfPoison);
  EXPECT_EQ(Crashes(poison), kCrashesOfPoison) << "for good";
}

TEST_F(CrashMarkerTest, WhatWasFoldedToItsEndIsNotBlamed) {
  for (int i = 0; i < 3; ++i) Live({0, 1, 0}, false);
  EXPECT_EQ(Crashes({0, 1, 0}), 0);
}

}  // namespace
}  // namespace vigil
