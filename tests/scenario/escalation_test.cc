// What a severe report sets going when nobody does anything, and what stops it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "escalation-timer/escalation_timer.h"
#include "platform/metrics/metrics.h"
#include "risk-rules/risk_rules.h"
#include "scenario/support/world.h"

namespace vigil::scenario {
namespace {

using domain::AlertPhase;
using domain::ClockPhase;
using ::testing::HasSubstr;

class EscalationTest : public testing::Test {
 protected:
  EscalationTest() { world_.OpenSchool(intake_); }

  // From now on whatever rings is taken by the leader after this long.
  void LeaderTakesAfter(absl::Duration wait) {
    world_.Run({.source = "notice", .make = [wait](Node&) { return std::make_unique<EverybodyAnswers>(wait); }});
  }

  // An adult is with the child and says so, as somebody is on most days.
  void AdultComes() { ASSERT_TRUE(intake_.Do("school", "file", domain::SightConfirmed{.person = "teacher"}, "teacher", "teacher").ok()); }

  void Take(std::string_view ladder) {
    const domain::AlertState* alert = intake_.Alert(ladder);
    ASSERT_NE(alert, nullptr);
    ASSERT_TRUE(intake_.Do("school", "file", domain::AlertTaken{.alert_id = alert->alert_id, .person = "leader", .how = "api"}).ok());
  }

  World world_;
  metrics::Registry metrics_{"test", "0"};
  Node& risk_ = world_.Run({.source = "risk", .make = [](Node&) { return std::make_unique<RiskRules>(); }});
  Node& timer_ = world_.Run({.source = "timer",
                             .make = [this](Node&) { return std::make_unique<EscalationTimer>(&world_.pack(), &world_.clock(), &metrics_); },
                             .attach = [](Service& service, Machine& machine) { static_cast<EscalationTimer&>(service).Attach(&machine); }});
  Node& intake_ = world_.RunWriter("intake");
};

TEST_F(EscalationTest, SevereReportRaisesItsAlertInTheCommitThatClassifiesIt) {
  world_.Report(intake_, {.indicators = {"W1a"}});

  const domain::FileState& file = intake_.File("file");
  ASSERT_TRUE(file.current);
  EXPECT_EQ(file.current->provisional, "severe");
  ASSERT_NE(intake_.Alert("severe_ladder"), nullptr);
  EXPECT_EQ(intake_.Alert("severe_ladder")->phase, AlertPhase::kOpen);
  EXPECT_EQ(intake_.Alert("severe_ladder")->raised_time, world_.now());
  EXPECT_EQ(intake_.Clock("written_report")->phase, ClockPhase::kRunning);
}

TEST_F(EscalationTest, ReportIsClassifiedOnce) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  const std::uint64_t version = intake_.File("file").version;
  risk_.Restart();
  world_.Settle();
  EXPECT_EQ(intake_.File("file").version, version);
}

// Found by the simulator (seed 30001): the second time had the ids of the first, so providers took its messages for repetitions and sent nothing.
TEST_F(EscalationTest, ACaseThatWasMovedAwayAndComesBackIsOverdueForAnew) {
  const absl::Time discovered = world_.now() - absl::Hours(25);
  const auto comes = [&](const std::string& case_id) {
    ASSERT_TRUE(intake_.Do("school", "file", domain::CaseJoined{.from_file = "other", .from_case = "c0", .report_ids = {"report"}, .level = "severe", .discovered_time = discovered, .case_id = case_id, .student = "child"}).ok());
    ASSERT_EQ(intake_.Clock("written_report")->phase, ClockPhase::kOverdue);
  };
  comes("c1");
  const std::string first = intake_.Alert("overdue_ladder")->alert_id;
  ASSERT_TRUE(intake_.Do("school", "file", domain::CaseMoved{.to_file = "other", .to_case = "c2", .both_located = true}).ok());
  world_.Advance(absl::Minutes(1));
  comes("c3");
  EXPECT_NE(intake_.Alert("overdue_ladder")->alert_id, first);
}

TEST_F(EscalationTest, LadderClimbsAfterItsWaitAndComesRoundAgainUntilTaken) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  world_.Advance(absl::Seconds(59));
  EXPECT_EQ(intake_.Alert("severe_ladder")->step, 0);
  world_.Advance(absl::Seconds(2));
  EXPECT_EQ(intake_.Alert("severe_ladder")->step, 1);
  world_.Advance(absl::Seconds(60));
  EXPECT_EQ(intake_.Alert("severe_ladder")->round, 2);
  EXPECT_EQ(intake_.Alert("severe_ladder")->step, 0);

  Take("severe_ladder");
  const int round = intake_.Alert("severe_ladder")->round;
  world_.Advance(absl::Minutes(5));
  EXPECT_EQ(intake_.Alert("severe_ladder")->phase, AlertPhase::kTaken);
  EXPECT_EQ(intake_.Alert("severe_ladder")->round, round);
}

