// One world from its seed to its verdict; many of them on both cores; and a smaller world that fails in the same way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "domain/pack/pack.h"
#include "simulation/checker.h"
#include "simulation/plan.h"

namespace vigil::simulation {

// The primary school's pack; ends the process when it cannot be read.
std::shared_ptr<const domain::Pack> SimulatedPack();

struct Result {
  Verdict verdict;
  std::uint64_t trace = 0;
  int schools = 0;
  double seconds = 0;
  // For a person to read; empty without a violation.
  std::string story;
  // Faults that happened.
  std::vector<Fault> faults;
};

Result RunWorld(const Options& options, const std::shared_ptr<const domain::Pack>& pack);

// Fewer hours, schools and faults that still break the same invariant.
Options Shrink(const Options& failing, const std::shared_ptr<const domain::Pack>& pack, const std::string& invariant);

// The command that repeats it.
std::string CommandFor(const Options& options);

struct Totals {
  std::uint64_t worlds = 0;
  std::uint64_t failed = 0;
  std::uint64_t differing = 0;  // two runs of one seed that were not the same
  std::uint64_t school_hours = 0;
  std::uint64_t commits = 0;
  std::uint64_t void_commits = 0;
  std::uint64_t alerts = 0;
  std::uint64_t deadlines = 0;
  std::uint64_t calls = 0;
  double seconds = 0;
  std::vector<std::string> stories;
};

// Seeds `first` … `first + count - 1`, each in one of `jobs` child processes, so that a crash is one seed's. `twice`: each is run again, and must
// be the same. Stops beginning new ones after `longest` (zero: never).
Totals RunMany(Options options, std::uint64_t first, std::uint64_t count, int jobs, bool twice, absl::Duration longest,
               const std::shared_ptr<const domain::Pack>& pack);

// One line of figures.
std::string Figures(const Totals& totals);

}  // namespace vigil::simulation
