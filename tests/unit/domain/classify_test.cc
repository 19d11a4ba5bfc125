// Each sentence of "Default rows (provisional)".
#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> Rules(const Classification& c) {
  std::vector<std::string> ids;
  for (const FiredRule& rule : c.fired) ids.push_back(rule.rule);
  return ids;
}

struct Row {
  std::string sentence;
  ReportOf before;  // an earlier report, if it names anything
  ReportOf report;
  std::string level;
};

class DefaultRowsTest : public ::testing::TestWithParam<Row> {};

TEST_P(DefaultRowsTest, GivesTheLevel) {
  Matter matter;
  const Row& row = GetParam();
  if (!row.before.indicators.empty() || !row.before.claimed.empty()) {
    matter.Report(row.before);
    matter.Wait(absl::Minutes(1));
  }
  EXPECT_EQ(matter.Proposed(row.report).level, row.level) << row.sentence;
}

INSTANTIATE_TEST_SUITE_P(
    Protocol, DefaultRowsTest,
    ::testing::Values(
        Row{"a first-person wish, a method, a plan, a letter is severe", {}, {.indicators = {"W1a"}}, "severe"},
        Row{"with means at hand it is extreme", {}, {.indicators = {"W1a", "W1m"}}, "extreme"},
        Row{"an attempt is extreme", {}, {.indicators = {"W1t"}}, "extreme"},
        Row{"an injury is extreme", {}, {.indicators = {"W1i"}}, "extreme"},
        Row{"other death content is high", {}, {.indicators = {"W1b"}}, "high"},
        Row{"gifts alone are watched", {}, {.indicators = {"W2a"}}, "watch"},
        Row{"treating alone is watched", {}, {.indicators = {"W2b"}}, "watch"},
        Row{"apologies alone are watched", {}, {.indicators = {"W2c"}}, "watch"},
        Row{"several of one group are still one kind", {}, {.indicators = {"W2a", "W2b", "W2c"}}, "watch"},
        Row{"farewell words are high", {}, {.indicators = {"W2d"}}, "high"},
        Row{"farewell with H1 is severe", {}, {.indicators = {"W2d", "H1"}}, "severe"},
        Row{"farewell with H2 is severe", {}, {.indicators = {"W2d", "H2"}}, "severe"},
        Row{"farewell with any W1 is severe", {}, {.indicators = {"W2d", "W1b"}}, "severe"},
        Row{"farewell where H1 was known is severe", {.indicators = {"H1"}}, {.indicators = {"W2d"}}, "severe"},
        Row{"H2 learnt after a farewell is severe", {.indicators = {"W2d"}}, {.indicators = {"H2"}}, "severe"},
        Row{"sudden agitation is watched", {}, {.indicators = {"W3a"}}, "watch"},
        Row{"eating or sleep is watched", {}, {.indicators = {"W3c"}}, "watch"},
        Row{"sudden change with H1 is high", {}, {.indicators = {"W3a", "H1"}}, "high"},
        Row{"sudden change with H2 is high", {}, {.indicators = {"W3c", "H2"}}, "high"},
        Row{"sudden change with H9 is high", {}, {.indicators = {"W3a", "H9"}}, "high"},
        Row{"sudden change with a loss is high", {}, {.indicators = {"W3a", "H3"}}, "high"},
        Row{"sudden change with another factor is watched", {}, {.indicators = {"W3a", "H5"}}, "watch"},
        Row{"sudden change seen by two is high",
            {.indicators = {"W3a"}, .reporter = "class_teacher"},
            {.indicators = {"W3a"}, .reporter = "teacher"},
            "high"},
        Row{"sudden change told twice by one is watched",
            {.indicators = {"W3a"}, .reporter = "teacher"},
            {.indicators = {"W3a"}, .reporter = "teacher"},
            "watch"},
        Row{"sudden calm after low mood is high", {}, {.indicators = {"W3b"}}, "high"},
        Row{"sudden calm where the last level was high is severe", {.claimed = "high"}, {.indicators = {"W3b"}}, "severe"},
        Row{"two kinds of signals are high", {.indicators = {"W2a"}}, {.indicators = {"W3a"}}, "high"},
        Row{"two kinds, one a W1, are severe", {.indicators = {"W1b"}}, {.indicators = {"W3a"}}, "severe"},
        Row{"two kinds, one a farewell, are severe", {.indicators = {"W3c"}}, {.indicators = {"W2d"}}, "severe"},
        Row{"two kinds with H2 are severe", {.indicators = {"H2", "W2a"}}, {.indicators = {"W3a"}}, "severe"},
        Row{"any factor is watched", {}, {.indicators = {"H7"}}, "watch"},
        Row{"H10 alone is watched", {}, {.indicators = {"H10"}}, "watch"},
        Row{"H10 with a weapon, a target or an injury is high", {}, {.indicators = {"H10", "H10w"}}, "high"},
        Row{"rapid deterioration ticked is severe", {}, {.indicators = {"H1"}, .deteriorating = true}, "severe"},
        Row{"severe ticked is severe", {}, {.claimed = "severe"}, "severe"},
        Row{"a claim is a floor", {}, {.indicators = {"H1"}, .claimed = "mild"}, "mild"},
        Row{"a claim does not lower what rules say", {}, {.indicators = {"W1a"}, .claimed = "watch"}, "severe"},
        Row{"nothing that classifies gives nothing", {}, {}, ""}));

