// A school changes its own pack while everything runs: by the API, without code and without a restart.
#include "absl/strings/str_cat.h"
#include "domain/school.h"
#include "platform/rpc/problem.h"
#include "scenario/scene.h"
#include "support/own_rows.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Rows of the school's choice; four hours, and a quarter of one, in the common pack.
constexpr char kFaster[] = "clocks:\n  assessment:\n    due_after: 3h\n  taken:\n    due_after: 10m\n";
constexpr char kSlowerAssessment[] = "clocks:\n  assessment:\n    due_after: 6h\n";
constexpr char kFasterReceipt[] = "clocks:\n  office_receipt:\n    due_after: 2h\n";

class SchoolPackTest : public testing::Test {
 protected:
  api::SchoolPack Put(const std::string& overlay, const std::string& who = "administrator") {
    const auto put = scene_.PutPack(who, overlay);
    EXPECT_TRUE(put.ok()) << put.status();
    return put.value_or(api::SchoolPack());
  }
  api::SchoolPack Seen() {
    const auto seen = scene_.SeePack("office");
    EXPECT_TRUE(seen.ok()) << seen.status();
    return seen.value_or(api::SchoolPack());
  }
  static std::vector<std::string> Changes(const google::protobuf::RepeatedPtrField<api::PackChange>& changes) {
    std::vector<std::string> told;
    for (const api::PackChange& change : changes) told.push_back(absl::StrCat(change.change(), " ", change.section(), ".", change.id()));
    return told;
  }
  // Fields of the refusal and why.
  static std::vector<std::string> Mistakes(const absl::Status& status) {
    std::vector<std::string> told;
    const auto problem = rpc::ReadProblem(status);
    if (!problem) return told;
    for (const rpc::FieldError& error : problem->errors) told.push_back(absl::StrCat(error.field, ": ", error.reason));
    return told;
  }
  static absl::Duration SpanOf(const std::optional<api::ClockView>& clock) {
    return clock ? TimeOf(clock->due_time()) - TimeOf(clock->start_time()) : absl::ZeroDuration();
  }

  Scene scene_{At("2026-03-09 11:00")};  // a Monday
};

