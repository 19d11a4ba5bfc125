#include "matter.h"

namespace vigil::domain {
namespace {

int Warnings(const Matter& matter, std::string_view kind) {
  int count = 0;
  for (const Commit& commit : matter.commits) {
    for (const Event& event : commit.events) {
      const auto* warned = std::get_if<ClockWarned>(&event.body);
      if (warned != nullptr && warned->clock_id.starts_with(kind)) ++count;
    }
  }
  return count;
}

std::vector<absl::Time> TimesOfWarnings(const Matter& matter, std::string_view kind) {
  std::vector<absl::Time> times;
  for (const Commit& commit : matter.commits) {
    for (const Event& event : commit.events) {
      const auto* warned = std::get_if<ClockWarned>(&event.body);
      if (warned != nullptr && warned->clock_id.starts_with(kind)) times.push_back(commit.recorded_time);
    }
  }
  return times;
}

TEST(WrittenReportTest, IsDueTwentyFourHoursFromDiscoveryNotFromEntry) {
  Matter matter(At("2026-03-13 17:00"));  // a Friday: the weekend counts
  matter.Report({.indicators = {"W1a"}, .discovered = At("2026-03-13 15:20")});
  EXPECT_EQ(matter.Clock("written_report")->due_time, At("2026-03-14 15:20"));
}

TEST(WrittenReportTest, BackDatedBeyondADayIsOverdueAtOnce) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}, .discovered = matter.now - absl::Hours(30)});
  matter.Wait(absl::ZeroDuration());
  EXPECT_EQ(matter.Phase("written_report"), ClockPhase::kOverdue);
  EXPECT_EQ(Warnings(matter, "written_report"), 0);
}

TEST(WrittenReportTest, WarnsTwelveFourAndOneHourBefore) {
  Matter matter(At("2026-03-10 21:00"));
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Hours(24));
  EXPECT_THAT(TimesOfWarnings(matter, "written_report"),
              ::testing::ElementsAre(At("2026-03-11 09:00"), At("2026-03-11 17:00"), At("2026-03-11 20:00")));
}

TEST(WrittenReportTest, IsSilentAtNightButForTheLastWarning) {
  // Due at 06:30: four hours before is night, one hour before too, and that one must be heard.
  Matter matter(At("2026-03-10 06:30"));
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Hours(24));
  EXPECT_THAT(TimesOfWarnings(matter, "written_report"), ::testing::ElementsAre(At("2026-03-10 18:30"), At("2026-03-11 05:30")));
}

TEST(WrittenReportTest, AWarningKeptForTheMorningDoesNotDelayTheLast) {
  // Due at 07:30: four hours before (03:30) would wait for 07:00, after the last at 06:30.
  Matter matter(At("2026-03-10 07:30"));
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Hours(24));
  EXPECT_THAT(TimesOfWarnings(matter, "written_report"), ::testing::ElementsAre(At("2026-03-10 19:30"), At("2026-03-11 06:30")));
}

TEST(WrittenReportTest, FiledLateIsAcceptedAndStaysLate) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Hours(25));
  ASSERT_TRUE(matter.Do(RecordFiled{.record_id = "d", .kind = "written_report", .late = true}).guard.ok());
  EXPECT_EQ(matter.Phase("written_report"), ClockPhase::kMet);
  EXPECT_TRUE(matter.Clock("written_report")->late);
}

TEST(WrittenReportTest, FilingStartsTheOfficesReceipt) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Do(RecordFiled{.record_id = "d", .kind = "written_report"});
  EXPECT_EQ(matter.Clock("office_receipt")->due_time, matter.now + absl::Hours(4));
  ASSERT_TRUE(matter.Do(RecordAcknowledged{.kind = "written_report"}).guard.ok());
  EXPECT_EQ(matter.Phase("office_receipt"), ClockPhase::kMet);
}

TEST(WrittenReportTest, CorrectingDiscoveryMovesTheDeadline) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Do(DiscoveryCorrected{.discovered_time = matter.now - absl::Hours(21)});
  EXPECT_EQ(matter.Clock("written_report")->due_time, matter.now + absl::Hours(3));
  matter.Wait(absl::Hours(3));
  EXPECT_EQ(matter.Phase("written_report"), ClockPhase::kOverdue);
  EXPECT_EQ(Warnings(matter, "written_report"), 1);
  matter.Do(DiscoveryCorrected{.discovered_time = matter.now});
  EXPECT_TRUE(matter.Clock("written_report")->late) << "late stays late";
}

TEST(TriggerClocksTest, TwoTriggersHaveTwoPairsAndOneFilingMeetsTheOldest) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Hours(2));
  matter.Report({.deteriorating = true});
  ASSERT_EQ(matter.Clocks("written_report").size(), 2u);
  EXPECT_EQ(matter.Clock("written_report", 2)->due_time - matter.Clock("written_report", 1)->due_time, absl::Hours(2));
  matter.Do(RecordFiled{.record_id = "d", .kind = "written_report"});
  EXPECT_EQ(matter.Phase("written_report", 1), ClockPhase::kMet);
  EXPECT_EQ(matter.Phase("written_report", 2), ClockPhase::kRunning);
}

