#include "simulation/plan.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "simulation/random.h"

namespace vigil::simulation {
namespace {

struct KindRow {
  FaultKind kind;
  const char* name;
  double weight;
  absl::Duration shortest;
  absl::Duration longest;
  int targets;
};

const std::array<KindRow, 16>& Kinds() {
  static const std::array<KindRow, 16> rows{{
      {FaultKind::kCrash, "crash", 6, absl::Milliseconds(200), absl::Minutes(5), 4},
      {FaultKind::kLogDown, "log down", 1.5, absl::Seconds(1), absl::Minutes(10), 1},
      {FaultKind::kPowerLoss, "power loss", 1, absl::Seconds(1), absl::Minutes(2), 1},
      {FaultKind::kCut, "cut off", 1.5, absl::Seconds(1), absl::Minutes(5), 4},
      {FaultKind::kHeldDelivery, "delivery held", 1, absl::Seconds(1), absl::Minutes(2), 16},
      {FaultKind::kLostAnswers, "append answers lost", 1.5, absl::Minutes(5), absl::Minutes(30), 16},
      {FaultKind::kLostRequests, "append requests lost", 1, absl::Minutes(5), absl::Minutes(30), 16},
      {FaultKind::kSlowNetwork, "slow network", 1, absl::Minutes(1), absl::Minutes(30), 1},
      {FaultKind::kSecondInstance, "second instance", 1.5, absl::Seconds(30), absl::Hours(2), 4},
      {FaultKind::kProviderDown, "provider down", 1, absl::Minutes(1), absl::Minutes(30), 2},
      {FaultKind::kProviderStalls, "provider stalls", 0.7, absl::Minutes(1), absl::Minutes(30), 2},
      {FaultKind::kProviderErrors, "provider errors", 0.7, absl::Minutes(10), absl::Hours(3), 2},
      {FaultKind::kReceiptsLost, "receipts lost", 0.5, absl::Minutes(1), absl::Minutes(30), 1},
      {FaultKind::kKeysDown, "keys away", 0.7, absl::Seconds(10), absl::Minutes(10), 1},
      {FaultKind::kClockStep, "clock step", 0.7, absl::Seconds(1), absl::Hours(1), 1},
      {FaultKind::kOutboxFull, "outbox full", 0.4, absl::Minutes(1), absl::Minutes(20), 1},
  }};
  return rows;
}

}  // namespace

std::string Describe(const Fault& fault) {
  const auto row = std::find_if(Kinds().begin(), Kinds().end(), [&](const KindRow& r) { return r.kind == fault.kind; });
  return absl::StrCat("#", fault.number, " ", row->name, " ", fault.target, " at ",
                      absl::FormatTime("%m-%d %H:%M:%E3S", fault.from, absl::FixedTimeZone(8 * 60 * 60)), " for ", absl::FormatDuration(fault.span));
}

std::vector<Fault> FaultsOf(const Options& options, absl::Time start) {
  Dice dice(options.seed, "faults");
  std::vector<Fault> faults;
  double weights = 0;
  for (const KindRow& row : Kinds()) weights += row.weight;
  const absl::Time end = start + absl::Hours(options.hours);
  // Some worlds have much to bear, some nothing at all.
  const double rate = options.faults_a_week * 2 * dice.Unit();
  if (rate <= 0.1) return faults;
  absl::Time at = start + absl::Minutes(1);
  for (int number = 0;; ++number) {
    // Not scaled by the hours asked for: the faults of a shorter run are the first ones of the longer.
    at += dice.Until(absl::Hours(168) / rate);
    double point = dice.Unit() * weights;
    const KindRow* row = Kinds().data();
    while (point >= row->weight && row != &Kinds().back()) point -= (row++)->weight;
    Fault fault{.number = number, .kind = row->kind, .from = at};
    // Mostly short.
    const double share = dice.Unit();
    fault.span = row->shortest + (row->longest - row->shortest) * (share * share * share);
    fault.target = static_cast<int>(dice.Below(static_cast<std::size_t>(row->targets)));
    if (at >= end) break;
    if (options.all_faults || std::find(options.faults.begin(), options.faults.end(), number) != options.faults.end()) faults.push_back(fault);
  }
  return faults;
}

int SchoolsOf(const Options& options) {
  if (options.schools > 0) return options.schools;
  return 1 + static_cast<int>(Dice(options.seed, "schools").Below(3));
}

}  // namespace vigil::simulation
