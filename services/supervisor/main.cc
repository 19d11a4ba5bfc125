// vigil-installation: makes, runs and stops an installation on one machine. deploy/local/up and deploy/local/down call
// it.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "platform/log/nats_admin.h"
#include "supervisor/configs.h"
#include "supervisor/files.h"
#include "supervisor/installation.h"
#include "supervisor/layout.h"
#include "supervisor/ports.h"
#include "supervisor/readiness.h"
#include "supervisor/supervisor.h"
#include "supervisor/synchronous_store.h"

namespace vigil::installation {
namespace {

// As everywhere in Vigil: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable (here: nothing runs).
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kNotRunning = 3;

constexpr int kMaxPort = 65535 - kLastPortOffset;

struct Options {
  std::string home = ".vigil";
  int port = 0;  // 0: the installation's own, or the default
  bool rehearsal = false;
  std::optional<double> speed;
  bool not_durable = false;
  bool no_restart_brokers = false;
  bool foreground = false;
  bool only_log = false;
  std::string restored_from;
  bool json = false;
  double patience_seconds = 60;
  std::string pack;
  std::string programs;
};

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "vigil-installation: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

std::string Self() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int RunInit(const Layout& layout, const Options& options) {
  if (options.speed.has_value() && !options.rehearsal) {
    std::fputs("vigil-installation: --speed is for a rehearsal: add --rehearsal\n", stderr);
    return kWrongUsage;
  }
  InitOptions init;
  init.port = options.port == 0 ? kDefaultPort : options.port;
  init.rehearsal = options.rehearsal;
  init.speed = options.speed;
  init.durable = !options.not_durable;
  init.restored_from = options.restored_from;
  absl::StatusOr<Installation> installation = Init(layout, init, absl::Now());
  return installation.ok() ? kDone : Fail(installation.status());
}

// A shell that has read $VIGIL_HOME/env has our own sandbox's address in the variable that names an outside one.
absl::StatusOr<Providers> OutsideProviders(const Installation& installation) {
  Providers providers;
  providers.url = Variable("VIGIL_SANDBOX_URL");
  providers.second_url = Variable("VIGIL_SANDBOX_URL_2");
  if (providers.url == SandboxUrl(installation, Providers{})) providers.url.clear();
  if (providers.url.empty()) return providers;
  providers.secret = Variable("VIGIL_SANDBOX_SECRET");
  if (providers.secret.empty()) {
    return absl::InvalidArgumentError(
        "VIGIL_SANDBOX_URL is set, but not VIGIL_SANDBOX_SECRET, under which that server signs its callbacks");
  }
  return providers;
}

absl::Status CheckPorts(const Installation& installation, const Providers& providers) {
  std::vector<int> ports = {installation.port, installation.port + kNatsPortOffset,
                            installation.port + kRedisPortOffset};
  for (const Service& service : kServices) {
    ports.push_back(installation.port + service.grpc_offset);
    ports.push_back(installation.port + service.metrics_offset);
  }
  if (providers.url.empty()) ports.push_back(installation.port + kSandboxPortOffset);
  for (const int port : ports) {
    if (absl::Status status = CheckPortFree(port); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// What can be said before anything is started.
absl::StatusOr<std::unique_ptr<Supervisor>> Prepare(const Layout& layout, const Options& options) {
  absl::StatusOr<Installation> installation = ReadInstallation(layout);
  if (!installation.ok()) {
    if (!absl::IsNotFound(installation.status())) return installation.status();
    return absl::NotFoundError(absl::StrCat(layout.home().string(), " is not a Vigil home; run init first"));
  }
  std::error_code error;
  if (std::filesystem::exists(layout.restoring(), error) && !options.only_log) {
    return absl::FailedPreconditionError(absl::StrCat(layout.home().string(), " holds a restore that did not end; remove it, and restore again"));
  }
  if (options.port != 0 && options.port != installation->port) {
    installation->port = options.port;
    if (absl::Status status = WriteInstallation(layout, *installation); !status.ok()) return status;
  }
  absl::StatusOr<Providers> providers = OutsideProviders(*installation);
  if (!providers.ok()) return providers.status();
  if (absl::Status status = CheckPorts(*installation, *providers); !status.ok()) return status;

  if (installation->durable) {
    if (absl::Status status = VerifySynchronous(layout.nats_store()); !status.ok()) return status;
  }
  const absl::Time now = absl::Now();
  Surroundings surroundings;
  surroundings.providers = *std::move(providers);
  surroundings.public_url = Variable("VIGIL_PUBLIC_URL");
  surroundings.programs = std::filesystem::absolute(
      options.programs.empty() ? std::filesystem::path(Self()).parent_path() : std::filesystem::path(options.programs));
  if (!options.pack.empty()) surroundings.pack = std::filesystem::absolute(options.pack);
  if (absl::Status status = EnsureSecrets(layout, *installation, now); !status.ok()) return status;
  if (absl::Status status = WriteConfigs(layout, *installation, surroundings); !status.ok()) return status;
  absl::StatusOr<std::string> token = AdministratorToken(layout, now);
  if (!token.ok()) return token.status();
  SupervisorOptions supervisor_options;
  supervisor_options.only_log = options.only_log;
  supervisor_options.restart_brokers = !options.no_restart_brokers;
  supervisor_options.self = Self();
  return std::make_unique<Supervisor>(layout, *installation, surroundings, supervisor_options, *std::move(token));
}

absl::Status StartSupervisor(const Layout& layout, Supervisor& supervisor) {
  Supervisor::BlockSignals();
  if (absl::Status status = WriteFile(layout.run("supervisor.pid"), absl::StrCat(getpid())); !status.ok())
    return status;
  return supervisor.StartAll();
}

int RunForeground(const Layout& layout, const Options& options) {
  if (absl::Status status = TakeLock(layout); !status.ok()) return Fail(status);
  absl::StatusOr<std::unique_ptr<Supervisor>> supervisor = Prepare(layout, options);
  if (!supervisor.ok()) return Fail(supervisor.status());
  if (absl::Status status = StartSupervisor(layout, **supervisor); !status.ok()) return Fail(status);
  (*supervisor)->Run();
  return kDone;
}

// The caller returns when everything has been started, or prints why not; the supervisor goes on in a session of its
// own.
int RunDaemon(const Layout& layout, const Options& options) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return Fail(absl::ErrnoToStatus(errno, "cannot make a pipe"));
  const pid_t middle = fork();
  if (middle < 0) return Fail(absl::ErrnoToStatus(errno, "cannot fork"));
  if (middle > 0) {
    close(report[1]);
    waitpid(middle, nullptr, 0);
    std::string text;
    char buffer[1024];
    for (ssize_t size = read(report[0], buffer, sizeof(buffer)); size != 0;
         size = read(report[0], buffer, sizeof(buffer))) {
      if (size > 0) text.append(buffer, static_cast<std::size_t>(size));
    }
    if (text == "ok") return kDone;
    return Fail(
        absl::UnavailableError(text.empty() ? "the supervisor ended without a word; see logs/supervisor.log" : text));
  }
  setsid();
  if (fork() != 0) _exit(kDone);

  const auto tell = [&](std::string_view text) {
    while (!text.empty()) {
      const ssize_t size = write(report[1], text.data(), text.size());
      if (size <= 0) break;
      text.remove_prefix(static_cast<std::size_t>(size));
    }
    close(report[1]);
  };
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log = open(layout.log("supervisor").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(nothing, STDIN_FILENO);
  dup2(log < 0 ? nothing : log, STDOUT_FILENO);
  dup2(log < 0 ? nothing : log, STDERR_FILENO);
  if (absl::Status status = TakeLock(layout); !status.ok()) {
    tell(std::string(status.message()));
    return kFailed;
  }
  absl::StatusOr<std::unique_ptr<Supervisor>> supervisor = Prepare(layout, options);
  if (!supervisor.ok()) {
    tell(std::string(supervisor.status().message()));
    return kFailed;
  }
  if (absl::Status status = StartSupervisor(layout, **supervisor); !status.ok()) {
    tell(std::string(status.message()));
    return kFailed;
  }
  tell("ok");
  // The caller's directory may be removed or unmounted.
  if (chdir("/") != 0) return kFailed;
  (*supervisor)->Run();
  return kDone;
}

int RunRun(const Layout& layout, const Options& options) {
  if (absl::StatusOr<pid_t> pid = RunningSupervisor(layout); pid.ok()) {
    // What is missing is started; nothing else changes.
    return kill(*pid, SIGHUP) == 0 ? kDone : Fail(absl::ErrnoToStatus(errno, "cannot signal the supervisor"));
  }
  return options.foreground ? RunForeground(layout, options) : RunDaemon(layout, options);
}

int RunStop(const Layout& layout) {
  absl::StatusOr<pid_t> pid = RunningSupervisor(layout);
  if (absl::IsNotFound(pid.status())) return kDone;
  if (!pid.ok()) return Fail(pid.status());
  if (kill(*pid, SIGTERM) != 0) return Fail(absl::ErrnoToStatus(errno, "cannot stop the supervisor"));
  // Three stages, each with its own patience.
  const absl::Time end = absl::Now() + 4 * kStopPatience;
  while (absl::Now() < end) {
    if (!RunningSupervisor(layout).ok()) return kDone;
    absl::SleepFor(absl::Milliseconds(50));
  }
  kill(*pid, SIGKILL);  // its processes die with it
  return kDone;
}

int RunStatus(const Layout& layout, const Options& options) {
  absl::StatusOr<pid_t> pid = RunningSupervisor(layout);
  if (!pid.ok()) {
    if (options.json) std::puts("[]");
    std::fprintf(stderr, "vigil-installation: %s\n", std::string(pid.status().message()).c_str());
    return kNotRunning;
  }
  absl::StatusOr<std::vector<ProcessState>> processes = ReadProcesses(layout);
  if (!processes.ok()) return Fail(processes.status());
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  bool all_run = true;
  for (const ProcessState& process : *processes) {
    all_run = all_run && process.state == "running";
    if (options.json) {
      list.push_back({{"name", process.name},
                      {"state", process.state},
                      {"pid", process.pid},
                      {"port", process.port},
                      {"restarts", process.restarts}});
    } else {
      std::printf("%-18s %-8s pid %-8d port %-6d restarts %d\n", process.name.c_str(), process.state.c_str(),
                  process.pid, process.port, process.restarts);
    }
  }
  if (options.json) std::puts(list.dump().c_str());
  return all_run ? kDone : kFailed;
}

int RunWait(const Layout& layout, const Options& options) {
  absl::StatusOr<Installation> installation = ReadInstallation(layout);
  if (!installation.ok()) return Fail(installation.status());
  const absl::Time end = absl::Now() + absl::Seconds(options.patience_seconds);
  std::vector<std::string> waiting = NotReady(layout, *installation);
  while (!waiting.empty() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(100));
    waiting = NotReady(layout, *installation);
  }
  if (waiting.empty()) return kDone;
  std::fprintf(stderr, "vigil-installation: not ready after %g s: %s\n", options.patience_seconds,
               absl::StrJoin(waiting, ", ").c_str());
  for (const std::string& name : waiting) {
    constexpr int kLines = 8;
    std::fprintf(stderr, "--- the end of %s\n%s\n", layout.log(name).c_str(),
                 LastLines(layout.log(name), kLines).c_str());
  }
  return kFailed;
}

// Creates the streams and the key bucket, as the one user at the broker that may.
int RunPrepareLog(const Layout& layout) {
  absl::StatusOr<Installation> installation = ReadInstallation(layout);
  if (!installation.ok()) return Fail(installation.status());
  NatsOptions options;
  options.url = absl::StrCat("tls://127.0.0.1:", installation->port + kNatsPortOffset);
  options.name = "vigil-installation";
  options.ca_file = layout.authority().string();
  options.nkey_seed_file =
      layout.secret(absl::StrCat(absl::string_view(kAdminUser.data(), kAdminUser.size()), ".nkey")).string();
  options.inbox_prefix = absl::StrCat("_INBOX_", absl::string_view(kAdminUser.data(), kAdminUser.size()));
  options.request_timeout = absl::Seconds(20);
  options.on_problem = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  absl::StatusOr<std::unique_ptr<NatsClient>> client = NatsClient::Open(options);
  if (!client.ok()) return Fail(client.status());
  StreamSettings settings;
  settings.max_bytes = installation->stream_max_bytes;
  // JetStream may take a moment longer than the port to be there.
  const absl::Time end = absl::Now() + absl::Seconds(30);
  for (;;) {
    absl::Status status = CreateStreams(**client, settings);
    if (status.ok()) status = CreateKeyBucket(**client, settings);
    if (status.ok()) return kDone;
    if (!absl::IsUnavailable(status) || absl::Now() > end) return Fail(status);
    absl::SleepFor(absl::Milliseconds(200));
  }
}

int Main(int argc, char** argv) {
  umask(0077);
  Options options;
  CLI::App app(
      "Makes, runs and stops a Vigil installation on this machine. Usually called by deploy/local/up and "
      "deploy/local/down.");
  app.require_subcommand(1);
  const auto command = [&](const char* name, const char* description) {
    CLI::App* added = app.add_subcommand(name, description);
    added->add_option("--home", options.home, "The installation's directory")
        ->envname("VIGIL_HOME")
        ->capture_default_str();
    return added;
  };
  CLI::App* init = command("init", "Make a new home: keys, certificates, a store whose writes are synchronous");
  init->add_option("--port", options.port, "First port, the gateway's (8080)")
      ->envname("VIGIL_PORT")
      ->check(CLI::Range(1, kMaxPort));
  init->add_flag("--rehearsal", options.rehearsal, "A home for trying things out: its clock may run faster");
  init->add_option("--speed", options.speed, "How many times faster a rehearsal's clock runs")
      ->check(CLI::Range(0.001, 1e6));
  init->add_option("--restored-from", options.restored_from, "The installation.json of a backup (vigil restore calls this)");
  init->add_flag("--not-durable", options.not_durable, "Accept a file system without synchronous writes");
  CLI::App* run = command("run", "Start what does not run yet, and keep it running");
  run->add_option("--port", options.port, "First port")->envname("VIGIL_PORT")->check(CLI::Range(1, kMaxPort));
  run->add_flag("--no-restart-brokers", options.no_restart_brokers, "Leave NATS and Redis down when they die");
  run->add_flag("--foreground", options.foreground, "Stay, and write the supervisor's log to stderr");
  CLI::Option* pack = run->add_option("--pack", options.pack, "The protocol pack's directory");
  CLI::Option* only_log = run->add_flag("--only-log", options.only_log, "Start the log alone (vigil restore calls this)");
  run->add_option("--programs", options.programs, "Where the services' executables are (beside this one)");
  CLI::App* wait = command("wait", "Wait until everything is ready");
  wait->add_option("--seconds", options.patience_seconds, "For how long")->capture_default_str();
  CLI::App* stop = command("stop", "Stop everything; data stays");
  CLI::App* status = command("status", "What runs");
  status->add_flag("--json", options.json, "As JSON");
  CLI::App* prepare_log = command("prepare-log", "Create the log's streams (the supervisor calls this)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUsage;
  }
  const Layout layout(std::filesystem::absolute(options.home).lexically_normal());
  if (init->parsed()) return RunInit(layout, options);
  if (run->parsed() && pack->empty() && only_log->empty()) {
    std::fputs("vigil-installation: run needs --pack\n", stderr);
    return kWrongUsage;
  }
  if (run->parsed()) return RunRun(layout, options);
  if (wait->parsed()) return RunWait(layout, options);
  if (stop->parsed()) return RunStop(layout);
  if (status->parsed()) return RunStatus(layout, options);
  if (prepare_log->parsed()) return RunPrepareLog(layout);
  return kWrongUsage;
}

}  // namespace
}  // namespace vigil::installation

int main(int argc, char** argv) {
  try {
    return vigil::installation::Main(argc, argv);
  } catch (const std::exception& exception) {  // file systems and option parsing report so
    std::fprintf(stderr, "vigil-installation: %s\n", exception.what());
    return 1;
  }
}
