#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Seed A45: after an incident, round-the-clock supervision goes on in the ward as the hospital asks (GUA-24).
class HospitalWardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W1i"}, .in_sight = "teacher"});
    ASSERT_TRUE(scene_.Confirm("teacher", case_).ok());
    ASSERT_TRUE(scene_.Offer("teacher", case_, {"guard", "doctor"}).ok());
    ASSERT_TRUE(scene_.Accept("guard", case_).ok());
    ASSERT_TRUE(scene_.Accept("doctor", case_).ok());
    api::RecordDepartureRequest departure;
    departure.set_case_(case_);
    departure.set_kind("hospital");
    departure.add_with("doctor");
    departure.add_with("guard");
    ASSERT_TRUE(scene_.Try(Scene::As("leader"), departure).ok());
  }
  Scene scene_;
  std::string case_;
};

TEST_F(HospitalWardTest, SupervisionGoesAlongAndOnlyThePlaceChanges) {
  EXPECT_TRUE(scene_.See(case_).custody().supervised());
  EXPECT_THAT(scene_.See(case_).custody().holders(), Contains("doctor"));
  // Until the guard came the shift was short (GUA-22); since then there is no gap, on the way neither.
  const api::Case view = scene_.See(case_);
  for (const auto& gap : view.custody().gaps()) EXPECT_TRUE(gap.has_to_time()) << gap.reason();
  EXPECT_EQ(scene_.ClockState(case_, "departure"), "running");
  ASSERT_TRUE(scene_.FileRecord("doctor", case_, "hospital_transfer", {{"stage", "arrived"}, {"hospital", "city hospital"}}).ok());
  EXPECT_EQ(scene_.ClockState(case_, "departure"), "met");
}

TEST_F(HospitalWardTest, TheWardsRequirementsAreRecordedAndTheIncidentToo) {
  EXPECT_EQ(scene_.ClockState(case_, "ward_supervision"), "running");
  ASSERT_TRUE(scene_.FileRecord("doctor", case_, "incident", {{"what", "cut"}, {"called", "ambulance"}}).ok());
  EXPECT_EQ(scene_.ClockState(case_, "incident_review"), "running");
  ASSERT_TRUE(scene_.FileRecord("leader", case_, "ward_supervision", {{"hospital", "ward 3"}, {"requirements", "one adult at the bed"}, {"shifts_planned", "true"}}).ok());
  EXPECT_EQ(scene_.ClockState(case_, "ward_supervision"), "met");
}

TEST_F(HospitalWardTest, LastsTwoDaysAndEndsWithTheHandoverOnly) {
  scene_.KeepUntil(scene_.now() + absl::Hours(48), "doctor", case_);
  EXPECT_TRUE(scene_.See(case_).custody().supervised());
  EXPECT_EQ(scene_.ClockState(case_, "special_supervision"), "running");
  ASSERT_TRUE(scene_.HandOver("leader", case_, "mother").ok());
  EXPECT_FALSE(scene_.See(case_).custody().supervised());
}

}  // namespace
}  // namespace vigil::scenario