TEST(ClassifyTest, OtherDeathContentIsKeptInSightAndAskedFaceToFace) {
  Matter matter;
  matter.Report({.indicators = {"W1b"}});
  EXPECT_EQ(matter.Clock("in_sight")->due_time, matter.now + absl::Minutes(10));
  EXPECT_EQ(matter.Clock("ask_face_to_face")->due_time, matter.now + absl::Hours(2));
}

TEST(ClassifyTest, OtherDeathContentNotAskedInTimeIsSevereAndRings) {
  Matter matter;
  matter.Report({.indicators = {"W1b"}});
  EXPECT_EQ(matter.level(), "high");
  matter.Wait(absl::Hours(2) - absl::Seconds(1));
  EXPECT_EQ(matter.level(), "high");
  matter.Wait(absl::Seconds(1));
  EXPECT_EQ(matter.level(), "severe");
  EXPECT_TRUE(matter.Rings("severe_ladder"));
  EXPECT_TRUE(matter.custody().supervised);
}

TEST(ClassifyTest, AClearAnswerKeepsOtherDeathContentFromBecomingSevere) {
  Matter matter;
  matter.Report({.indicators = {"W1b"}});
  matter.Wait(absl::Hours(1));
  matter.Do(RecordFiled{.record_id = "d", .kind = "asked_face_to_face"}, "office", "counselling_office");
  matter.Wait(absl::Hours(5));
  EXPECT_EQ(matter.Phase("ask_face_to_face"), ClockPhase::kMet);
  EXPECT_EQ(matter.level(), "high");
}

TEST(ClassifyTest, AQuestionLateInTheDayIsAskedBeforeDismissal) {
  Matter matter(At("2026-03-10 15:45"));
  matter.Report({.indicators = {"W1b"}});
  EXPECT_EQ(matter.Clock("ask_face_to_face")->due_time, At("2026-03-10 16:30"));
}

TEST(ClassifyTest, WatchedSignalsGetATalkTheSameDay) {
  Matter matter;
  matter.Report({.indicators = {"W2a"}});
  EXPECT_EQ(matter.Clock("talk_today")->due_time, At("2026-03-10 16:30"));
}

TEST(ClassifyTest, DangerToOthersStartsTheirProtection) {
  Matter matter;
  matter.Report({.indicators = {"H10"}});
  EXPECT_EQ(matter.Phase("third_party_protection"), ClockPhase::kRunning);
}

TEST(ClassifyTest, AReturnedStudentIsAtLeastHighWithAnyIndicator) {
  Matter matter;
  matter.Report({.indicators = {"H7"}});
  matter.file.returned = true;
  EXPECT_EQ(matter.Proposed({.indicators = {"W2a"}}).level, "high");
}

// CRIT-10, CRIT-14
TEST(ClassifyTest, AnUnconfirmedFactorCountsBesideOthersAndNeverByItself) {
  Matter matter;
  EXPECT_EQ(matter.Proposed({.indicators = {"H9"}}).level, "");
  EXPECT_EQ(matter.Proposed({.indicators = {"H5", "H9"}}).level, "") << "two of them are no more";
  EXPECT_EQ(matter.Proposed({.indicators = {"H9", "H7"}}).level, "watch") << "for the other one";
  EXPECT_EQ(matter.Proposed({.indicators = {"W3a", "H9"}}).level, "high");
  EXPECT_EQ(matter.Proposed({.indicators = {"H9"}, .claimed = "high"}).level, "high");
  matter.Report({.indicators = {"H9"}});
  EXPECT_EQ(matter.level(), "none");
  matter.Do(RecordFiled{.record_id = "d", .kind = "medical_document"}, "office", "counselling_office");
  EXPECT_EQ(matter.level(), "watch");
  EXPECT_EQ(matter.Proposed({.indicators = {"H9"}}).level, "watch");
  EXPECT_EQ(matter.Proposed({.indicators = {"H5"}}).level, "") << "another record confirms that";
  matter.file.current->phase = CasePhase::kClosed;
  EXPECT_EQ(matter.Proposed({.indicators = {"H9"}}).level, "watch") << "what one case confirmed counts in the next";
}

