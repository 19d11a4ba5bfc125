#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// Seed A44: a higher case whose parents do not take the child home.
class AgreementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher"});
    ASSERT_TRUE(scene_.Confirm("teacher", case_).ok());
    ASSERT_TRUE(scene_.Assess("assessor", case_, "high").ok());
  }
  absl::StatusOr<api::Case> Meet() {
    return scene_.FileRecord("class_teacher", case_, "parent_meeting", {{"invitations", "2"}, {"attended", "true"}, {"explained", "what we saw"}, {"signed", "signed"}});
  }
  absl::StatusOr<api::Case> Decide(const std::string& decision) {
    return scene_.FileRecord("class_teacher", case_, "parent_decision", {{"explained", "both ways"}, {"decision", decision}});
  }
  absl::StatusOr<api::Case> Sign(const std::string& end = "2026-03-20") {
    return scene_.Form<api::SignAgreementRequest>("leader", case_,
                                                  {{"accompanying_adult", "mother"},
                                                   {"hours", "each school day, 8 to 16, in class 3-2"},
                                                   {"duties", "both sides"},
                                                   {"schools_duty", "stated"},
                                                   {"absence", "the school is told at once"},
                                                   {"end", end},
                                                   {"signatures", "mother, leader"}});
  }
  absl::StatusOr<api::Case> Begin() { return scene_.FileRecord("class_teacher", case_, "accompaniment", {{"starts", "2026-03-10"}}); }

  Scene scene_;
  std::string case_;
};

TEST_F(AgreementTest, TheParentsAreCalledInAndDecide) {
  EXPECT_EQ(scene_.ClockState(case_, "parent_meeting"), "running");
  EXPECT_EQ(scene_.ClockState(case_, "parent_decision"), "running");
  ASSERT_TRUE(Meet().ok());
  EXPECT_EQ(scene_.ClockState(case_, "parent_meeting"), "met");
}

TEST_F(AgreementTest, WithoutTheAgreementNobodyAccompanies) {
  ASSERT_TRUE(Meet().ok());
  ASSERT_TRUE(Decide("accompany_at_school").ok());
  const auto begun = Begin();
  ASSERT_EQ(begun.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(begun.status().message()), HasSubstr("agreement"));
  EXPECT_EQ(scene_.ClockState(case_, "agreement"), "running");
  scene_.Wait(absl::Hours(23));
  scene_.Hush();
  scene_.Wait(absl::Hours(2));
  EXPECT_EQ(scene_.ClockState(case_, "agreement"), "overdue");
  EXPECT_THAT(scene_.Rung("sms"), Contains("leader")) << "a day later the leader knows";
}

TEST_F(AgreementTest, NoDecisionIsTheSchoolsToChase) {
  ASSERT_TRUE(Decide("undecided").ok());
  EXPECT_EQ(scene_.ClockState(case_, "decision_again"), "running");
  scene_.Wait(absl::Hours(23));
  scene_.Hush();
  scene_.Wait(absl::Hours(2));
  EXPECT_THAT(scene_.Rung("sms"), Contains("leader"));
}

TEST_F(AgreementTest, IsSignedAfterAMeetingForTwoWeeksAtMost) {
  EXPECT_FALSE(Sign().ok()) << "nothing was explained yet";
  ASSERT_TRUE(Meet().ok());
  EXPECT_EQ(Sign("2026-04-10").status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Sign().ok());
  EXPECT_EQ(scene_.ClockState(case_, "agreement_ends"), "running");
}

TEST_F(AgreementTest, WithItTheParentIsThereEachDayOrItIsTold) {
  ASSERT_TRUE(Meet().ok());
  ASSERT_TRUE(Decide("accompany_at_school").ok());
  ASSERT_TRUE(Sign().ok());
  EXPECT_EQ(scene_.ClockState(case_, "agreement"), "met");
  ASSERT_TRUE(Begin().ok());
  EXPECT_EQ(scene_.ClockState(case_, "parent_presence"), "running");
  scene_.Wait(absl::Hours(22));
  ASSERT_TRUE(scene_.FileRecord("class_teacher", case_, "parent_presence", {{"present", "true"}}).ok());
  scene_.Hush();
  EXPECT_EQ(scene_.FileRecord("class_teacher", case_, "parent_presence", {{"present", "false"}}).status().code(), absl::StatusCode::kInvalidArgument)
      << "then somebody else has the child";
  ASSERT_TRUE(scene_.FileRecord("class_teacher", case_, "parent_presence", {{"present", "false"}, {"fallback", "teacher"}}).ok());
  scene_.Wait(absl::Minutes(1));
  EXPECT_THAT(scene_.Rung("sms"), Contains("leader")) << "at once, not at the end of the day";
  EXPECT_THAT(scene_.Rung("sms"), Contains("grade_head"));
}

}  // namespace
}  // namespace vigil::scenario
