#include "platform/clock/clock.h"

#include <algorithm>
#include <cmath>

#include "absl/time/clock.h"

namespace vigil {

void Clock::AddListener(ClockListener* listener) {
  std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(listener);
}

void Clock::RemoveListener(ClockListener* listener) {
  std::lock_guard lock(listeners_mutex_);
  std::erase(listeners_, listener);
}

void Clock::TellListeners() {
  std::lock_guard lock(listeners_mutex_);
  for (ClockListener* listener : listeners_) listener->OnClockChanged();
}

absl::Time Clock::NextDueOfListeners(absl::Time after) const {
  std::lock_guard lock(listeners_mutex_);
  absl::Time next = absl::InfiniteFuture();
  for (const ClockListener* listener : listeners_) {
    const absl::Time due = listener->NextDue();
    if (due > after) next = std::min(next, due);
  }
  return next;
}

absl::Time SystemClock::Now() const { return absl::Now(); }
absl::Time SystemClock::NowReal() const { return absl::Now(); }
absl::Duration SystemClock::RealDurationUntil(absl::Time domain) const { return domain - absl::Now(); }

namespace {
ClockBase Clamped(ClockBase base) {
  if (std::isnan(base.speed)) base.speed = 1;
  base.speed = std::clamp(base.speed, kMinRehearsalSpeed, kMaxRehearsalSpeed);
  return base;
}
}  // namespace

RehearsalClock::RehearsalClock(Clock* real_clock, const ClockBase& base) : real_clock_(real_clock), base_(Clamped(base)) {
  real_clock_->AddListener(this);
}

RehearsalClock::~RehearsalClock() { real_clock_->RemoveListener(this); }

absl::Time RehearsalClock::Compute(const ClockBase& base, absl::Time real) {
  return base.domain + (real - base.real) * base.speed;
}

absl::Time RehearsalClock::Now() const {
  std::lock_guard lock(mutex_);
  latest_ = std::max(latest_, Compute(base_, real_clock_->NowReal()));
  return latest_;
}

double RehearsalClock::Speed() const {
  std::lock_guard lock(mutex_);
  return base_.speed;
}

absl::Duration RehearsalClock::RealDurationUntil(absl::Time domain) const {
  if (domain == absl::InfiniteFuture()) return absl::InfiniteDuration();
  if (domain == absl::InfinitePast()) return -absl::InfiniteDuration();
  std::lock_guard lock(mutex_);
  const absl::Time now = Compute(base_, real_clock_->NowReal());
  latest_ = std::max(latest_, now);
  if (latest_ >= domain) return (domain - latest_) / base_.speed;
  // Counted from the computed time: while Now() stands still, it is the computed time that has to get there.
  return (domain - now) / base_.speed;
}

void RehearsalClock::Set(const ClockBase& base) {
  {
    std::lock_guard lock(mutex_);
    // Only what was shown must not be taken back. The old base, run on to the present, is a time that nobody else has seen.
    base_ = Clamped(base);
  }
  TellListeners();
}

void RehearsalClock::Restore(const ClockBase& base) {
  {
    std::lock_guard lock(mutex_);
    latest_ = absl::InfinitePast();
    base_ = Clamped(base);
  }
  TellListeners();
}

absl::Time RehearsalClock::NextDue() const {
  absl::Time now;  // looked at, not shown
  {
    std::lock_guard lock(mutex_);
    now = std::max(latest_, Compute(base_, real_clock_->NowReal()));
  }
  const absl::Time due = NextDueOfListeners(now);
  if (due == absl::InfiniteFuture()) return due;
  std::lock_guard lock(mutex_);
  // A nanosecond more, so that rounding cannot leave the domain instant just ahead.
  return base_.real + (due - base_.domain) / base_.speed + absl::Nanoseconds(1);
}

absl::Time ManualClock::Now() const {
  std::lock_guard lock(mutex_);
  return now_;
}

void ManualClock::AdvanceTo(absl::Time instant) {
  TellListeners();
  for (;;) {
    const absl::Time next = std::min(NextDueOfListeners(Now()), instant);
    {
      std::lock_guard lock(mutex_);
      if (next <= now_) return;
      now_ = next;
    }
    TellListeners();
  }
}

void ManualClock::Step(absl::Time instant) {
  {
    std::lock_guard lock(mutex_);
    now_ = instant;
  }
  TellListeners();
}

}  // namespace vigil
