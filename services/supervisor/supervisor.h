// Keeps an installation's processes running: starts them in order, starts the dead again within a second, keeps
// $VIGIL_HOME/env true, and stops them in reverse order. One thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "supervisor/child.h"
#include "supervisor/configs.h"
#include "supervisor/installation.h"
#include "supervisor/layout.h"

namespace vigil::installation {

inline constexpr absl::Duration kStopPatience = absl::Seconds(5);
inline constexpr std::int64_t kMaxLogFileBytes = 50 * 1024 * 1024;

// What run/processes.json tells of one process.
struct ProcessState {
  std::string name;
  std::string state;  // running, waiting (to be started again), stopped, absent (its executable does not exist)
  pid_t pid = 0;
  int port = 0;  // where it must accept connections to be ready
  int restarts = 0;
};

// Of a supervisor that runs; NotFound if none does.
absl::StatusOr<pid_t> RunningSupervisor(const Layout& layout);
absl::StatusOr<std::vector<ProcessState>> ReadProcesses(const Layout& layout);

// Holds run/supervisor.lock for the life of the process. AlreadyExists if another has it.
absl::Status TakeLock(const Layout& layout);

struct SupervisorOptions {
  bool restart_brokers = true;
  bool only_log = false;  // for `vigil restore`: the log, and nothing that reads it
  std::string self;  // this executable, which also prepares the log
};

class Supervisor {
 public:
  Supervisor(Layout layout, Installation installation, Surroundings surroundings, SupervisorOptions options,
             std::string token);

  // Starts everything. When it fails it has stopped what it had started. Call with the signals of Run blocked.
  absl::Status StartAll();

  // Until SIGTERM or SIGINT; then stops everything. SIGHUP starts what is missing (a broker that may not be restarted
  // by itself, an executable that has appeared).
  void Run();

  static void BlockSignals();

 private:
  enum class Stage { kBroker, kService, kEdge };  // started in this order, stopped in the reverse
  struct Process {
    std::string name;
    Stage stage;
    Command command;
    int port;
    bool restart = true;
    pid_t pid = 0;
    int restarts = 0;
    absl::Time started_time;
    absl::Duration last_delay;
    absl::Time restart_time = absl::InfiniteFuture();
  };

  absl::Status StartProcess(Process& process);
  absl::Status AwaitPort(Process& process, absl::Duration patience);
  absl::Status PrepareLog();
  bool Reap();      // whether anything had died
  bool StartDue();  // whether anything was started
  void StartMissing();
  void StopAll();
  void StopStage(Stage stage);
  void RotateLogs();
  void Publish();
  absl::Duration UntilNextStart() const;
  std::string StateOf(const Process& process) const;

  Layout layout_;
  Installation installation_;
  Surroundings surroundings_;
  SupervisorOptions options_;
  std::string token_;
  std::vector<Process> processes_;
  pid_t preparing_ = 0;
  int prepared_status_ = -1;
  absl::Time next_rotation_ = absl::InfinitePast();
};

}  // namespace vigil::installation
