#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "absl/time/time.h"

namespace vigil::sandbox {

// Runs functions later, in the order of their times, on one thread of its own. They must not block. Thread-safe.
class TimerQueue {
 public:
  TimerQueue();
  ~TimerQueue();  // what has not run is dropped
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  void After(absl::Duration delay, std::function<void()> function);
  // Runs nothing any more once it has returned. Not to be called from one of the functions.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> functions_;
  std::thread thread_;
};

}  // namespace vigil::sandbox
