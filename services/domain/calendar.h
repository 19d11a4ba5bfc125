// The school's year: terms, holidays, school days, and the periods for which something is owed. Pure; days are those of school time.
#pragma once

#include <optional>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// Cheap to make; holds no reference to what it is made from. For one thread: it remembers the terms of the year that was last asked for.
class Calendar {
 public:
  // The school's own calendar, or the pack's for schools that have set none. Without any term, every weekday is a school day.
  Calendar(const Pack& pack, const SchoolState& school);

  bool IsSchoolDay(absl::CivilDay day) const;

  // Days from..to, both included.
  struct Days {
    absl::CivilDay from;
    absl::CivilDay to;
  };
  // The term that `day` lies in, or the next one that begins after it; nullopt: none is known.
  std::optional<Days> TermAtOrAfter(absl::CivilDay day) const;

 private:
  const std::vector<Days>& TermsAround(int year) const;

  std::vector<Days> terms_;
  std::vector<Days> holidays_;
  std::vector<absl::CivilDay> school_days_;
  // Of the pack: the same every year.
  std::vector<CalendarDays::Span> yearly_terms_;
  std::vector<CalendarDays::Span> yearly_holidays_;
  mutable int around_year_ = 0;
  mutable std::vector<Days> around_;
};

// A stretch for which a duty is owed once.
struct Period {
  absl::Time from;
  absl::Time to;  // exclusive
  absl::Time due;
};

// The period of the row that `t` lies in, or the next one; periods without a school day are passed over. nullopt: none within two years,
// or the row is owed after events.
std::optional<Period> PeriodAtOrAfter(const Calendar& calendar, const DutyRow& row, absl::Time t);

absl::CivilDay DayOfNumber(std::int32_t number);
std::int32_t NumberOfDay(absl::CivilDay day);

}  // namespace vigil::domain
