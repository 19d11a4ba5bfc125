#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Seed A45, 特别严重: each shift has security staff and a school adult (GUA-22).
class ExtremeCaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W1t"}, .in_sight = "teacher"});
    ASSERT_TRUE(scene_.Confirm("teacher", case_).ok());
  }
  Scene scene_;
  std::string case_;
};

TEST_F(ExtremeCaseTest, AShiftWithOneGuardMissingIsRefused) {
  EXPECT_EQ(scene_.See(case_).level().provisional(), "extreme");
  EXPECT_FALSE(scene_.Offer("teacher", case_, {"doctor"}).ok()) << "no security staff";
  EXPECT_FALSE(scene_.Offer("teacher", case_, {"guard"}).ok()) << "a guard alone is outside the door";
  EXPECT_FALSE(scene_.Offer("teacher", case_, {"guard", "guard_2"}).ok()) << "two guards are no school adult";
  EXPECT_TRUE(scene_.Offer("teacher", case_, {"guard", "doctor"}).ok());
}

TEST_F(ExtremeCaseTest, UntilBothHaveAcceptedTheOutgoingAdultStays) {
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"guard", "doctor"}).ok());
  ASSERT_TRUE(scene_.Accept("doctor", case_).ok());
  EXPECT_THAT(scene_.See(case_).custody().holders(), ElementsAre("teacher"));
  ASSERT_TRUE(scene_.Accept("guard", case_).ok());
  EXPECT_THAT(scene_.See(case_).custody().holders(), UnorderedElementsAre("guard", "doctor"));
}

TEST_F(ExtremeCaseTest, AGuardWhoIsOffWorkBeforeAcceptingBreaksTheShift) {
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"guard", "doctor"}).ok());
  ASSERT_TRUE(scene_.Accept("doctor", case_).ok());
  api::PersonInput guard = Scene::Person("guard", "staff", "security");
  guard.set_on_leave(true);
  ASSERT_TRUE(scene_.PutPeople({guard}).ok());
  EXPECT_FALSE(scene_.Accept("guard", case_).ok());
  EXPECT_THAT(scene_.See(case_).custody().holders(), ElementsAre("teacher"));
}

TEST_F(ExtremeCaseTest, ChecksInEveryQuarterOfAnHour) {
  EXPECT_EQ(scene_.Due(case_, "check_in"), scene_.now() + absl::Minutes(15));
}

}  // namespace
}  // namespace vigil::scenario
