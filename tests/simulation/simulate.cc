// simulate --seed 7 --hours 168 --trace        one world, told while it happens
// simulate --count 2000 --hours 168 --twice    many, on both cores
// simulate --seed 7 --shrink                   a smaller one that fails in the same way
#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "platform/logging/log.h"
#include "simulation/run.h"

int main(int argc, char** argv) {
  using namespace vigil::simulation;
  Options options;
  std::uint64_t count = 1;
  int jobs = 2;
  bool twice = false;
  bool shrink = false;
  double longest = 0;
  std::string faults;
  CLI::App app{"Runs a simulated installation from a seed, with faults, and checks what Vigil promises."};
  app.add_option("--seed", options.seed, "The world's seed, or the first of several");
  app.add_option("--count", count, "How many seeds");
  app.add_option("--hours", options.hours, "Hours of domain time")->check(CLI::PositiveNumber);
  app.add_option("--schools", options.schools, "Schools of a world; 0: one to three, from the seed");
  app.add_option("--busy", options.busy, "How much happens at the schools; 1: a report every four days");
  app.add_option("--faults-a-week", options.faults_a_week, "How many faults in the mean");
  app.add_option("--faults", faults, "Only these of the seed's faults, by number, with commas; none: none");
  app.add_option("--jobs", jobs, "Worlds at once, a process each");
  app.add_option("--longest", longest, "Begin no new world after so many seconds");
  app.add_option("--fail-after", options.fail_after_commits, "Fail on purpose after so many commits");
  app.add_flag("--twice", twice, "Run each seed twice and compare");
  app.add_flag("--trace", options.trace, "Tell what happens");
  app.add_flag("--shrink", shrink, "Look for a smaller world that fails in the same way");
  CLI11_PARSE(app, argc, argv);
  if (!faults.empty()) {
    options.all_faults = false;
    for (const absl::string_view word : absl::StrSplit(faults, ',')) {
      int number = 0;
      if (absl::SimpleAtoi(word, &number)) options.faults.push_back(number);
    }
  }
  // What services log would drown what the simulator says; what goes wrong shows in the verdict.
  const vigil::log::CaptureForTest quiet([&](std::string_view line) {
    if (options.trace) std::printf("      %.*s\n", static_cast<int>(line.size()), line.data());
  });
  const auto pack = SimulatedPack();
  if (count > 1) {
    const Totals totals = RunMany(options, options.seed, count, jobs, twice, absl::Seconds(longest), pack);
    for (const std::string& story : totals.stories) std::printf("%s\n", story.c_str());
    std::printf("%s\n", Figures(totals).c_str());
    return totals.failed == 0 && totals.differing == 0 ? 0 : 1;
  }
  Result result = RunWorld(options, pack);
  std::printf("seed %llu: trace %016llx, %d schools x %d hours, %llu commits, %llu void, %.2f s\n", static_cast<unsigned long long>(options.seed),
              static_cast<unsigned long long>(result.trace), result.schools, options.hours, static_cast<unsigned long long>(result.verdict.commits),
              static_cast<unsigned long long>(result.verdict.void_commits), result.seconds);
  if (twice) {
    const Result again = RunWorld(options, pack);
    if (again.trace != result.trace) {
      std::printf("the second run is not the same: %016llx\n", static_cast<unsigned long long>(again.trace));
      return 1;
    }
    std::printf("the second run is the same\n");
  }
  if (result.verdict.violations.empty()) return 0;
  std::printf("%s", result.story.c_str());
  if (shrink) {
    const Options smaller = Shrink(options, pack, result.verdict.violations.front().invariant);
    result = RunWorld(smaller, pack);
    std::printf("\nsmaller: %s\n%s", CommandFor(smaller).c_str(), result.story.c_str());
  }
  return 1;
}
