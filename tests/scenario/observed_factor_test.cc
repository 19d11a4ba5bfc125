#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// What is shown of the case's reports, all together.
std::vector<std::string> Shown(Scene& scene, const std::string& who, const std::string& case_id) {
  std::vector<std::string> shown;
  const auto seen = scene.TrySee(who, case_id);
  EXPECT_TRUE(seen.ok()) << who << ": " << seen.status();
  if (!seen.ok()) return shown;
  for (const auto& report : seen->reports()) shown.insert(shown.end(), report.indicators().begin(), report.indicators().end());
  return shown;
}

// CRIT-10, CRIT-14: difficulties of character count once a professional confirms them, a disorder once a medical document was seen.
class ObservedFactorTest : public ::testing::Test {
 protected:
  absl::Status Confirm(const std::string& case_id) {
    return scene_.FileRecord("office", case_id, "professional_confirmation", {{"professional", "市儿童医院 李医生"}, {"confirmed_on", "2026-03-09"}, {"basis", "访谈两次"}}).status();
  }
  absl::Status SeeDocument(const std::string& case_id) {
    return scene_.FileRecord("office", case_id, "medical_document", {{"reference", "市儿童医院 2026-0117"}, {"seen", "2026-03-10"}}).status();
  }
  std::string Level(const std::string& case_id) { return scene_.See(case_id).level().provisional(); }
  Scene scene_;
};

TEST_F(ObservedFactorTest, ATeachersLabelIsKeptShownAsUnconfirmedAndScoresNothing) {
  const std::string c = scene_.Report("teacher", {.signals = {}, .factors = {"H5"}});
  EXPECT_EQ(Level(c), "none");
  EXPECT_THAT(Shown(scene_, "office", c), ElementsAre("H5:unconfirmed"));
  // It is not lost: a person reads it, or is rung.
  EXPECT_EQ(scene_.ClockState(c, "report_read"), "running");
  scene_.Wait(absl::Minutes(31));
  EXPECT_THAT(scene_.Rung(), Contains("office"));
}

TEST_F(ObservedFactorTest, AProfessionalsConfirmationMakesItCountFromThenOn) {
  const std::string c = scene_.Report("teacher", {.signals = {}, .factors = {"H5"}});
  ASSERT_EQ(Level(c), "none");
  ASSERT_TRUE(Confirm(c).ok());
  EXPECT_EQ(Level(c), "watch");
  EXPECT_THAT(Shown(scene_, "office", c), ElementsAre("H5"));
  scene_.Report("class_teacher", {.signals = {}, .factors = {"H5"}});
  EXPECT_THAT(Shown(scene_, "office", c), ElementsAre("H5", "H5")) << "what is reported later is confirmed already";
}

