#include "supervisor/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace vigil::installation {

absl::Duration NextRestartDelay(absl::Duration last_delay, absl::Duration lived) {
  if (last_delay == absl::ZeroDuration() || lived >= kHealthyLife) return kFirstRestartDelay;
  return std::min(last_delay * 2, kMaxRestartDelay);
}

absl::StatusOr<pid_t> Start(const Command& command) {
  const int log = open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", command.log.string()));
  absl::Cleanup close_log = [&] { close(log); };
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0) return absl::ErrnoToStatus(errno, "cannot open /dev/null");
  absl::Cleanup close_nothing = [&] { close(nothing); };
  // Tells whether exec happened: it closes when it does, and carries errno when it does not.
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  absl::Cleanup close_report = [&] { close(report[0]); };

  std::vector<std::string> words = {command.program};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    for (const auto& [name, value] : command.environment) setenv(name.c_str(), value.c_str(), 1);
    if (command.niceness > 0) setpriority(PRIO_PROCESS, 0, command.niceness);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (getppid() == parent) execv(arguments[0], arguments.data());
    const int failure = errno;
    const ssize_t ignored = write(report[1], &failure, sizeof(failure));
    static_cast<void>(ignored);
    _exit(127);
  }
  const int fork_error = errno;
  close(report[1]);
  if (pid < 0) return absl::ErrnoToStatus(fork_error, absl::StrCat("cannot start ", command.program));
  int failure = 0;
  ssize_t size = 0;
  do {
    size = read(report[0], &failure, sizeof(failure));
  } while (size < 0 && errno == EINTR);
  // The supervisor reaps the child as any other; it need not know more than that this start failed.
  if (size == static_cast<ssize_t>(sizeof(failure)))
    return absl::ErrnoToStatus(failure, absl::StrCat("cannot start ", command.program));
  return pid;
}

std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  const std::string places =
      absl::StrCat(path == nullptr ? "" : path, ":/usr/sbin:/usr/bin:/sbin:/usr/local/sbin:/usr/local/bin");
  for (const absl::string_view place : absl::StrSplit(places, ':', absl::SkipEmpty())) {
    const std::string candidate = absl::StrCat(place, "/", name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

}  // namespace vigil::installation
