// Waiting on domain time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "platform/clock/clock.h"

namespace vigil {

// A waiting thread reads the clock again at least this often (real time), so a step of the wall clock or a suspend cannot make it late by more.
inline constexpr absl::Duration kLongestWait = absl::Milliseconds(50);

// Lets one thread wait until a domain instant or until another has something for it.
// Thread-safe; one waiting thread at a time. The clock outlives it.
class Waker final : private ClockListener {
 public:
  enum class Reason { kDue, kNotified, kStopped };

  explicit Waker(Clock* clock);
  ~Waker() override;
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Blocks until clock.Now() >= instant (never before, as the clock reads then; at most 1 ms after, on an idle machine), or Notify, or Stop.
  // A notification given while nobody waited ends the next wait at once; several count as one. Stop wins over a notification, and that over
  // being due. absl::InfiniteFuture() waits for a notification alone.
  Reason WaitUntil(absl::Time instant);

  void Notify();

  // Ends this wait and every later one.
  void Stop();

 private:
  void OnClockChanged() override;

  Clock* const clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool notified_ = false;
  bool clock_changed_ = false;
  bool stopped_ = false;
};

// Calls back at domain instants, in order of instant and then of registration, one at a time, never before the instant as the clock reads.
// On a clock driven by hand it has no thread: callbacks run inside AdvanceTo. Otherwise they run on its own thread; they must be short.
// Thread-safe. A callback may call At and Cancel, but may not destroy the TimerThread or change the clock.
class TimerThread final : private ClockListener {
 public:
  using TimerId = std::uint64_t;

  explicit TimerThread(Clock* clock);
  // Waits for a running callback; the others are dropped.
  ~TimerThread() override;
  TimerThread(const TimerThread&) = delete;
  TimerThread& operator=(const TimerThread&) = delete;

  // An instant in the past fires as soon as possible (on a hand-driven clock: at its next call).
  TimerId At(absl::Time instant, std::function<void()> callback);

  // True if it had not begun to run and now never will.
  bool Cancel(TimerId id);

 private:
  absl::Time NextDue() const override;
  void OnClockChanged() override;
  // Runs what is due; returns the next instant.
  absl::Time RunDue();
  void Loop();

  Clock* const clock_;
  mutable std::mutex mutex_;
  TimerId last_id_ = 0;
  std::map<std::pair<absl::Time, TimerId>, std::function<void()>> timers_;
  std::map<TimerId, absl::Time> instants_;
  Waker waker_;
  std::thread thread_;
};

}  // namespace vigil
