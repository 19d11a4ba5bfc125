#include "intake/break_glass_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vigil::intake {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kEvery = absl::Seconds(60);
const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

Matter Of(const std::string& key, const std::string& school = "school") {
  return {.key = key, .report_id = key, .alert_id = "", .school = school, .code = "C" + key};
}

std::vector<std::string> Keys(const BreakGlassWatch::Round& round) {
  std::vector<std::string> keys;
  for (const Matter& matter : round.matters) keys.push_back(matter.key);
  return keys;
}

TEST(BreakGlassWatchTest, RingsFiveSecondsAfterAcceptanceAndEveryRoundUntilTheMatterEnds) {
  BreakGlassWatch watch(kEvery);
  watch.Begin(Of("a"), kStart);
  EXPECT_THAT(watch.Due(kStart + absl::Milliseconds(4999)), IsEmpty());
  EXPECT_EQ(watch.Due(kStart + absl::Seconds(5)).size(), 1U);
  EXPECT_THAT(watch.Due(kStart + absl::Seconds(6)), IsEmpty()) << "once a round";
  EXPECT_THAT(watch.Due(kStart + absl::Seconds(64)), IsEmpty());
  EXPECT_EQ(watch.Due(kStart + absl::Seconds(65)).size(), 1U);
  EXPECT_EQ(watch.Due(kStart + absl::Seconds(125)).size(), 1U) << "without end";
  watch.End("a");
  EXPECT_THAT(watch.Due(kStart + absl::Hours(1)), IsEmpty());
}

TEST(BreakGlassWatchTest, ACallInTimeMeansNoRing) {
  BreakGlassWatch watch(kEvery);
  watch.Begin(Of("a"), kStart);
  watch.End("a");
  EXPECT_THAT(watch.Due(kStart + absl::Seconds(5)), IsEmpty());
}

TEST(BreakGlassWatchTest, OneCallTellsOfAllMattersOfASchoolAndNotOfThoseStillInTime) {
  BreakGlassWatch watch(kEvery);
  watch.Begin(Of("late"), kStart + absl::Seconds(10));
  watch.Begin(Of("second"), kStart + absl::Seconds(1));
  watch.Begin(Of("first"), kStart);
  watch.Begin(Of("other", "elsewhere"), kStart);
  const auto rounds = watch.Due(kStart + absl::Seconds(6));
  ASSERT_EQ(rounds.size(), 2U);
  EXPECT_EQ(rounds[0].school, "elsewhere");
  EXPECT_THAT(Keys(rounds[1]), ElementsAre("first", "second"));
  // The next one's time has come: the school is rung again at once, for all.
  EXPECT_THAT(Keys(watch.Due(kStart + absl::Seconds(15)).at(0)), ElementsAre("first", "second", "late"));
  EXPECT_THAT(watch.Due(kStart + absl::Seconds(70)), ElementsAre(::testing::Field(&BreakGlassWatch::Round::school, "elsewhere")));
}

TEST(BreakGlassWatchTest, WhenNobodyCouldBeRungItTriesAgainSoon) {
  BreakGlassWatch watch(kEvery);
  watch.Begin(Of("a"), kStart);
  const auto rounds = watch.Due(kStart + absl::Seconds(5));
  watch.AgainSoon(rounds.at(0).matters, kStart + absl::Seconds(7));
  EXPECT_THAT(watch.Due(kStart + absl::Seconds(11)), IsEmpty());
  EXPECT_EQ(watch.Due(kStart + absl::Seconds(12)).size(), 1U);
}

TEST(BreakGlassWatchTest, AClockThatIsSetBackDoesNotKeepAnybodyWaiting) {
  BreakGlassWatch watch(kEvery);
  watch.Begin(Of("a"), kStart);
  ASSERT_EQ(watch.Due(kStart + absl::Seconds(5)).size(), 1U);
  EXPECT_EQ(watch.Due(kStart - absl::Hours(1)).size(), 1U);
  EXPECT_THAT(watch.Due(kStart - absl::Hours(1) + absl::Seconds(59)), IsEmpty());
  EXPECT_EQ(watch.Due(kStart - absl::Hours(1) + absl::Seconds(60)).size(), 1U);
}

TEST(BreakGlassWatchTest, BegunTwiceItWaitsFromTheFirst) {
  BreakGlassWatch watch(kEvery);
  watch.Begin(Of("a"), kStart);
  Matter again = Of("a");
  again.alert_id = "alert";
  watch.Begin(again, kStart + absl::Seconds(4));
  const auto rounds = watch.Due(kStart + absl::Seconds(5));
  ASSERT_EQ(rounds.size(), 1U);
  EXPECT_EQ(rounds[0].matters[0].alert_id, "alert");
}

}  // namespace
}  // namespace vigil::intake