TEST(TriggerClocksTest, WordsSpokenBeforeADeteriorationWereNotAboutIt) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  const absl::Time spoken = matter.now + absl::Minutes(1);
  matter.Wait(absl::Minutes(10));
  matter.Report({.deteriorating = true});
  matter.Do(Spoken{.superior = "leader", .spoken_time = spoken, .how = "recorded"});
  EXPECT_EQ(matter.Phase("phone_report", 1), ClockPhase::kMet);
  EXPECT_EQ(matter.Phase("phone_report", 2), ClockPhase::kRunning);
}

TEST(AssessmentClockTest, RunsFourHoursAtHighAndThreeSchoolDaysBelow) {
  Matter high;
  high.Report({.indicators = {"W2d"}});
  EXPECT_EQ(high.Clock("assessment")->due_time, high.now + absl::Hours(4));
  Matter watch(At("2026-03-12 10:00"));  // a Thursday
  watch.Report({.indicators = {"W2a"}});
  EXPECT_EQ(watch.Clock("assessment_routine")->due_time, At("2026-03-17 16:30"));
}

TEST(AssessmentClockTest, AnAssessmentThatRaisesTheLevelOwesNoOther) {
  Matter matter;
  matter.Report({.indicators = {"W2a"}});
  matter.Do(Assessed{.level = "severe", .kind = "group", .members = {"assessor", "office"}, .face_to_face = true}, "assessor", "assessment_group");
  EXPECT_EQ(matter.Phase("assessment_routine"), ClockPhase::kMet);
  EXPECT_EQ(matter.Phase("assessment"), ClockPhase::kMet) << "it has just been made";
}

TEST(AssessmentClockTest, IsNotLengthenedByAFurtherTrigger) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  const absl::Time due = matter.Clock("assessment")->due_time;
  matter.Wait(absl::Hours(3));
  matter.Report({.deteriorating = true});
  EXPECT_EQ(matter.Clock("assessment")->due_time, due);
}

TEST(NightPlanTest, IsOwedAtSixAndAgainEachDay) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  EXPECT_EQ(matter.Clock("night_plan")->due_time, At("2026-03-10 18:00"));
  matter.Wait(absl::Hours(1));
  matter.Do(RecordFiled{.record_id = "d", .kind = "night_plan"});
  EXPECT_EQ(matter.Clock("night_plan")->due_time, At("2026-03-11 18:00"));
  EXPECT_EQ(matter.Phase("night_plan"), ClockPhase::kRunning);
}

TEST(NightPlanTest, FiledAgainTonightIsNotTomorrows) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Do(RecordFiled{.record_id = "d", .kind = "night_plan"});
  matter.Wait(absl::Hours(1));
  matter.Do(RecordFiled{.record_id = "e", .kind = "night_plan"});
  EXPECT_EQ(matter.Clock("night_plan")->due_time, At("2026-03-11 18:00"));
}

TEST(NightPlanTest, FiledLateMeetsTonightAndTomorrowIsStillOwed) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.WaitUntil(At("2026-03-10 18:30"));
  EXPECT_TRUE(matter.Rings("leader_ladder"));
  matter.Do(RecordFiled{.record_id = "d", .kind = "night_plan"});
  EXPECT_FALSE(matter.Rings("leader_ladder"));
  matter.WaitUntil(At("2026-03-11 17:59"));
  EXPECT_EQ(matter.Phase("night_plan"), ClockPhase::kRunning);
  matter.WaitUntil(At("2026-03-11 18:00"));
  EXPECT_TRUE(matter.Rings("leader_ladder"));
}

TEST(NightPlanTest, OfASevereCaseAtNightIsOwedTheNextEveningToo) {
  Matter matter(At("2026-03-10 23:00"));
  matter.Report({.indicators = {"W1a"}});
  EXPECT_EQ(matter.Clock("night_plan")->due_time, At("2026-03-11 01:00"));
  matter.Do(RecordFiled{.record_id = "d", .kind = "night_plan"});
  EXPECT_EQ(matter.Clock("night_plan")->due_time, At("2026-03-11 18:00"));
}

TEST(NightPlanTest, NeverFiledIsAskedForEachEvening) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.WaitUntil(At("2026-03-10 18:00"));
  ASSERT_TRUE(matter.Take("leader_ladder"));
  matter.WaitUntil(At("2026-03-11 18:00"));
  EXPECT_TRUE(matter.Rings("leader_ladder"));
}

TEST(GuardianContactTest, IsMetByAnArrivalTimeOnly) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Do(GuardianContacted{.guardian = "mother", .outcome = "no_answer"});
  matter.Do(GuardianContacted{.guardian = "mother", .outcome = "reached"});
  EXPECT_EQ(matter.Phase("guardian_contact"), ClockPhase::kRunning);
  const absl::Time arrives = matter.now + absl::Minutes(40);
  matter.Do(GuardianContacted{.guardian = "father", .outcome = "reached", .arrival_time = arrives});
  EXPECT_EQ(matter.Phase("guardian_contact"), ClockPhase::kMet);
  EXPECT_EQ(matter.Clock("guardian_arrival")->due_time, arrives + absl::Minutes(15));
}

