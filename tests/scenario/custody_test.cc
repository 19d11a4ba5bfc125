#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// GUA-18, GUA-22: who has the child.
class CustodyTest : public ::testing::Test {
 protected:
  void Severe(absl::Time start = At("2026-03-10 10:00")) {
    scene_.WaitUntil(start);
    case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  }
  api::Custody custody() { return scene_.See(case_).custody(); }

  Scene scene_;
  std::string case_;
};

TEST_F(CustodyTest, BeginsUnconfirmedAndBecomesThatOfTheAdultWhoConfirms) {
  case_ = scene_.Report("office", {.signals = {"W1a"}});
  EXPECT_EQ(custody().state(), "unconfirmed");
  EXPECT_EQ(custody().gaps_size(), 1);
  ASSERT_TRUE(scene_.Confirm("class_teacher", case_).ok());
  EXPECT_EQ(custody().state(), "held");
  EXPECT_THAT(custody().holders(), ElementsAre("class_teacher"));
  EXPECT_TRUE(custody().gaps(0).has_to_time());
}

TEST_F(CustodyTest, AShiftChangesHandsOnlyWhenBothSidesHaveConfirmed) {
  Severe();
  scene_.Wait(absl::Minutes(10));
  EXPECT_FALSE(scene_.Accept("crisis", case_).ok()) << "nothing was offered";
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"crisis"}).ok());
  EXPECT_THAT(custody().holders(), ElementsAre("teacher"));
  EXPECT_FALSE(scene_.Accept("deputy", case_).ok()) << "offered to another";
  ASSERT_TRUE(scene_.Accept("crisis", case_).ok());
  EXPECT_THAT(custody().holders(), ElementsAre("crisis"));
  const api::Custody chain = custody();
  ASSERT_EQ(chain.intervals_size(), 2);
  EXPECT_THAT(chain.intervals(0).holders(), ElementsAre("teacher"));
  EXPECT_EQ(TimeOf(chain.intervals(0).to_time()), TimeOf(chain.intervals(1).from_time()));
}

TEST_F(CustodyTest, TheEndOfAShiftDoesNotEndCustodyAndRings) {
  Severe();
  const absl::Time end = scene_.Due(case_, "shift");
  EXPECT_EQ(end, scene_.now() + absl::Hours(8));
  scene_.KeepUntil(end - absl::Minutes(1), "teacher", case_);
  scene_.Hush();
  scene_.Wait(absl::Minutes(2));
  EXPECT_TRUE(scene_.Rings(case_, "shift_ladder"));
  EXPECT_THAT(scene_.Rung(), Contains("teacher"));
  EXPECT_THAT(custody().holders(), ElementsAre("teacher"));
  EXPECT_TRUE(custody().supervised());
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"crisis"}).ok());
  ASSERT_TRUE(scene_.Accept("crisis", case_).ok());
  EXPECT_FALSE(scene_.Rings(case_, "shift_ladder"));
}

TEST_F(CustodyTest, AGapRingsAndStandsInTheChain) {
  Severe();
  ASSERT_TRUE(scene_.CheckIn("teacher", case_, false).ok());
  EXPECT_TRUE(scene_.Rings(case_, "search_ladder"));
  EXPECT_THAT(custody().holders(), IsEmpty());
  ASSERT_GT(custody().intervals_size(), 0);
  EXPECT_THAT(custody().intervals(custody().intervals_size() - 1).holders(), IsEmpty());
  scene_.Wait(absl::Minutes(5));
  ASSERT_TRUE(scene_.Confirm("guard", case_).ok());
  EXPECT_FALSE(scene_.Rings(case_, "search_ladder"));
  EXPECT_THAT(custody().holders(), ElementsAre("guard"));
}

TEST_F(CustodyTest, AChildNobodySeesIsSearchedForAtOnce) {
  case_ = scene_.Report("teacher", {.factors = {"H1"}, .in_sight = "nobody"});
  EXPECT_TRUE(scene_.Rings(case_, "search_ladder"));
  EXPECT_THAT(scene_.Rung(), UnorderedElementsAre("teacher", "guard", "guard_2"));
}

TEST_F(CustodyTest, AnExtremeShiftNeedsAGuardAndASchoolAdult) {
  case_ = scene_.Report("teacher", {.signals = {"W1t"}, .in_sight = "teacher"});
  EXPECT_EQ(scene_.See(case_).level().provisional(), "extreme");
  EXPECT_FALSE(scene_.Offer("teacher", case_, {"crisis"}).ok());
  EXPECT_FALSE(scene_.Offer("teacher", case_, {"crisis", "deputy"}).ok());
  EXPECT_FALSE(scene_.Offer("teacher", case_, {"guard", "guard_2"}).ok());
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"guard", "crisis"}).ok());
  ASSERT_TRUE(scene_.Accept("guard", case_).ok());
  EXPECT_THAT(custody().holders(), ElementsAre("teacher"));
  ASSERT_TRUE(scene_.Accept("crisis", case_).ok());
  EXPECT_THAT(custody().holders(), UnorderedElementsAre("guard", "crisis"));
}

TEST_F(CustodyTest, APlannedExtremeShiftWithoutAGuardIsRefused) {
  case_ = scene_.Report("teacher", {.signals = {"W1t"}, .in_sight = "teacher"});
  api::PlanShiftsRequest plan;
  plan.set_case_(case_);
  api::PlannedShift* shift = plan.add_shifts();
  shift->add_staff_ids("crisis");
  shift->add_staff_ids("deputy");
  shift->mutable_from_time()->set_seconds(absl::ToUnixSeconds(scene_.now() + absl::Hours(1)));
  shift->mutable_to_time()->set_seconds(absl::ToUnixSeconds(scene_.now() + absl::Hours(5)));
  EXPECT_EQ(scene_.Try(Scene::As("leader"), plan).status().code(), absl::StatusCode::kInvalidArgument);
  shift->set_staff_ids(1, "guard");
  EXPECT_TRUE(scene_.Try(Scene::As("leader"), plan).ok());
}

TEST_F(CustodyTest, AtSchoolAgainSupervisionIsBackWithOneTap) {
  Severe();
  ASSERT_TRUE(scene_.Spoke("teacher", case_, "leader").ok());
  ASSERT_TRUE(scene_.HandOver("leader", case_, "mother").ok());
  scene_.Wait(absl::Hours(21));
  api::ReturnCustodyRequest back;
  back.set_case_(case_);
  back.set_staff_id("class_teacher");
  ASSERT_TRUE(scene_.Try(Scene::As("class_teacher"), back).ok());
  EXPECT_TRUE(custody().supervised());
  EXPECT_THAT(custody().holders(), ElementsAre("class_teacher"));
  EXPECT_EQ(scene_.ClockState(case_, "special_supervision"), "running");
}

}  // namespace
}  // namespace vigil::scenario
