#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

// INT-08: whatever fails between a severe report and the telephone, somebody is rung.
class BreakGlassTest : public ::testing::Test {
 protected:
  api::CreateReportResponse Severe(const std::string& student = "child") {
    const auto accepted = scene_.TryReport(Scene::As("teacher"), Scene::RequestOf({.signals = {"W1a"}, .student = student}));
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    return accepted.value_or(api::CreateReportResponse());
  }
  void ExpectNoEmergency() { EXPECT_THAT(scene_.RungInEmergency(), IsEmpty()); }
  Scene scene_;
};

TEST_F(BreakGlassTest, NobodyIsRungTwiceWhenAllIsWell) {
  Severe();
  scene_.Watch(absl::Minutes(5));
  ExpectNoEmergency();
  scene_.Press("leader", "1");
  scene_.Watch(absl::Minutes(30));
  ExpectNoEmergency();
}

TEST_F(BreakGlassTest, AQuietReportNeverBreaksGlass) {
  scene_.risk->Kill();
  ASSERT_TRUE(scene_.TryReport(Scene::As("teacher"), Scene::RequestOf({.signals = {}, .factors = {"H2"}})).ok());
  scene_.Watch(absl::Minutes(5));
  ExpectNoEmergency();
}

TEST_F(BreakGlassTest, RulesDead_TheLadderRingsAtOnceAllTheSame) {
  scene_.risk->Kill();
  const auto report = Severe();
  scene_.Watch(absl::Seconds(1));
  EXPECT_THAT(scene_.Rung("call"), Contains("leader"));
  EXPECT_EQ(scene_.ClockState(report.case_id(), "written_report"), "running");
  scene_.Watch(absl::Minutes(5));
  ExpectNoEmergency();
}

TEST_F(BreakGlassTest, NotificationDead_TheListIsRungAfterFiveSecondsAndEveryMinute) {
  scene_.notice->Kill();
  Severe();
  scene_.Watch(absl::Seconds(4));
  ExpectNoEmergency();
  scene_.Watch(absl::Seconds(2));
  EXPECT_THAT(scene_.RungInEmergency(), IsSupersetOf({"leader", "deputy", "office"}));
  const std::size_t calls = scene_.emergency_phones.placed().size();
  scene_.Watch(absl::Minutes(1));
  EXPECT_EQ(scene_.emergency_phones.placed().size(), 2 * calls);
}

TEST_F(BreakGlassTest, NotificationDeadAndTaken_WhenItIsBackTheMatterIsTakenAndNobodyIsRungAgain) {
  scene_.notice->Kill();
  const auto report = Severe();
  scene_.Watch(absl::Seconds(6));
  scene_.TakeInEmergency("deputy");
  scene_.Watch(absl::Minutes(1));
  const std::size_t calls = scene_.emergency_phones.placed().size();
  scene_.Hush();
  scene_.notice->Start();
  scene_.Watch(absl::Seconds(10));
  const auto alert = scene_.Alert(report.case_id(), "severe_ladder");
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->taken_by(), "deputy");
  EXPECT_THAT(scene_.Rung("call"), IsEmpty());
  EXPECT_EQ(scene_.emergency_phones.placed().size(), calls);
  EXPECT_EQ(scene_.ClockState(report.case_id(), "first_call"), "met");
  EXPECT_EQ(scene_.ClockState(report.case_id(), "phone_report"), "running") << "paging stops, no clock does";
}

TEST_F(BreakGlassTest, NotificationDeadAndNotTaken_WhenItIsBackTheLadderTakesOver) {
  scene_.notice->Kill();
  Severe();
  scene_.Watch(absl::Seconds(6));
  const std::size_t calls = scene_.emergency_phones.placed().size();
  scene_.Hush();
  scene_.notice->Start();
  scene_.Watch(absl::Minutes(3));
  EXPECT_THAT(scene_.Rung("call"), Contains("leader"));
  EXPECT_EQ(scene_.emergency_phones.placed().size(), calls) << "one rings, not both";
}

