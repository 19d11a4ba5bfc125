#include "platform/clock/waker.h"

#include <algorithm>
#include <chrono>

namespace vigil {

namespace {
// A wait shorter than this would only be a spin: it is what a timed wait costs.
constexpr absl::Duration kShortestWait = absl::Microseconds(20);
}  // namespace

Waker::Waker(Clock* clock) : clock_(clock) { clock_->AddListener(this); }

Waker::~Waker() { clock_->RemoveListener(this); }

Waker::Reason Waker::WaitUntil(absl::Time instant) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopped_) return Reason::kStopped;
    if (notified_) {
      notified_ = false;
      return Reason::kNotified;
    }
    clock_changed_ = false;
    const bool endless = instant == absl::InfiniteFuture();
    if (!endless && clock_->Now() >= instant) return Reason::kDue;
    const auto woken = [this] { return stopped_ || notified_ || clock_changed_; };
    if (endless || clock_->DrivenByHand()) {
      changed_.wait(lock, woken);
    } else {
      // wait_for counts on the monotonic clock, which no step of the wall clock moves; a slice ends early enough to notice one.
      const absl::Duration slice = std::clamp(clock_->RealDurationUntil(instant), kShortestWait, kLongestWait);
      changed_.wait_for(lock, std::chrono::nanoseconds(absl::ToInt64Nanoseconds(slice)), woken);
    }
  }
}

void Waker::Notify() {
  {
    std::lock_guard lock(mutex_);
    notified_ = true;
  }
  changed_.notify_one();
}

void Waker::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

void Waker::OnClockChanged() {
  {
    std::lock_guard lock(mutex_);
    clock_changed_ = true;
  }
  changed_.notify_one();
}

TimerThread::TimerThread(Clock* clock) : clock_(clock), waker_(clock) {
  if (clock_->DrivenByHand()) {
    clock_->AddListener(this);
  } else {
    thread_ = std::thread([this] { Loop(); });
  }
}

TimerThread::~TimerThread() {
  if (clock_->DrivenByHand()) {
    clock_->RemoveListener(this);
  } else {
    waker_.Stop();
    thread_.join();
  }
}

TimerThread::TimerId TimerThread::At(absl::Time instant, std::function<void()> callback) {
  TimerId id = 0;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    id = ++last_id_;
    const auto place = timers_.emplace(std::make_pair(instant, id), std::move(callback)).first;
    instants_.emplace(id, instant);
    first = place == timers_.begin();
  }
  if (first) waker_.Notify();
  return id;
}

bool TimerThread::Cancel(TimerId id) {
  std::lock_guard lock(mutex_);
  const auto found = instants_.find(id);
  if (found == instants_.end()) return false;
  timers_.erase({found->second, id});
  instants_.erase(found);
  return true;
}

absl::Time TimerThread::NextDue() const {
  std::lock_guard lock(mutex_);
  return timers_.empty() ? absl::InfiniteFuture() : timers_.begin()->first.first;
}

void TimerThread::OnClockChanged() { RunDue(); }

absl::Time TimerThread::RunDue() {
  std::unique_lock lock(mutex_);
  while (!timers_.empty()) {
    const auto first = timers_.begin();
    if (first->first.first > clock_->Now()) return first->first.first;
    instants_.erase(first->first.second);
    const auto taken = timers_.extract(first);
    lock.unlock();
    taken.mapped()();
    lock.lock();
  }
  return absl::InfiniteFuture();
}

void TimerThread::Loop() {
  absl::Time next = absl::InfiniteFuture();
  while (waker_.WaitUntil(next) != Waker::Reason::kStopped) next = RunDue();
}

}  // namespace vigil
