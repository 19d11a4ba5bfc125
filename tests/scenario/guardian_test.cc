#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

// GUA-20: the handover to a guardian.
class HandoverTest : public ::testing::Test {
 protected:
  void SetUp() override { case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"}); }
  void ExpectBlocked(const std::string& guardian, bool identity_checked, absl::StatusCode code) {
    EXPECT_EQ(scene_.HandOver("leader", case_, guardian, identity_checked).status().code(), code) << guardian;
    EXPECT_TRUE(scene_.See(case_).custody().supervised());
  }
  Scene scene_;
  std::string case_;
};

TEST_F(HandoverTest, WithoutAnIdentityCheckIsBlocked) { ExpectBlocked("mother", false, absl::StatusCode::kFailedPrecondition); }
TEST_F(HandoverTest, ToAnExcludedGuardianIsBlocked) { ExpectBlocked("uncle", true, absl::StatusCode::kFailedPrecondition); }
TEST_F(HandoverTest, ToAnotherChildsGuardianIsBlocked) { ExpectBlocked("twins_mother", true, absl::StatusCode::kFailedPrecondition); }
TEST_F(HandoverTest, ToSomebodyUnknownIsBlocked) { ExpectBlocked("stranger", true, absl::StatusCode::kNotFound); }
TEST_F(HandoverTest, ToAMemberOfStaffIsBlocked) { ExpectBlocked("class_teacher", true, absl::StatusCode::kNotFound); }

TEST_F(HandoverTest, LeavesADocumentANoticeAndAftercare) {
  scene_.Hush();
  const auto handed = scene_.HandOver("leader", case_, "mother");
  ASSERT_TRUE(handed.ok()) << handed.status();
  EXPECT_EQ(handed->state(), "handed_over");
  ASSERT_EQ(handed->records_size(), 1);
  EXPECT_EQ(handed->records(0).kind(), "handover");
  const auto& chain = handed->custody().intervals();
  EXPECT_THAT(chain[chain.size() - 1].holders(), ::testing::ElementsAre("mother"));
  EXPECT_THAT(scene_.Rung("sms"), Contains("mother"));
  EXPECT_THAT(scene_.Rung("sms"), Not(Contains("uncle")));
  for (const char* kind : {"aftercare_first", "aftercare_morning", "aftercare_doctor"}) EXPECT_EQ(scene_.ClockState(case_, kind), "running") << kind;
}

// PRV-06: a child who is afraid to go home.
class HoldTest : public ::testing::TestWithParam<api::HomeUnsafe> {};

TEST_P(HoldTest, NoGuardianIsContactedUntilAPersonHasDecided) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher", .home_unsafe = GetParam()});
  EXPECT_FALSE(scene.Clock(c, "guardian_contact").has_value());
  EXPECT_EQ(scene.Due(c, "hold_decision"), TimeOf(scene.See(c).holds(0).from_time()) + absl::Minutes(15));
  EXPECT_EQ(scene.GuardianComes("class_teacher", c, "mother", absl::Minutes(20)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(scene.HandOver("leader", c, "mother").status().code(), absl::StatusCode::kFailedPrecondition);
  scene.Hush();
  scene.Wait(absl::Minutes(16));
  EXPECT_TRUE(scene.Rings(c, "hold_ladder"));
  EXPECT_THAT(scene.Rung(), Contains("leader"));
  scene.Wait(absl::Hours(2));
  for (const char* guardian : {"mother", "father"}) {
    EXPECT_THAT(scene.Rung("sms"), Not(Contains(guardian)));
    EXPECT_THAT(scene.Rung("call"), Not(Contains(guardian)));
  }
  api::LiftHoldRequest lift;
  lift.set_case_(c);
  lift.set_kind("guardians");
  lift.set_reason("spoken with the child again");
  ASSERT_TRUE(scene.Try(Scene::As("leader"), lift).ok());
  EXPECT_EQ(scene.Due(c, "guardian_contact"), scene.now() + absl::Minutes(30));
  EXPECT_FALSE(scene.Rings(c, "hold_ladder"));
  EXPECT_TRUE(scene.GuardianComes("class_teacher", c, "mother", absl::Minutes(20)).ok());
}

INSTANTIATE_TEST_SUITE_P(HomeUnsafe, HoldTest, ::testing::Values(api::HOME_UNSAFE_YES, api::HOME_UNSAFE_UNSURE));

TEST(GuardianContactTest, NotReachedInHalfAnHourRingsWhoIsToCall) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  scene.Press("office", "1");
  scene.CheckInUntil(scene.now() + absl::Minutes(29), "teacher", c);
  EXPECT_THAT(scene.Rung("sms"), Contains("mother")) << "asked to call back half way";
  scene.Wait(absl::Minutes(2));
  EXPECT_TRUE(scene.Rings(c, "guardian_ladder"));
  ASSERT_TRUE(scene.GuardianComes("class_teacher", c, "father", absl::Minutes(30)).ok());
  EXPECT_FALSE(scene.Rings(c, "guardian_ladder"));
  EXPECT_EQ(scene.Due(c, "guardian_arrival"), scene.now() + absl::Minutes(45));
}

}  // namespace
}  // namespace vigil::scenario
