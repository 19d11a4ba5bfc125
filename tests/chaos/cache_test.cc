// RELIABILITY.md, test 6: the cache is flushed, dies and comes back with clocks armed.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"

namespace vigil::chaos {
namespace {

TEST(CacheChaosTest, FlushedAndDead_NoClockIsMissedAndNobodyIsSignedOut) {
  const int files = Count(150, 20'000);
  Nemesis nemesis({.speed = 1, .restart_brokers = false, .students = files + 10});
  for (int i = 0; i < files; ++i) {
    // A report that no rule classifies must be read by a person within half an hour.
    const json unread{{"student", {{"id", nemesis.school().students[static_cast<std::size_t>(i)]}}}, {"narrative", kCanary}};
    EXPECT_EQ(nemesis.Report(unread, false, absl::StrCat("armed-", i)).status, 201);
  }
  ASSERT_TRUE(Eventually(absl::Seconds(60), [&] { return nemesis.stack().Metric("ESCALATION_TIMER", "vigil_clocks_running") >= files; }))
      << nemesis.stack().Metric("ESCALATION_TIMER", "vigil_clocks_running");
  Figure("clocks_armed", absl::StrCat(nemesis.stack().Metric("ESCALATION_TIMER", "vigil_clocks_running")));
  const std::string leader = nemesis.school().Staff("leader").token;
  const auto rings = [&](int student) {
    const std::size_t calls = nemesis.stack().Count(nemesis.school().leader_phone, "call");
    EXPECT_EQ(nemesis.Report(nemesis.Severe(student), true, absl::StrCat("severe-", student)).status, 201);
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return nemesis.stack().Count(nemesis.school().leader_phone, "call") > calls; }));
    EXPECT_EQ(nemesis.stack().Get("/api/v1/schools/" + nemesis.school().id + "/cases?page_size=1", leader).status, 200) << "nobody is signed out";
  };
  const stack::Outcome flushed = nemesis.stack().Vigil("--help >/dev/null; redis-cli -u \"$VIGIL_REDIS_URL\" --no-auth-warning FLUSHALL");
  EXPECT_EQ(flushed.exit_code, 0) << flushed.err;
  rings(files + 1);
  nemesis.Kill("REDIS");
  rings(files + 2);
  nemesis.KillAndAwait("ESCALATION_TIMER");
  nemesis.KillAndAwait("INTAKE");
  EXPECT_TRUE(Eventually(absl::Seconds(30), [&] { return nemesis.stack().Get("/readyz").status == 200; })) << "a cold start without it";
  rings(files + 3);
  // Everything falls due while it is away.
  const double fired = nemesis.stack().Metric("ESCALATION_TIMER", "vigil_clocks_overdue");
  nemesis.stack().SetSpeed(1000);
  absl::SleepFor(absl::Seconds(3));
  nemesis.stack().SetSpeed(1);
  EXPECT_TRUE(Eventually(absl::Seconds(20), [&] { return nemesis.stack().Metric("ESCALATION_TIMER", "vigil_clocks_overdue") >= fired + files; }))
      << "none is missed: " << nemesis.stack().Metric("ESCALATION_TIMER", "vigil_clocks_overdue");
  nemesis.StartMissing();
  rings(files + 4);
  const Verdict verdict = nemesis.Judge();
  Figure("latest_clock", absl::FormatDuration(verdict.latest_clock));
}

}  // namespace
}  // namespace vigil::chaos