TEST_F(EscalationTest, WrittenReportExpiresExactly24HoursAfterDiscovery) {
  LeaderTakesAfter(absl::Minutes(2));
  const absl::Time discovered = world_.now() - absl::Minutes(30);
  world_.Report(intake_, {.indicators = {"W1a"}, .discovered_time = discovered});
  AdultComes();
  EXPECT_EQ(intake_.Clock("written_report")->due_time, discovered + absl::Hours(24));

  world_.AdvanceTo(discovered + absl::Hours(24) - absl::Milliseconds(1));
  EXPECT_EQ(intake_.Clock("written_report")->phase, ClockPhase::kRunning);
  world_.AdvanceTo(discovered + absl::Hours(24));
  EXPECT_EQ(intake_.Clock("written_report")->phase, ClockPhase::kOverdue);
  EXPECT_NE(intake_.Alert("overdue_ladder"), nullptr);
}

TEST_F(EscalationTest, FiledReportIsNotOverdue) {
  LeaderTakesAfter(absl::Minutes(2));
  world_.Report(intake_, {.indicators = {"W1a"}});
  world_.Advance(absl::Minutes(3));
  AdultComes();
  ASSERT_TRUE(intake_.Do("school", "file", domain::RecordFiled{.record_id = "r", .kind = "written_report"}).ok());
  world_.Advance(absl::Hours(48));
  EXPECT_EQ(intake_.Clock("written_report")->phase, ClockPhase::kMet);
}

TEST_F(EscalationTest, WhatFellDueWhileTheTimerWasDownFiresAtItsStartAndSaysSo) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  const absl::Time due = intake_.Clock("phone_report")->due_time;
  timer_.Kill();
  world_.Advance(absl::Hours(2));
  EXPECT_EQ(intake_.Clock("phone_report")->phase, ClockPhase::kRunning);
  timer_.Start();
  world_.Settle();
  EXPECT_EQ(intake_.Clock("phone_report")->phase, ClockPhase::kOverdue);
  EXPECT_LT(due, world_.now());
  EXPECT_NE(intake_.Alert("phone_report_ladder"), nullptr);
}

TEST_F(EscalationTest, SupervisionIsReviewedButNeverExpires) {
  LeaderTakesAfter(absl::Minutes(2));
  world_.Report(intake_, {.indicators = {"W1a"}});
  const absl::Time began = world_.now();
  world_.Advance(absl::Minutes(3));
  AdultComes();
  world_.AdvanceTo(began + absl::Hours(24) * 3 + absl::Minutes(1));
  const domain::ClockState* supervision = intake_.Clock("special_supervision");
  ASSERT_NE(supervision, nullptr);
  EXPECT_EQ(supervision->phase, ClockPhase::kRunning);
  EXPECT_EQ(supervision->fired, 3);
  EXPECT_TRUE(intake_.File("file").current->custody->supervised);
}

TEST_F(EscalationTest, MetricsTellWhatRunsAndWhatIsOverdue) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  EXPECT_THAT(metrics_.Text(), HasSubstr("vigil_clocks_running{kind=\"written_report\"} 1"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("vigil_alerts_untaken 1"));
  world_.Advance(absl::Minutes(31));
  EXPECT_THAT(metrics_.Text(), HasSubstr("vigil_clocks_overdue{kind=\"phone_report\"} 1"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("vigil_clocks_running{kind=\"phone_report\"} 0"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("vigil_clock_lateness_seconds_count"));

  const std::string before = metrics_.Text();
  Take("severe_ladder");
  EXPECT_NE(metrics_.Text(), before);
  EXPECT_THAT(metrics_.Text(), HasSubstr("vigil_alert_taken_seconds_count 1"));
}

TEST_F(EscalationTest, EveryServiceFoldsTheSameStateAndARestartFoldsItAgain) {
  LeaderTakesAfter(absl::Minutes(2));
  world_.Report(intake_, {.indicators = {"W1a"}});
  world_.Advance(absl::Minutes(3));
  ASSERT_EQ(intake_.Alert("severe_ladder")->phase, AlertPhase::kTaken);
  AdultComes();
  world_.Report(intake_, {.indicators = {"H1"}}, "other file");
  world_.Advance(absl::Hours(30));

  const std::string state = intake_.StateBytes();
  EXPECT_EQ(risk_.StateBytes(), state);
  EXPECT_EQ(timer_.StateBytes(), state);
  timer_.Restart();
  world_.Settle();
  EXPECT_EQ(timer_.StateBytes(), state);
  EXPECT_EQ(intake_.StateBytes(), state) << "a restart did something that had been done";
}

}  // namespace
}  // namespace vigil::scenario
