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

// GUA-22: one adult alone with a child in extreme danger is a gap of its own, and rings until a guard and a school adult are both there.
TEST_F(CustodyTest, AnExtremeChildWithOneAdultOnlyRingsUntilBothAreThere) {
  case_ = scene_.Report("teacher", {.signals = {"W1t"}, .in_sight = "teacher"});
  EXPECT_THAT(custody().holders(), ElementsAre("teacher"));
  EXPECT_THAT(custody().missing(), ElementsAre("security"));
  ASSERT_EQ(custody().gaps_size(), 1);
  EXPECT_EQ(custody().gaps(0).reason(), "cover_missing");
  EXPECT_FALSE(custody().gaps(0).has_to_time());
  EXPECT_TRUE(scene_.Rings(case_, "cover_ladder"));
  EXPECT_THAT(scene_.Rung(), Contains("guard"));
  // That the one adult still sees the child changes nothing.
  scene_.Wait(absl::Minutes(5));
  ASSERT_TRUE(scene_.CheckIn("teacher", case_).ok());
  EXPECT_TRUE(scene_.Rings(case_, "cover_ladder"));
  scene_.Wait(absl::Minutes(5));
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"teacher", "guard"}).ok());
  ASSERT_TRUE(scene_.Accept("guard", case_).ok());
  EXPECT_TRUE(scene_.Rings(case_, "cover_ladder"));
  ASSERT_TRUE(scene_.Accept("teacher", case_).ok());
  EXPECT_FALSE(scene_.Alert(case_, "cover_ladder").has_value());
  EXPECT_THAT(custody().missing(), IsEmpty());
  EXPECT_EQ(TimeOf(custody().gaps(0).to_time()), scene_.now());
}

TEST_F(CustodyTest, AGuardAloneWithAnExtremeChildLacksASchoolAdult) {
  case_ = scene_.Report("office", {.signals = {"W1t"}});
  ASSERT_TRUE(scene_.Confirm("guard", case_).ok());
  EXPECT_THAT(custody().missing(), ElementsAre("school_adult"));
  EXPECT_TRUE(scene_.Rings(case_, "cover_ladder"));
}

TEST_F(CustodyTest, EscortedToHospitalAnExtremeChildNeedsNoGuardAtTheDoor) {
  case_ = scene_.Report("teacher", {.signals = {"W1t"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene_.Rings(case_, "cover_ladder"));
  api::RecordDepartureRequest departure;
  departure.set_case_(case_);
  departure.set_kind("hospital");
  departure.add_with("teacher");
  ASSERT_TRUE(scene_.Try(Scene::As("leader"), departure).ok());
  EXPECT_FALSE(scene_.Alert(case_, "cover_ladder").has_value());
  EXPECT_THAT(custody().missing(), IsEmpty());
}

TEST_F(CustodyTest, TheNightAsksForASecondAdultAndRingsWhenItBegins) {
  Severe(At("2026-03-10 20:00"));
  EXPECT_THAT(custody().missing(), IsEmpty());
  scene_.KeepUntil(At("2026-03-10 21:59"), "teacher", case_);
  EXPECT_FALSE(scene_.Alert(case_, "cover_ladder").has_value());
  scene_.WaitUntil(At("2026-03-10 22:00"));
  EXPECT_TRUE(scene_.Rings(case_, "cover_ladder"));
  EXPECT_THAT(custody().missing(), ElementsAre("any_adult"));
  EXPECT_EQ(TimeOf(custody().gaps(0).from_time()), At("2026-03-10 22:00"));
  ASSERT_TRUE(scene_.Offer("teacher", case_, {"teacher", "crisis"}).ok());
  ASSERT_TRUE(scene_.Accept("teacher", case_).ok());
  ASSERT_TRUE(scene_.Accept("crisis", case_).ok());
  EXPECT_FALSE(scene_.Alert(case_, "cover_ladder").has_value());
}

// ASM-02: from severe to extreme, what runs takes the higher level's lengths, and nothing that was owed is lost.
TEST_F(CustodyTest, WhatRunsTakesTheHigherLevelsLengths) {
  Severe();
  const absl::Time start = scene_.now();
  const absl::Time written = scene_.Due(case_, "written_report", 1);
  EXPECT_EQ(scene_.Due(case_, "check_in"), start + absl::Minutes(30));
  scene_.Wait(absl::Minutes(4));
  ASSERT_EQ(scene_.Report("doctor", {.signals = {"W1i"}}), case_);
  EXPECT_EQ(scene_.See(case_).level().provisional(), "extreme");
  EXPECT_EQ(scene_.Due(case_, "check_in"), start + absl::Minutes(15));
  EXPECT_THAT(custody().missing(), ElementsAre("security"));
  EXPECT_TRUE(scene_.Rings(case_, "cover_ladder"));
  EXPECT_LE(scene_.Due(case_, "shift"), start + absl::Hours(8));
  EXPECT_EQ(scene_.Due(case_, "written_report", 1), written);
  EXPECT_EQ(scene_.ClockState(case_, "written_report", 1), "running");
  EXPECT_EQ(scene_.ClockState(case_, "written_report", 2), "running");
  ASSERT_TRUE(scene_.CheckIn("teacher", case_).ok());
  EXPECT_EQ(scene_.Due(case_, "check_in"), scene_.now() + absl::Minutes(15));
}

TEST_F(CustodyTest, SoTheyDoWhenTheGroupRaisesTheLevel) {
  Severe();
  ASSERT_TRUE(scene_.Assess("assessor", case_, "severe").ok());
  scene_.Wait(absl::Minutes(4));
  ASSERT_TRUE(scene_.CheckIn("teacher", case_).ok());
  const absl::Time seen = scene_.now();
  ASSERT_TRUE(scene_.Assess("assessor", case_, "extreme").ok());
  EXPECT_EQ(scene_.Due(case_, "check_in"), seen + absl::Minutes(15));
  EXPECT_TRUE(scene_.Rings(case_, "cover_ladder"));
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
