#include "sandbox/timer_queue.h"

#include <algorithm>
#include <utility>

namespace vigil::sandbox {

TimerQueue::TimerQueue() : thread_([this] { Run(); }) {}

TimerQueue::~TimerQueue() { Stop(); }

void TimerQueue::After(absl::Duration delay, std::function<void()> function) {
  // Far enough, and no overflow.
  const auto due = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(delay, absl::Hours(24 * 365)));
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  const auto at = functions_.emplace(due, std::move(function));
  if (at == functions_.begin()) changed_.notify_one();
}

void TimerQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  functions_.clear();
}

void TimerQueue::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (functions_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = functions_.begin();
    if (first->first > std::chrono::steady_clock::now()) {
      changed_.wait_until(lock, std::chrono::steady_clock::time_point(first->first));
      continue;
    }
    const std::function<void()> function = std::move(first->second);
    functions_.erase(first);
    lock.unlock();
    function();
    lock.lock();
  }
}

}  // namespace vigil::sandbox
