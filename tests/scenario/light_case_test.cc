#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

// Seed A43: a light case, a group of at least three, and what happens when it falls to two.
class LightCaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {}, .factors = {"H3"}});
    ASSERT_TRUE(scene_.Assess("assessor", case_, "mild").ok());
  }
  absl::StatusOr<api::Case> Name(const std::string& adults, const std::string& helper) {
    return scene_.FileRecord("class_teacher", case_, "guardianship_group", {{"adults", adults}, {"student_helper", helper}, {"can_study", "confirmed"}});
  }
  absl::Status Leave(const std::string& who, const std::string& role) {
    api::PersonInput person = Scene::Person(who, "staff", role);
    person.set_class_("3-2");
    person.set_on_leave(true);
    return scene_.PutPeople({person});
  }

  Scene scene_;
  std::string case_;
};

TEST_F(LightCaseTest, NeedsAGroupTheSameOrNextSchoolDayAndNoWrittenReport) {
  EXPECT_EQ(scene_.ClockState(case_, "guardianship_group"), "running");
  EXPECT_EQ(scene_.Due(case_, "guardianship_group"), At("2026-03-11 16:30"));
  EXPECT_FALSE(scene_.Clock(case_, "written_report").has_value()) << "REP-19: no false clocks";
  EXPECT_FALSE(scene_.See(case_).custody().supervised());
}

TEST_F(LightCaseTest, RefusesAGroupOfFewerThanThree) {
  EXPECT_EQ(Name("class_teacher", "twin").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(Name("class_teacher, teacher", "").ok());
  EXPECT_EQ(scene_.ClockState(case_, "guardianship_group"), "running");
}

// GUA-05, one by one.
TEST_F(LightCaseTest, DoesNotCountTheStudent) { EXPECT_FALSE(Name("class_teacher, teacher", "child").ok()); }
TEST_F(LightCaseTest, DoesNotCountAnybodyTwice) { EXPECT_FALSE(Name("class_teacher, class_teacher", "twin").ok()); }
TEST_F(LightCaseTest, DoesNotCountWhoIsOnLeave) {
  ASSERT_TRUE(Leave("teacher", "teacher").ok());
  EXPECT_FALSE(Name("class_teacher, teacher", "twin").ok());
}
TEST_F(LightCaseTest, DoesNotCountWhoHasLeftTheSchool) { EXPECT_FALSE(Name("class_teacher, nobody", "twin").ok()); }
TEST_F(LightCaseTest, IsLedByTheClassTeacher) { EXPECT_FALSE(Name("teacher, doctor", "twin").ok()); }

TEST_F(LightCaseTest, FallingToTwoTellsAndAsksForAnother) {
  ASSERT_TRUE(Name("class_teacher, teacher", "twin").ok());
  EXPECT_EQ(scene_.ClockState(case_, "guardianship_group"), "met");
  EXPECT_EQ(scene_.ClockState(case_, "group_observation"), "running");
  EXPECT_EQ(scene_.ClockState(case_, "group_report"), "running");
  scene_.Wait(absl::Minutes(5));
  scene_.Hush();
  ASSERT_TRUE(Leave("teacher", "teacher").ok());
  scene_.Wait(absl::Minutes(1));
  EXPECT_THAT(scene_.Rung("sms"), Contains("class_teacher"));
  EXPECT_THAT(scene_.Rung("sms"), Contains("office"));
  EXPECT_THAT(scene_.Rung(), IsEmpty()) << "it is told, not rung";
  EXPECT_EQ(scene_.ClockState(case_, "group_replacement"), "running");
  ASSERT_EQ(scene_.SeeReadiness().findings().empty(), false);
  const auto findings = scene_.SeeReadiness().findings();
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.kind() == "group_short" && f.count() == 2 && f.needed() == 3; }));
  EXPECT_FALSE(Name("class_teacher, teacher", "twin").ok()) << "still two";
  ASSERT_TRUE(Name("class_teacher, doctor", "twin").ok());
  EXPECT_EQ(scene_.ClockState(case_, "group_replacement"), "met");
}

TEST_F(LightCaseTest, IsObservedEachSchoolDayAndTheTeacherIsReminded) {
  ASSERT_TRUE(Name("class_teacher, teacher", "twin").ok());
  scene_.Wait(absl::Hours(23));
  scene_.Hush();
  scene_.Wait(absl::Hours(2));
  EXPECT_THAT(scene_.Rung("sms"), Contains("class_teacher"));
  ASSERT_TRUE(scene_.FileRecord("class_teacher", case_, "observation", {{"note", "talks again"}}).ok());
  EXPECT_EQ(scene_.ClockState(case_, "group_observation"), "running") << "the next day's";
}

}  // namespace
}  // namespace vigil::scenario
