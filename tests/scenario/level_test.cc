#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

// CRIT-21: sudden calm raises, and never lowers or closes.
TEST(SuddenCalmTest, RaisesAWatchedChild) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.factors = {"H1"}});
  ASSERT_EQ(scene.Report("class_teacher", {.signals = {"W3b"}}), c);
  EXPECT_EQ(scene.See(c).level().provisional(), "high");
  EXPECT_EQ(scene.ClockState(c, "in_sight"), "running");
}

TEST(SuddenCalmTest, RaisesAHighLevelToSevereAndRings) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W2d"}});
  scene.Wait(absl::Minutes(1));
  scene.Report("class_teacher", {.signals = {"W3b"}});
  EXPECT_EQ(scene.See(c).level().provisional(), "severe");
  EXPECT_TRUE(scene.Rings(c, "severe_ladder"));
}

TEST(SuddenCalmTest, LowersNorClosesAnything) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1t"}, .in_sight = "teacher"});
  const api::Case before = scene.See(c);
  scene.Report("class_teacher", {.signals = {"W3b"}});
  const api::Case after = scene.See(c);
  EXPECT_EQ(after.level().provisional(), "extreme");
  EXPECT_EQ(after.state(), "open");
  EXPECT_TRUE(after.custody().supervised());
  for (const api::ClockView& clock : before.clocks()) {
    if (clock.state() == "running") {
      EXPECT_EQ(scene.ClockState(c, clock.kind(), clock.trigger()), "running") << clock.kind();
    }
  }
}

// ASM-03
TEST(LevelTest, AProvisionalLevelNeverLowersTheFinalOne) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene.Assess("assessor", c, "severe").ok());
  scene.Report("class_teacher", {.signals = {"W2a"}});
  const api::Case view = scene.See(c);
  EXPECT_EQ(view.level().final(), "severe");
  EXPECT_TRUE(view.custody().supervised());
}

TEST(LevelTest, AProvisionalLevelAboveTheFinalOneCountsAtOnce) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.factors = {"H1"}});
  ASSERT_TRUE(scene.Assess("assessor", c, "mild").ok());
  scene.Report("teacher", {.signals = {"W1a"}});
  EXPECT_EQ(scene.See(c).level().final(), "mild");
  EXPECT_EQ(scene.See(c).level().provisional(), "severe");
  EXPECT_TRUE(scene.See(c).custody().supervised());
  EXPECT_TRUE(scene.Rings(c, "severe_ladder"));
}

TEST(LevelTest, OnlyTheAssessmentGroupsRolesSetTheFinalLevel) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.factors = {"H1"}});
  EXPECT_EQ(scene.Assess("teacher", c, "mild").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(scene.Assess("leader", c, "mild").status().code(), absl::StatusCode::kPermissionDenied);
}

// ASM-10
TEST(LevelTest, SevereIsLoweredOnlyByTheGroupFaceToFace) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene.Assess("assessor", c, "severe").ok());
  EXPECT_EQ(scene.Assess("assessor", c, "mild", "expert").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(scene.Assess("assessor", c, "mild", "group", false).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(scene.Assess("assessor", c, "mild", "group", true, {"assessor"}).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(scene.Assess("assessor", c, "mild").ok());
  EXPECT_FALSE(scene.See(c).custody().supervised());
  EXPECT_EQ(scene.See(c).level().final(), "mild");
}

TEST(LevelTest, TimeAndSilenceDoNotLowerIt) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene.TryTake("leader", scene.Alert(c, "severe_ladder")->id()).ok());
  scene.KeepUntil(scene.now() + absl::Hours(72), "teacher", c);
  EXPECT_EQ(scene.See(c).level().provisional(), "severe");
}

// NFR-08
TEST(StaleWriteTest, IsRefusedAndShown) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  const std::uint64_t seen = std::stoull(scene.See(c).etag());
  ASSERT_TRUE(scene.CheckIn("teacher", c).ok());
  intake::Caller caller = Scene::As("assessor");
  caller.expected_version = seen;
  api::AssessRequest assess;
  assess.set_case_(c);
  assess.set_level("extreme");
  assess.set_kind("group");
  assess.add_members("assessor");
  assess.set_rationale("as seen");
  const auto stale = scene.Try(caller, assess);
  EXPECT_EQ(stale.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(stale.status().message()), ::testing::HasSubstr("changed"));
  EXPECT_EQ(scene.See(c).level().final(), "");
  caller.expected_version = std::stoull(scene.See(c).etag());
  EXPECT_TRUE(scene.Try(caller, assess).ok());
}

// CRIT-18
TEST(FaceToFaceTest, DeathContentNotAskedAboutInTwoHoursIsSevere) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1b"}, .in_sight = "teacher"});
  EXPECT_EQ(scene.See(c).level().provisional(), "high");
  scene.Wait(absl::Hours(2));
  EXPECT_EQ(scene.See(c).level().provisional(), "severe");
  EXPECT_TRUE(scene.Rings(c, "severe_ladder"));
}

TEST(FaceToFaceTest, AskedAndClearItStaysHigh) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1b"}, .in_sight = "teacher"});
  scene.Wait(absl::Hours(1));
  const auto filed = scene.FileRecord("office", c, "asked_face_to_face", {{"summary", "a song text"}, {"clear", "clear"}});
  ASSERT_TRUE(filed.ok()) << filed.status();
  scene.Wait(absl::Hours(3));
  EXPECT_EQ(scene.See(c).level().provisional(), "high");
}

