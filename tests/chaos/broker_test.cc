// RELIABILITY.md, test 1: nats-server is killed under load, again and again.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"

namespace vigil::chaos {
namespace {

constexpr absl::Duration kResumedWithin = absl::Seconds(5);

TEST(BrokerChaosTest, KilledUnderLoad_NothingIsLostAndItGoesOnWithinSeconds) {
  Nemesis nemesis({.students = 60});
  const int kills = Count(5, 100);
  nemesis.StartLoad(4);
  absl::Duration longest;
  for (int i = 0; i < kills; ++i) {
    absl::SleepFor(absl::Milliseconds(300 + 137 * (i % 5)));
    const absl::Time killed = absl::Now();
    nemesis.Kill("NATS");
    // Resumed: a report is stored in the log again, and says so by its case.
    Answer answer;
    EXPECT_TRUE(Eventually(absl::Seconds(20), [&] {
      answer = nemesis.Report(nemesis.Quiet(i), false, absl::StrCat("after-kill-", i, "-", absl::ToUnixMillis(absl::Now())));
      return answer.status == 201 && answer.body.contains("case_id");
    })) << answer;
    longest = std::max(longest, absl::Now() - killed);
  }
  nemesis.StopLoad();
  Figure("kills", absl::StrCat(kills));
  Figure("longest_resumption", absl::FormatDuration(longest));
  EXPECT_LE(longest, kResumedWithin);
  const Verdict verdict = nemesis.Judge();
  EXPECT_GT(verdict.reports, 20U);

  // The checker would have said so: evidence with a report taken out, doubled and turned around is found wrong.
  const Evidence evidence = nemesis.Collect();
  ASSERT_TRUE(Check(evidence).violations.empty());
  const auto partition = static_cast<std::size_t>(nemesis.school().partition());
  Evidence lost = evidence;
  lost.log[partition].pop_back();
  lost.reports.push_back({.report_id = "never-stored", .school = nemesis.school().id, .severe = false, .sent = {}, .answered = {}});
  EXPECT_THAT(Check(lost).violations, ::testing::Contains(::testing::HasSubstr("I1: accepted report never-stored")));
  Evidence holed = evidence;
  holed.log[partition].erase(holed.log[partition].begin() + static_cast<std::ptrdiff_t>(holed.log[partition].size() / 2));
  EXPECT_FALSE(Check(holed).violations.empty());
  Evidence spoken = evidence;
  spoken.canaries = {nemesis.school().students[0]};
  EXPECT_THAT(Check(spoken).violations, ::testing::Contains(::testing::HasSubstr("I8")));
}

}  // namespace
}  // namespace vigil::chaos