TEST_F(SchoolPackTest, ASchoolAddsAnIndicatorADutyAndAFormFieldByEditingItsOverlayLive) {
  EXPECT_FALSE(scene_.TryReport(Scene::As("teacher"), Scene::RequestOf({.signals = {}, .factors = {"S1"}})).ok());
  EXPECT_FALSE(scene_.FileOfSchool("leader", "canteen_check", {{"fine", "true"}}).ok());

  const api::SchoolPack pack = Put(kOwnRows);
  EXPECT_FALSE(pack.has_proposed()) << "it asks nowhere less";
  EXPECT_EQ(pack.overlay(), kOwnRows);
  EXPECT_EQ(pack.adopted_by(), "administrator");
  EXPECT_NE(pack.digest(), pack.common_digest());
  EXPECT_THAT(Changes(pack.changes()), ElementsAre("added duties.canteen", "added indicators.S1", "added records.canteen_check", "changed records.class_report",
                                                   "added rules.screen-is-watched"));

  const std::string c = scene_.Report("teacher", {.signals = {}, .factors = {"S1"}});
  EXPECT_EQ(scene_.See(c).level().provisional(), "watch");
  scene_.Hush();
  scene_.WaitUntil(At("2026-03-11 10:01"));
  EXPECT_THAT(scene_.Duties("overdue", "canteen"), SizeIs(1));
  EXPECT_THAT(scene_.Rung("sms"), Contains("leader"));
  ASSERT_TRUE(scene_.FileOfSchool("leader", "canteen_check", {{"fine", "true"}}).ok());
  EXPECT_THAT(scene_.Duties("done", "canteen"), SizeIs(1));
  EXPECT_EQ(scene_.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", "true"}}).status().code(), absl::StatusCode::kInvalidArgument)
      << "the school asks for more";
  EXPECT_TRUE(scene_.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", "true"}, {"absences", "2"}}).ok());
}

TEST_F(SchoolPackTest, WhatWasDueBeforeTheDutyWasAddedIsNotOwed) {
  scene_.WaitUntil(At("2026-03-12 09:00"));  // the Thursday
  Put(kOwnRows);
  EXPECT_THAT(scene_.Duties("", "canteen"), IsEmpty());
  scene_.WaitUntil(At("2026-03-18 10:01"));
  EXPECT_THAT(scene_.Duties("overdue", "canteen"), SizeIs(1)) << "Wednesday's of the week after";
}

TEST_F(SchoolPackTest, ACaseDecidedUnderTheFirstVersionStaysThereAfterTheSecond) {
  const std::string first = scene_.Report("class_teacher", {.signals = {"W1a"}});
  const std::string common = scene_.PackOfLastCommit("class_teacher");
  const absl::Time due = scene_.Due(first, "assessment");
  const api::SchoolPack adopted = Put(absl::StrCat(kFaster, "  office_receipt:\n    due_after: 2h\n"));
  EXPECT_FALSE(adopted.has_proposed());

  const std::string second = scene_.Report("class_teacher", {.signals = {"W1a"}, .student = "twin"});
  EXPECT_EQ(SpanOf(scene_.Clock(second, "assessment")), absl::Hours(3)) << "new cases by the new version";
  EXPECT_EQ(scene_.PackOfLastCommit("class_teacher"), adopted.digest()) << "a commit names the pack that decided";
  EXPECT_EQ(scene_.Due(first, "assessment"), due);
  // Clocks that start later too.
  ASSERT_TRUE(scene_.FileReport("class_teacher", first).ok());
  EXPECT_EQ(scene_.PackOfLastCommit("class_teacher"), common);
  ASSERT_TRUE(scene_.FileReport("class_teacher", second).ok());
  EXPECT_EQ(SpanOf(scene_.Clock(first, "office_receipt")), absl::Hours(4));
  EXPECT_EQ(SpanOf(scene_.Clock(second, "office_receipt")), absl::Hours(2));
  // A new trigger of the first case as well.
  scene_.Wait(absl::Minutes(1));
  scene_.Report("class_teacher", {.signals = {"W1a"}, .deteriorating = true});
  EXPECT_EQ(SpanOf(scene_.Clock(first, "taken", 2)), absl::Minutes(15));
}

TEST_F(SchoolPackTest, AReportOnAnOpenCaseIsLookedAtByTheRulesInForceToo) {
  const std::string c = scene_.Report("teacher", {.signals = {}, .factors = {"H1"}});
  EXPECT_FALSE(scene_.Rings(c, "severe_ladder"));
  std::string severe = kOwnRows;
  severe.replace(severe.find("propose: watch"), 14, "propose: severe");
  EXPECT_FALSE(Put(severe).has_proposed());
  EXPECT_EQ(scene_.Report("teacher", {.signals = {}, .factors = {"S1"}}), c);
  EXPECT_EQ(scene_.See(c).level().provisional(), "severe") << "what has been tightened since protects this child too";
  EXPECT_TRUE(scene_.Rings(c, "severe_ladder"));
}

TEST_F(SchoolPackTest, ALongerClockNeedsASecondPerson) {
  const api::SchoolPack proposed = Put(kSlowerAssessment, "administrator");
  ASSERT_TRUE(proposed.has_proposed());
  EXPECT_EQ(proposed.digest(), proposed.common_digest()) << "nothing has changed yet";
  EXPECT_EQ(proposed.proposed().proposed_by(), "administrator");
  EXPECT_THAT(proposed.proposed().asks_less(), ElementsAre("clocks assessment: runs longer"));
  ASSERT_THAT(proposed.proposed().changes(), SizeIs(1));
  EXPECT_THAT(proposed.proposed().changes(0).keys(), ElementsAre("due_after: 4h -> 6h"));
  const std::string before = scene_.Report("class_teacher", {.signals = {"W1a"}});
  EXPECT_EQ(SpanOf(scene_.Clock(before, "assessment")), absl::Hours(4));

  const std::string digest = proposed.proposed().digest();
  EXPECT_TRUE(absl::IsPermissionDenied(scene_.ApprovePack("administrator", digest).status())) << "not by who proposed it";
  EXPECT_TRUE(absl::IsPermissionDenied(scene_.ApprovePack("class_teacher", digest).status())) << "not by who may not";
  EXPECT_TRUE(absl::IsFailedPrecondition(scene_.ApprovePack("leader", "0123456789ab").status())) << "not another than was read";
  const auto adopted = scene_.ApprovePack("leader", digest);
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_FALSE(adopted->has_proposed());
  EXPECT_EQ(adopted->digest(), digest);
  EXPECT_EQ(adopted->proposed_by(), "administrator");
  EXPECT_EQ(adopted->adopted_by(), "leader");
  const std::string after = scene_.Report("class_teacher", {.signals = {"W1a"}, .student = "twin"});
  EXPECT_EQ(SpanOf(scene_.Clock(after, "assessment")), absl::Hours(6));
}

TEST_F(SchoolPackTest, GoingBackFromAShorterClockNeedsASecondPersonToo) {
  Put(kFaster);
  const api::SchoolPack back = Put("");
  ASSERT_TRUE(back.has_proposed());
  EXPECT_EQ(back.overlay(), kFaster);
  ASSERT_TRUE(scene_.ApprovePack("deputy", back.proposed().digest()).ok());
  EXPECT_EQ(Seen().digest(), Seen().common_digest());
  EXPECT_EQ(SpanOf(scene_.Clock(scene_.Report("class_teacher", {.signals = {"W1a"}}), "assessment")), absl::Hours(4));
}

TEST_F(SchoolPackTest, AProposalCanBeRejectedAndReplaced) {
  const std::string digest = Put(kSlowerAssessment).proposed().digest();
  const auto rejected = scene_.RejectPack("leader", digest);
  ASSERT_TRUE(rejected.ok()) << rejected.status();
  EXPECT_FALSE(rejected->has_proposed());
  EXPECT_TRUE(absl::IsFailedPrecondition(scene_.ApprovePack("leader", digest).status()));
  // Whatever is adopted meanwhile takes the place of what waits: that was compared with another pack.
  Put(kSlowerAssessment);
  EXPECT_FALSE(Put(kFasterReceipt).has_proposed());
  EXPECT_TRUE(absl::IsFailedPrecondition(scene_.ApprovePack("leader", digest).status()));
  EXPECT_EQ(Seen().overlay(), kFasterReceipt);
}

TEST_F(SchoolPackTest, LooseningAndMistakesAreRefusedWithTheirLine) {
  const std::uint64_t commits = scene_.Commits();
  const auto loosened = scene_.PutPack("administrator", "clocks:\n  written_report:\n    due_after: 48h\n");
  EXPECT_TRUE(absl::IsInvalidArgument(loosened.status())) << loosened.status();
  EXPECT_THAT(Mistakes(loosened.status()), ElementsAre("overlay.yaml:2: clocks written_report: runs longer; the documents' rule can be tightened only"));
  EXPECT_THAT(Mistakes(scene_.PutPack("administrator", "clocks:\n  assessment:\n    due_aftre: 2h\n").status()),
              Contains(HasSubstr("overlay.yaml:2: clock assessment: unknown key 'due_aftre'")));
  EXPECT_THAT(Mistakes(scene_.PutPack("administrator", "clocks: [").status()), Contains(HasSubstr("is no YAML")));
  EXPECT_TRUE(absl::IsPermissionDenied(scene_.PutPack("class_teacher", kOwnRows).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(scene_.SeePack("teacher").status()));
  EXPECT_EQ(scene_.Commits(), commits) << "nothing was appended";
  EXPECT_THAT(Seen().changes(), IsEmpty());
}

TEST_F(SchoolPackTest, TheSameOverlayAgainChangesNothing) {
  Put(kOwnRows);
  const std::uint64_t commits = scene_.Commits();
  const api::SchoolPack again = Put(kOwnRows);
  EXPECT_EQ(again.overlay(), kOwnRows);
  EXPECT_EQ(scene_.Commits(), commits);
}

TEST_F(SchoolPackTest, ReadingTheLogAnewGivesTheSameState) {
  const std::string first = scene_.Report("class_teacher", {.signals = {"W1a"}});
  Put(kFaster);
  const std::string second = scene_.Report("class_teacher", {.signals = {"W1a"}, .student = "twin"});
  Put(absl::StrCat(kFaster, kOwnRows));
  const std::string third = scene_.Report("teacher", {.signals = {}, .factors = {"S1"}, .student = "other_twin"});
  scene_.Wait(absl::Minutes(20));
  const std::string before = scene_.timer->StateBytes();
  for (Node* node : {scene_.timer, scene_.risk, scene_.notice}) {
    node->Restart();
    scene_.world.Settle();
    EXPECT_EQ(node->StateBytes(), before) << node->source();
  }
  scene_.RestartIntake();
  EXPECT_EQ(scene_.intake->StateBytes(), before);
  // And they go on deciding each case by its own version.
  EXPECT_EQ(SpanOf(scene_.Clock(first, "assessment")), absl::Hours(4));
  ASSERT_TRUE(scene_.FileReport("class_teacher", second).ok());
  scene_.Report("class_teacher", {.signals = {"W1a"}, .deteriorating = true, .student = "twin"});
  EXPECT_EQ(SpanOf(scene_.Clock(second, "taken", 2)), absl::Minutes(10));
  scene_.Report("class_teacher", {.signals = {"W1a"}, .deteriorating = true});
  EXPECT_EQ(SpanOf(scene_.Clock(first, "taken", 2)), absl::Minutes(15));
  EXPECT_EQ(scene_.See(third).level().provisional(), "watch");
}

TEST_F(SchoolPackTest, VersionsThatNoCaseNeedsAreForgotten) {
  const std::string c = scene_.Report("class_teacher", {.signals = {"W1a"}});
  Put(kFaster);
  const std::string second = scene_.Report("class_teacher", {.signals = {"W1a"}, .student = "twin"});
  for (int hours = 1; hours <= 5; ++hours) {
    // Each tighter than the last.
    Put(absl::StrCat(kFaster, "  office_receipt:\n    due_after: ", 240 - hours, "m\n"));
  }
  const domain::SchoolState& school = *scene_.timer->machine().FindSchool("school");
  EXPECT_THAT(school.packs, SizeIs(3)) << "in force, the one before, and the second case's";
  scene_.Wait(absl::Minutes(1));
  scene_.Report("class_teacher", {.signals = {"W1a"}, .deteriorating = true, .student = "twin"});
  EXPECT_EQ(SpanOf(scene_.Clock(second, "taken", 2)), absl::Minutes(10));
}

}  // namespace
}  // namespace vigil::scenario
