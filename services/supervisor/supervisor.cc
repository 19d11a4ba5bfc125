#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "supervisor/files.h"
#include "supervisor/ports.h"
#include "supervisor/synchronous_store.h"

namespace vigil::installation {
namespace {

// nats-server shares its processors with everything of ours: half of them for its runtime's threads. With both of two cores it used a quarter more
// processor time at 100 reports a second, on waking its own threads. Its heap is a few megabytes, so it need not collect it as often as Go would. What
// the operator sets stands.
std::vector<std::pair<std::string, std::string>> BrokerEnvironment() {
  std::vector<std::pair<std::string, std::string>> environment;
  const auto set = [&](const char* name, std::string value) {
    if (std::getenv(name) == nullptr) environment.emplace_back(name, std::move(value));
  };
  set("GOMAXPROCS", std::to_string(std::max(1u, std::thread::hardware_concurrency() / 2)));
  set("GOGC", "400");
  set("GOMEMLIMIT", "1GiB");
  return environment;
}

constexpr absl::Duration kBrokerPatience = absl::Seconds(20);
constexpr absl::Duration kPreparePatience = absl::Seconds(60);
constexpr absl::Duration kRotationInterval = absl::Seconds(10);
constexpr absl::Duration kPollInterval = absl::Milliseconds(20);
constexpr int kLinesShown = 8;

void Say(const std::string& text) {
  std::fprintf(stderr, "%s %s\n", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()).c_str(),
               text.c_str());
}

sigset_t HandledSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

// Waits for one of the handled signals; 0 if none came in time.
int AwaitSignal(absl::Duration patience) {
  const sigset_t signals = HandledSignals();
  const timespec timeout = absl::ToTimespec(std::max(patience, absl::ZeroDuration()));
  const int signal = sigtimedwait(&signals, nullptr, &timeout);
  return signal < 0 ? 0 : signal;
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("was killed by signal ", WTERMSIG(status));
  return absl::StrCat("ended with status ", WEXITSTATUS(status));
}

std::string WithLastLines(std::string text, const std::filesystem::path& log) {
  const std::string lines = LastLines(log, kLinesShown);
  if (!lines.empty()) absl::StrAppend(&text, ". The end of ", log.string(), ":\n", lines);
  return text;
}

// The process goes on writing to the same file (it appends), so what is there is copied and the file emptied.
void Rotate(const std::filesystem::path& log) {
  struct stat status = {};
  if (stat(log.c_str(), &status) != 0 || status.st_size <= kMaxLogFileBytes) return;
  const int from = open(log.c_str(), O_RDWR | O_CLOEXEC);
  if (from < 0) return;
  absl::Cleanup close_from = [&] { close(from); };
  const std::string old_path = log.string() + ".1";
  const int to = open(old_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (to >= 0) {
    while (sendfile(to, from, nullptr, 1 << 20) > 0) {
    }
    close(to);
  }
  if (ftruncate(from, 0) != 0) Say(absl::StrCat("cannot empty ", log.string()));
}

}  // namespace

absl::Status TakeLock(const Layout& layout) {
  // Kept open, and with it locked, until the process ends.
  const int file = open(layout.run("supervisor.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", layout.run("supervisor.lock").string()));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    close(file);
    return absl::AlreadyExistsError("a supervisor runs for this home already");
  }
  return absl::OkStatus();
}

