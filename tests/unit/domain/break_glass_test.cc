// What happened past the log, folded once the log has it.
#include "matter.h"

namespace vigil::domain {
namespace {

// A report that no rule has read yet.
std::string Unread(Matter& matter) {
  ReportReceived received{.report_id = "r1", .case_id = "case1", .student = "child", .reporter = "class_teacher"};
  received.discovered_time = matter.now;
  received.indicators = {"W1a"};
  EXPECT_TRUE(matter.Do(received, "class_teacher", "class_teacher").guard.ok());
  return "r1";
}

Applied Classify(Matter& matter, const std::string& report) {
  return matter.Do(Classified{.report_id = report, .level = "severe", .trigger = true}, "risk", "");
}

BreakGlassRung Rung(const Matter& matter, const std::string& report) {
  return {.report_id = report, .people = {"leader", "deputy"}, .by = "intake", .rung_time = matter.now};
}
BreakGlassTaken Taken(const Matter& matter, const std::string& report, const std::string& person = "deputy") {
  return {.report_id = report, .person = person, .taken_time = matter.now};
}

TEST(BreakGlassFoldTest, TakenBeforeTheRulesReadIt_TheAlertIsTakenAsItIsRaised) {
  Matter matter;
  const std::string report = Unread(matter);
  ASSERT_TRUE(matter.Do(Rung(matter, report), "intake", "").guard.ok());
  ASSERT_TRUE(matter.Do(Taken(matter, report), "deputy", "").guard.ok());
  ASSERT_TRUE(Classify(matter, report).guard.ok());
  EXPECT_FALSE(matter.Rings("severe_ladder")) << "nobody is rung again";
  EXPECT_EQ(matter.Alert("severe_ladder")->taken_by, "deputy");
  EXPECT_EQ(matter.Phase("first_call"), ClockPhase::kMet) << "somebody was called";
  EXPECT_EQ(matter.Phase("taken"), ClockPhase::kMet);
  // Paging stops, no clock does.
  EXPECT_EQ(matter.Phase("phone_report"), ClockPhase::kRunning);
  EXPECT_EQ(matter.Phase("written_report"), ClockPhase::kRunning);
  EXPECT_TRUE(matter.custody().supervised);
}

TEST(BreakGlassFoldTest, TakenWhileTheLadderRings_TheAlertIsTaken) {
  Matter matter;
  const std::string report = Unread(matter);
  ASSERT_TRUE(Classify(matter, report).guard.ok());
  ASSERT_TRUE(matter.Rings("severe_ladder"));
  ASSERT_TRUE(matter.Do(Rung(matter, report), "intake", "").guard.ok());
  EXPECT_TRUE(matter.Rings("severe_ladder")) << "ringing is not taking";
  EXPECT_EQ(matter.Phase("first_call"), ClockPhase::kMet);
  ASSERT_TRUE(matter.Do(Taken(matter, report), "deputy", "").guard.ok());
  EXPECT_FALSE(matter.Rings("severe_ladder"));
}

TEST(BreakGlassFoldTest, ToldTwice_HasOneEffect) {
  Matter matter;
  const std::string report = Unread(matter);
  ASSERT_TRUE(matter.Do(Rung(matter, report), "intake", "").guard.ok());
  BreakGlassRung again = Rung(matter, report);
  again.rung_time += absl::Milliseconds(3);
  EXPECT_FALSE(matter.Do(again, "intake", "").guard.ok());
  matter.now += absl::Minutes(1);
  EXPECT_TRUE(matter.Do(Rung(matter, report), "intake", "").guard.ok()) << "the next round is another";
  ASSERT_TRUE(matter.Do(Taken(matter, report), "deputy", "").guard.ok());
  EXPECT_FALSE(matter.Do(Taken(matter, report, "leader"), "leader", "").guard.ok());
  ASSERT_TRUE(Classify(matter, report).guard.ok());
  EXPECT_EQ(matter.Alert("severe_ladder")->taken_by, "deputy");
}

TEST(BreakGlassFoldTest, WhoIsOffTheMatterCannotTakeIt) {
  Matter matter;
  const std::string report = Unread(matter);
  ASSERT_TRUE(matter.Do(Recused{.person = "deputy"}).guard.ok());
  ASSERT_TRUE(matter.Do(Taken(matter, report), "deputy", "").guard.ok());
  ASSERT_TRUE(Classify(matter, report).guard.ok());
  EXPECT_TRUE(matter.Rings("severe_ladder"));
}

TEST(BreakGlassFoldTest, ASecondTriggerIsNotTakenByTheFirstsTaking) {
  Matter matter;
  const std::string report = Unread(matter);
  ASSERT_TRUE(matter.Do(Taken(matter, report), "deputy", "").guard.ok());
  ASSERT_TRUE(Classify(matter, report).guard.ok());
  ASSERT_FALSE(matter.Rings("severe_ladder"));
  matter.Report({.indicators = {"W1t"}, .deteriorating = true});
  EXPECT_TRUE(matter.Rings("severe_ladder"));
}

TEST(BreakGlassFoldTest, IsRecordedForAClosedCaseTooAndChangesNothing) {
  Matter matter;
  EXPECT_TRUE(matter.Do(Rung(matter, "unknown"), "intake", "").guard.ok());
  EXPECT_TRUE(matter.Do(Taken(matter, "unknown"), "deputy", "").guard.ok());
  EXPECT_FALSE(matter.file.current.has_value());
}

}  // namespace
}  // namespace vigil::domain
