// What every clock owes to whoever waits on it. The clocks that follow the machine's time are waited for a few milliseconds.
#include "platform/clock/clock.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "platform/clock/waker.h"

namespace vigil {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'750'000'000);

// A clock, and how a test makes its time pass.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual Clock& clock() = 0;
  // Returns at once; the clock reaches `domain` by itself or is driven there.
  virtual void Drive(absl::Time /*domain*/) {}
};

class SystemSubject : public Subject {
 public:
  Clock& clock() override { return clock_; }

 private:
  SystemClock clock_;
};

class RehearsalSubject : public Subject {
 public:
  explicit RehearsalSubject(double speed) : clock_(&real_, {real_.NowReal(), kStart, speed}) {}
  Clock& clock() override { return clock_; }

 private:
  SystemClock real_;
  RehearsalClock clock_;
};

class ManualSubject : public Subject {
 public:
  Clock& clock() override { return clock_; }
  void Drive(absl::Time domain) override { clock_.AdvanceTo(domain); }

 private:
  ManualClock clock_{kStart};
};

class ManualRehearsalSubject : public Subject {
 public:
  Clock& clock() override { return clock_; }
  void Drive(absl::Time domain) override {
    real_.AdvanceTo(real_.NowReal() + clock_.RealDurationUntil(domain) + absl::Nanoseconds(1));
  }

 private:
  ManualClock real_{kStart};
  RehearsalClock clock_{&real_, {kStart, kStart + absl::Hours(5), 60}};
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Subject>()> make;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class ClockContract : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Subject> subject_ = GetParam().make();
  Clock& clock_ = subject_->clock();
  // Domain time that passes quickly on this clock.
  const absl::Duration short_while_ = absl::Milliseconds(20) * clock_.Speed();
};

TEST_P(ClockContract, DomainTimeGoesForward) {
  absl::Time last = clock_.Now();
  for (int i = 0; i < 1'000; ++i) {
    const absl::Time now = clock_.Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST_P(ClockContract, TellsHowLongUntilAnInstant) {
  EXPECT_GT(clock_.RealDurationUntil(clock_.Now() + absl::Hours(1)), absl::ZeroDuration());
  EXPECT_LE(clock_.RealDurationUntil(clock_.Now()), absl::ZeroDuration());
  EXPECT_LT(clock_.RealDurationUntil(clock_.Now() - absl::Hours(1)), absl::ZeroDuration());
  EXPECT_EQ(clock_.RealDurationUntil(absl::InfiniteFuture()), absl::InfiniteDuration());
  const absl::Duration real = clock_.RealDurationUntil(clock_.Now() + absl::Hours(100));
  EXPECT_NEAR(absl::ToDoubleSeconds(real * clock_.Speed()), 360'000, 3'600);
}

TEST_P(ClockContract, WakerReturnsAtOnceForThePast) {
  Waker waker(&clock_);
  EXPECT_EQ(waker.WaitUntil(clock_.Now()), Waker::Reason::kDue);
  EXPECT_EQ(waker.WaitUntil(absl::InfinitePast()), Waker::Reason::kDue);
}

TEST_P(ClockContract, WakerWaitsUntilDueAndNeverLess) {
  Waker waker(&clock_);
  const absl::Time due = clock_.Now() + short_while_;
  absl::Time woken;
  Waker::Reason reason{};
  std::thread thread([&] {
    reason = waker.WaitUntil(due);
    woken = clock_.Now();
  });
  subject_->Drive(due);
  thread.join();
  EXPECT_EQ(reason, Waker::Reason::kDue);
  EXPECT_GE(woken, due);
}

TEST_P(ClockContract, ANotificationEndsTheWait) {
  Waker waker(&clock_);
  std::thread thread([&] { waker.Notify(); });
  EXPECT_EQ(waker.WaitUntil(absl::InfiniteFuture()), Waker::Reason::kNotified);
  thread.join();
}

TEST_P(ClockContract, ANotificationGivenBeforeTheWaitIsNotLostAndCountsOnce) {
  Waker waker(&clock_);
  waker.Notify();
  waker.Notify();
  EXPECT_EQ(waker.WaitUntil(clock_.Now()), Waker::Reason::kNotified);
  EXPECT_EQ(waker.WaitUntil(clock_.Now()), Waker::Reason::kDue);
}

TEST_P(ClockContract, StopEndsThisWaitAndLaterOnes) {
  Waker waker(&clock_);
  std::thread thread([&] { waker.Stop(); });
  EXPECT_EQ(waker.WaitUntil(absl::InfiniteFuture()), Waker::Reason::kStopped);
  thread.join();
  waker.Notify();
  EXPECT_EQ(waker.WaitUntil(clock_.Now()), Waker::Reason::kStopped);
}

TEST_P(ClockContract, TimersFireInOrderAndNeverEarly) {
  std::mutex mutex;
  std::vector<int> fired;
  std::vector<absl::Duration> lateness;
  absl::Notification done;
  TimerThread timers(&clock_);
  const absl::Time start = clock_.Now();
  const auto at = [&](absl::Time instant, int number) {
    timers.At(instant, [&, instant, number] {
      std::lock_guard lock(mutex);
      fired.push_back(number);
      lateness.push_back(clock_.Now() - instant);
      if (number == 4) done.Notify();
    });
  };
  at(start + 3 * short_while_, 4);
  at(start + 2 * short_while_, 2);
  at(start + 2 * short_while_, 3);
  at(start + short_while_, 1);
  subject_->Drive(start + 3 * short_while_);
  done.WaitForNotification();
  std::lock_guard lock(mutex);
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 3, 4}));
  for (const absl::Duration late : lateness) EXPECT_GE(late, absl::ZeroDuration());
}

