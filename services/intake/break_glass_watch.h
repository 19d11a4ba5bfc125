// Which severe matters wait for somebody to be called, and when their school's emergency list is rung. Pure: time comes in by argument, and is
// the machine's (real).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace vigil::intake {

// A first call that is not seen this long after acceptance is not waited for any longer (INT-08, first_call).
inline constexpr absl::Duration kFirstCallPatience = absl::Seconds(5);
// Nobody could be rung at all: again after this.
inline constexpr absl::Duration kRingAgainAfterNobody = absl::Seconds(5);
// More than anybody can note down on the telephone; the rest is found by signing in.
inline constexpr std::size_t kMostCodesOfCall = 3;

struct Matter {
  // What it is known by: its report, or, where no report raised it, its alert.
  std::string key;
  std::string report_id;
  std::string alert_id;
  std::string school;
  std::string code;
};

// Used by one thread at a time.
class BreakGlassWatch {
 public:
  // `every`: from one round to the next (real time).
  explicit BreakGlassWatch(absl::Duration every) : every_(every) {}

  // From `since` on somebody should be called. A matter that is watched already stays as it was, but may learn its alert.
  void Begin(Matter matter, absl::Time since);
  // A call was seen, somebody took it, or it is not severe after all. Unknown keys are passed over.
  void End(const std::string& key) { waiting_.erase(key); }
  bool Waits(const std::string& key) const { return waiting_.contains(key); }
  std::size_t size() const { return waiting_.size(); }

  struct Round {
    std::string school;
    // All of the school that have waited long enough, longest first: one call tells of them all.
    std::vector<Matter> matters;
  };
  // The rounds to ring at `now`. What is in one comes again after `every` unless it ends.
  std::vector<Round> Due(absl::Time now);
  // Nobody was rung for these: they come again soon.
  void AgainSoon(const std::vector<Matter>& matters, absl::Time now);

  std::vector<std::string> keys() const;

 private:
  struct Waiting {
    Matter matter;
    absl::Time since;
    absl::Time ring_time;
  };
  const absl::Duration every_;
  std::map<std::string, Waiting> waiting_;
};

}  // namespace vigil::intake
