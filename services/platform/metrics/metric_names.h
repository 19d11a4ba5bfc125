// The metrics that are part of the outside contract. A name, once released, is never given another meaning.
#pragma once

#include "platform/metrics/metrics.h"

namespace vigil::metrics {

inline constexpr CounterMetric<1> kReportsAccepted{
    "vigil_reports_accepted_total", "Reports accepted, by the channel they came through.", {"channel"}};

inline constexpr HistogramMetric<0> kReportToFirstAttempt{
    "vigil_report_to_first_attempt_seconds", "Real time from a severe report's acceptance to the first provider request.", {}, kLatencyBuckets};

inline constexpr HistogramMetric<0> kAlertTaken{
    "vigil_alert_taken_seconds", "Real time from an alert being raised to somebody taking it.", {}, kHumanBuckets};

inline constexpr GaugeMetric<0> kAlertsUntaken{"vigil_alerts_untaken", "Alerts that nobody has taken yet.", {}};

inline constexpr HistogramMetric<0> kClockLateness{
    "vigil_clock_lateness_seconds", "Real time from a clock's due instant to its firing.", {}, kLatencyBuckets};

inline constexpr GaugeMetric<1> kClocksRunning{"vigil_clocks_running", "Clocks that run, by kind.", {"kind"}};

inline constexpr GaugeMetric<1> kClocksOverdue{"vigil_clocks_overdue", "Clocks past due and not met, by kind.", {"kind"}};

inline constexpr CounterMetric<0> kSupervisionGap{
    "vigil_supervision_gap_seconds_total", "Domain time for which a supervised child had no named adult.", {}};

inline constexpr GaugeMetric<1> kLogLag{
    "vigil_log_lag_commits", "Commits in the log that this service has not read yet, by partition.", {"partition"}};

inline constexpr CounterMetric<3> kNoticeAttempts{"vigil_notice_attempts_total",
                                                  "Attempts to reach a person, by provider, channel and outcome.",
                                                  {"provider", "channel", "outcome"}};

inline constexpr GaugeMetric<1> kLedgerSize{"vigil_ledger_size", "Leaves of the ledger, by partition.", {"partition"}};

inline constexpr CounterMetric<0> kBreakGlass{"vigil_break_glass_total", "Times the break-glass list was rung.", {}};

// Set by Registry itself.
inline constexpr GaugeMetric<2> kBuildInfo{"vigil_build_info", "1, with what was built.", {"service", "version"}};

}  // namespace vigil::metrics
