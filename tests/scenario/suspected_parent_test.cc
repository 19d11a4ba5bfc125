#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Not;

// PRV-06: the child is afraid to go home. Contact with the household waits for a human decision; police needs nobody's approval.
class SuspectedParentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher", .home_unsafe = api::HOME_UNSAFE_YES});
    ASSERT_TRUE(scene_.Confirm("teacher", case_).ok());
  }
  Scene scene_;
  std::string case_;
};

TEST_F(SuspectedParentTest, NobodyOfTheHouseholdIsCalledWrittenToOrGivenTheChild) {
  EXPECT_FALSE(scene_.Clock(case_, "guardian_contact").has_value() && scene_.ClockState(case_, "guardian_contact") == "running");
  EXPECT_FALSE(scene_.GuardianComes("class_teacher", case_, "mother", absl::Minutes(20)).ok());
  EXPECT_FALSE(scene_.HandOver("leader", case_, "mother").ok());
  scene_.Wait(absl::Hours(1));
  for (const char* channel : {"call", "sms"}) EXPECT_THAT(scene_.Rung(channel), Not(Contains(AnyOf("mother", "father", "uncle")))) << channel;
}

TEST_F(SuspectedParentTest, ANamedPersonDecidesWithinAQuarterOfAnHourOrItRings) {
  EXPECT_EQ(scene_.Due(case_, "hold_decision"), scene_.now() + absl::Minutes(15));
  ASSERT_TRUE(scene_.TryTake("leader", scene_.Alert(case_, "severe_ladder")->id()).ok());
  scene_.Hush();
  scene_.Wait(absl::Minutes(16));
  EXPECT_TRUE(scene_.Rings(case_, "hold_ladder"));
  EXPECT_THAT(scene_.Rung(), Contains("leader"));
}

TEST_F(SuspectedParentTest, PoliceTakesTheChildWithoutAnyonesApproval) {
  api::HandOverToAuthorityRequest request;
  request.set_case_(case_);
  request.set_authority("police");
  request.set_officer("officer 1234");
  ASSERT_TRUE(scene_.Try(Scene::As("crisis"), request).ok());
  EXPECT_EQ(scene_.See(case_).state(), "handed_over");
  EXPECT_FALSE(scene_.See(case_).custody().supervised());
}

TEST_F(SuspectedParentTest, AParentWhoIsSuspectedStaysOffWhenTheHoldIsLifted) {
  api::RecuseRequest recuse;
  recuse.set_case_(case_);
  recuse.set_staff_id("father");
  recuse.set_reason("the child named him");
  ASSERT_TRUE(scene_.Try(Scene::As("teacher"), recuse).ok());
  api::LiftHoldRequest lift;
  lift.set_case_(case_);
  lift.set_kind("guardians");
  lift.set_reason("the mother is safe");
  ASSERT_TRUE(scene_.Try(Scene::As("leader"), lift).ok());
  EXPECT_FALSE(scene_.HandOver("leader", case_, "father").ok());
  EXPECT_TRUE(scene_.GuardianComes("class_teacher", case_, "mother", absl::Minutes(20)).ok());
  EXPECT_TRUE(scene_.HandOver("leader", case_, "mother").ok());
}

}  // namespace
}  // namespace vigil::scenario
