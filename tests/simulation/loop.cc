#include "simulation/loop.h"

#include <algorithm>
#include <utility>

#include "absl/base/config.h"
#include "absl/time/clock.h"

namespace vigil::simulation {
namespace {

// How long the task that runs in this thread has slept.
thread_local absl::Duration slept = absl::ZeroDuration();

}  // namespace

void SimulatedLoop::Post(std::function<void()> task) {
  if (slept > absl::ZeroDuration()) {
    later_.emplace(clock_->Now() + slept, std::move(task));
  } else {
    tasks_.push_back(std::move(task));
  }
}

bool SimulatedLoop::Run() {
  const absl::Time now = clock_->Now();
  while (!later_.empty() && later_.begin()->first <= now) {
    tasks_.push_back(std::move(later_.begin()->second));
    later_.erase(later_.begin());
  }
  if (tasks_.empty() && next_wake_ > now) return false;
  bool ran = false;
  for (;;) {
    while (!tasks_.empty()) {
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
      slept = absl::ZeroDuration();
      ran = true;
    }
    next_wake_ = hooks_.on_wake ? hooks_.on_wake() : absl::InfiniteFuture();
    if (tasks_.empty()) return ran;
  }
}

absl::Time SimulatedLoop::next_time() const {
  if (!tasks_.empty()) return clock_->Now();
  return later_.empty() ? next_wake_ : std::min(next_wake_, later_.begin()->first);
}

}  // namespace vigil::simulation

// Takes the place of Abseil's own (a weak symbol, meant for this).
extern "C" void ABSL_INTERNAL_C_SYMBOL(AbslInternalSleepFor)(absl::Duration duration) { vigil::simulation::slept += duration; }
