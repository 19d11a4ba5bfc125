#include "platform/rpc/problem.h"
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

// PRV-06: a hold that joins waits for a decision, like one that begins here.
TEST(SecondReportTest, AHoldThatJoinsIsUndecidedAndItsQuarterOfAnHourRuns) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher", .student = "twin"});
  ASSERT_EQ(scene.ClockState(c, "guardian_contact"), "running");
  const std::string by_name = scene.Report("doctor", {.signals = {"W1a"}, .home_unsafe = api::HOME_UNSAFE_UNSURE, .name = "小红", .in_class = "3-2"});
  scene.Wait(absl::Minutes(5));
  ASSERT_TRUE(scene.TryIdentify("office", by_name, "twin").ok());
  EXPECT_EQ(scene.ClockState(c, "guardian_contact"), "cancelled");
  EXPECT_EQ(scene.ClockState(c, "hold_decision"), "running");
  EXPECT_EQ(scene.Due(c, "hold_decision"), scene.now() + absl::Minutes(15));
  scene.Wait(absl::Minutes(16));
  EXPECT_TRUE(scene.Rings(c, "hold_ladder"));
  // To keep it is a decision too, and can be made.
  api::HoldRequest keep;
  keep.set_case_(c);
  keep.set_kind("guardians");
  ASSERT_TRUE(scene.Try(Scene::As("leader"), keep).ok());
  EXPECT_FALSE(scene.Rings(c, "hold_ladder"));
}

// What the reporter is told, in words: what the rules advise, then the receipt with its number.
TEST(AdviceTest, IsInTheReportersLanguageWith120First) {
  Scene scene;
  intake::Caller caller = Scene::As("teacher");
  caller.language = "en-GB";
  const auto answer = scene.TryReport(caller, Scene::RequestOf({.signals = {"W1i"}, .in_sight = "teacher"}));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->advice(), ::testing::StartsWith("Injury, something swallowed, or danger right now: dial 120 first"));
  EXPECT_THAT(answer->advice(), ::testing::HasSubstr("\nReceived, number " + scene.See(answer->case_id()).code() + "."));
  EXPECT_THAT(answer->advice(), ::testing::HasSubstr("Duty phone 02100000000."));
  EXPECT_THAT(answer->advice(), ::testing::Not(::testing::HasSubstr("{")));
}

TEST(AdviceTest, IsInTheSchoolsLanguageIfNoneIsAskedFor) {
  Scene scene;
  const auto answer = scene.TryReport(Scene::As("teacher"), Scene::RequestOf({.factors = {"H10w"}}));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->advice(), ::testing::HasSubstr("先拨110"));
  EXPECT_THAT(answer->advice(), ::testing::HasSubstr("已收到，回执"));
}

TEST(AdviceTest, IsTheSameWhenItIsAskedForAgainAfterARestart) {
  Scene scene;
  intake::Caller caller = Scene::As("teacher", "again", "body");
  caller.language = "en";
  const auto request = Scene::RequestOf({.signals = {"W1i"}, .in_sight = "teacher"});
  const auto first = scene.TryReport(caller, request);
  ASSERT_TRUE(first.ok());
  scene.RestartIntake();
  const auto second = scene.TryReport(caller, request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->SerializeAsString(), second->SerializeAsString());
}

// A photo or a document, and what names it.
class AttachmentTest : public ::testing::Test {
 protected:
  const std::string kPhoto = std::string("\xFF\xD8\xFF\xE0", 4) + "the photo of a letter";
  Scene scene_;
};

TEST_F(AttachmentTest, IsStoredAndStandsInTheReportWithWhoAndWhen) {
  const auto stored = scene_.TryAttach(Scene::As("teacher"), kPhoto);
  ASSERT_TRUE(stored.ok()) << stored.status();
  const absl::Time at = scene_.now();
  scene_.Wait(absl::Minutes(3));
  auto request = Scene::RequestOf({.signals = {"W1b"}});
  request.add_attachments(stored->id());
  const auto answer = scene_.TryReport(Scene::As("teacher"), request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto received = scene_.ReceivedReport(answer->report_id());
  ASSERT_TRUE(received.has_value());
  ASSERT_EQ(received->attachments.size(), 1U);
  EXPECT_EQ(received->attachments[0].id, stored->id());
  EXPECT_EQ(received->attachments[0].hash.size(), 64U);
  EXPECT_EQ(received->attachments[0].person, "teacher");
  EXPECT_EQ(received->attachments[0].stored_time, at);
}

TEST_F(AttachmentTest, IsNotReadableOnTheDisk) {
  ASSERT_TRUE(scene_.TryAttach(Scene::As("teacher"), kPhoto).ok());
  EXPECT_EQ(scene_.BytesOnDisk().find("the photo of a letter"), std::string::npos);
  EXPECT_GT(scene_.BytesOnDisk().size(), kPhoto.size());
}

TEST_F(AttachmentTest, ThatNobodyStoredIsRefusedNamingIt) {
  const auto stored = scene_.TryAttach(Scene::As("teacher"), kPhoto);
  ASSERT_TRUE(stored.ok());
  auto request = Scene::RequestOf({.signals = {"W1b"}});
  request.add_attachments(stored->id());
  request.add_attachments("a-nothing");
  const absl::Status refused = scene_.TryReport(Scene::As("teacher"), request).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  const auto problem = rpc::ReadProblem(refused);
  ASSERT_TRUE(problem.has_value());
  ASSERT_EQ(problem->errors.size(), 1U);
  EXPECT_EQ(problem->errors[0].field, "attachments[1]");
}

TEST_F(AttachmentTest, OfNoKindThatIsTakenIsRefused) {
  for (const std::string& content : {std::string(), std::string("GIF89a"), std::string("<html>"), std::string("MZ")}) {
    EXPECT_EQ(scene_.TryAttach(Scene::As("teacher"), content).status().code(), absl::StatusCode::kInvalidArgument) << content;
  }
}

TEST_F(AttachmentTest, TwiceWithTheSameKeyIsOneAlsoAfterARestart) {
  const intake::Caller caller = Scene::As("teacher", "photo", "body");
  const auto first = scene_.TryAttach(caller, kPhoto);
  ASSERT_TRUE(first.ok()) << first.status();
  scene_.RestartIntake();
  const auto commits = scene_.Commits();
  const auto second = scene_.TryAttach(caller, kPhoto);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->id(), second->id());
  EXPECT_EQ(scene_.Commits(), commits);
  EXPECT_EQ(scene_.TryAttach(Scene::As("teacher", "photo", "another"), kPhoto).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(AttachmentTest, MayBelongToARecord) {
  const std::string c = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  const auto stored = scene_.TryAttach(Scene::As("teacher"), "%PDF-1.4 ...");
  ASSERT_TRUE(stored.ok());
  api::FileWrittenReportRequest request;
  request.set_case_(c);
  (*request.mutable_fields())["facts"] = "what happened";
  request.add_attachments("nothing");
  EXPECT_EQ(scene_.Try(Scene::As("teacher"), request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_attachments(0, stored->id());
  EXPECT_TRUE(scene_.Try(Scene::As("teacher"), request).ok());
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
