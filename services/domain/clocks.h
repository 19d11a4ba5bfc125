// Clocks of a case: start, meet, cancel; and what of them comes due when. Pure.
//
// A clock is an instance of a pack row. Starting, meeting and cancelling are consequences of facts and happen inside apply(); only
// what time alone brings (a warning, an expiry, a review) is a commit of escalation-timer, computed here from the state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// What a fact is about, as far as clocks care.
struct FactDetail {
  Fact fact = Fact::kNone;
  std::string argument;
  absl::Time time;
  // Trigger that it belongs to; 0: any.
  int trigger = 0;
  std::string report_id;
};

struct ClockStart {
  std::string_view kind;
  absl::Time now;
  int trigger = 0;
  std::string_view report_id;
  // Domain seconds a real second, for rows in real time.
  double clock_speed = 1;
};

// Starts one clock of the row (a running one of a `one_per: case` row is replaced; a clock of the same trigger is never started twice).
// Returns its id, or empty when nothing was started.
std::string StartClock(const Pack& pack, CaseState& c, const ClockStart& start);

// Meets, cancels and starts clocks as the rows say, in that order. Returns ids of clocks touched, for the timeline.
struct ClockChange {
  std::string clock_id;
  std::string kind;
  ClockPhase phase;
};
std::vector<ClockChange> ApplyFactToClocks(const Pack& pack, CaseState& c, const FactDetail& fact, double clock_speed);

// The next day's instance of a row that repeats daily, after `ended` was met or fell due: it begins in the morning after that was due, so that
// whatever is done about this night still counts for this night. Nothing if it is there already. Returns its id, or empty.
std::string StartNextDay(const Pack& pack, CaseState& c, const ClockState& ended);

bool Matches(const std::vector<FactPattern>& patterns, const FactDetail& fact);

// Still asks something of somebody: running with a due time, or overdue and not met.
bool IsOwed(const ClockState& clock);

struct ClockDue {
  enum class What : std::uint8_t { kWarning, kExpiry, kReview };
  What what;
  absl::Time not_before;
  // Which warning or review, counted as in the events.
  int ordinal = 0;
};

// The next thing that time alone will bring to a running clock; nullopt: nothing.
std::optional<ClockDue> NextDue(const Pack& pack, const ClockState& clock);

// The due time of a row started at `start`, as instants; InfinitePast: never due.
absl::Time DueTime(const Pack& pack, const ClockRow& row, const CaseState& c, absl::Time start, absl::Time now, double clock_speed);

}  // namespace vigil::domain
