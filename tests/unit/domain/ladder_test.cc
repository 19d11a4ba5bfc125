#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

struct Step {
  absl::Duration after;
  LadderClimbed climbed;
};

// The climbs of the newest alert of a ladder, each with the time since `start`.
std::vector<Step> Climbs(const Matter& matter, std::string_view ladder, absl::Time start) {
  std::vector<Step> steps;
  for (const Commit& commit : matter.commits) {
    for (const Event& event : commit.events) {
      const auto* climbed = std::get_if<LadderClimbed>(&event.body);
      if (climbed == nullptr) continue;
      const AlertState* alert = FindAlert(matter.file, climbed->alert_id);
      if (alert != nullptr && alert->ladder == ladder) steps.push_back({commit.recorded_time - start, *climbed});
    }
  }
  return steps;
}

void CallStep(Matter& matter, std::string_view ladder, AttemptEvent outcome) {
  const AlertState alert = *matter.Alert(ladder);
  const LadderStep& step = PrimarySchool().FindLadder(ladder)->steps[static_cast<std::size_t>(alert.step)];
  for (const std::string& person : ResolveStep(PrimarySchool(), matter.school, matter.file, alert, step, matter.now).reachable) {
    const std::string id = alert.alert_id + "/" + person + "/" + std::to_string(alert.round) + "/" + std::to_string(alert.step);
    ASSERT_TRUE(matter.Do(AttemptIntended{.attempt_id = id, .alert_id = alert.alert_id, .person = person, .channel = step.call ? "call" : "sms",
                                          .provider = "p", .step = alert.step, .round = alert.round}, "notice", "").guard.ok());
    matter.Do(AttemptProgressed{.attempt_id = id, .event = AttemptEvent::kSent, .event_time = matter.now}, "notice", "");
    if (outcome != AttemptEvent::kSent) matter.Do(AttemptProgressed{.attempt_id = id, .event = outcome, .event_time = matter.now}, "notice", "");
  }
}

void Unreachable(Matter& matter, const std::vector<std::string>& people) {
  for (const std::string& id : people) matter.school.people[id].has_phone = false;
}

TEST(LadderTest, RingsLeaderOfficeAndGradeHeadTogetherThenDeputyAndCrisisDutyThenAgain) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  const absl::Time start = matter.now;
  const LadderRow& ladder = *PrimarySchool().FindLadder("severe_ladder");
  const AlertState& alert = *matter.Alert("severe_ladder");
  EXPECT_THAT(ResolveStep(PrimarySchool(), matter.school, matter.file, alert, ladder.steps[0], matter.now).reachable,
              UnorderedElementsAre("leader", "office", "grade_head"));
  EXPECT_THAT(ResolveStep(PrimarySchool(), matter.school, matter.file, alert, ladder.steps[1], matter.now).reachable,
              UnorderedElementsAre("deputy", "crisis"));
  matter.Wait(absl::Minutes(3));
  const std::vector<Step> climbs = Climbs(matter, "severe_ladder", start);
  ASSERT_EQ(climbs.size(), 3u);
  EXPECT_EQ(climbs[0].after, absl::Seconds(60));
  EXPECT_EQ(climbs[0].climbed.step, 1);
  EXPECT_EQ(climbs[0].climbed.reason, "unanswered");
  EXPECT_EQ(climbs[1].after, absl::Seconds(120));
  EXPECT_EQ(climbs[1].climbed.step, 0);
  EXPECT_EQ(climbs[1].climbed.round, 2);
}

TEST(LadderTest, WithNobodyAtAllTriesARoundEachMinuteWithAnAlarmAndDoesNotSpin) {
  Matter matter;
  for (auto& [id, person] : matter.school.people) person.has_phone = false;
  matter.Report({.indicators = {"W1a"}});
  const absl::Time start = matter.now;
  matter.Wait(absl::Minutes(10));
  const std::vector<Step> climbs = Climbs(matter, "severe_ladder", start);
  ASSERT_EQ(climbs.size(), 10u);
  for (std::size_t i = 0; i < climbs.size(); ++i) {
    EXPECT_EQ(climbs[i].after, absl::Minutes(1) * (static_cast<int>(i) + 1));
    EXPECT_TRUE(climbs[i].climbed.alarm);
    EXPECT_EQ(climbs[i].climbed.round, static_cast<int>(i) + 2);
    EXPECT_EQ(climbs[i].climbed.reason, "nobody_reachable");
  }
}

