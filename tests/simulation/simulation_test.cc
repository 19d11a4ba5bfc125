// Many short worlds, each from its seed and each run twice; VIGIL_SIMULATION_SEEDS says how many, VIGIL_SIMULATION_SECONDS after how long no
// new one begins. tests/full asks for more and longer ones.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "platform/logging/log.h"
#include "simulation/run.h"

namespace vigil::simulation {
namespace {

long NumberOf(const char* name, long otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atol(value);
}

class SimulationTest : public testing::Test {
 protected:
  // What services log would drown what the simulator says.
  log::CaptureForTest quiet_{[](std::string_view) {}};
  std::shared_ptr<const domain::Pack> pack_ = SimulatedPack();
};

TEST_F(SimulationTest, PromisesAreKeptInEveryWeek) {
  const auto seeds = static_cast<std::uint64_t>(NumberOf("VIGIL_SIMULATION_SEEDS", 2000));
  const long seconds = NumberOf("VIGIL_SIMULATION_SECONDS", 180);
  const int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  Options options;
  options.busy = static_cast<double>(NumberOf("VIGIL_SIMULATION_BUSY_PERCENT", 30)) / 100;
  const Totals totals = RunMany(options, static_cast<std::uint64_t>(NumberOf("VIGIL_SIMULATION_FIRST", 1)), seeds, jobs, true, absl::Seconds(seconds), pack_);
  std::printf("%llu of %llu one-week seeds, each twice. %s\n", static_cast<unsigned long long>(totals.worlds), static_cast<unsigned long long>(seeds),
              Figures(totals).c_str());
  for (const std::string& story : totals.stories) ADD_FAILURE() << story;
  EXPECT_EQ(totals.failed, 0U);
  EXPECT_EQ(totals.differing, 0U);
  EXPECT_GT(totals.worlds, 0U);
  // Worlds in which nothing happens prove nothing.
  EXPECT_GE(totals.commits, totals.school_hours);
}

TEST_F(SimulationTest, SchoolsOfOneBrokerLiveSideBySide) {
  Options options;
  options.schools = 24;
  options.hours = 72;
  const Totals totals = RunMany(options, 7'000'001, 2, 2, true, absl::ZeroDuration(), pack_);
  for (const std::string& story : totals.stories) ADD_FAILURE() << story;
  EXPECT_EQ(totals.failed, 0U);
  EXPECT_EQ(totals.differing, 0U);
}

// A checker that finds nothing must at least be able to.
TEST_F(SimulationTest, AFailureIsToldWithItsSeedAndMadeSmaller) {
  Options options;
  options.seed = 3;
  options.hours = 48;
  options.schools = 2;
  options.fail_after_commits = 20;
  const Result failed = RunWorld(options, pack_);
  ASSERT_FALSE(failed.verdict.violations.empty());
  EXPECT_NE(failed.story.find("asked to fail"), std::string::npos);
  const Options smaller = Shrink(options, pack_, failed.verdict.violations.front().invariant);
  EXPECT_LE(smaller.hours, options.hours);
  EXPECT_EQ(smaller.schools, 1);
  EXPECT_NE(CommandFor(smaller).find("--seed 3"), std::string::npos);
  EXPECT_FALSE(RunWorld(smaller, pack_).verdict.violations.empty());
}

TEST_F(SimulationTest, AnotherSeedIsAnotherWorld) {
  Options options;
  options.hours = 24;
  options.seed = 11;
  const std::uint64_t one = RunWorld(options, pack_).trace;
  options.seed = 12;
  EXPECT_NE(RunWorld(options, pack_).trace, one);
}

}  // namespace
}  // namespace vigil::simulation
