#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;

// REP-13, REP-14, REP-15, REP-18, REP-19.
TEST(WrittenReportTest, IsDueTwentyFourHoursFromDiscoveryAlsoOverAWeekend) {
  Scene scene(At("2026-03-13 16:00"));
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .discovered = At("2026-03-13 11:30")});
  EXPECT_EQ(scene.Due(c, "written_report"), At("2026-03-14 11:30"));
}

TEST(WrittenReportTest, BackDatingShortensItToOverdueIfNeedBe) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .discovered = scene.now() - absl::Hours(25)});
  scene.Wait(absl::Seconds(1));
  EXPECT_EQ(scene.ClockState(c, "written_report"), "overdue");
}

TEST(WrittenReportTest, CorrectingDiscoveryMovesItAndNeedsAReason) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}});
  ASSERT_TRUE(scene.CorrectDiscovery(c, scene.now() - absl::Hours(20)).ok());
  EXPECT_EQ(scene.Due(c, "written_report"), scene.now() + absl::Hours(4));
  EXPECT_EQ(scene.CorrectDiscovery(c, scene.now() + absl::Hours(1)).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(scene.CorrectDiscovery(c, scene.now() - absl::Hours(30)).ok());
  scene.Wait(absl::Seconds(1));
  EXPECT_EQ(scene.ClockState(c, "written_report"), "overdue");
}

TEST(WrittenReportTest, WarnsTheAuthorAndTheOfficeWithTwelveFourAndOneHourLeft) {
  Scene scene(At("2026-03-10 21:00"));
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  for (const absl::Duration left : {absl::Hours(12), absl::Hours(4), absl::Hours(1)}) {
    scene.KeepUntil(scene.Due(c, "written_report") - left - absl::Minutes(1), "teacher", c);
    scene.Hush();
    scene.Wait(absl::Minutes(2));
    EXPECT_THAT(scene.Rung("sms"), Contains("teacher")) << left;
    EXPECT_THAT(scene.Rung("sms"), Contains("office")) << left;
  }
}

TEST(WrittenReportTest, FiledLateIsAcceptedAndStaysMarkedLate) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  scene.KeepUntil(scene.now() + absl::Hours(25), "teacher", c);
  const auto filed = scene.FileReport("teacher", c);
  ASSERT_TRUE(filed.ok()) << filed.status();
  EXPECT_EQ(scene.ClockState(c, "written_report"), "met");
  EXPECT_TRUE(scene.Clock(c, "written_report")->late());
  ASSERT_EQ(filed->records_size(), 1);
  EXPECT_TRUE(filed->records(0).late());
}

TEST(WrittenReportTest, TheOfficeAcknowledgesItWithinFourHours) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}});
  ASSERT_TRUE(scene.FileReport("teacher", c).ok());
  EXPECT_EQ(scene.Due(c, "office_receipt"), scene.now() + absl::Hours(4));
  api::ReceiveWrittenReportRequest receive;
  receive.set_case_(c);
  ASSERT_TRUE(scene.Try(Scene::As("office"), receive).ok());
  EXPECT_EQ(scene.ClockState(c, "office_receipt"), "met");
}

TEST(WrittenReportTest, ASecondDeteriorationOpensItsOwnPairAndLeavesTheFirstAlone) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}});
  const absl::Time first_written = scene.Due(c, "written_report", 1);
  const absl::Time first_phone = scene.Due(c, "phone_report", 1);
  scene.Wait(absl::Minutes(20));
  ASSERT_EQ(scene.Report("class_teacher", {.deteriorating = true}), c);
  EXPECT_EQ(scene.Due(c, "written_report", 1), first_written);
  EXPECT_EQ(scene.Due(c, "phone_report", 1), first_phone);
  EXPECT_EQ(scene.Due(c, "written_report", 2), scene.now() + absl::Hours(24));
  EXPECT_EQ(scene.Due(c, "phone_report", 2), scene.now() + absl::Minutes(30));
  ASSERT_TRUE(scene.FileReport("teacher", c).ok());
  EXPECT_EQ(scene.ClockState(c, "written_report", 1), "met");
  EXPECT_EQ(scene.ClockState(c, "written_report", 2), "running");
}

TEST(WrittenReportTest, DoesNotStandInForThePhoneNorThePhoneForIt) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}});
  ASSERT_TRUE(scene.FileReport("teacher", c).ok());
  EXPECT_EQ(scene.ClockState(c, "phone_report"), "running");
  Scene other;
  const std::string d = other.Report("teacher", {.signals = {"W1a"}});
  ASSERT_TRUE(other.Spoke("teacher", d, "leader").ok());
  EXPECT_EQ(other.ClockState(d, "phone_report"), "met");
  EXPECT_EQ(other.ClockState(d, "written_report"), "running");
}

TEST(WrittenReportTest, IsNotOwedForOrdinaryReports) {
  for (const char* signal : {"W2a", "W3a", "W2d"}) {
    Scene scene;
    const std::string c = scene.Report("teacher", {.signals = {signal}});
    scene.Wait(absl::Minutes(1));
    EXPECT_FALSE(scene.Clock(c, "written_report").has_value()) << signal;
    EXPECT_FALSE(scene.Clock(c, "phone_report").has_value()) << signal;
  }
}

}  // namespace
}  // namespace vigil::scenario
