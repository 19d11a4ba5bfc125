// Time, as the rest of Vigil may see it. Domain time is what packs, deadlines and recorded facts are in; real time is what leases, retries and
// metrics are in. They differ only in a rehearsal, whose domain clock runs faster.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "absl/time/time.h"

namespace vigil {

// Told when a clock's time jumped or its speed changed, so that whatever waits can look again.
class ClockListener {
 public:
  virtual ~ClockListener() = default;

  // The earliest domain instant at which OnClockChanged should be called while a hand-driven clock passes it. InfiniteFuture: none.
  virtual absl::Time NextDue() const { return absl::InfiniteFuture(); }

  // Called without the clock's own lock held, on the thread that changed the clock. It must not change the clock, nor add or remove listeners.
  virtual void OnClockChanged() = 0;
};

// Thread-safe. A clock outlives its listeners' registrations.
class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  // Domain time.
  virtual absl::Time Now() const = 0;

  // The machine's UTC time. It may step in either direction.
  virtual absl::Time NowReal() const = 0;

  // Domain seconds that pass in a real second; > 0.
  virtual double Speed() const = 0;

  // How long, at the present speed, until Now() reaches `domain`; zero or less if it has. InfiniteDuration for InfiniteFuture.
  virtual absl::Duration RealDurationUntil(absl::Time domain) const = 0;

  // True when time passes only by an explicit call: whoever waits then waits to be told, not for real time to pass.
  virtual bool DrivenByHand() const { return false; }

  // RemoveListener returns only when no call to that listener is running. Neither may be called from OnClockChanged.
  void AddListener(ClockListener* listener);
  void RemoveListener(ClockListener* listener);

 protected:
  void TellListeners();
  absl::Time NextDueOfListeners(absl::Time after) const;

 private:
  mutable std::mutex listeners_mutex_;
  std::vector<ClockListener*> listeners_;
};

// The machine's clock, speed 1. Domain time is the wall clock and so may step when an administrator steps it; what must never decrease (a
// commit's recorded_time) is held so by its writer.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Time NowReal() const override;
  double Speed() const override { return 1; }
  absl::Duration RealDurationUntil(absl::Time domain) const override;
};

// Domain time that stood at `domain` when real time stood at `real`, and runs `speed` times as fast since.
struct ClockBase {
  absl::Time real;
  absl::Time domain;
  double speed = 1;
};

inline constexpr double kMinRehearsalSpeed = 0.001;
inline constexpr double kMaxRehearsalSpeed = 1'000'000;

// A rehearsal's clock. Its base is the log's first commit, changed by further commits, so every process computes the same time from the same
// real time. Now() never decreases within a process: where a new base or a step of the real clock would take it back, it stands still
// until the computed time has caught up.
class RehearsalClock final : public Clock, private ClockListener {
 public:
  // `real_clock` gives real time by its NowReal() and outlives this. A speed outside [kMinRehearsalSpeed, kMaxRehearsalSpeed] is clamped.
  RehearsalClock(Clock* real_clock, const ClockBase& base);
  ~RehearsalClock() override;

  absl::Time Now() const override;
  absl::Time NowReal() const override { return real_clock_->NowReal(); }
  double Speed() const override;
  absl::Duration RealDurationUntil(absl::Time domain) const override;
  bool DrivenByHand() const override { return real_clock_->DrivenByHand(); }

  // Replaces real, domain and speed at once and wakes what waits on this clock.
  void Set(const ClockBase& base);
  // The same for a base that is read from the past, by a process that is catching up. A base before it, run on to the present, gave a time
  // that never was: it is forgotten.
  void Restore(const ClockBase& base);

 private:
  absl::Time NextDue() const override;
  void OnClockChanged() override { TellListeners(); }
  // The domain instant that the base gives for `real`.
  static absl::Time Compute(const ClockBase& base, absl::Time real);

  Clock* const real_clock_;
  mutable std::mutex mutex_;
  ClockBase base_;
  mutable absl::Time latest_ = absl::InfinitePast();
};

// For tests and the simulator: stands still until told. Domain and real time are one, speed 1.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time start) : now_(start) {}

  absl::Time Now() const override;
  absl::Time NowReal() const override { return Now(); }
  double Speed() const override { return 1; }
  absl::Duration RealDurationUntil(absl::Time domain) const override { return domain - Now(); }
  bool DrivenByHand() const override { return true; }

  // Moves to `instant`, stopping at every instant that a listener is due on the way and telling listeners there, in this thread: timers have
  // fired when it returns. An earlier instant than Now() moves nothing but tells the listeners.
  void AdvanceTo(absl::Time instant);
  void Advance(absl::Duration duration) { AdvanceTo(Now() + duration); }

  // A step of the wall clock, in either direction: nothing is told on the way, everything once there.
  void Step(absl::Time instant);

 private:
  mutable std::mutex mutex_;
  absl::Time now_;
};

}  // namespace vigil
