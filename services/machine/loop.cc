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
    wake = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (wake) changed_.notify_one();
}

void ThreadLoop::OnClockChanged() {
  {
    const std::lock_guard lock(mutex_);
    clock_changed_ = true;
  }
  changed_.notify_one();
}

void ThreadLoop::Start(LoopHooks hooks) {
  thread_ = std::thread([this, hooks = std::move(hooks)] { Run(hooks); });
}

void ThreadLoop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ThreadLoop::Run(const LoopHooks& hooks) {
  std::vector<std::function<void()>> tasks;
  absl::Time wake = hooks.on_wake();
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      while (tasks_.empty() && !stopped_) {
        clock_changed_ = false;
        // The clock takes its own lock and may be calling us: never ask it under ours.
        lock.unlock();
        const absl::Duration left = clock_->RealDurationUntil(wake);
        lock.lock();
        if (!tasks_.empty() || stopped_ || clock_changed_) continue;
        if (left <= absl::ZeroDuration()) break;
        changed_.wait_for(lock, absl::ToChronoNanoseconds(std::min(left, kLongestWait)));
      }
      if (stopped_) return;
      tasks.swap(tasks_);
    }
    for (auto& task : tasks) task();
    tasks.clear();
    wake = hooks.on_wake();
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