// FUP-07: a student who came back after a crisis leave.
class ReturnedStudentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
    scene_.TakeAndHandOver(case_);
    scene_.FileReturnDocuments(case_);
  }
  const std::vector<std::pair<std::string, std::string>> kDocuments = {
      {"exception", "false"}, {"document", "recovery_certificate"}, {"school_assessment", "talked with both"}, {"contingency_plan", "whom to call"}};
  Scene scene_;
  std::string case_;
};

TEST_F(ReturnedStudentTest, IsHighWithAnyIndicator) {
  ASSERT_TRUE(scene_.Assess("assessor", case_, "mild").ok());
  const auto returned = scene_.ApproveReturn("leader", case_, kDocuments);
  ASSERT_TRUE(returned.ok()) << returned.status();
  EXPECT_EQ(returned->state(), "returned");
  EXPECT_TRUE(returned->returned());
  scene_.Wait(absl::Hours(24 * 9));
  EXPECT_EQ(scene_.Report("teacher", {.factors = {"H6"}}), case_);
  EXPECT_EQ(scene_.See(case_).level().provisional(), "high");
}

TEST_F(ReturnedStudentTest, ElseTheSameIndicatorIsWatched) {
  const std::string c = scene_.Report("teacher", {.factors = {"H6"}, .student = "twin"});
  EXPECT_EQ(scene_.See(c).level().provisional(), "watch");
}

TEST_F(ReturnedStudentTest, IsStillOneInALaterCase) {
  ASSERT_TRUE(scene_.Assess("assessor", case_, "mild").ok());
  ASSERT_TRUE(scene_.ApproveReturn("leader", case_, kDocuments).ok());
  scene_.CloseAfterHandover(case_);
  const std::string later = scene_.Report("teacher", {.factors = {"H3"}});
  ASSERT_NE(later, case_);
  EXPECT_EQ(scene_.See(later).level().provisional(), "high");
}

TEST_F(ReturnedStudentTest, NeedsTheDocumentsOrAReason) {
  ASSERT_TRUE(scene_.Assess("assessor", case_, "mild").ok());
  EXPECT_EQ(scene_.ApproveReturn("leader", case_, {{"exception", "false"}, {"contingency_plan", "whom to call"}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(scene_.ApproveReturn("leader", case_, {{"exception", "true"}, {"contingency_plan", "whom to call"}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(scene_.ApproveReturn("leader", case_, {{"exception", "true"}, {"contingency_plan", "whom to call"}, {"exception_reason", "a move"}}).ok());
}

TEST_F(ReturnedStudentTest, IsNotTakenBackWhileTheLevelAsksForSupervision) {
  EXPECT_EQ(scene_.ApproveReturn("leader", case_, kDocuments).status().code(), absl::StatusCode::kFailedPrecondition);
}

// CRIT-06: "more than half a month" is known on the sixteenth day.
class LowMoodTest : public ::testing::Test {
 protected:
  std::string ReportFrom(absl::Time onset) {
    auto request = Scene::RequestOf({.factors = {"H1e"}});
    request.mutable_observed_time()->set_seconds(absl::ToUnixSeconds(onset));
    const auto answer = scene_.TryReport(Scene::As("teacher"), request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->case_id() : "";
  }
  Scene scene_;
};

TEST_F(LowMoodTest, BecomesH1OnTheSixteenthDayFromItsOnset) {
  const absl::Time onset = scene_.now() - absl::Hours(24 * 4);
  const std::string c = ReportFrom(onset);
  EXPECT_EQ(scene_.See(c).level().provisional(), "watch");
  EXPECT_EQ(scene_.Due(c, "low_mood_day_16"), onset + absl::Hours(24 * 15));
  scene_.WaitUntil(onset + absl::Hours(24 * 15) - absl::Minutes(1));
  EXPECT_EQ(scene_.See(c).reports(0).indicators_size(), 1);
  scene_.Wait(absl::Minutes(2));
  EXPECT_THAT(scene_.See(c).reports(0).indicators(), ::testing::ElementsAre("H1e", "H1"));
  // With H1 on the file, a sudden change counts for more.
  scene_.Report("class_teacher", {.signals = {"W3a"}});
  EXPECT_EQ(scene_.See(c).level().provisional(), "high");
}

TEST_F(LowMoodTest, DoesNotCountAsH1BeforeThat) {
  const std::string c = ReportFrom(scene_.now() - absl::Hours(24 * 4));
  scene_.Report("teacher", {.signals = {"W3a"}});
  EXPECT_EQ(scene_.See(c).level().provisional(), "watch");
}

TEST_F(LowMoodTest, RaisesAtOnceWhatWaitedForIt) {
  const std::string c = ReportFrom(scene_.now() - absl::Hours(24 * 14));
  scene_.Report("teacher", {.signals = {"W3a"}});
  ASSERT_EQ(scene_.See(c).level().provisional(), "watch");
  scene_.Wait(absl::Hours(25));
  EXPECT_EQ(scene_.See(c).level().provisional(), "high");
}

TEST_F(LowMoodTest, AnObservationEndsTheWaiting) {
  const std::string c = ReportFrom(scene_.now() - absl::Hours(24 * 4));
  const auto seen = scene_.FileRecord("teacher", c, "observation", {{"note", "laughs with friends again"}});
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(scene_.ClockState(c, "low_mood_day_16"), "met");
}

}  // namespace
}  // namespace vigil::scenario
