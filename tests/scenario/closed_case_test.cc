#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::ElementsAre;

// An episode that is over is still read by its number, also when the file has another.
class ClosedCaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    first_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
    first_report_ = scene_.last_report();
    scene_.Wait(absl::Minutes(10));
    ASSERT_TRUE(scene_.CheckIn("teacher", first_).ok());
    scene_.TakeAndHandOver(first_);
    ASSERT_TRUE(scene_.Assess("assessor", first_, "mild").ok());
    scene_.CloseAfterHandover(first_);
    before_ = scene_.See(first_);
    scene_.Wait(absl::Hours(24 * 30));
    second_ = scene_.Report("class_teacher", {.factors = {"H1"}});
    ASSERT_NE(second_, first_);
  }
  void ExpectFirstAsItWas() {
    const api::Case view = scene_.See(first_);
    EXPECT_EQ(view.SerializeAsString(), before_.SerializeAsString());
    EXPECT_EQ(view.case_id(), first_);
    EXPECT_EQ(view.state(), "closed");
    EXPECT_EQ(scene_.Clocks(first_).clocks_size(), before_.clocks_size());
    EXPECT_GT(before_.clocks_size(), 5);
    EXPECT_EQ(scene_.Custody(first_).SerializeAsString(), before_.custody().SerializeAsString());
    EXPECT_THAT(scene_.Custody(first_).intervals(0).holders(), ElementsAre("teacher"));
  }
  Scene scene_;
  std::string first_;
  std::string first_report_;
  std::string second_;
  api::Case before_;
};

TEST_F(ClosedCaseTest, IsReadAsItWasWhenItWasClosed) {
  ExpectFirstAsItWas();
  EXPECT_EQ(scene_.See(second_).state(), "open");
}

TEST_F(ClosedCaseTest, AlsoAfterARestart) {
  scene_.RestartIntake();
  ExpectFirstAsItWas();
}

TEST_F(ClosedCaseTest, ItsReporterStillSeesTheReport) {
  const auto receipt = scene_.Receipt("teacher", first_report_);
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->case_id(), first_);
}

TEST_F(ClosedCaseTest, NobodyActsOnItAnyMore) {
  EXPECT_EQ(scene_.Confirm("teacher", first_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClosedCaseTest, OneThatNeverWasIsNotFound) { EXPECT_EQ(scene_.TrySee("leader", "c-nothing").status().code(), absl::StatusCode::kNotFound); }

}  // namespace
}  // namespace vigil::scenario
