#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool GapOpen(const Matter& matter) { return !matter.custody().gaps.empty() && !IsSet(matter.custody().gaps.back().to_time); }

// Severe, held by the teacher from the start.
Matter Held(absl::Time start = At("2026-03-10 10:00")) {
  Matter matter(start);
  matter.Report({.indicators = {"W1a"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "teacher"});
  return matter;
}

TEST(CustodyTest, WhoReportsDoesNotTherebyHoldTheChild) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}, .reporter = "teacher"});
  EXPECT_TRUE(matter.custody().supervised);
  EXPECT_THAT(matter.custody().holders, IsEmpty());
  EXPECT_TRUE(GapOpen(matter));
}

TEST(CustodyTest, WhoSaysThatTheySeeTheChildHoldsIt) { EXPECT_THAT(Held().custody().holders, ElementsAre("teacher")); }

TEST(CustodyTest, WhoIsSaidToSeeTheChildHasNotConfirmed) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "class_teacher"});
  EXPECT_THAT(matter.custody().holders, IsEmpty());
}

TEST(CustodyTest, AnEarlierConfirmationDoesNotSpeakForAnother) {
  Matter matter;
  matter.Report({.indicators = {"W2a"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "teacher"});
  matter.Report({.indicators = {"W1a"}, .reporter = "office", .sight = SightClaim::kSeen, .sight_person = "class_teacher"});
  EXPECT_THAT(matter.custody().holders, IsEmpty());
}

TEST(CustodyTest, AConfirmationOfLastWeekIsNone) {
  Matter matter;
  matter.Report({.indicators = {"W2a"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "teacher"});
  matter.Wait(absl::Hours(24 * 7));
  matter.Report({.indicators = {"W1a"}, .reporter = "office"});
  EXPECT_THAT(matter.custody().holders, IsEmpty());
  EXPECT_TRUE(GapOpen(matter));
}

TEST(CustodyTest, AChildNotSeenIsSearchedForAlsoWhileNobodyHasConfirmed) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  EXPECT_FALSE(matter.Rings("search_ladder"));
  matter.Report({.sight = SightClaim::kNotSeen});
  EXPECT_TRUE(matter.Rings("search_ladder"));
}

TEST(CustodyTest, AChildNotSeenIsSearchedForWhateverTheLevel) {
  Matter matter;
  matter.Report({.indicators = {"H1"}, .sight = SightClaim::kNotSeen});
  EXPECT_TRUE(matter.Rings("search_ladder"));
  matter.Do(SightConfirmed{.person = "teacher"}, "teacher", "teacher");
  EXPECT_FALSE(matter.Rings("search_ladder"));
}

TEST(ShiftTest, PassesOnlyWhenAllOfTheNewShiftHaveAccepted) {
  Matter matter = Held(At("2026-03-10 22:30"));
  ASSERT_TRUE(matter.Do(ShiftOffered{.to = {"deputy", "crisis"}}, "teacher", "teacher").guard.ok());
  EXPECT_THAT(matter.custody().holders, ElementsAre("teacher"));
  ASSERT_TRUE(matter.Do(ShiftAccepted{.person = "deputy"}, "deputy", "deputy").guard.ok());
  EXPECT_THAT(matter.custody().holders, ElementsAre("teacher")) << "the outgoing adult stays until relieved";
  ASSERT_TRUE(matter.Do(ShiftAccepted{.person = "crisis"}, "crisis", "crisis_team").guard.ok());
  EXPECT_THAT(matter.custody().holders, ElementsAre("deputy", "crisis"));
}

TEST(ShiftTest, NightNeedsTwoAdults) {
  Matter matter = Held(At("2026-03-10 22:30"));
  EXPECT_FALSE(matter.Do(ShiftOffered{.to = {"deputy"}}, "teacher", "teacher").guard.ok());
}

TEST(ShiftTest, OnlyTheHolderOrWhoPlansShiftsOffers) {
  Matter matter = Held();
  EXPECT_FALSE(matter.Do(ShiftOffered{.to = {"crisis"}}, "class_teacher", "class_teacher").guard.ok());
  EXPECT_TRUE(matter.Do(ShiftOffered{.to = {"crisis"}}, "office", "counselling_office").guard.ok());
}

TEST(ShiftTest, WasOfferedAtSevereAndIsNotEnoughAtExtreme) {
  Matter matter = Held();
  ASSERT_TRUE(matter.Do(ShiftOffered{.to = {"crisis"}}, "teacher", "teacher").guard.ok());
  matter.Report({.indicators = {"W1t"}});
  EXPECT_FALSE(matter.Do(ShiftAccepted{.person = "crisis"}, "crisis", "crisis_team").guard.ok());
}

TEST(ShiftTest, ExtremeNeedsAGuardAndASchoolAdult) {
  Matter matter;
  matter.Report({.indicators = {"W1t"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "teacher"});
  const auto offer = [&](std::vector<std::string> to) { return matter.Do(ShiftOffered{.to = std::move(to)}, "teacher", "teacher").guard.ok(); };
  EXPECT_FALSE(offer({"crisis"}));
  EXPECT_FALSE(offer({"crisis", "deputy"}));
  EXPECT_FALSE(offer({"guard"}));
  EXPECT_FALSE(offer({"guard", "guard_2"}));
  EXPECT_FALSE(offer({"guard", "guard"}));
  EXPECT_TRUE(offer({"guard", "crisis"}));
}

TEST(ShiftTest, NotHandedOverInTimeRingsAndTheHolderKeepsTheChild) {
  Matter matter = Held();
  matter.CheckInUntil(At("2026-03-10 18:00"), "teacher");
  matter.Wait(absl::Minutes(1));
  EXPECT_TRUE(matter.Rings("shift_ladder"));
  EXPECT_THAT(matter.custody().holders, ElementsAre("teacher"));
  EXPECT_TRUE(matter.custody().supervised);
}

TEST(CheckInTest, MissedOpensAGapFromTheLastConfirmationAndRings) {
  Matter matter = Held();
  const absl::Time seen = matter.now;
  matter.Wait(absl::Minutes(30));
  ASSERT_TRUE(GapOpen(matter));
  EXPECT_EQ(matter.custody().gaps.back().from_time, seen);
  EXPECT_TRUE(matter.Rings("gap_ladder"));
  matter.Wait(absl::Minutes(5));
  ASSERT_TRUE(matter.Do(CheckedIn{.person = "teacher", .in_sight = true}, "teacher", "teacher").guard.ok());
  EXPECT_FALSE(GapOpen(matter));
  EXPECT_FALSE(matter.Rings("gap_ladder"));
  EXPECT_EQ(matter.Phase("check_in"), ClockPhase::kRunning) << "asked again in half an hour";
}

TEST(CheckInTest, AnsweredNoTheGuardDoesNotHoldTheChildAndTheSearchBegins) {
  Matter matter = Held();
  matter.Do(CheckedIn{.person = "teacher", .in_sight = false}, "teacher", "teacher");
  EXPECT_THAT(matter.custody().holders, IsEmpty());
  EXPECT_TRUE(GapOpen(matter));
  EXPECT_TRUE(matter.Rings("search_ladder"));
  matter.Do(SightConfirmed{.person = "class_teacher"}, "class_teacher", "class_teacher");
  EXPECT_THAT(matter.custody().holders, ElementsAre("class_teacher"));
  EXPECT_FALSE(GapOpen(matter));
}

TEST(CheckInTest, OnlyAHolderChecksIn) {
  Matter matter = Held();
  EXPECT_FALSE(matter.Do(CheckedIn{.person = "deputy", .in_sight = true}, "deputy", "deputy").guard.ok());
}

TEST(DepartureTest, LeftTakenAwayAndNotFoundRingAndLeaveAGap) {
  for (const char* kind : {"left", "taken_away", "not_found"}) {
    Matter matter = Held();
    ASSERT_TRUE(matter.Do(DepartureRecorded{.kind = kind}, "teacher", "teacher").guard.ok());
    EXPECT_TRUE(matter.Rings("search_ladder")) << kind;
    EXPECT_THAT(matter.custody().holders, IsEmpty());
    EXPECT_TRUE(GapOpen(matter));
    EXPECT_TRUE(matter.custody().supervised);
  }
}

TEST(DepartureTest, ToHospitalWithEscortsChangesThePlaceOnly) {
  Matter matter = Held();
  matter.Do(DepartureRecorded{.kind = "hospital", .escorts = {"class_teacher", "school_doctor"}});
  EXPECT_TRUE(matter.custody().supervised);
  EXPECT_THAT(matter.custody().holders, ElementsAre("class_teacher", "school_doctor"));
  EXPECT_FALSE(GapOpen(matter));
  EXPECT_EQ(matter.Phase("departure"), ClockPhase::kRunning);
}

TEST(DepartureTest, ToHospitalWithNobodyIsAGapThatRings) {
  Matter matter = Held();
  matter.Do(DepartureRecorded{.kind = "hospital"});
  EXPECT_TRUE(GapOpen(matter));
  EXPECT_TRUE(matter.Rings("search_ladder"));
}

TEST(HandoverTest, EndsSupervisionAndBeginsAftercare) {
  Matter matter = Held();
  ASSERT_TRUE(matter.Do(HandedOverToGuardian{.guardian = "mother", .identity_checked = true}).guard.ok());
  EXPECT_FALSE(matter.custody().supervised);
  EXPECT_EQ(matter.Phase("special_supervision"), ClockPhase::kMet);
  EXPECT_EQ(matter.Phase("check_in"), ClockPhase::kCancelled);
  EXPECT_EQ(matter.Clock("aftercare_first")->due_time, matter.now + absl::Hours(2));
  EXPECT_EQ(matter.Clock("aftercare_morning")->due_time, At("2026-03-11 08:30"));
  EXPECT_EQ(matter.Clock("aftercare_doctor")->due_time, matter.now + absl::Hours(72));
  EXPECT_EQ(matter.Phase("written_report"), ClockPhase::kRunning) << "it is owed all the same";
  EXPECT_TRUE(matter.Rings("handover_notice"));
}

TEST(HandoverTest, AReportFromHomeDoesNotBringSupervisionBackButDeteriorationDoes) {
  Matter matter = Held();
  matter.Do(HandedOverToGuardian{.guardian = "mother", .identity_checked = true});
  matter.Wait(absl::Hours(1));
  matter.Report({.indicators = {"H7"}});
  EXPECT_FALSE(matter.custody().supervised) << "the child is with its mother";
  EXPECT_EQ(matter.current().phase, CasePhase::kHandedOver);
  matter.Report({.deteriorating = true});
  EXPECT_TRUE(matter.custody().supervised);
  EXPECT_TRUE(matter.Rings("severe_ladder"));
}

TEST(HandoverTest, AtSchoolAgainCustodyAndSupervisionAreBackWithOneTap) {
  Matter matter = Held();
  matter.Do(HandedOverToGuardian{.guardian = "mother", .identity_checked = true});
  matter.Wait(absl::Hours(20));
  ASSERT_TRUE(matter.Do(CustodyReturned{.person = "class_teacher"}).guard.ok());
  EXPECT_TRUE(matter.custody().supervised);
  EXPECT_THAT(matter.custody().holders, ElementsAre("class_teacher"));
  EXPECT_EQ(matter.Phase("special_supervision"), ClockPhase::kRunning);
  EXPECT_EQ(matter.Phase("check_in"), ClockPhase::kRunning);
  EXPECT_EQ(matter.Phase("aftercare_first"), ClockPhase::kCancelled);
}

TEST(HandoverTest, TheChainSaysWhoHadTheChildAtEveryInstant) {
  Matter matter = Held();
  matter.Wait(absl::Minutes(10));
  matter.Do(ShiftOffered{.to = {"crisis"}}, "teacher", "teacher");
  matter.Do(ShiftAccepted{.person = "crisis"}, "crisis", "crisis_team");
  matter.Wait(absl::Minutes(10));
  matter.Do(HandedOverToGuardian{.guardian = "mother", .identity_checked = true});
  matter.Wait(absl::Hours(20));
  matter.Report({.deteriorating = true});
  const auto& chain = matter.custody().chain;
  ASSERT_GE(chain.size(), 4u);
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) EXPECT_EQ(chain[i].to_time, chain[i + 1].from_time) << i;
  EXPECT_FALSE(IsSet(chain.back().to_time));
}

TEST(NotSevereTest, EndsSupervisionOfAProvisionalLevelWithTwoAssessors) {
  Matter matter = Held();
  EXPECT_FALSE(matter.Do(NotSevereDecided{.assessors = {"assessor", "assessor"}}).guard.ok());
  ASSERT_TRUE(matter.Do(NotSevereDecided{.assessors = {"assessor", "office"}}).guard.ok());
  EXPECT_FALSE(matter.custody().supervised);
  EXPECT_EQ(matter.level(), "high");
  EXPECT_FALSE(matter.Rings("severe_ladder"));
  EXPECT_EQ(matter.Phase("guardian_contact"), ClockPhase::kRunning) << "high calls the guardians in as well";
}

TEST(NotSevereTest, DoesNotTouchAFinalLevel) {
  Matter matter = Held();
  matter.Do(Assessed{.level = "severe", .kind = "group", .members = {"assessor", "office"}, .face_to_face = true});
  EXPECT_FALSE(matter.Do(NotSevereDecided{.assessors = {"assessor", "office"}}).guard.ok());
}

TEST(NotSevereTest, LoweredByTheGroupTheGuardiansAreStillCalledIn) {
  Matter matter = Held();
  matter.Do(Assessed{.level = "severe", .kind = "group", .members = {"assessor", "office"}, .face_to_face = true});
  matter.Wait(absl::Minutes(5));
  ASSERT_TRUE(matter.Do(Assessed{.level = "high", .kind = "group", .members = {"assessor", "office"}, .face_to_face = true}).guard.ok());
  EXPECT_FALSE(matter.custody().supervised);
  EXPECT_EQ(matter.Phase("guardian_contact"), ClockPhase::kRunning);
  EXPECT_EQ(matter.Phase("assessment"), ClockPhase::kMet);
}

}  // namespace
}  // namespace vigil::domain