TEST(LadderTest, SkipsAStepWithNobodyReachableAtOnce) {
  Matter matter;
  Unreachable(matter, {"leader", "office", "grade_head"});
  matter.Report({.indicators = {"W1a"}});
  const absl::Time start = matter.now;
  matter.Wait(absl::ZeroDuration());
  const std::vector<Step> climbs = Climbs(matter, "severe_ladder", start);
  ASSERT_EQ(climbs.size(), 1u);
  EXPECT_EQ(climbs[0].climbed.step, 1);
  EXPECT_FALSE(climbs[0].climbed.alarm);
}

TEST(LadderTest, SomebodyPutOnTheRosterIsRungWithoutWaiting) {
  Matter matter;
  for (auto& [id, person] : matter.school.people) person.has_phone = false;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Seconds(90));
  matter.school.people["leader"].has_phone = true;
  const auto climb = NextClimb(PrimarySchool(), matter.school, matter.file, *matter.Alert("severe_ladder"), matter.now);
  ASSERT_TRUE(climb.has_value());
  // Either the present step now has somebody, or the ladder goes there at once.
  const AlertState& alert = *matter.Alert("severe_ladder");
  if (alert.step != 0) {
    EXPECT_LE(climb->not_before, matter.now);
  }
}

TEST(LadderTest, EverybodyBusyGoesToTheNextStepAtOnceButNeverToANewRound) {
  for (const AttemptEvent outcome : {AttemptEvent::kBusy, AttemptEvent::kNoAnswer, AttemptEvent::kVoicemail, AttemptEvent::kFailed, AttemptEvent::kDeclined}) {
    Matter matter;
    matter.Report({.indicators = {"W1a"}});
    const absl::Time start = matter.now;
    CallStep(matter, "severe_ladder", outcome);
    matter.Wait(absl::ZeroDuration());
    ASSERT_EQ(Climbs(matter, "severe_ladder", start).size(), 1u);
    EXPECT_EQ(matter.Alert("severe_ladder")->step, 1);
    CallStep(matter, "severe_ladder", outcome);
    matter.Wait(absl::Seconds(59));
    EXPECT_EQ(matter.Alert("severe_ladder")->round, 1) << "busy phones must not spin";
    matter.Wait(absl::Seconds(1));
    EXPECT_EQ(matter.Alert("severe_ladder")->round, 2);
  }
}

TEST(LadderTest, OneStillRingingKeepsTheStep) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  CallStep(matter, "severe_ladder", AttemptEvent::kSent);
  matter.Wait(absl::Seconds(59));
  EXPECT_EQ(matter.Alert("severe_ladder")->step, 0);
}

TEST(LadderTest, TakingStopsItAndNothingElse) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Minutes(2));
  ASSERT_TRUE(matter.Take("severe_ladder"));
  EXPECT_FALSE(NextClimb(PrimarySchool(), matter.school, matter.file, *matter.Alert("severe_ladder"), matter.now).has_value());
  for (const char* kind : {"phone_report", "written_report", "special_supervision", "guardian_contact", "assessment", "night_plan"}) {
    EXPECT_EQ(matter.Phase(kind), ClockPhase::kRunning) << kind;
  }
  EXPECT_EQ(matter.Phase("taken"), ClockPhase::kMet);
}

TEST(LadderTest, RingsForADayAndANightUntilSomebodyTakesIt) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Hours(24));
  EXPECT_TRUE(matter.Rings("severe_ladder"));
  EXPECT_EQ(matter.Alert("severe_ladder")->round, 24 * 30 + 1);
}

