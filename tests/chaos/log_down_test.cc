// RELIABILITY.md, test 4: the log, and with it the key bucket, is away while people report; intake and notification start cold meanwhile.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"

namespace vigil::chaos {
namespace {

constexpr absl::Duration kDrainedWithin = absl::Seconds(60);

TEST(LogDownChaosTest, ReportsAreAcceptedAndRungAndAllIsInTheLogAfterwards) {
  Nemesis nemesis({.restart_brokers = false, .students = 60});
  absl::SleepFor(absl::Seconds(5));  // the emergency list follows the directory
  const absl::Duration away = Count(absl::Seconds(20), absl::Minutes(10));
  nemesis.Report(nemesis.Quiet(0), false, "before");
  nemesis.Kill("NATS");
  const absl::Time end = absl::Now() + away;
  nemesis.StartLoad(2, 40);
  int unknown = 0;
  bool cold = false;
  const std::size_t calls = nemesis.stack().Count(nemesis.school().leader_phone, "call");
  const absl::Time severe = absl::Now();
  EXPECT_EQ(nemesis.Report(nemesis.Severe(7), true, "severe-down").status, 201);
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return nemesis.stack().Count(nemesis.school().leader_phone, "call") > calls; }));
  Figure("rang_while_log_down", absl::FormatDuration(absl::Now() - severe));
  while (absl::Now() < end) {
    // Children nobody here has heard of: their keys cannot be stored now.
    const json report{{"student", {{"name", absl::StrCat("新生", unknown)}, {"class", "1-1"}}}, {"factors", {"H2"}}, {"narrative", kCanary}};
    EXPECT_EQ(nemesis.Report(report, false, absl::StrCat("unknown-", unknown++)).status, 201);
    if (!std::exchange(cold, cold || absl::Now() > end - away / 2) && cold) {
      nemesis.KillAndAwait("INTAKE");
      nemesis.KillAndAwait("NOTIFICATION");
      const std::size_t before = nemesis.stack().Count(nemesis.school().leader_phone, "call");
      const absl::Time asked = absl::Now();
      EXPECT_EQ(nemesis.Report(nemesis.Severe(8), true, "severe-cold").status, 201);
      EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return nemesis.stack().Count(nemesis.school().leader_phone, "call") > before; }));
      Figure("rang_after_cold_start", absl::FormatDuration(absl::Now() - asked));
    }
    absl::SleepFor(absl::Milliseconds(200));
  }
  nemesis.StopLoad();
  Figure("accepted_while_down", absl::StrCat(nemesis.accepted() - 1));
  const absl::Time back = absl::Now();
  nemesis.StartMissing();
  const Verdict verdict = nemesis.Judge(kDrainedWithin, away);
  Figure("back_and_drained", absl::FormatDuration(absl::Now() - back));
  EXPECT_GT(verdict.reports, 10U);
}

}  // namespace
}  // namespace vigil::chaos
