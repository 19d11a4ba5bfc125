// What one simulated world is: how many schools, how long, which faults when. All of it from the seed, and printable, so that a smaller
// version of the same world can be asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace vigil::simulation {

struct Options {
  std::uint64_t seed = 1;
  int hours = 168;
  // 0: one to three, from the seed.
  int schools = 0;
  // How much happens at the schools: 1 is a report a school every four days in the mean.
  double busy = 1;
  // Mean number of faults a week.
  double faults_a_week = 10;
  // Only these of the seed's faults happen (by number); empty with `all_faults` false: none.
  bool all_faults = true;
  std::vector<int> faults;
  // Prints what happens while it happens.
  bool trace = false;
  // Fails the world on purpose after this many commits, to see that failures are reported (0: never).
  std::uint64_t fail_after_commits = 0;
};

enum class FaultKind : std::uint8_t {
  kCrash,            // a service is killed; it starts again after `span` and reads the log anew
  kLogDown,          // the broker is killed; what was on its way is lost, its outcome unknown
  kPowerLoss,        // the same with all that was not synced
  kCut,              // one service cannot reach the broker
  kHeldDelivery,     // one partition's messages come late
  kLostAnswers,      // some appends are stored, but nobody is told
  kLostRequests,     // some appends are lost on their way
  kSlowNetwork,      // everything takes up to a second
  kSecondInstance,   // a second instance of a service believes that it is the one
  kProviderDown,     // one provider refuses everything
  kProviderStalls,   // one provider takes 20 s to answer
  kProviderErrors,   // one provider refuses one order in three
  kReceiptsLost,     // nothing that providers tell arrives
  kKeysDown,         // the key bucket cannot be reached
  kClockStep,        // the machine's clock steps forward by `span`
  kOutboxFull,       // intake's disk is full
};

struct Fault {
  int number = 0;
  FaultKind kind = FaultKind::kCrash;
  absl::Time from;
  absl::Duration span;
  // Which service (0 intake, 1 risk, 2 timer, 3 notice), partition or provider.
  int target = 0;
};

std::string Describe(const Fault& fault);

// The faults of a world that lasts `hours` from `start`, in order of time, `options.faults` applied.
std::vector<Fault> FaultsOf(const Options& options, absl::Time start);

int SchoolsOf(const Options& options);

}  // namespace vigil::simulation