TEST_P(ClockContract, ACancelledTimerNeverFires) {
  absl::Notification done;
  bool fired = false;
  TimerThread timers(&clock_);
  const absl::Time due = clock_.Now() + short_while_;
  const TimerThread::TimerId id = timers.At(due, [&] { fired = true; });
  timers.At(due, [&] { done.Notify(); });
  EXPECT_TRUE(timers.Cancel(id));
  EXPECT_FALSE(timers.Cancel(id));
  subject_->Drive(due);
  done.WaitForNotification();
  EXPECT_FALSE(fired);
}

TEST_P(ClockContract, ATimerMaySetAnother) {
  absl::Notification done;
  TimerThread timers(&clock_);
  const absl::Time start = clock_.Now();
  timers.At(start + short_while_, [&] { timers.At(start + 2 * short_while_, [&] { done.Notify(); }); });
  subject_->Drive(start + 2 * short_while_);
  done.WaitForNotification();
  EXPECT_GE(clock_.Now(), start + 2 * short_while_);
}

INSTANTIATE_TEST_SUITE_P(All, ClockContract,
                         testing::Values(Kind{"System", [] { return std::make_unique<SystemSubject>(); }},
                                         Kind{"RehearsalAtSpeed1", [] { return std::make_unique<RehearsalSubject>(1); }},
                                         Kind{"RehearsalAtSpeed10000", [] { return std::make_unique<RehearsalSubject>(10'000); }},
                                         Kind{"Manual", [] { return std::make_unique<ManualSubject>(); }},
                                         Kind{"ManualRehearsal", [] { return std::make_unique<ManualRehearsalSubject>(); }}),
                         [](const auto& kind) { return kind.param.name; });

TEST(RehearsalClockTest, RunsAtItsSpeedFromItsOrigin) {
  ManualClock real(kStart);
  RehearsalClock clock(&real, {kStart, kStart + absl::Hours(1), 60});
  EXPECT_EQ(clock.Now(), kStart + absl::Hours(1));
  real.Advance(absl::Minutes(1));
  EXPECT_EQ(clock.Now(), kStart + absl::Hours(2));
  EXPECT_EQ(clock.NowReal(), kStart + absl::Minutes(1));
  EXPECT_EQ(clock.RealDurationUntil(kStart + absl::Hours(3)), absl::Minutes(1));
}

TEST(RehearsalClockTest, TwoProcessesWithTheSameBaseAgree) {
  ManualClock real(kStart);
  const ClockBase base{kStart - absl::Hours(7), kStart, 333};
  RehearsalClock one(&real, base);
  real.Advance(absl::Seconds(12));
  RehearsalClock other(&real, base);
  EXPECT_EQ(one.Now(), other.Now());
}

TEST(RehearsalClockTest, AChangeOfSpeedIsSeamless) {
  ManualClock real(kStart);
  RehearsalClock clock(&real, {kStart, kStart, 60});
  real.Advance(absl::Minutes(1));
  clock.Set({real.NowReal(), clock.Now(), 2});
  EXPECT_EQ(clock.Now(), kStart + absl::Hours(1));
  real.Advance(absl::Minutes(1));
  EXPECT_EQ(clock.Now(), kStart + absl::Hours(1) + absl::Minutes(2));
  EXPECT_EQ(clock.Speed(), 2);
}

TEST(RehearsalClockTest, ABaseInThePastStandsStillUntilCaughtUp) {
  ManualClock real(kStart);
  RehearsalClock clock(&real, {kStart, kStart, 1});
  real.Advance(absl::Hours(1));
  const absl::Time before = clock.Now();
  clock.Set({real.NowReal(), kStart + absl::Minutes(30), 1});
  EXPECT_EQ(clock.Now(), before);
  real.Advance(absl::Minutes(20));
  EXPECT_EQ(clock.Now(), before);
  EXPECT_EQ(clock.RealDurationUntil(before + absl::Minutes(1)), absl::Minutes(11));
  real.Advance(absl::Minutes(11));
  EXPECT_EQ(clock.Now(), before + absl::Minutes(1));
}

TEST(RehearsalClockTest, AStepBackOfTheRealClockTakesNothingBack) {
  ManualClock real(kStart);
  RehearsalClock clock(&real, {kStart, kStart, 10});
  real.Advance(absl::Hours(1));
  const absl::Time before = clock.Now();
  real.Step(kStart);
  EXPECT_EQ(clock.Now(), before);
}

TEST(RehearsalClockTest, WhatNobodySawIsNotKept) {
  ManualClock real(kStart);
  RehearsalClock clock(&real, {kStart, kStart, 20'000});
  real.Advance(absl::Seconds(10));
  // Read ten seconds late: the change to speed 1 happened one second after the start.
  clock.Set({kStart + absl::Seconds(1), kStart + absl::Seconds(20'000), 1});
  EXPECT_EQ(clock.Now(), kStart + absl::Seconds(20'009));
}

TEST(RehearsalClockTest, CatchingUpForgetsTheTimesOfOldBases) {
  ManualClock real(kStart);
  RehearsalClock clock(&real, {kStart, kStart, 20'000});
  real.Advance(absl::Hours(1));
  EXPECT_GT(clock.Now(), kStart + absl::Hours(10'000));  // what a loop sees that looks while the log is still being read
  clock.Restore({kStart + absl::Seconds(1), kStart + absl::Seconds(20'000), 1});
  EXPECT_EQ(clock.Now(), kStart + absl::Seconds(20'000) + absl::Hours(1) - absl::Seconds(1));
}

TEST(RehearsalClockTest, ANewBaseWakesWhatWaits) {
  SystemClock real;
  RehearsalClock clock(&real, {real.NowReal(), kStart, kMinRehearsalSpeed});
  absl::Notification fired;
  TimerThread timers(&clock);
  timers.At(kStart + absl::Hours(1), [&] { fired.Notify(); });
  clock.Set({real.NowReal(), kStart + absl::Hours(2), 1});
  fired.WaitForNotification();
}

TEST(ManualClockTest, TimersHaveFiredWhenAdvanceReturnsEachAtItsInstant) {
  ManualClock clock(kStart);
  TimerThread timers(&clock);
  std::vector<absl::Time> fired;
  for (const int minute : {3, 1, 2}) timers.At(kStart + absl::Minutes(minute), [&] { fired.push_back(clock.Now()); });
  clock.Advance(absl::Minutes(2));
  EXPECT_EQ(fired, (std::vector<absl::Time>{kStart + absl::Minutes(1), kStart + absl::Minutes(2)}));
  EXPECT_EQ(clock.Now(), kStart + absl::Minutes(2));
}

TEST(ManualClockTest, AStepOfTheWallClockForwardFiresAtOnceAndBackFiresNothing) {
  ManualClock clock(kStart);
  TimerThread timers(&clock);
  int fired = 0;
  timers.At(kStart + absl::Minutes(30), [&] { ++fired; });
  clock.Step(kStart - absl::Hours(1));
  EXPECT_EQ(fired, 0);
  clock.Step(kStart + absl::Hours(1));
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(clock.Now(), kStart + absl::Hours(1));
}

}  // namespace
}  // namespace vigil
