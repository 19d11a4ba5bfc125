#include "domain/calendar.h"

#include <algorithm>

#include "domain/school_time.h"

namespace vigil::domain {
namespace {

constexpr absl::CivilDay kEpoch(1970, 1, 1);
// A school year begins on this day (AMB-24).
constexpr int kYearBeginsInMonth = 9;
constexpr int kLongestSearchDays = 800;

Calendar::Days DaysIn(const CalendarDays::Span& span, int year) {
  const absl::CivilDay from(year, span.from_month, span.from_day);
  absl::CivilDay to(year, span.to_month, span.to_day);
  if (to < from) to = absl::CivilDay(year + 1, span.to_month, span.to_day);
  return {from, to};
}

bool Holds(const Calendar::Days& days, absl::CivilDay day) { return days.from <= day && day <= days.to; }

bool IsWeekend(absl::CivilDay day) {
  const absl::Weekday weekday = absl::GetWeekday(day);
  return weekday == absl::Weekday::saturday || weekday == absl::Weekday::sunday;
}

absl::CivilDay Monday(absl::CivilDay day) { return absl::PrevWeekday(day + 1, absl::Weekday::monday); }

bool HasSchoolDay(const Calendar& calendar, const Calendar::Days& days) {
  for (absl::CivilDay day = days.from; day <= days.to; ++day) {
    if (calendar.IsSchoolDay(day)) return true;
  }
  return false;
}

// The days of the period that `day` lies in.
std::optional<Calendar::Days> DaysAt(const Calendar& calendar, DutyRow::Every every, absl::CivilDay day) {
  switch (every) {
    case DutyRow::Every::kSchoolDay:
      return Calendar::Days{day, day};
    case DutyRow::Every::kSchoolWeek:
      return Calendar::Days{Monday(day), Monday(day) + 6};
    case DutyRow::Every::kMonth: {
      const absl::CivilMonth month(day);
      return Calendar::Days{absl::CivilDay(month), absl::CivilDay(month + 1) - 1};
    }
    case DutyRow::Every::kTerm:
      return calendar.TermAtOrAfter(day);
    case DutyRow::Every::kSchoolYear: {
      const auto year = day.month() >= kYearBeginsInMonth ? day.year() : day.year() - 1;
      return Calendar::Days{absl::CivilDay(year, kYearBeginsInMonth, 1), absl::CivilDay(year + 1, kYearBeginsInMonth, 1) - 1};
    }
    case DutyRow::Every::kEvent:
      return std::nullopt;
  }
  return std::nullopt;
}

// The school day on which it is due: the wanted one, else the last before it in the period, else the first after it.
absl::CivilDay SchoolDayAround(const Calendar& calendar, const Calendar::Days& days, absl::CivilDay wanted) {
  wanted = std::clamp(wanted, days.from, days.to);
  for (absl::CivilDay day = wanted; day >= days.from; --day) {
    if (calendar.IsSchoolDay(day)) return day;
  }
  for (absl::CivilDay day = wanted; day <= days.to; ++day) {
    if (calendar.IsSchoolDay(day)) return day;
  }
  return wanted;
}

absl::Time DueIn(const Calendar& calendar, const DutyRow& row, const Calendar::Days& days) {
  const auto in_days = [](absl::Duration span) { return absl::ToInt64Hours(span) / 24; };
  absl::CivilDay wanted = days.to;
  if (row.due_weekday > 0) wanted = days.from + (row.due_weekday - 1);
  if (row.due_after) wanted = days.from + in_days(*row.due_after);
  if (row.due_before_end) wanted = days.to - in_days(*row.due_before_end);
  return absl::FromCivil(SchoolDayAround(calendar, days, wanted), SchoolZone()) + row.due_time;
}

}  // namespace

absl::CivilDay DayOfNumber(std::int32_t number) { return kEpoch + number; }
std::int32_t NumberOfDay(absl::CivilDay day) { return static_cast<std::int32_t>(day - kEpoch); }

Calendar::Calendar(const Pack& pack, const SchoolState& school) {
  if (!school.calendar) {
    yearly_terms_ = pack.calendar.terms;
    yearly_holidays_ = pack.calendar.holidays;
    return;
  }
  for (const DaySpan& span : school.calendar->terms) terms_.push_back({DayOfNumber(span.from_day), DayOfNumber(span.to_day)});
  for (const DaySpan& span : school.calendar->holidays) holidays_.push_back({DayOfNumber(span.from_day), DayOfNumber(span.to_day)});
  for (const std::int32_t day : school.calendar->school_days) school_days_.push_back(DayOfNumber(day));
}

const std::vector<Calendar::Days>& Calendar::TermsAround(int year) const {
  if (around_year_ == year) return around_;
  std::vector<Days>& terms = around_;
  terms = terms_;
  around_year_ = year;
  for (const CalendarDays::Span& span : yearly_terms_) {
    for (int y = year - 1; y <= year + 1; ++y) terms.push_back(DaysIn(span, y));
  }
  std::sort(terms.begin(), terms.end(), [](const Days& a, const Days& b) { return a.from < b.from; });
  return terms;
}

bool Calendar::IsSchoolDay(absl::CivilDay day) const {
  if (std::find(school_days_.begin(), school_days_.end(), day) != school_days_.end()) return true;
  if (IsWeekend(day)) return false;
  if (std::any_of(holidays_.begin(), holidays_.end(), [&](const Days& days) { return Holds(days, day); })) return false;
  const int year = static_cast<int>(day.year());
  for (const CalendarDays::Span& span : yearly_holidays_) {
    if (Holds(DaysIn(span, year), day) || Holds(DaysIn(span, year - 1), day)) return false;
  }
  if (terms_.empty() && yearly_terms_.empty()) return true;
  const std::vector<Days>& terms = TermsAround(year);
  return std::any_of(terms.begin(), terms.end(), [&](const Days& days) { return Holds(days, day); });
}

std::optional<Calendar::Days> Calendar::TermAtOrAfter(absl::CivilDay day) const {
  for (const Days& term : TermsAround(static_cast<int>(day.year()))) {
    if (term.to >= day) return term;
  }
  return std::nullopt;
}

std::optional<Period> PeriodAtOrAfter(const Calendar& calendar, const DutyRow& row, absl::Time t) {
  absl::CivilDay day = absl::ToCivilDay(t, SchoolZone());
  const absl::CivilDay last = day + kLongestSearchDays;
  while (day <= last) {
    const std::optional<Calendar::Days> days = DaysAt(calendar, row.every, day);
    if (!days) return std::nullopt;
    if (HasSchoolDay(calendar, *days)) {
      return Period{absl::FromCivil(days->from, SchoolZone()), absl::FromCivil(days->to + 1, SchoolZone()), DueIn(calendar, row, *days)};
    }
    day = days->to + 1;
  }
  return std::nullopt;
}

}  // namespace vigil::domain