TEST(HoldTest, UnsafeHomeKeepsGuardianContactBackUntilLifted) {
  for (const HomeUnsafe answer : {HomeUnsafe::kYes, HomeUnsafe::kUnsure}) {
    Matter matter;
    matter.Report({.indicators = {"W1a"}, .home_unsafe = answer});
    EXPECT_EQ(matter.Clock("guardian_contact"), nullptr);
    EXPECT_EQ(matter.Clock("hold_decision")->due_time, matter.now + absl::Minutes(15));
    matter.Wait(absl::Minutes(20));
    EXPECT_TRUE(matter.Rings("hold_ladder"));
    EXPECT_FALSE(matter.Do(GuardianContacted{.guardian = "mother", .outcome = "reached", .arrival_time = matter.now}).guard.ok());
    ASSERT_TRUE(matter.Do(HoldLifted{.kind = "guardians"}).guard.ok());
    EXPECT_EQ(matter.Clock("guardian_contact")->due_time, matter.now + absl::Minutes(30));
    EXPECT_FALSE(matter.Rings("hold_ladder"));
  }
}

TEST(HoldTest, LiftingStartsNothingElseAgain) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}, .home_unsafe = HomeUnsafe::kYes});
  matter.Wait(absl::Minutes(5));
  matter.Do(Assessed{.level = "severe", .kind = "group", .members = {"assessor", "office"}, .face_to_face = true}, "assessor", "assessment_group");
  matter.Do(HoldLifted{.kind = "guardians"});
  EXPECT_EQ(matter.Phase("assessment"), ClockPhase::kMet) << "it was made; nobody owes it again";
  EXPECT_EQ(matter.Phase("guardian_contact"), ClockPhase::kRunning);
}

TEST(HoldTest, PlacedOnARunningCaseStopsTheClockOfTheGuardians) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  ASSERT_TRUE(matter.Do(HoldPlaced{.kind = "guardians"}, "teacher", "teacher").guard.ok());
  EXPECT_EQ(matter.Phase("guardian_contact"), ClockPhase::kCancelled);
  AlertState alert;
  EXPECT_TRUE(ResolveTarget(PrimarySchool(), matter.school, matter.file, alert, "case.guardians", matter.now).empty());
}

TEST(AdultBesideTest, NotConfirmedBringsTheAlertBackAndSearches) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  ASSERT_TRUE(matter.Take("severe_ladder"));
  matter.Wait(absl::Minutes(10));
  EXPECT_TRUE(matter.Rings("severe_ladder"));
  EXPECT_TRUE(matter.Rings("search_ladder"));
}

TEST(AdultBesideTest, TakenAgainAndAgainNobodyComesItComesBackAgain) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  ASSERT_TRUE(matter.Take("severe_ladder"));
  matter.Wait(absl::Minutes(10));
  ASSERT_TRUE(matter.Take("severe_ladder", "deputy"));
  EXPECT_FALSE(matter.Rings("severe_ladder"));
  matter.Wait(absl::Minutes(10));
  EXPECT_TRUE(matter.Rings("severe_ladder"));
  matter.Do(SightConfirmed{.person = "teacher"});
  matter.Take("severe_ladder", "deputy");
  matter.Wait(absl::Minutes(10));
  EXPECT_FALSE(matter.Rings("severe_ladder"));
}

TEST(AdultBesideTest, IsMetAtOnceWhereAnAdultHoldsTheChild) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "teacher"});
  ASSERT_TRUE(matter.Take("severe_ladder"));
  EXPECT_EQ(matter.Phase("adult_beside"), ClockPhase::kMet);
}

TEST(FalseClockTest, OrdinaryReportsStartNoWrittenReport) {
  for (const char* indicator : {"H1", "H10", "W2a", "W3a", "W2d", "W3b", "W1b"}) {
    Matter matter;
    matter.Report({.indicators = {indicator}});
    EXPECT_EQ(matter.Clock("written_report"), nullptr) << indicator;
    EXPECT_EQ(matter.Clock("phone_report"), nullptr) << indicator;
    EXPECT_EQ(matter.Clock("special_supervision"), nullptr) << indicator;
  }
}

TEST(ClockTest, AHigherLevelShortensTheCheckIn) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "teacher"});
  EXPECT_EQ(matter.Clock("check_in")->due_time, matter.now + absl::Minutes(30));
  matter.Report({.indicators = {"W1t"}});
  EXPECT_EQ(matter.Clock("check_in")->due_time, matter.now + absl::Minutes(15));
}

TEST(ClockTest, TheFirstCallIsInRealTimeOfARehearsal) {
  CaseState c;
  c.triggers.emplace_back();
  StartClock(PrimarySchool(), c, {.kind = "first_call", .now = At("2026-03-10 10:00"), .trigger = 1, .clock_speed = 60});
  ASSERT_EQ(c.clocks.size(), 1u);
  EXPECT_EQ(c.clocks[0].due_time - c.clocks[0].start_time, absl::Minutes(5));
}

}  // namespace
}  // namespace vigil::domain
