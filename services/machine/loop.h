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
  // The same, but the caller's thread may run the task before this returns, where nothing runs or waits: between two threads that are idle a
  // hop costs more than the work. For callers who hold no lock that a task takes. Thread-safe.
  virtual void Dispatch(std::function<void()> task) { Post(std::move(task)); }
};

// A task runs after which the loop asks when to wake next: the machine's earliest intent.
struct LoopHooks {
  // After each group of tasks, and at the instant that it last returned. Returns the next instant (domain time; InfiniteFuture: none).
  std::function<absl::Time()> on_wake;
};

// A thread of its own, and of those who Dispatch: still one at a time. Start() begins; Stop() and the destructor wait for the running task and
// drop the rest.
class ThreadLoop final : public Loop, private ClockListener {
 public:
  explicit ThreadLoop(Clock* clock);
  ~ThreadLoop() override;
  void Post(std::function<void()> task) override;
  void Dispatch(std::function<void()> task) override;
  void Start(LoopHooks hooks);
  // Not from a task.
  void Stop();

 private:
  void Run();
  void OnClockChanged() override;

  Clock* const clock_;
  LoopHooks hooks_;  // set before `running_` is ever false
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> tasks_;
  // Somebody runs a task or asks when to wake; nobody does before Start.
  bool running_ = true;
  bool stopped_ = false;
  bool clock_changed_ = false;
  // As the machine said last, and until when the thread sleeps.
  absl::Time wake_ = absl::InfinitePast();
  absl::Time sleeps_until_ = absl::InfinitePast();
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
