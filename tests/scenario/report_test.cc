#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// INT-02
TEST(ReceiptTest, TheReporterGetsANumberAndSeesWhatBecameOfIt) {
  Scene scene;
  const auto answer = scene.TryReport(Scene::As("teacher"), Scene::RequestOf({.signals = {"W1a"}}));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->report_id().empty());
  EXPECT_EQ(answer->provisional_level(), "severe");
  EXPECT_EQ(scene.Receipt("teacher", answer->report_id())->state(), "received");
  ASSERT_TRUE(scene.TryTake("leader", scene.Alert(answer->case_id(), "severe_ladder")->id()).ok());
  EXPECT_EQ(scene.Receipt("teacher", answer->report_id())->state(), "being_handled");
  // Not the case: a teacher may not read it, and another teacher not even the receipt.
  api::CaseRequest see;
  see.set_case_(answer->case_id());
  std::optional<absl::Status> status;
  scene.desk().GetCase(Scene::As("teacher"), see, [&](absl::StatusOr<api::Case> view) { status = view.status(); });
  scene.world.Settle();
  EXPECT_EQ(status->code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(scene.Receipt("guard", answer->report_id()).status().code(), absl::StatusCode::kNotFound);
}

TEST(UnreadReportTest, ClimbsFromTheCounsellorToTheDeputyTheGradeHeadAndTheLeader) {
  Scene scene;
  const std::string c = scene.Report("teacher", {});
  scene.Wait(absl::Minutes(29));
  EXPECT_THAT(scene.Rung(), IsEmpty());
  scene.Wait(absl::Minutes(1));
  EXPECT_THAT(scene.Rung(), ElementsAre("office"));
  scene.Wait(absl::Minutes(3));
  EXPECT_THAT(scene.Rung(), ElementsAre("office", "deputy"));
  scene.Wait(absl::Minutes(3));
  EXPECT_THAT(scene.Rung(), ElementsAre("office", "deputy", "grade_head"));
  scene.Wait(absl::Minutes(3));
  EXPECT_THAT(scene.Rung(), ElementsAre("office", "deputy", "grade_head", "leader"));
  api::AcknowledgeRequest read;
  read.set_case_(c);
  ASSERT_TRUE(scene.Try(Scene::As("leader"), read).ok());
  scene.Hush();
  scene.Wait(absl::Hours(1));
  EXPECT_THAT(scene.Rung(), IsEmpty());
}

TEST(UnreadReportTest, ReadInTimeRingsNobody) {
  Scene scene;
  const std::string c = scene.Report("teacher", {});
  scene.Wait(absl::Minutes(20));
  api::AcknowledgeRequest read;
  read.set_case_(c);
  ASSERT_TRUE(scene.Try(Scene::As("office"), read).ok());
  scene.Wait(absl::Hours(2));
  EXPECT_THAT(scene.Rung(), IsEmpty());
}

// INT-10
TEST(SecondReportTest, WithTheSameStudentIdJoinsTheOpenCase) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.factors = {"H1"}});
  EXPECT_EQ(scene.Report("class_teacher", {.signals = {"W2a"}}), c);
  EXPECT_EQ(scene.See(c).reports_size(), 2);
  EXPECT_THAT(scene.See(c).reports(1).reporter(), "class_teacher");
}

TEST(SecondReportTest, ByNameIsItsOwnUntilAPersonConfirmsAndNothingIsLost) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.factors = {"H1"}, .student = "twin"});
  const std::string by_name = scene.Report("doctor", {.signals = {"W1a"}, .name = "小红", .in_class = "3-2"});
  const std::string second = scene.last_report();
  EXPECT_NE(by_name, c);
  EXPECT_THAT(scene.See(by_name).candidates(), UnorderedElementsAre("twin", "other_twin"));
  EXPECT_EQ(scene.See(by_name).student_id(), "") << "nobody guesses";
  EXPECT_TRUE(scene.Rings(by_name, "severe_ladder")) << "and it rings all the same";
  const absl::Time due = scene.Due(by_name, "written_report");
  scene.Wait(absl::Minutes(1));
  const auto joined = scene.TryIdentify("office", by_name, "twin");
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->case_id(), c);
  EXPECT_EQ(joined->reports_size(), 2);
  EXPECT_EQ(scene.See(c).level().provisional(), "severe");
  EXPECT_TRUE(scene.See(c).custody().supervised());
  EXPECT_TRUE(scene.Rings(c, "severe_ladder"));
  EXPECT_EQ(scene.Due(c, "written_report"), due) << "discovery has not moved";
  EXPECT_TRUE(scene.Receipt("doctor", second).ok()) << "its reporter still sees what became of it";
}

TEST(SecondReportTest, WhatHeldGuardianContactThereHoldsItHere) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.factors = {"H1"}, .student = "twin"});
  const std::string by_name = scene.Report("doctor", {.signals = {"W1a"}, .home_unsafe = api::HOME_UNSAFE_YES, .name = "小红", .in_class = "3-2"});
  ASSERT_TRUE(scene.TryIdentify("office", by_name, "twin").ok());
  EXPECT_EQ(scene.See(c).holds_size(), 1);
  EXPECT_NE(scene.ClockState(c, "guardian_contact"), "running");
  EXPECT_EQ(scene.GuardianComes("class_teacher", c, "twins_mother", absl::Minutes(20)).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(UnknownStudentTest, AReportOnSomebodyNobodyKnowsIsAcceptedAndRings) {
  Scene scene;
  const std::string c = scene.Report("guard", {.signals = {"W1a"}, .name = "不知道", .in_class = "?"});
  ASSERT_FALSE(c.empty());
  EXPECT_THAT(scene.See(c).candidates(), IsEmpty());
  EXPECT_TRUE(scene.Rings(c, "severe_ladder"));
  EXPECT_EQ(scene.ClockState(c, "identify_student"), "running");
  EXPECT_EQ(scene.HandOver("leader", c, "mother").status().code(), absl::StatusCode::kFailedPrecondition) << "whose mother?";
  ASSERT_TRUE(scene.TryIdentify("office", c, "child").ok());
  EXPECT_EQ(scene.See(c).student_id(), "child");
  EXPECT_EQ(scene.ClockState(c, "identify_student"), "met");
  EXPECT_EQ(scene.Report("teacher", {.factors = {"H1"}}), c) << "later reports find it";
}

TEST(UnknownStudentTest, AnUnconfirmedNameIsPutBeforeTheCounsellingRoom) {
  Scene scene;
  scene.Report("guard", {.factors = {"H1"}, .name = "不知道", .in_class = "?"});
  scene.Wait(absl::Minutes(31));
  EXPECT_THAT(scene.Rung("sms"), Contains("office"));
}

TEST(RecusalTest, WhoIsOffAMatterNeitherSeesItNorIsRung) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.factors = {"H1"}});
  api::RecuseRequest recuse;
  recuse.set_case_(c);
  recuse.set_staff_id("leader");
  recuse.set_reason("a relative");
  ASSERT_TRUE(scene.Try(Scene::As("teacher"), recuse).ok());
  scene.Report("teacher", {.signals = {"W1a"}});
  EXPECT_THAT(scene.Rung(), UnorderedElementsAre("office", "grade_head"));
  EXPECT_EQ(scene.Confirm("leader", c).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace vigil::scenario