TEST(LadderTest, WhoIsOffTheMatterIsNotRung) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Do(Recused{.person = "leader"});
  const LadderRow& ladder = *PrimarySchool().FindLadder("severe_ladder");
  EXPECT_THAT(ResolveStep(PrimarySchool(), matter.school, matter.file, *matter.Alert("severe_ladder"), ladder.steps[0], matter.now).reachable,
              UnorderedElementsAre("office", "grade_head"));
}

TEST(NoticeTest, EndsOnlyAfterItHasGoneOut) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Minutes(15));  // half of guardian_contact: the guardians are asked to call back
  ASSERT_TRUE(matter.Rings("guardian_sms"));
  matter.Wait(absl::Minutes(5));
  EXPECT_TRUE(matter.Rings("guardian_sms")) << "nothing was sent yet";
  CallStep(matter, "guardian_sms", AttemptEvent::kSent);
  matter.Wait(absl::ZeroDuration());
  EXPECT_FALSE(matter.Rings("guardian_sms"));
}

TEST(NoticeTest, ThatNoProviderCarriesIsTriedForAWhileAndThenGivenUp) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Minutes(15));
  CallStep(matter, "guardian_sms", AttemptEvent::kRefused);
  matter.Wait(absl::Minutes(14));
  EXPECT_TRUE(matter.Rings("guardian_sms"));
  matter.Wait(absl::Minutes(1));
  EXPECT_FALSE(matter.Rings("guardian_sms"));
}

TEST(NoticeTest, CannotBeTaken) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Wait(absl::Minutes(15));
  EXPECT_FALSE(matter.Take("guardian_sms"));
}

TEST(NoticeTest, ToTheOfficeWaitsForTheMorning) {
  Matter matter(At("2026-03-10 23:00"));
  matter.Report({.indicators = {}, .student = ""});
  matter.Wait(absl::Minutes(30));
  ASSERT_TRUE(matter.Rings("office_notice"));
  const AlertState& alert = *matter.Alert("office_notice");
  CallStep(matter, "office_notice", AttemptEvent::kSent);
  const auto climb = NextClimb(PrimarySchool(), matter.school, matter.file, alert, matter.now);
  ASSERT_TRUE(climb.has_value());
  EXPECT_EQ(climb->not_before, At("2026-03-11 07:00"));
}

TEST(AlertsToRaiseTest, ATriggerHasItsAlertInTheSameCommit) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  const Commit& classified = matter.commits.back();
  ASSERT_TRUE(std::holds_alternative<Classified>(classified.events.front().body));
  const auto* raised = std::get_if<AlertRaised>(&classified.events.back().body);
  ASSERT_NE(raised, nullptr);
  EXPECT_EQ(raised->ladder, "severe_ladder");
  EXPECT_EQ(raised->trigger, 1);
}

TEST(AlertsToRaiseTest, AVoidDraftRaisesNothing) {
  Matter matter;
  Commit commit{.id = "m", .school = "school", .file = "file", .recorded_time = matter.now};
  commit.events.push_back(Event{ClockExpired{.clock_id = "phone_report-1", .due_time = matter.now}});
  EXPECT_TRUE(AlertsToRaise(matter.file, commit, matter.context(), [](std::string_view p) { return std::string(p); }).empty());
}

TEST(AlertsToRaiseTest, TheSameCauseGivesTheSameIds) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  Commit commit{.id = "m", .school = "school", .file = "file", .recorded_time = matter.now};
  commit.events.push_back(Event{DepartureRecorded{.kind = "not_found"}});
  const auto ids = [](std::string_view p) { return "x/" + std::string(p); };
  EXPECT_EQ(AlertsToRaise(matter.file, commit, matter.context(), ids), AlertsToRaise(matter.file, commit, matter.context(), ids));
}

TEST(AlertsToRaiseTest, OneOpenAlertOfAKindIsEnough) {
  Matter matter;
  matter.Report({.indicators = {"W1a"}});
  matter.Do(DepartureRecorded{.kind = "not_found"});
  matter.Do(DepartureRecorded{.kind = "left"});
  int raised = 0;
  for (const AlertState& alert : matter.current().alerts) raised += alert.ladder == "search_ladder" ? 1 : 0;
  EXPECT_EQ(raised, 1);
}

}  // namespace
}  // namespace vigil::domain
