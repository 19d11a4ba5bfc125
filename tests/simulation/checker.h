// Reads a finished world from outside: the log from its first message with a machine of its own, what clients were told, what phones were asked
// to ring, and what was broken when; and says which promise (RELIABILITY.md, I1 to I10) was not kept. What can be computed from the events
// alone (levels, who holds the child, when things are due, who must be rung) is computed here a second time, not asked of the code under test.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "machine/machine.h"
#include "simulation/history.h"
#include "simulation/world.h"

namespace vigil::simulation {

struct Verdict {
  std::vector<Violation> violations;
  std::uint64_t commits = 0;
  std::uint64_t void_commits = 0;
  std::uint64_t deadlines = 0;
  std::uint64_t alerts = 0;
  std::uint64_t calls = 0;
};

// The world has come to rest. Its processes are still there.
Verdict Check(World& world);

// The last commits of a file up to `until`, a line each, without ciphertext.
std::string StoryOf(World& world, const std::string& file, absl::Time until, int most);

}  // namespace vigil::simulation
