// What time alone brings: warnings, expiries and reviews of clocks, and the steps of ladders until somebody takes the alert. A clock that
// is met, or an alert that is taken, is simply not due any more; nothing is cancelled.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "machine/machine.h"
#include "platform/clock/clock.h"
#include "platform/metrics/metrics.h"

namespace vigil {

class EscalationTimer final : public Service {
 public:
  // All outlive it; `registry` may be null (nothing is counted). The clocks of the common pack are shown from the start, a school's own when they run.
  EscalationTimer(const domain::Pack* common, const Clock* clock, metrics::Registry* registry);

  // Once, before anything else.
  void Attach(Machine* machine) { machine_ = machine; }

  // Of what is due, what rings goes first, then the oldest.
  Plan PlanFor(const FileEntry& file, const domain::SchoolState& school, absl::Time now) override;
  void OnCommit(const AppliedCommit& applied) override;
  void OnCaughtUp() override;

 private:
  // What the gauges hold of one file, so that a commit changes them by the difference.
  struct Counted {
    std::map<std::string, int> running;
    std::map<std::string, int> overdue;
    int untaken = 0;
  };
  struct KindGauges {
    metrics::Gauge running;
    metrics::Gauge overdue;
  };

  Plan PlanStanding(const FileEntry& file, const domain::SchoolState& school, absl::Time now, Plan plan) const;
  void FollowSchool(const AppliedCommit& applied);

  void Observe(const AppliedCommit& applied);
  void Count(const FileEntry& file);
  void CountGaps(const FileEntry& file);
  KindGauges& Kind(const std::string& kind);
  // A gap that is still open grows while nothing is committed.
  void CountOpenGaps();

  const Clock* const clock_;
  metrics::Registry* const registry_;
  Machine* machine_ = nullptr;
  // The past is read again at each start; only what happens from then on is observed.
  bool live_ = false;
  metrics::Histogram lateness_;
  metrics::Histogram taken_;
  metrics::Gauge untaken_;
  std::map<std::string, KindGauges> kinds_;
  std::unordered_map<std::string, Counted> counted_;
  // By school: files whose case has a group.
  std::unordered_map<std::string, std::unordered_set<FileEntry*>> rosters_;
  // By school: the file of its own matters.
  std::unordered_map<std::string, FileEntry*> school_files_;

  std::mutex gaps_mutex_;
  metrics::Counter gap_seconds_;
  // By file: up to when its open gap has been counted.
  std::unordered_map<std::string, absl::Time> open_gaps_;
};

}  // namespace vigil
