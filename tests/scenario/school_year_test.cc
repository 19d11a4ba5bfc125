#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A school year of duties, on its calendar.
class SchoolYearTest : public ::testing::Test {
 protected:
  SchoolYearTest() : scene_(At("2026-08-31 09:00")) {}
  void SetUp() override {
    const absl::Status put = scene_.PutCalendar({{"2026-09-01", "2027-01-22"}, {"2027-02-22", "2027-07-02"}}, {{"2026-10-01", "2026-10-07"}});
    ASSERT_TRUE(put.ok()) << put;
  }
  absl::StatusOr<api::Record> ClassReport(const std::string& nothing = "true") {
    return scene_.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", nothing}});
  }
  bool IsOpen(const std::string& duty) { return !scene_.Duties("due", duty).empty() || !scene_.Duties("overdue", duty).empty(); }

  Scene scene_;
};

TEST_F(SchoolYearTest, EachClassReportsEachWeekAndNothingToReportIsAReport) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  ASSERT_THAT(scene_.Duties("due", "weekly_class_report"), SizeIs(1));
  const api::Duty duty = scene_.Duties("due", "weekly_class_report")[0];
  EXPECT_EQ(duty.class_(), "3-2");
  EXPECT_EQ(TimeOf(duty.due_time()), At("2026-09-11 17:00"));
  EXPECT_THAT(duty.owners(), ::testing::ElementsAre("class_teacher"));
  EXPECT_EQ(ClassReport("false").status().code(), absl::StatusCode::kInvalidArgument) << "who has something to report says what";
  while (IsOpen("weekly_class_report")) ASSERT_TRUE(ClassReport().ok());
  ASSERT_THAT(scene_.Duties("done", "weekly_class_report"), SizeIs(1));
  // The head of grade acknowledges; nobody else does.
  const std::string record = scene_.Duties("done", "weekly_class_report")[0].record_id();
  EXPECT_EQ(scene_.AcknowledgeOfSchool("leader", record).status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(scene_.AcknowledgeOfSchool("grade_head", record).ok());
  EXPECT_TRUE(scene_.Duties("done", "weekly_class_report")[0].has_acknowledged_time());
}

TEST_F(SchoolYearTest, ALateReportRemindsThenClimbsAndIsStillAccepted) {
  scene_.WaitUntil(At("2026-09-07 09:00"));
  while (!scene_.Duties("overdue", "weekly_class_report").empty()) ASSERT_TRUE(ClassReport().ok());
  scene_.WaitUntil(At("2026-09-11 16:59"));
  scene_.Hush();
  scene_.WaitUntil(At("2026-09-11 17:01"));
  EXPECT_THAT(scene_.Rung("sms"), Contains("class_teacher"));
  EXPECT_THAT(scene_.Rung("sms"), Not(Contains("grade_head")));
  EXPECT_THAT(scene_.Rung(), IsEmpty()) << "a duty never rings";
  scene_.WaitUntil(At("2026-09-12 17:01"));
  EXPECT_THAT(scene_.Rung("sms"), Contains("grade_head"));
  scene_.WaitUntil(At("2026-09-14 17:01"));
  EXPECT_THAT(scene_.Rung("sms"), Contains("leader"));
  EXPECT_THAT(scene_.Duties("overdue", "weekly_class_report"), SizeIs(1));
  const auto late = ClassReport();
  ASSERT_TRUE(late.ok());
  EXPECT_TRUE(late->late());
  EXPECT_THAT(scene_.Duties("overdue", "weekly_class_report"), IsEmpty());
}

