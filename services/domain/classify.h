// Facts of one report and its file in, a proposed level and the rows that fired out. Pure; same input and pack, same result (ASM-09).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "vigil/log/v1/events.plain.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// What rules see of a report.
struct ReportFacts {
  std::vector<std::string> indicators;
  std::string claimed_level;
  bool deteriorating = false;
  std::string reporter;
  absl::Time recorded_time;
};

// The facts of a report as it is received, and as it stands in its file.
ReportFacts FactsOf(const ReportReceived& received, absl::Time recorded_time);
ReportFacts FactsOf(const ReportState& report);

// Whether the indicator counts by itself: it waits for no record (IndicatorRow::counts_once), or that record was filed on this file.
bool Counts(const Pack& pack, const FileState* file, std::string_view indicator);

// The id as people are shown it: marked while it does not count.
std::string ShownIndicator(const Pack& pack, const FileState& file, const std::string& indicator);

struct Classification {
  // Highest level proposed; empty: nothing classified it.
  std::string level;
  std::vector<FiredRule> fired;
  // Clocks that fired rules start, each once.
  std::vector<std::string> starts;
  // Text keys of advice for the reporter.
  std::vector<std::string> advice;
};

// `file` may be null: a student never reported before.
Classification Classify(const Pack& pack, const ReportFacts& report, const FileState* file);

// The same of a report on a case that may have been opened under an earlier version of the school's pack than the one in force: the rules of
// both look at it, and the higher proposal counts, in the case's own levels and clocks. What has been tightened since protects this child too;
// what has been loosened since does not change this case (ORG-21).
Classification Classify(const Pack& of_case, const Pack& in_force, const ReportFacts& report, const FileState* file);

// The higher of the provisional and the final level; rank 0 without a case.
int EffectiveRank(const Pack& pack, const FileState* file);

// What Classify finds, as the event that says so; a trigger by IsTrigger.
Classified ClassifiedEvent(const Pack& pack, const std::string& report_id, const ReportFacts& report, Classification found, const FileState* file);

// Whether a report that proposes `level` is a trigger: severe newly found, a level that rises above it, rapid deterioration ticked,
// or a signal that is new on a case already there (REP-09, REP-10, REP-18).
bool IsTrigger(const Pack& pack, const ReportFacts& report, const std::string& level, const FileState* file);

}  // namespace vigil::domain
