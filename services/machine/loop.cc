#include "machine/loop.h"

#include <algorithm>
#include <chrono>

#include "platform/clock/waker.h"

namespace vigil {

ThreadLoop::ThreadLoop(Clock* clock) : clock_(clock) { clock_->AddListener(this); }

ThreadLoop::~ThreadLoop() {
  clock_->RemoveListener(this);
  Stop();
}

void ThreadLoop::Post(std::function<void()> task) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    wake = tasks_.empty() && !running_;  // who runs looks at its end
    tasks_.push_back(std::move(task));
  }
  if (wake) changed_.notify_one();
}

void ThreadLoop::Dispatch(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    if (running_ || !tasks_.empty()) {
      tasks_.push_back(std::move(task));
      if (!running_ && tasks_.size() == 1) changed_.notify_one();
      return;
    }
    running_ = true;
  }
  // Its own task and no more: what others bring meanwhile is the loop's thread's, or a caller would work for them for ever.
  task();
  task = nullptr;
  const absl::Time wake = hooks_.on_wake();
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    wake_ = wake;
    tell = stopped_ || !tasks_.empty() || clock_changed_ || wake_ < sleeps_until_;
  }
  if (tell) changed_.notify_one();
}

void ThreadLoop::OnClockChanged() {
  {
    const std::lock_guard lock(mutex_);
    clock_changed_ = true;
  }
  changed_.notify_one();
}

void ThreadLoop::Start(LoopHooks hooks) {
  hooks_ = std::move(hooks);
  thread_ = std::thread([this] { Run(); });
}

void ThreadLoop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ThreadLoop::Run() {
  std::vector<std::function<void()>> tasks;
  std::unique_lock lock(mutex_);
  running_ = false;
  for (;;) {
    // A dispatched task ends before this loop does.
    changed_.wait(lock, [this] { return !running_; });
    if (stopped_) return;
    if (tasks_.empty()) {
      // The clock takes its own lock and may be calling us: never ask it under ours.
      const absl::Time wake = wake_;
      clock_changed_ = false;
      lock.unlock();
      const absl::Duration left = std::min(clock_->RealDurationUntil(wake), kLongestWait);
      lock.lock();
      if (running_ || stopped_ || !tasks_.empty() || clock_changed_ || wake_ != wake) continue;
      if (left > absl::ZeroDuration()) {
        sleeps_until_ = wake;
        changed_.wait_for(lock, absl::ToChronoNanoseconds(left));
        sleeps_until_ = absl::InfinitePast();
        continue;
      }
    }
    running_ = true;
    tasks.swap(tasks_);
    lock.unlock();
    for (auto& task : tasks) task();
    tasks.clear();
    const absl::Time wake = hooks_.on_wake();
    lock.lock();
    running_ = false;
    wake_ = wake;
  }
}

void ManualLoop::Post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
}

bool ManualLoop::RunAll() {
  bool ran = false;
  for (;;) {
    std::function<void()> task;
    {
      const std::lock_guard lock(mutex_);
      if (!tasks_.empty()) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
    }
    if (!task) {
      if (hooks_.on_wake) next_wake_ = hooks_.on_wake();
      const std::lock_guard lock(mutex_);
      if (tasks_.empty()) return ran;
      continue;
    }
    task();
    ran = true;
  }
}

}  // namespace vigil