TEST_F(SchoolYearTest, AnotherClassIsNotHers) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  EXPECT_EQ(scene_.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", "true"}}, "", "3-1").status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(SchoolYearTest, TheLeaderAsksAndOwesIt) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  const auto duties = scene_.Duties("due", "weekly_leader_inquiry");
  ASSERT_THAT(duties, SizeIs(1));
  EXPECT_THAT(duties[0].owners(), ::testing::ElementsAre("leader")) << "that way round (AMB-12)";
  EXPECT_EQ(scene_.FileOfSchool("office", "leader_inquiry", {{"asked", "how are they"}}).status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(scene_.FileOfSchool("leader", "leader_inquiry", {{"asked", "how are they"}, {"of", "office"}}).ok());
}

TEST_F(SchoolYearTest, AHolidayWeekOwesNothing) {
  scene_.WaitUntil(At("2026-10-04 10:00"));
  std::size_t of_the_week = 0;
  for (const api::Duty& duty : scene_.Duties("", "weekly_class_report")) of_the_week += TimeOf(duty.from_time()) == At("2026-09-28 00:00") ? 1U : 0U;
  EXPECT_EQ(of_the_week, 1U) << "three days of school, then the holiday";
  for (const api::Duty& duty : scene_.Duties("", "weekly_class_report")) {
    if (TimeOf(duty.from_time()) == At("2026-09-28 00:00")) {
      EXPECT_EQ(TimeOf(duty.due_time()), At("2026-09-30 17:00"));
    }
  }
}

TEST_F(SchoolYearTest, TheAnnualScreeningCannotCloseWithAStudentUnaccountedFor) {
  scene_.WaitUntil(At("2026-10-20 10:00"));
  ASSERT_THAT(scene_.Duties("due", "annual_screening"), SizeIs(1));
  EXPECT_EQ(scene_.Duties("due", "annual_screening")[0].unaccounted(), 3);
  ASSERT_TRUE(scene_.FileOfSchool("office", "screening_result", {{"outcome", "tested"}, {"instrument", "mht"}, {"critical", "false"}}, "child").ok());
  ASSERT_TRUE(scene_.FileOfSchool("office", "screening_result", {{"outcome", "consent_refused"}, {"reason", "the parents"}}, "twin").ok());
  const auto early = scene_.FileOfSchool("office", "annual_screening", {{"note", "all done"}});
  ASSERT_EQ(early.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(early.status().message()), HasSubstr("other_twin"));
  ASSERT_TRUE(scene_.FileOfSchool("office", "screening_result", {{"outcome", "absent_rescheduled"}}, "other_twin").ok());
  ASSERT_TRUE(scene_.FileOfSchool("office", "annual_screening", {{"note", "all done"}}).ok());
  EXPECT_FALSE(IsOpen("annual_screening"));
}

TEST_F(SchoolYearTest, ACriticalAnswerIsAReportAtOnceAndNotAfterTheCampaign) {
  scene_.WaitUntil(At("2026-10-20 10:00"));
  ASSERT_TRUE(scene_.FileOfSchool("office", "screening_result", {{"outcome", "tested"}, {"instrument", "mht"}, {"critical", "true"}}, "twin").ok());
  api::ListCasesRequest request;
  request.set_school("school");
  const auto cases = scene_.List(request);
  ASSERT_TRUE(cases.ok());
  ASSERT_EQ(cases->cases_size(), 1);
  EXPECT_EQ(cases->cases(0).level().provisional(), "high");
  EXPECT_EQ(scene_.ClockState(cases->cases(0).case_id(), "ask_face_to_face"), "running");
}

TEST_F(SchoolYearTest, ThreeTargetedScreeningsAreThreeDuties) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  for (const char* duty : {"screening_first_graders", "screening_hardship", "screening_pressure"}) EXPECT_TRUE(IsOpen(duty)) << duty;
  ASSERT_TRUE(scene_.FileOfSchool("office", "targeted_screening", {{"group", "hardship"}, {"note", "done"}}).ok());
  EXPECT_TRUE(IsOpen("screening_first_graders"));
  EXPECT_FALSE(IsOpen("screening_hardship"));
  EXPECT_TRUE(IsOpen("screening_pressure"));
}

TEST_F(SchoolYearTest, TheRegisterIsReviewedOneByOne) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  const std::string c = scene_.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene_.FileRecord("office", c, "register_entry", {{"basis", "indicator"}, {"responsible", "office"}, {"next_review", "2026-10-01"}, {"signed_by", "office, assessor"}}).ok());
  const auto early = scene_.FileOfSchool("office", "register_review", {{"attended", "all"}});
  ASSERT_EQ(early.status().code(), absl::StatusCode::kFailedPrecondition) << "a student has no line";
  ASSERT_TRUE(scene_.FileOfSchool("office", "register_line", {{"change", "same"}, {"analysis", "as before"}}, "child").ok());
  EXPECT_TRUE(scene_.FileOfSchool("office", "register_review", {{"attended", "all"}}).ok());
}

TEST_F(SchoolYearTest, AnInspectionsFindingsArePutRightByTheDayTheyName) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  const auto inspection = scene_.FileOfSchool("leader", "inspection", {{"checked", "rosters"}, {"inspectors", "leader"}, {"findings", "1"}});
  ASSERT_TRUE(inspection.ok());
  const auto finding = scene_.FileOfSchool("leader", "finding", {{"inspection", inspection->record_id()}, {"problem", "no deputy at night"}, {"department", "security"}, {"due", "2026-09-10"}});
  ASSERT_TRUE(finding.ok());
  ASSERT_THAT(scene_.Duties("due", "rectification"), SizeIs(1));
  scene_.WaitUntil(At("2026-09-10 17:01"));
  EXPECT_THAT(scene_.Duties("overdue", "rectification"), SizeIs(1));
  const std::vector<std::pair<std::string, std::string>> done = {{"finding", finding->record_id()}, {"done", "a roster"}, {"verified_by", "deputy"}};
  ASSERT_TRUE(scene_.FileOfSchool("leader", "rectification", done).ok());
  EXPECT_FALSE(IsOpen("rectification"));
}

