#include "platform/document/printer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"

namespace vigil::document {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(200);  // how often a stop is noticed

absl::Status OfExit(int status) {
  if (WIFEXITED(status)) {
    switch (WEXITSTATUS(status)) {
      case 0:
        return absl::OkStatus();
      case kExitBadText:
        return absl::InvalidArgumentError("the document holds text that cannot be printed");
      case kExitTooLong:
        return absl::OutOfRangeError("the document has too many pages");
      case kExitNoFonts:
        return absl::UnavailableError("the fonts for documents are not installed");
      default:
        break;
    }
  }
  // Limits of processor time and memory end it by a signal or an abort.
  return absl::DeadlineExceededError("the document could not be made within its limits");
}

}  // namespace

ProcessPrinter::ProcessPrinter(PrinterOptions options) : options_(std::move(options)), thread_([this] { Work(); }) {}

ProcessPrinter::~ProcessPrinter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  for (Job& job : jobs_) job.done(absl::UnavailableError("shutting down"));
}

void ProcessPrinter::Print(const Document& document, Done done) {
  std::string input = Encode(document);
  if (input.size() > kMaxDocumentBytes) return done(absl::OutOfRangeError("the document is too long"));
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && jobs_.size() < options_.most_waiting) {
      jobs_.push_back({std::move(input), std::move(done)});
      changed_.notify_one();
      return;
    }
  }
  done(absl::ResourceExhaustedError("too many documents are being printed"));
}

bool ProcessPrinter::Stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void ProcessPrinter::Work() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job.done(Run(job.input));
  }
}

absl::StatusOr<std::string> ProcessPrinter::Run(const std::string& input) {
  // A socket, so that a program that has ended is an error here and no signal.
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return absl::ErrnoToStatus(errno, "cannot make a socket");
  const int ours = pair[0];
  absl::Cleanup close_ours = [ours] { close(ours); };
  fcntl(ours, F_SETFL, O_NONBLOCK);  // of this end alone: the program writes as to a pipe
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pair[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pair[1], STDOUT_FILENO);
  // What a library might say on it may repeat what it was given.
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string program = options_.program;
  char* const arguments[] = {program.data(), nullptr};
  char locale[] = "LC_ALL=C.UTF-8";
  char* const environment[] = {locale, nullptr};
  pid_t pid = 0;
  const int spawned = posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(pair[1]);
  if (spawned != 0) return absl::UnavailableError("documents cannot be printed here");

  const absl::Time deadline = absl::Now() + options_.longest;
  absl::Status failed = absl::OkStatus();
  std::string pdf;
  std::size_t sent = 0;
  bool ended = false;
  while (!ended && failed.ok()) {
    pollfd waiting{.fd = ours, .events = static_cast<short>(POLLIN | (sent < input.size() ? POLLOUT : 0)), .revents = 0};
    poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(kLook)));
    if (Stopping()) failed = absl::UnavailableError("shutting down");
    if (absl::Now() > deadline) failed = absl::DeadlineExceededError("the document took too long");
    if ((waiting.revents & POLLOUT) != 0 && sent < input.size()) {
      const ssize_t count = send(ours, input.data() + sent, input.size() - sent, MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
      if (count < 0 && errno != EAGAIN && errno != EINTR) ended = true;  // its exit says why
      if (sent == input.size()) shutdown(ours, SHUT_WR);
    }
    if ((waiting.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      char buffer[64 * 1024];
      const ssize_t count = recv(ours, buffer, sizeof(buffer), 0);
      if (count > 0) pdf.append(buffer, static_cast<std::size_t>(count));
      if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) ended = true;
      if (pdf.size() > options_.most_bytes) failed = absl::OutOfRangeError("the document is too large");
    }
  }
  if (!failed.ok()) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!failed.ok()) return failed;
  if (absl::Status exit = OfExit(status); !exit.ok()) return exit;
  if (!pdf.starts_with("%PDF-")) return absl::InternalError("what was made is no document");
  return pdf;
}

std::string ProgramBeside(const std::string& name) {
  std::string path(4096, '\0');
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  path.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  return path.substr(0, path.rfind('/') + 1) + name;
}

}  // namespace vigil::document