TEST(ClassifyTest, AReturnedStudentIsAtLeastHighWithAnUnconfirmedFactorToo) {
  Matter matter;
  matter.Report({.indicators = {"H7"}});
  matter.file.returned = true;
  EXPECT_EQ(matter.Proposed({.indicators = {"H5"}}).level, "high");
}

TEST(ClassifyTest, SignalsOfLongAgoAreNotTwoKinds) {
  Matter matter;
  matter.Report({.indicators = {"W2a"}});
  matter.now += absl::Hours(24 * 31);
  EXPECT_EQ(matter.Proposed({.indicators = {"W3a"}}).level, "watch");
}

TEST(ClassifyTest, SaysWhichRowsFiredOnWhichFacts) {
  const Classification found = Matter().Proposed({.indicators = {"W2d", "H1"}});
  ASSERT_THAT(Rules(found), Contains("farewell-with-history-is-severe"));
  for (const FiredRule& rule : found.fired) {
    if (rule.rule == "farewell-with-history-is-severe") {
      EXPECT_THAT(rule.facts, Contains("file:H1"));
    }
    EXPECT_THAT(rule.facts, Not(IsEmpty())) << rule.rule;
  }
}

TEST(ClassifyTest, InjuryAdvisesTheAmbulanceAndCalmAdvisesNotToRelax) {
  EXPECT_THAT(Matter().Proposed({.indicators = {"W1i"}}).advice, Contains("advice_call_120"));
  EXPECT_THAT(Matter().Proposed({.indicators = {"W3b"}}).advice, Contains("advice_do_not_relax"));
}

TEST(ClassifyTest, WhatNothingClassifiesIsReadByAPersonWithinHalfAnHour) {
  Matter matter;
  matter.Report({});
  EXPECT_EQ(matter.Clock("report_read")->due_time, matter.now + absl::Minutes(30));
  matter.Wait(absl::Minutes(30));
  EXPECT_TRUE(matter.Rings("report_ladder"));
}

TEST(TriggerTest, SevereNewlyFoundIsATriggerAndHighIsNot) {
  Matter severe;
  EXPECT_EQ(severe.Report({.indicators = {"W1a"}}).new_trigger, 1);
  Matter high;
  EXPECT_EQ(high.Report({.indicators = {"W2d"}}).new_trigger, 0);
}

TEST(TriggerTest, TheSameSignalAgainIsNone) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  EXPECT_EQ(matter.Report({.indicators = {"W1a"}, .reporter = "teacher"}).new_trigger, 0);
}

TEST(TriggerTest, ANewSignalOfDeteriorationOrATickIsOne) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  EXPECT_EQ(matter.Report({.indicators = {"W2d"}}).new_trigger, 2);
  EXPECT_EQ(matter.Report({.deteriorating = true}).new_trigger, 3);
  EXPECT_EQ(matter.Report({.indicators = {"W1t"}}).new_trigger, 4);
}

TEST(TriggerTest, ASignalOfAnEarlierCaseIsNewInThisOne) {
  Matter matter;
  matter.Report({.indicators = {"W2d"}});
  matter.Do(SightConfirmed{.person = "teacher"});
  matter.Do(Assessed{.level = "none", .kind = "group", .members = {"assessor", "office"}, .face_to_face = true});
  matter.Do(GuardianContacted{.guardian = "mother", .outcome = "reached", .arrival_time = matter.now});
  matter.Do(HandedOverToGuardian{.guardian = "mother", .identity_checked = true});
  for (const char* kind : {"aftercare_contact", "aftercare_morning", "aftercare_doctor"}) matter.Do(RecordFiled{.record_id = kind, .kind = kind});
  const Applied closed = matter.Do(CaseClosed{});
  ASSERT_TRUE(closed.guard.ok()) << closed.guard;
  matter.Wait(absl::Hours(24 * 60));
  ASSERT_EQ(matter.Report({.claimed = "severe"}).new_trigger, 1);
  EXPECT_EQ(matter.Report({.indicators = {"W2d"}}).new_trigger, 2);
}

}  // namespace
}  // namespace vigil::domain
