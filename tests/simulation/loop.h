// A loop of a simulated process. In its thread nothing waits: a task that sleeps goes on at once, and what it does afterwards by other loops
// happens later by that much.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "absl/time/time.h"
#include "machine/loop.h"
#include "platform/clock/clock.h"

namespace vigil::simulation {

class SimulatedLoop final : public Loop {
 public:
  // The clock outlives it.
  explicit SimulatedLoop(const Clock* clock) : clock_(clock) {}

  void Post(std::function<void()> task) override;
  void SetHooks(LoopHooks hooks) { hooks_ = std::move(hooks); }
  // Runs what is due, and what that posts; whether anything ran.
  bool Run();
  // InfiniteFuture: nothing will happen by itself.
  absl::Time next_time() const;

 private:
  const Clock* const clock_;
  std::deque<std::function<void()>> tasks_;
  std::multimap<absl::Time, std::function<void()>> later_;
  LoopHooks hooks_;
  absl::Time next_wake_ = absl::InfinitePast();
};

}  // namespace vigil::simulation