TEST_F(BreakGlassTest, NotificationDead_IsRungAndTakenWhileTheAlertIsOpen) {
  scene_.notice->Kill();
  const auto report = Severe();
  scene_.Watch(absl::Seconds(6));
  EXPECT_THAT(scene_.RungInEmergency(), Contains("leader"));
  scene_.TakeInEmergency("leader");
  scene_.Watch(absl::Seconds(3));
  const auto alert = scene_.Alert(report.case_id(), "severe_ladder");
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->taken_by(), "leader");
  scene_.notice->Start();
  scene_.Watch(absl::Minutes(2));
  EXPECT_THAT(scene_.Rung("call"), IsEmpty());
}

TEST_F(BreakGlassTest, TimerDead_ALadderThatStandsStillIsRungPast) {
  const auto report = Severe();
  scene_.timer->Kill();
  scene_.Watch(absl::Minutes(2));
  ExpectNoEmergency();
  scene_.Watch(absl::Minutes(1));
  EXPECT_THAT(scene_.RungInEmergency(), Contains("deputy"));
  scene_.timer->Start();
  scene_.Watch(absl::Seconds(5));
  const std::size_t calls = scene_.emergency_phones.placed().size();
  scene_.Watch(absl::Minutes(5));
  EXPECT_EQ(scene_.emergency_phones.placed().size(), calls) << "the ladder goes on";
  EXPECT_TRUE(scene_.Rings(report.case_id(), "severe_ladder"));
}

TEST_F(BreakGlassTest, LogDown_TheReportIsAcceptedRungTakenAndRecordedOnceTheLogIsBack) {
  scene_.world.broker().Stop();
  scene_.world.Settle();
  scene_.desk().OnLogConnection(false);
  const auto report = Severe();
  EXPECT_EQ(report.provisional_level(), "severe");
  scene_.Watch(absl::Seconds(6));
  EXPECT_THAT(scene_.RungInEmergency(), Contains("leader"));
  scene_.TakeInEmergency("leader");
  scene_.Watch(absl::Minutes(5));
  scene_.Hush();
  const std::size_t calls = scene_.emergency_phones.placed().size();
  scene_.world.broker().Start();
  scene_.desk().OnLogConnection(true);
  scene_.Watch(absl::Seconds(10));
  const auto receipt = scene_.Receipt("teacher", report.report_id());
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  const auto alert = scene_.Alert(receipt->case_id(), "severe_ladder");
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->taken_by(), "leader");
  EXPECT_EQ(scene_.emergency_phones.placed().size(), calls);
}

TEST_F(BreakGlassTest, LogDown_AnAlertThatRangBeforeIsRungOn) {
  Severe();
  scene_.Watch(absl::Seconds(10));
  scene_.world.broker().Stop();
  scene_.Watch(absl::Minutes(3));
  EXPECT_THAT(scene_.RungInEmergency(), Contains("deputy"));
}

TEST_F(BreakGlassTest, AppendsThatAreNeverAnswered_TheReportIsPromisedFromThisDiskWithinSeconds) {
  // The connection stands; nothing comes back.
  scene_.world.broker().SetLatency([] { return absl::Hours(1); });
  std::optional<absl::StatusOr<api::CreateReportResponse>> answer;
  scene_.desk().CreateReport(Scene::As("teacher"), Scene::RequestOf({.signals = {"W1a"}}),
                             [&](absl::StatusOr<api::CreateReportResponse> response) { answer = std::move(response); });
  scene_.Watch(absl::Seconds(8));
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok()) << answer->status();
  EXPECT_THAT(scene_.RungInEmergency(), Contains("leader"));
}

TEST_F(BreakGlassTest, IntakeRestartedWhileNotificationIsDead_RingsOn) {
  scene_.notice->Kill();
  Severe();
  scene_.Watch(absl::Seconds(2));
  scene_.RestartIntake();
  scene_.Watch(absl::Seconds(7));
  EXPECT_THAT(scene_.RungInEmergency(), Contains("leader"));
}

TEST_F(BreakGlassTest, IntakeRestartedAfterATakingThatIsInTheLog_StaysQuiet) {
  scene_.notice->Kill();
  Severe();
  scene_.Watch(absl::Seconds(6));
  scene_.TakeInEmergency("deputy");
  scene_.Watch(absl::Seconds(3));
  const std::size_t calls = scene_.emergency_phones.placed().size();
  scene_.RestartIntake();
  scene_.Watch(absl::Minutes(3));
  EXPECT_EQ(scene_.emergency_phones.placed().size(), calls);
}

}  // namespace
}  // namespace vigil::scenario
