#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

// Seed A45: a severe case whose parents come only after three nights. Shifts change; the child is in somebody's sight at every instant.
TEST(ThreeNightsTest, TheChildIsInSightAtEveryInstantAndSupervisionDoesNotEnd) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene.Confirm("teacher", c).ok());
  ASSERT_TRUE(scene.TryTake("leader", scene.Alert(c, "severe_ladder")->id()).ok());
  struct Change {
    const char* at;
    std::vector<std::string> to;
  };
  std::vector<std::string> holders = {"teacher"};
  for (int day = 10; day < 13; ++day) {
    const auto on = [day](int next, const char* time) { return At("2026-03-" + std::to_string(day + next) + " " + time); };
    const std::vector<std::pair<absl::Time, std::vector<std::string>>> changes = {{on(0, "17:00"), {"doctor"}},
                                                                                  {on(0, "21:45"), {"crisis", "office"}},
                                                                                  {on(1, "01:30"), {"grade_head", "deputy"}},
                                                                                  {on(1, "05:00"), {"crisis", "office"}},
                                                                                  {on(1, "08:30"), {"teacher"}}};
    for (const auto& [at, to] : changes) {
      scene.KeepUntil(at, holders.front(), c);
      if (HasFatalFailure()) return;
      const auto offered = scene.Offer(holders.front(), c, to);
      ASSERT_TRUE(offered.ok()) << at << " " << offered.status();
      for (const std::string& person : to) ASSERT_TRUE(scene.Accept(person, c).ok()) << person;
      holders = to;
    }
    const auto planned = scene.FileRecord("leader", c, "night_plan", {{"arrangement", "two_adults_and_room"}, {"adults", "two"}, {"place", "duty room"}});
    ASSERT_TRUE(planned.ok()) << planned.status();
  }
  const api::Case view = scene.See(c);
  EXPECT_TRUE(view.custody().supervised());
  EXPECT_EQ(scene.ClockState(c, "special_supervision"), "running") << "70 hours on, it has not expired";
  EXPECT_EQ(view.custody().gaps_size(), 0);
  // Who had the student at 03:12 on the second night? One query with one answer.
  const absl::Time night = At("2026-03-12 03:12");
  int answers = 0;
  for (const api::CustodyIntervalView& interval : view.custody().intervals()) {
    const bool then = TimeOf(interval.from_time()) <= night && (!interval.has_to_time() || TimeOf(interval.to_time()) > night);
    if (!then) continue;
    ++answers;
    EXPECT_THAT(interval.holders(), ElementsAre("grade_head", "deputy"));
  }
  EXPECT_EQ(answers, 1);
  // One follows on the other without a hole.
  for (int i = 1; i < view.custody().intervals_size(); ++i) {
    EXPECT_EQ(TimeOf(view.custody().intervals(i).from_time()), TimeOf(view.custody().intervals(i - 1).to_time()));
  }
}

TEST(ThreeNightsTest, AtNightOneAdultIsNotEnough) {
  Scene scene(At("2026-03-10 21:00"));
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  ASSERT_TRUE(scene.Confirm("teacher", c).ok());
  scene.KeepUntil(At("2026-03-10 22:10"), "teacher", c);
  EXPECT_EQ(scene.Offer("teacher", c, {"doctor"}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(scene.Offer("teacher", c, {"doctor", "crisis"}).ok());
}

}  // namespace
}  // namespace vigil::scenario
