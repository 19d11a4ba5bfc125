#include "platform/lifecycle/lifecycle.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/time/clock.h"
#include "platform/logging/log.h"

namespace vigil {

void Lifecycle::OnStop(std::string name, std::function<void()> action) {
  {
    std::lock_guard lock(mutex_);
    if (!stopped_) {
      actions_.emplace_back(std::move(name), std::move(action));
      return;
    }
  }
  action();
}

void Lifecycle::Stop() {
  std::vector<std::pair<std::string, std::function<void()>>> actions;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    actions.swap(actions_);
  }
  while (!actions.empty()) {
    const absl::Time start = absl::Now();
    actions.back().second();
    log::Debug("stopped", {{"part", log::Id(actions.back().first)}, {"seconds", absl::Now() - start}});
    actions.pop_back();
  }
}

SignalWait::SignalWait() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGTERM);
  sigaddset(&wanted, SIGINT);
  std::signal(SIGPIPE, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &wanted, &previous_mask_);
  signal_file_ = signalfd(-1, &wanted, SFD_CLOEXEC);
  stop_file_ = eventfd(0, EFD_CLOEXEC);
  if (signal_file_ < 0 || stop_file_ < 0) {
    // Without them the process could not be stopped in order; there is no reason but a broken machine.
    std::perror("signalfd");
    std::abort();
  }
}

SignalWait::~SignalWait() {
  close(signal_file_);
  close(stop_file_);
  if (!unblocked_) pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

int SignalWait::Wait() {
  pollfd files[] = {{signal_file_, POLLIN, 0}, {stop_file_, POLLIN, 0}};
  int signal_number = 0;
  while (poll(files, 2, -1) < 0 && errno == EINTR) {
  }
  if ((files[0].revents & POLLIN) != 0) {
    signalfd_siginfo info{};
    if (read(signal_file_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      signal_number = static_cast<int>(info.ssi_signo);
    }
  }
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
  unblocked_ = true;
  return signal_number;
}

void SignalWait::RequestStop() {
  const std::uint64_t one = 1;
  // Only fails when it is already set.
  [[maybe_unused]] const ssize_t written = write(stop_file_, &one, sizeof one);
}

int RunUntilSignal(SignalWait& signals, Lifecycle& lifecycle) {
  const int signal_number = signals.Wait();
  log::Info("stopping", {{"signal", signal_number}});
  lifecycle.Stop();
  log::Info("stopped");
  return signal_number != 0 ? 0 : 1;
}

}  // namespace vigil
