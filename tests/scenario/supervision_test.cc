#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// GUA-17: special supervision is open-ended; 24 hours are no limit.
class SupervisionTest : public ::testing::Test {
 protected:
  // Severe at 10:00, held by the teacher who found the child.
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
    start_ = scene_.now();
    ASSERT_TRUE(scene_.TryTake("leader", scene_.Alert(case_, "severe_ladder")->id()).ok());
  }
  void ExpectActiveAfter(absl::Duration span) {
    scene_.KeepUntil(start_ + span, "teacher", case_);
    const api::Case view = scene_.See(case_);
    EXPECT_TRUE(view.custody().supervised()) << span;
    EXPECT_EQ(view.state(), "open");
    EXPECT_EQ(scene_.ClockState(case_, "special_supervision"), "running");
    EXPECT_FALSE(scene_.Clock(case_, "special_supervision")->has_due_time()) << "it never expires";
  }

  Scene scene_;
  std::string case_;
  absl::Time start_;
};

TEST_F(SupervisionTest, StaysActiveAfter24Hours) { ExpectActiveAfter(absl::Hours(24)); }

TEST_F(SupervisionTest, StaysActiveAfter48Hours) { ExpectActiveAfter(absl::Hours(48)); }

TEST_F(SupervisionTest, StaysActiveAfterSevenDays) { ExpectActiveAfter(absl::Hours(7 * 24)); }

TEST_F(SupervisionTest, TheLeadingGroupReviewsItEach24Hours) {
  scene_.KeepUntil(start_ + absl::Hours(24) - absl::Minutes(1), "teacher", case_);
  scene_.Hush();
  scene_.Wait(absl::Minutes(2));
  EXPECT_THAT(scene_.Rung("sms"), Contains("leader"));
  EXPECT_THAT(scene_.Rung("sms"), Contains("office"));
}

TEST_F(SupervisionTest, ACaseUnderSupervisionCannotBeClosed) {
  api::CloseRequest close;
  close.set_case_(case_);
  close.set_reason("seems fine");
  EXPECT_EQ(scene_.Try(Scene::As("leader"), close).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SupervisionTest, EndsWithTheHandoverToAGuardian) {
  ASSERT_TRUE(scene_.HandOver("leader", case_, "mother").ok());
  const api::Case view = scene_.See(case_);
  EXPECT_FALSE(view.custody().supervised());
  EXPECT_EQ(view.state(), "handed_over");
  EXPECT_EQ(scene_.ClockState(case_, "special_supervision"), "met");
}

TEST_F(SupervisionTest, GoingToHospitalChangesThePlaceOnly) {
  api::RecordDepartureRequest departure;
  departure.set_case_(case_);
  departure.set_kind("hospital");
  departure.add_with("teacher");
  ASSERT_TRUE(scene_.Try(Scene::As("leader"), departure).ok());
  EXPECT_TRUE(scene_.See(case_).custody().supervised());
  EXPECT_THAT(scene_.See(case_).custody().holders(), ElementsAre("teacher"));
}

TEST_F(SupervisionTest, TwoAssessorsCanDecideThatAProvisionalLevelIsNotSevere) {
  api::DecideNotSevereRequest decide;
  decide.set_case_(case_);
  decide.set_rationale("seen by both");
  decide.add_assessor_ids("assessor");
  decide.add_assessor_ids("assessor");
  EXPECT_FALSE(scene_.Try(Scene::As("assessor"), decide).ok());
  decide.set_assessor_ids(1, "office");
  ASSERT_TRUE(scene_.Try(Scene::As("assessor"), decide).ok());
  EXPECT_FALSE(scene_.See(case_).custody().supervised());
}

TEST_F(SupervisionTest, AMissedNightCheckInIsAGapThatRingsAndIsClosedByConfirmation) {
  // Two adults at night.
  scene_.KeepUntil(At("2026-03-10 21:00"), "teacher", case_);
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"teacher", "crisis"}).ok());
  ASSERT_TRUE(scene_.Accept("crisis", case_).ok());
  ASSERT_TRUE(scene_.Accept("teacher", case_).ok());
  scene_.KeepUntil(At("2026-03-11 02:00"), "teacher", case_);
  const absl::Time seen = scene_.now();
  scene_.Hush();
  scene_.Wait(absl::Minutes(31));
  EXPECT_TRUE(scene_.Rings(case_, "gap_ladder"));
  EXPECT_THAT(scene_.Rung(), Contains("teacher")) << "the guard first";
  ASSERT_EQ(scene_.See(case_).custody().gaps_size(), 1);
  EXPECT_EQ(TimeOf(scene_.See(case_).custody().gaps(0).from_time()), seen);
  EXPECT_FALSE(scene_.See(case_).custody().gaps(0).has_to_time());
  scene_.Wait(absl::Minutes(3));
  EXPECT_THAT(scene_.Rung(), Contains("leader")) << "then the ladder";
  ASSERT_TRUE(scene_.CheckIn("teacher", case_).ok());
  EXPECT_FALSE(scene_.Rings(case_, "gap_ladder"));
  EXPECT_EQ(TimeOf(scene_.See(case_).custody().gaps(0).to_time()), scene_.now());
  scene_.Hush();
  scene_.Wait(absl::Minutes(10));
  EXPECT_THAT(scene_.Rung(), IsEmpty());
}

TEST_F(SupervisionTest, ACheckInWithoutThePlacesCodeIsNotOne) {
  api::CheckInRequest request;
  request.set_case_(case_);
  request.set_in_sight(true);
  request.set_code("no code");
  EXPECT_EQ(scene_.Try(Scene::As("teacher"), request).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace vigil::scenario