absl::StatusOr<pid_t> RunningSupervisor(const Layout& layout) {
  const absl::Status none = absl::NotFoundError(absl::StrCat("nothing runs for ", layout.home().string()));
  const int file = open(layout.run("supervisor.lock").c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return none;
  absl::Cleanup close_file = [&] { close(file); };
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return none;
  absl::StatusOr<std::string> text = ReadFile(layout.run("supervisor.pid"));
  if (!text.ok()) return text.status();
  pid_t pid = 0;
  if (!absl::SimpleAtoi(*text, &pid)) return absl::DataLossError("run/supervisor.pid is not a number");
  return pid;
}

absl::StatusOr<std::vector<ProcessState>> ReadProcesses(const Layout& layout) {
  absl::StatusOr<std::string> text = ReadFile(layout.run("processes.json"));
  if (!text.ok()) return text.status();
  std::vector<ProcessState> states;
  try {
    for (const nlohmann::json& json : nlohmann::json::parse(*text)) {
      states.push_back({json.at("name"), json.at("state"), json.at("pid"), json.at("port"), json.at("restarts")});
    }
  } catch (const nlohmann::json::exception& exception) {
    return absl::DataLossError(absl::StrCat("run/processes.json: ", exception.what()));
  }
  return states;
}

Supervisor::Supervisor(Layout layout, Installation installation, Surroundings surroundings, SupervisorOptions options,
                       std::string token)
    : layout_(std::move(layout)),
      installation_(std::move(installation)),
      surroundings_(std::move(surroundings)),
      options_(std::move(options)),
      token_(std::move(token)) {
  const auto add = [&](std::string name, Stage stage, std::string program, std::vector<std::string> arguments,
                       int port) {
    Process process;
    process.command = {std::move(program), std::move(arguments), layout_.log(name)};
    process.name = std::move(name);
    process.stage = stage;
    process.port = port;
    processes_.push_back(std::move(process));
  };
  add("nats", Stage::kBroker, FindProgram("nats-server"), {"-c", layout_.nats_config().string()},
      installation_.port + kNatsPortOffset);
  processes_.back().command.environment = BrokerEnvironment();
  if (options_.only_log) return;
  add("redis", Stage::kBroker, FindProgram("redis-server"), {layout_.redis_config().string()},
      installation_.port + kRedisPortOffset);
  for (Process& broker : processes_) broker.restart = options_.restart_brokers;
  const auto own = [&](std::string_view name) {
    return (surroundings_.programs / ("vigil-" + std::string(name))).string();
  };
  if (surroundings_.providers.url.empty()) {
    add("sandbox", Stage::kBroker, own("sandbox"), {"--config", layout_.config("sandbox").string()},
        installation_.port + kSandboxPortOffset);
  }
  for (const Service& service : kServices) {
    add(std::string(service.name), service.name == "gateway" ? Stage::kEdge : Stage::kService, own(service.name),
        {"--config", layout_.config(service.name).string()}, installation_.port + service.grpc_offset);
    processes_.back().command.niceness = service.niceness;
  }
}

void Supervisor::BlockSignals() {
  const sigset_t signals = HandledSignals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

absl::Status Supervisor::StartProcess(Process& process) {
  process.restart_time = absl::InfiniteFuture();
  absl::StatusOr<pid_t> pid = Start(process.command);
  process.started_time = absl::Now();
  if (!pid.ok()) return pid.status();
  process.pid = *pid;
  Say(absl::StrCat("started ", process.name, " (pid ", process.pid, ")"));
  return absl::OkStatus();
}

absl::Status Supervisor::AwaitPort(Process& process, absl::Duration patience) {
  const absl::Time end = absl::Now() + patience;
  while (absl::Now() < end) {
    Reap();
    if (process.pid == 0)
      return absl::UnavailableError(WithLastLines(absl::StrCat(process.name, " ended at once"), process.command.log));
    if (Accepts(process.port, absl::Milliseconds(200))) return absl::OkStatus();
    absl::SleepFor(kPollInterval);
  }
  return absl::DeadlineExceededError(WithLastLines(
      absl::StrCat(process.name, " does not listen on port ", process.port, " after ", absl::FormatDuration(patience)),
      process.command.log));
}

absl::Status Supervisor::PrepareLog() {
  // In a process of its own, so that this one keeps a single thread.
  const Command command = {
      options_.self, {"prepare-log", "--home", layout_.home().string()}, layout_.log("prepare-log")};
  prepared_status_ = -1;
  absl::StatusOr<pid_t> pid = Start(command);
  if (!pid.ok()) return pid.status();
  preparing_ = *pid;
  const absl::Time end = absl::Now() + kPreparePatience;
  while (prepared_status_ == -1 && absl::Now() < end) {
    Reap();
    absl::SleepFor(kPollInterval);
  }
  if (prepared_status_ == -1) kill(preparing_, SIGKILL);
  if (prepared_status_ != 0)
    return absl::UnavailableError(WithLastLines("the log's streams could not be made", command.log));
  return absl::OkStatus();
}

absl::Status Supervisor::StartAll() {
  const auto start = [&]() -> absl::Status {
    for (Process& process : processes_) {
      if (access(process.command.program.c_str(), X_OK) == 0) continue;
      if (process.name == "nats" || process.name == "redis") {
        return absl::NotFoundError(absl::StrCat(process.name, "-server is not installed; run deploy/local/install"));
      }
      Say(absl::StrCat("warning: there is no ", process.command.program, "; going on without ", process.name));
    }
    for (Process& process : processes_) {
      if (access(process.command.program.c_str(), X_OK) != 0) continue;
      if (absl::Status status = StartProcess(process); !status.ok()) return status;
      if (process.name == "nats") {
        if (absl::Status status = AwaitPort(process, kBrokerPatience); !status.ok()) return status;
        if (absl::Status status = PrepareLog(); !status.ok()) return status;
        if (installation_.durable) {
          if (absl::Status status = VerifySynchronous(layout_.nats_store()); !status.ok()) return status;
        }
      } else if (process.name == "redis") {
        if (absl::Status status = AwaitPort(process, kBrokerPatience); !status.ok()) return status;
      }
    }
    return absl::OkStatus();
  };
  absl::Status status = start();
  if (!status.ok()) StopAll();
  Publish();
  return status;
}

bool Supervisor::Reap() {
  bool changed = false;
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    if (pid == preparing_) {
      preparing_ = 0;
      prepared_status_ = status;
      continue;
    }
    const auto process =
        std::find_if(processes_.begin(), processes_.end(), [&](const Process& each) { return each.pid == pid; });
    if (process == processes_.end()) continue;
    Say(absl::StrCat(process->name, " (pid ", pid, ") ", HowItEnded(status)));
    process->pid = 0;
    changed = true;
    if (!process->restart) continue;
    const absl::Time now = absl::Now();
    process->last_delay = NextRestartDelay(process->last_delay, now - process->started_time);
    process->restart_time = now + process->last_delay;
  }
  return changed;
}

bool Supervisor::StartDue() {
  const absl::Time now = absl::Now();
  bool changed = false;
  for (Process& process : processes_) {
    if (process.pid != 0 || process.restart_time > now) continue;
    ++process.restarts;
    changed = true;
    if (absl::Status status = StartProcess(process); !status.ok()) {
      Say(std::string(status.message()));
      process.last_delay = NextRestartDelay(process.last_delay, absl::ZeroDuration());
      process.restart_time = now + process.last_delay;
    }
  }
  return changed;
}

void Supervisor::StartMissing() {
  for (Process& process : processes_) {
    if (process.pid == 0 && access(process.command.program.c_str(), X_OK) == 0) process.restart_time = absl::Now();
  }
}

void Supervisor::Run() {
  for (;;) {
    const int signal = AwaitSignal(std::min(UntilNextStart(), kRotationInterval));
    if (signal == SIGTERM || signal == SIGINT) break;
    if (signal == SIGHUP) StartMissing();
    const bool died = Reap();
    const bool started = StartDue();
    if (died || started) Publish();
    RotateLogs();
  }
  Say("stopping");
  StopAll();
  Publish();
  unlink(layout_.run("supervisor.pid").c_str());
  Say("stopped");
}

absl::Duration Supervisor::UntilNextStart() const {
  absl::Time next = absl::InfiniteFuture();
  for (const Process& process : processes_) {
    if (process.pid == 0) next = std::min(next, process.restart_time);
  }
  return next - absl::Now();
}

void Supervisor::StopAll() {
  for (Process& process : processes_) process.restart = false;
  for (const Stage stage : {Stage::kEdge, Stage::kService, Stage::kBroker}) StopStage(stage);
  for (Process& process : processes_) process.restart_time = absl::InfiniteFuture();
}

void Supervisor::StopStage(Stage stage) {
  const auto signal_all = [&](int signal) {
    for (auto process = processes_.rbegin(); process != processes_.rend(); ++process) {
      if (process->stage == stage && process->pid != 0) kill(process->pid, signal);
    }
  };
  const auto any_left = [&] {
    Reap();
    return std::any_of(processes_.begin(), processes_.end(),
                       [&](const Process& process) { return process.stage == stage && process.pid != 0; });
  };
  signal_all(SIGTERM);
  const absl::Time end = absl::Now() + kStopPatience;
  while (any_left() && absl::Now() < end) absl::SleepFor(kPollInterval);
  if (!any_left()) return;
  signal_all(SIGKILL);
  while (any_left()) absl::SleepFor(kPollInterval);
}

void Supervisor::RotateLogs() {
  if (absl::Now() < next_rotation_) return;
  next_rotation_ = absl::Now() + kRotationInterval;
  for (const Process& process : processes_) Rotate(process.command.log);
  Rotate(layout_.log("supervisor"));
}

std::string Supervisor::StateOf(const Process& process) const {
  if (process.pid != 0) return "running";
  if (process.restart_time != absl::InfiniteFuture()) return "waiting";
  return access(process.command.program.c_str(), X_OK) == 0 ? "stopped" : "absent";
}

void Supervisor::Publish() {
  nlohmann::ordered_json states = nlohmann::ordered_json::array();
  for (const Process& process : processes_) {
    states.push_back({{"name", process.name},
                      {"state", StateOf(process)},
                      {"pid", process.pid},
                      {"port", process.port},
                      {"restarts", process.restarts}});
  }
  const auto pid_of = [&](std::string_view name) -> pid_t {
    const auto process =
        std::find_if(processes_.begin(), processes_.end(), [&](const Process& each) { return each.name == name; });
    return process == processes_.end() ? 0 : process->pid;
  };
  // Best effort: a full disk must not keep a service from being restarted.
  for (const absl::Status& status : {WriteFile(layout_.run("processes.json"), states.dump(1) + "\n"),
                                     WriteEnvironment(layout_, installation_, surroundings_, token_, pid_of)}) {
    if (!status.ok()) Say(std::string(status.message()));
  }
}

}  // namespace vigil::installation