TEST_F(SchoolYearTest, ADisclosureInsideFeedbackIsAReport) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  ASSERT_TRUE(scene_.FileOfSchool("teacher", "feedback", {{"group", "students"}, {"text", "somebody in 3-2 is hurt at home"}, {"disclosure", "true"}}).ok());
  api::ListCasesRequest request;
  request.set_school("school");
  ASSERT_EQ(scene_.List(request)->cases_size(), 1);
  EXPECT_EQ(scene_.ClockState(scene_.List(request)->cases(0).case_id(), "report_read"), "running");
}

TEST_F(SchoolYearTest, TrainingCoversEverybodyBeforeItIsDone) {
  scene_.WaitUntil(At("2026-09-08 10:00"));
  ASSERT_TRUE(scene_.FileOfSchool("office", "training", {{"topic", "recognition"}, {"covers", "all"}, {"trained", "leader, teacher"}}).ok());
  EXPECT_FALSE(scene_.FileOfSchool("office", "training_coverage", {{"note", "all"}}).ok());
  ASSERT_TRUE(scene_.FileOfSchool("office", "training",
                                  {{"topic", "again"}, {"covers", "all"}, {"trained", "deputy, office, grade_head, class_teacher, doctor, guard, guard_2, crisis, assessor, administrator"}})
                  .ok());
  EXPECT_TRUE(scene_.FileOfSchool("office", "training_coverage", {{"note", "all"}}).ok());
}

// At speed: everybody does what is owed in the week that it is owed, and at the end of the year nothing is.
TEST_F(SchoolYearTest, AYearInWhichEverythingIsDoneEndsWithNothingOverdue) {
  const std::map<std::string, std::vector<std::pair<std::string, std::string>>> forms = {
      {"class_report", {{"nothing_to_report", "true"}}},
      {"leader_inquiry", {{"asked", "x"}}},
      {"register_review", {{"attended", "x"}}},
      {"annual_screening", {{"note", "x"}}},
      {"annual_plan", {{"plan", "x"}, {"approved_by", "leader, deputy"}}},
      {"activity", {{"kind", "lesson"}, {"topic", "life"}, {"audience", "students"}}},
      {"education_review", {{"gaps", "none"}, {"total", "3"}}},
      {"training", {{"topic", "x"}, {"trained", "leader, deputy, office, grade_head, class_teacher, teacher, doctor, guard, guard_2, crisis, assessor, administrator"}}},
      {"training_coverage", {{"note", "x"}}},
      {"parent_school", {{"topic", "general"}, {"attended", "40"}}},
      {"roster_check", {{"reachable", "true"}}},
      {"channel_test", {{"all_work", "true"}}},
      {"resource_check", {{"checked", "true"}}},
      {"inspection", {{"checked", "x"}, {"inspectors", "leader"}, {"findings", "0"}}},
      {"feedback", {{"group", "staff"}, {"text", "x"}, {"disclosure", "false"}}},
      {"evaluation", {{"timeliness", "x"}, {"outcomes", "x"}}},
      {"term_summary", {{"summary", "x"}}},
      {"seminar", {{"attended", "x"}, {"next", "2027-05-01"}}},
      {"drill", {{"summary", "x"}}}};
  for (const char* student : {"child", "twin", "other_twin"}) {
    scene_.WaitUntil(scene_.now() + absl::Hours(24));
    ASSERT_TRUE(scene_.FileOfSchool("office", "screening_result", {{"outcome", "tested"}}, student).ok());
  }
  int done = 0;
  for (absl::Time day = At("2026-09-04 10:00"); day < At("2027-07-03 10:00"); day += absl::Hours(24)) {
    scene_.WaitUntil(day);
    for (const api::Duty& duty : scene_.Duties("due")) {
      // The yearly ones towards their end.
      if (TimeOf(duty.due_time()) > scene_.now() + absl::Hours(14 * 24)) continue;
      std::vector<std::pair<std::string, std::string>> fields;
      if (duty.record_kind() == "targeted_screening") {
        fields = {{"group", duty.duty() == "screening_first_graders" ? "first_graders" : duty.duty() == "screening_hardship" ? "hardship" : "pressure"}, {"note", "x"}};
      } else {
        ASSERT_TRUE(forms.contains(duty.record_kind())) << duty.record_kind();
        fields = forms.at(duty.record_kind());
      }
      ASSERT_FALSE(duty.owners().empty()) << duty.duty();
      const auto filed = scene_.FileOfSchool(duty.owners(0), duty.record_kind(), fields);
      ASSERT_TRUE(filed.ok()) << duty.duty() << ": " << filed.status();
      ++done;
    }
    ASSERT_THAT(scene_.Duties("overdue"), IsEmpty()) << scene_.Duties("overdue")[0].duty();
  }
  EXPECT_GT(done, 120);
  EXPECT_LT(scene_.intake->machine().schools().size(), 3U);
}

}  // namespace
}  // namespace vigil::scenario