TEST_F(ObservedFactorTest, OnlyWhoMayConfirmItDoes) {
  const std::string c = scene_.Report("teacher", {.signals = {}, .factors = {"H5", "H9"}});
  const auto by_teacher = scene_.FileRecord("class_teacher", c, "professional_confirmation", {{"professional", "me"}, {"confirmed_on", "2026-03-09"}, {"basis", "I know him"}});
  EXPECT_EQ(by_teacher.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(scene_.FileRecord("office", c, "medical_document", {{"seen", "2026-03-10"}}).status().code(), absl::StatusCode::kInvalidArgument) << "a document has a reference";
  EXPECT_EQ(Level(c), "none");
}

TEST_F(ObservedFactorTest, ADisorderCountsOnceItsDocumentWasSeenAndNotByAnotherRecord) {
  const std::string c = scene_.Report("teacher", {.signals = {}, .factors = {"H9"}});
  EXPECT_EQ(Level(c), "none");
  ASSERT_TRUE(Confirm(c).ok());
  EXPECT_THAT(Shown(scene_, "office", c), ElementsAre("H9:unconfirmed")) << "that was about something else";
  ASSERT_TRUE(SeeDocument(c).ok());
  EXPECT_EQ(Level(c), "watch");
  EXPECT_THAT(Shown(scene_, "office", c), ElementsAre("H9"));
}

TEST_F(ObservedFactorTest, BesideAnotherSignalASuspicionCountsInEitherOrder) {
  const std::string c = scene_.Report("teacher", {.signals = {"W3a"}, .factors = {"H9"}});
  EXPECT_EQ(Level(c), "high") << "never by itself, but not ignored beside a sudden change";
  const std::string later = scene_.Report("teacher", {.signals = {}, .factors = {"H9"}, .student = "twin"});
  ASSERT_EQ(Level(later), "none");
  scene_.Report("doctor", {.signals = {"W3a"}, .student = "twin"});
  EXPECT_EQ(Level(later), "high");
  const std::string earlier = scene_.Report("teacher", {.signals = {"W3a"}, .student = "other_twin"});
  ASSERT_EQ(Level(earlier), "watch");
  scene_.Report("teacher", {.signals = {}, .factors = {"H9"}, .student = "other_twin"});
  EXPECT_EQ(Level(earlier), "high");
}

TEST_F(ObservedFactorTest, AClaimRaisesWhateverIsConfirmed) {
  EXPECT_EQ(Level(scene_.Report("teacher", {.signals = {}, .factors = {"H5"}, .level = "severe"})), "severe");
}

// CRIT-07, CRIT-09: an earlier attempt and what happened in the family are not for everybody who sees the case.
class RestrictedFactorTest : public ::testing::Test {
 protected:
  void SetUp() override { case_ = scene_.Report("doctor", {.signals = {"W2d"}, .factors = {"H2", "H3", "H4"}, .in_sight = "teacher"}); }
  Scene scene_;
  std::string case_;
};

TEST_F(RestrictedFactorTest, TheCaseShowsThemToTheirReadersOnly) {
  EXPECT_THAT(Shown(scene_, "office", case_), UnorderedElementsAre("W2d", "H2", "H3", "H4"));
  EXPECT_THAT(Shown(scene_, "assessor", case_), UnorderedElementsAre("W2d", "H2", "H3")) << "an earlier attempt is seen at every assessment";
  EXPECT_THAT(Shown(scene_, "leader", case_), UnorderedElementsAre("W2d", "H2", "H3"));
  EXPECT_THAT(Shown(scene_, "class_teacher", case_), UnorderedElementsAre("W2d", "H3"));
  EXPECT_THAT(Shown(scene_, "grade_head", case_), UnorderedElementsAre("W2d", "H3"));
}

TEST_F(RestrictedFactorTest, SoDoTheAnswerOfACommandAndTheListOfCases) {
  const auto answered = scene_.Confirm("class_teacher", case_);
  ASSERT_TRUE(answered.ok()) << answered.status();
  EXPECT_THAT(answered->reports(0).indicators(), UnorderedElementsAre("W2d", "H3"));
  api::ListCasesRequest list;
  list.set_school("school");
  const auto cases = scene_.List(list);
  ASSERT_TRUE(cases.ok());
  EXPECT_THAT(cases->cases(0).reports(0).indicators(), UnorderedElementsAre("W2d", "H2", "H3"));
}

TEST_F(RestrictedFactorTest, WhoReportedItSeesWhatTheyReported) {
  scene_.Report("class_teacher", {.signals = {}, .factors = {"H4"}});
  EXPECT_THAT(Shown(scene_, "class_teacher", case_), UnorderedElementsAre("W2d", "H3", "H4"));
}

TEST_F(RestrictedFactorTest, TheyCountForTheLevelWhoeverLooks) {
  EXPECT_EQ(scene_.See(case_).level().provisional(), "severe") << "a farewell with an earlier attempt";
}

TEST_F(RestrictedFactorTest, AFormsListAndItsPrintedPageKeepThemToTheirReaders) {
  api::FileWrittenReportRequest report;
  report.set_case_(case_);
  for (const auto& [id, value] : {std::pair("facts", "what happened"), std::pair("indicators", "W2d, H2, H4"), std::pair("actions_taken", "stayed"),
                                  std::pair("with_child_now", "teacher"), std::pair("guardians_informed", "informed")}) {
    (*report.mutable_fields())[id] = value;
  }
  const auto filed = scene_.Try(Scene::As("office"), report);
  ASSERT_TRUE(filed.ok()) << filed.status();
  const auto listed = [&](const std::string& who) { return scene_.Records(who, case_, "written_report")->records(0).fields().at("indicators"); };
  EXPECT_EQ(listed("office"), "W2d, H2, H4");
  EXPECT_EQ(listed("leader"), "W2d, H2");
  EXPECT_EQ(listed("grade_head"), "W2d");
  const std::string record = filed->records(filed->records_size() - 1).record_id();
  const auto page = [&](const std::string& who) {
    const auto document = scene_.Document(Scene::As(who), case_, record);
    EXPECT_TRUE(document.ok()) << document.status();
    return document.ok() ? document->DebugString() : "";
  };
  EXPECT_THAT(page("office"), HasSubstr("H4 "));
  EXPECT_THAT(page("leader"), Not(HasSubstr("H4 ")));
  EXPECT_THAT(page("grade_head"), Not(HasSubstr("H2 ")));
}

// CRIT-11: 长期 is four weeks unless the school says less.
class PoorSleepTest : public ::testing::Test {
 protected:
  static std::string ReportFrom(Scene& scene, absl::Time onset) {
    auto request = Scene::RequestOf({.signals = {}, .factors = {"H6e"}});
    request.mutable_observed_time()->set_seconds(absl::ToUnixSeconds(onset));
    const auto answer = scene.TryReport(Scene::As("teacher"), request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->case_id() : "";
  }
  static void ExpectLongAfter(Scene& scene, absl::Duration threshold) {
    const absl::Time onset = scene.now() - absl::Hours(24 * 4);
    const std::string c = ReportFrom(scene, onset);
    EXPECT_EQ(scene.See(c).level().provisional(), "watch");
    scene.WaitUntil(onset + threshold - absl::Minutes(1));
    EXPECT_THAT(Shown(scene, "office", c), ElementsAre("H6e"));
    scene.Wait(absl::Minutes(2));
    EXPECT_THAT(Shown(scene, "office", c), ElementsAre("H6e", "H6"));
  }
};

TEST_F(PoorSleepTest, IsLongAfterFourWeeksFromItsOnset) {
  Scene scene;
  ExpectLongAfter(scene, absl::Hours(24 * 28));
}

TEST_F(PoorSleepTest, ASchoolSetsAShorterThreshold) {
  Scene scene;
  const auto put = scene.PutPack("administrator", "clocks:\n  poor_sleep_for_long:\n    due_after: 14d\n");
  ASSERT_TRUE(put.ok()) << put.status();
  ExpectLongAfter(scene, absl::Hours(24 * 14));
}

}  // namespace
}  // namespace vigil::scenario
