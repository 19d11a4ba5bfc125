// How a process ends: what was started is stopped in reverse order, once, whatever made it end.
#pragma once

#include <csignal>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace vigil {

// A stack of named stop actions. Thread-safe.
class Lifecycle {
 public:
  Lifecycle() = default;
  ~Lifecycle() { Stop(); }
  Lifecycle(const Lifecycle&) = delete;
  Lifecycle& operator=(const Lifecycle&) = delete;

  // `action` stops what has just been started; it must not throw. After Stop it is run at once.
  void OnStop(std::string name, std::function<void()> action);

  // Runs the actions, last given first, each logged with the time it took. The second call does nothing.
  void Stop();

 private:
  std::mutex mutex_;
  bool stopped_ = false;
  std::vector<std::pair<std::string, std::function<void()>>> actions_;
};

// Waits for SIGTERM or SIGINT without a signal handler. Make it first in main, before any thread: threads inherit its signal mask, so the
// signals come to it alone. SIGPIPE is ignored from then on. One in a process.
class SignalWait {
 public:
  SignalWait();
  ~SignalWait();
  SignalWait(const SignalWait&) = delete;
  SignalWait& operator=(const SignalWait&) = delete;

  // Blocks until a signal or RequestStop; returns the signal, or 0. Afterwards a second signal ends the process at once, so that an operator
  // is never held by an orderly stop that hangs.
  int Wait();

  // Ends Wait from any thread, for what the process cannot go on without.
  void RequestStop();

 private:
  int signal_file_ = -1;
  int stop_file_ = -1;
  sigset_t previous_mask_{};
  bool unblocked_ = false;
};

// Waits, then stops. Returns the process's exit code: 0 after a signal, 1 after RequestStop.
int RunUntilSignal(SignalWait& signals, Lifecycle& lifecycle);

}  // namespace vigil
