// School time: the local day of a Chinese school, which has had no daylight saving since 1991. Display and school days only;
// every deadline is an absolute instant.
#pragma once

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace vigil::domain {

inline absl::TimeZone SchoolZone() { return absl::FixedTimeZone(8 * 60 * 60); }

inline absl::Time StartOfDay(absl::Time t) { return absl::FromCivil(absl::ToCivilDay(t, SchoolZone()), SchoolZone()); }

inline absl::Duration TimeOfDay(absl::Time t) { return t - StartOfDay(t); }

inline bool IsWeekday(absl::Time t) {
  const absl::Weekday day = absl::GetWeekday(absl::ToCivilDay(t, SchoolZone()));
  return day != absl::Weekday::saturday && day != absl::Weekday::sunday;
}

// Whether `t` falls into the night that begins at `from` and ends at `to` the next day (both since midnight).
inline bool IsNight(absl::Time t, absl::Duration from, absl::Duration to) {
  const absl::Duration of_day = TimeOfDay(t);
  return of_day >= from || of_day < to;
}

// The first instant at or after `t` that is not night.
inline absl::Time NextMorning(absl::Time t, absl::Duration from, absl::Duration to) {
  if (!IsNight(t, from, to)) return t;
  const absl::Duration of_day = TimeOfDay(t);
  return StartOfDay(t) + (of_day >= from ? absl::Hours(24) : absl::ZeroDuration()) + to;
}

inline bool IsSet(absl::Time t) { return t != absl::InfinitePast(); }

}  // namespace vigil::domain
