// When a ladder climbs, and where to. Pure.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "vigil/log/v1/events.plain.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

struct Climb {
  absl::Time not_before;
  LadderClimbed event;
};

// The next step of an open alert, and from when: after the step's wait; at once when nobody of the step can be reached or everybody
// called has failed to answer (but never a new round at once: a ladder of busy phones must not spin); after the empty-round wait,
// with an alarm, when a whole round reached nobody. Nullopt when the alert is not open, and for a notice that has not gone out yet. (REP-12, NFR-05)
std::optional<Climb> NextClimb(const Pack& pack, const SchoolState& school, const FileState& file, const AlertState& alert, absl::Time now);

}  // namespace vigil::domain
