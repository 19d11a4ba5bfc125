// Where a machine runs: one thread at a time, told of things to do and of instants to wake at.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "platform/clock/clock.h"

namespace vigil {

class Loop {
 public:
  virtual ~Loop() = default;
  // Thread-safe; tasks run in order, one at a time.
  virtual void Post(std::function<void()> task) = 0;
};

// A task runs after which the loop asks when to wake next: the machine's earliest intent.
struct LoopHooks {
  // After each group of tasks, and at the instant that it last returned. Returns the next instant (domain time; InfiniteFuture: none).
  std::function<absl::Time()> on_wake;
};

// A thread of its own. Start() begins; the destructor finishes the running task and drops the rest.
class ThreadLoop final : public Loop, private ClockListener {
 public:
  explicit ThreadLoop(Clock* clock);
  ~ThreadLoop() override;
  void Post(std::function<void()> task) override;
  void Start(LoopHooks hooks);
  void Stop();

 private:
  void Run(const LoopHooks& hooks);
  void OnClockChanged() override;

  Clock* const clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> tasks_;
  bool stopped_ = false;
  bool clock_changed_ = false;
  std::thread thread_;
};

// For scenario tests and the simulator: nothing runs until RunAll(), in the caller's thread.
class ManualLoop final : public Loop {
 public:
  void Post(std::function<void()> task) override;
  void SetHooks(LoopHooks hooks) { hooks_ = std::move(hooks); }
  // Runs what was posted, and what that posts; returns whether anything ran.
  bool RunAll();
  // When the machine next wants to wake, as it said last.
  absl::Time next_wake() const { return next_wake_; }

 private:
  std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;
  LoopHooks hooks_;
  absl::Time next_wake_ = absl::InfiniteFuture();
};

}  // namespace vigil
