#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ScheduleShift Weekly(std::vector<std::int32_t> days, int from, int to, std::string person) {
  return {.staff_ids = {std::move(person)}, .weekdays = std::move(days), .from_minute = from * 60, .to_minute = to * 60};
}

SchoolState With(std::vector<ScheduleShift> shifts) {
  SchoolState school = SmallSchool();
  ApplyToSchool(school, {}, Event{ScheduleSet{.schedule = "leader", .shifts = std::move(shifts)}});
  return school;
}

std::vector<std::string> LeadersAt(const SchoolState& school, std::string_view local) { return OnCall(PrimarySchool(), school, "leader", At(local)); }

TEST(OnCallTest, WithoutShiftsEverybodyWithTheRoleIsOnCall) {
  EXPECT_THAT(LeadersAt(SmallSchool(), "2026-03-10 03:00"), ElementsAre("leader"));
}

TEST(OnCallTest, AWeeklyStretchHasAnInclusiveStartAndAnExclusiveEnd) {
  const SchoolState school = With({Weekly({2}, 8, 16, "deputy")});
  EXPECT_THAT(LeadersAt(school, "2026-03-10 07:59"), ElementsAre("leader")) << "nobody is set: the role";
  EXPECT_THAT(LeadersAt(school, "2026-03-10 08:00"), ElementsAre("deputy"));
  EXPECT_THAT(LeadersAt(school, "2026-03-10 15:59"), ElementsAre("deputy"));
  EXPECT_THAT(LeadersAt(school, "2026-03-10 16:00"), ElementsAre("leader"));
  EXPECT_THAT(LeadersAt(school, "2026-03-11 09:00"), ElementsAre("leader")) << "Wednesday";
}

TEST(OnCallTest, AStretchAcrossMidnightReachesIntoTheNextDay) {
  const SchoolState school = With({Weekly({7}, 22, 31, "crisis")});  // Sunday 22:00 to Monday 07:00
  EXPECT_THAT(LeadersAt(school, "2026-03-15 23:30"), ElementsAre("crisis"));
  EXPECT_THAT(LeadersAt(school, "2026-03-16 06:59"), ElementsAre("crisis"));
  EXPECT_THAT(LeadersAt(school, "2026-03-16 07:00"), ElementsAre("leader"));
  EXPECT_THAT(LeadersAt(school, "2026-03-15 06:00"), ElementsAre("leader")) << "the night before Sunday is Saturday's";
}

TEST(OnCallTest, ADatedStretchGoesBeforeTheWeekly) {
  SchoolState school = With({Weekly({1, 2, 3, 4, 5, 6, 7}, 0, 24, "leader"),
                             {.staff_ids = {"deputy", "crisis"}, .from_time = At("2026-03-10 12:00"), .to_time = At("2026-03-11 12:00")}});
  EXPECT_THAT(LeadersAt(school, "2026-03-10 11:59"), ElementsAre("leader"));
  EXPECT_THAT(LeadersAt(school, "2026-03-10 12:00"), ElementsAre("deputy", "crisis"));
  EXPECT_THAT(LeadersAt(school, "2026-03-11 12:00"), ElementsAre("leader"));
}

TEST(OnCallTest, WhoIsOnLeaveIsLeftOutAndTheNextLayerStandsIn) {
  SchoolState school = With({Weekly({2}, 0, 24, "office"), {.staff_ids = {"deputy"}, .from_time = At("2026-03-10 00:00"), .to_time = At("2026-03-11 00:00")}});
  school.people["deputy"].on_leave = true;
  EXPECT_THAT(LeadersAt(school, "2026-03-10 10:00"), ElementsAre("office"));
  school.people["office"].on_leave = true;
  EXPECT_THAT(LeadersAt(school, "2026-03-10 10:00"), ElementsAre("leader"));
  school.people["leader"].on_leave = true;
  EXPECT_THAT(LeadersAt(school, "2026-03-10 10:00"), IsEmpty());
}

TEST(OnCallTest, WhoLeftTheSchoolIsNotOnCall) {
  SchoolState school = With({Weekly({2}, 0, 24, "office")});
  ApplyToSchool(school, {}, Event{DirectoryChanged{.removed = {"office"}}});
  EXPECT_THAT(LeadersAt(school, "2026-03-10 10:00"), ElementsAre("leader"));
}

class TargetTest : public ::testing::Test {
 protected:
  std::vector<std::string> Target(std::string_view target) {
    return ResolveTarget(PrimarySchool(), matter_.school, matter_.file, alert_, target, matter_.now);
  }
  Matter matter_;
  AlertState alert_;
};

TEST_F(TargetTest, GuardiansComeInTheirOrderWithoutTheExcluded) {
  matter_.Report({.indicators = {"W1a"}});
  EXPECT_THAT(Target("case.guardians"), ElementsAre("mother", "father"));
  matter_.Do(Recused{.person = "mother"});
  EXPECT_THAT(Target("case.guardians"), ElementsAre("father"));
}

TEST_F(TargetTest, TheGradeHeadIsTheOneOfTheChildsGrade) {
  PutPerson(matter_.school, {.person_id = "grade_head_4", .kind = PersonKind::kStaff, .roles = {"grade_head"}, .grade = "4", .has_phone = true});
  matter_.Report({.indicators = {"W1a"}});
  EXPECT_THAT(Target("grade_head"), ElementsAre("grade_head"));
  EXPECT_THAT(Target("class_teacher"), ElementsAre("class_teacher"));
}

TEST_F(TargetTest, WhileNobodyKnowsTheStudentEveryGradeHeadIsAsked) {
  PutPerson(matter_.school, {.person_id = "grade_head_4", .kind = PersonKind::kStaff, .roles = {"grade_head"}, .grade = "4", .has_phone = true});
  matter_.Report({.indicators = {"W1a"}, .student = ""});
  EXPECT_THAT(Target("grade_head"), ElementsAre("grade_head", "grade_head_4"));
  EXPECT_THAT(Target("case.guardians"), IsEmpty());
}

TEST_F(TargetTest, TheAuthorIsTheReporterOfTheTrigger) {
  matter_.Report({.indicators = {"H1"}, .reporter = "teacher"});
  matter_.Report({.indicators = {"W1a"}, .reporter = "class_teacher"});
  alert_.trigger = 1;
  EXPECT_THAT(Target("case.author"), ElementsAre("class_teacher"));
}

TEST_F(TargetTest, TheTakerIsWhoTookTheSevereAlert) {
  matter_.Report({.indicators = {"W1a"}});
  EXPECT_THAT(Target("case.taker"), IsEmpty());
  matter_.Take("severe_ladder", "office");
  EXPECT_THAT(Target("case.taker"), ElementsAre("office"));
}

}  // namespace
}  // namespace vigil::domain
