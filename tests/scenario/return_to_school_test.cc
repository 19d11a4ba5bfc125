#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Seed A47 to A49: coming back after a crisis leave.
class ReturnToSchoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
    ASSERT_TRUE(scene_.Assess("assessor", case_, "severe").ok());
    ASSERT_TRUE(scene_.HandOver("leader", case_, "mother").ok());
    ASSERT_TRUE(scene_.Form<api::ApplyForLeaveRequest>("leader", case_, {{"kind", "suspension_approved"}, {"reason_class", "crisis_with_intent_or_attempt"}, {"applied_by", "mother"}}).ok());
    EXPECT_EQ(scene_.See(case_).state(), "on_leave");
    // At home and in treatment it got better: the group has seen the child.
    ASSERT_TRUE(scene_.Assess("assessor", case_, "mild").ok());
    ASSERT_TRUE(scene_.Form<api::RequestReturnRequest>("leader", case_, {{"applied_by", "mother"}, {"enrolment_complete", "true"}}).ok());
  }
  absl::StatusOr<api::Case> Certificate(const std::string& verified_by) {
    return scene_.FileRecord("office", case_, "recovery_certificate", {{"issuer", "city hospital"}, {"recognised", "listed"}, {"doctor", "Dr Li"}, {"dated", "2026-03-01"}, {"verified_by", verified_by}});
  }
  void FileTheRest() {
    ASSERT_TRUE(scene_.FileRecord("office", case_, "return_assessment", {{"members", "office, assessor"}, {"finding", "may return"}}).ok());
    ASSERT_TRUE(scene_.FileRecord("class_teacher", case_, "return_plan", {{"arrangements", "half days"}, {"classmates", "no questions"}}).ok());
    ASSERT_TRUE(scene_.FileRecord("class_teacher", case_, "return_guardians", {{"adults", "class_teacher, teacher"}, {"student_helper", "twin"}}).ok());
    ASSERT_TRUE(scene_.FileRecord("office", case_, "contingency_plan", {{"triggers", "tests"}, {"warning_signs", "silence"}, {"contacts", "office"}, {"means_safety", "done"}, {"hospital", "city hospital"}}).ok());
  }
  absl::StatusOr<api::Case> Approve(const std::string& who, bool exception = false) {
    std::vector<std::pair<std::string, std::string>> fields = {{"contingency_plan", "whom to call"}};
    if (exception) {
      fields.insert(fields.end(), {{"exception", "true"}, {"exception_reason", "the hospital is closed"}});
    } else {
      fields.insert(fields.end(), {{"exception", "false"}, {"document", "recovery_certificate"}, {"school_assessment", "talked with both"}});
    }
    return scene_.ApproveReturn(who, case_, fields);
  }

  Scene scene_;
  std::string case_;
};

TEST_F(ReturnToSchoolTest, WithoutACertificateThereIsNoReturn) {
  FileTheRest();
  const auto approved = Approve("leader");
  ASSERT_EQ(approved.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(approved.status().message()), HasSubstr("recovery_certificate"));
  EXPECT_THAT(std::string(approved.status().message()), Not(HasSubstr("contingency_plan")));
  EXPECT_EQ(scene_.See(case_).state(), "on_leave");
}

TEST_F(ReturnToSchoolTest, TheCertificateIsVerifiedByASecondPerson) {
  EXPECT_FALSE(Certificate("office").ok());
  EXPECT_FALSE(Certificate("office, office").ok());
  EXPECT_TRUE(Certificate("office, doctor").ok());
}

TEST_F(ReturnToSchoolTest, WithoutAContingencyPlanThereIsNone) {
  ASSERT_TRUE(Certificate("office, doctor").ok());
  EXPECT_THAT(std::string(Approve("leader").status().message()), HasSubstr("contingency_plan"));
}

TEST_F(ReturnToSchoolTest, AnExceptionIsTheLeadersWithAReason) {
  EXPECT_FALSE(Approve("deputy", true).ok());
  EXPECT_EQ(scene_.ApproveReturn("leader", case_, {{"contingency_plan", "x"}, {"exception", "true"}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Approve("leader", true).ok());
}

TEST_F(ReturnToSchoolTest, AfterItTheStudentIsFollowedAndAnyIndicatorIsHigh) {
  FileTheRest();
  ASSERT_TRUE(Certificate("office, doctor").ok());
  ASSERT_TRUE(Approve("leader").ok());
  EXPECT_EQ(scene_.See(case_).state(), "returned");
  EXPECT_EQ(scene_.ClockState(case_, "follow_up"), "running");
  EXPECT_EQ(scene_.ClockState(case_, "returned_observation"), "running");
  // Both: consultation and risk assessment, again and again, until the group ends it.
  scene_.Wait(absl::Hours(6 * 24));
  ASSERT_TRUE(scene_.FileRecord("office", case_, "follow_up", {{"consulted", "an hour"}, {"risk", "same"}, {"with_expert", "true"}}).ok());
  EXPECT_EQ(scene_.ClockState(case_, "follow_up"), "running");
  scene_.Hush();
  scene_.Wait(absl::Hours(9 * 24));
  EXPECT_THAT(scene_.Rung("sms"), Contains("office")) << "a follow-up was missed";
  const api::CreateReportResponse again = *scene_.TryReport(Scene::As("teacher"), Scene::RequestOf({.signals = {}, .factors = {"H3"}}));
  EXPECT_EQ(again.provisional_level(), "high");
}

// FUP-10 on a file whose case was closed meanwhile.
TEST_F(ReturnToSchoolTest, AnyIndicatorOnAReturnedStudentIsAtLeastHigh) {
  FileTheRest();
  ASSERT_TRUE(Certificate("office, doctor").ok());
  ASSERT_TRUE(Approve("leader").ok());
  const api::CreateReportResponse again = *scene_.TryReport(Scene::As("teacher"), Scene::RequestOf({.signals = {}, .factors = {"H3"}}));
  EXPECT_EQ(again.provisional_level(), "high");
}

TEST_F(ReturnToSchoolTest, WhoIsNotAwayDoesNotReturn) {
  const std::string other = scene_.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher", .student = "twin"});
  EXPECT_FALSE(scene_.ApproveReturn("leader", other, {{"contingency_plan", "x"}, {"exception", "true"}, {"exception_reason", "none"}}).ok());
}

}  // namespace
}  // namespace vigil::scenario
