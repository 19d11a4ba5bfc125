// One process under the supervisor: how it is started and when it may be started again.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vigil::installation {

// A dead process is back within a second: the first time almost at once, then after a doubling delay while it keeps
// dying.
inline constexpr absl::Duration kFirstRestartDelay = absl::Milliseconds(100);
inline constexpr absl::Duration kMaxRestartDelay = absl::Milliseconds(900);
// One that has lived this long has not been "dying again".
inline constexpr absl::Duration kHealthyLife = absl::Seconds(10);

// Pure: the delay before the next start of a process that lived `lived` and was last started after `last_delay`.
absl::Duration NextRestartDelay(absl::Duration last_delay, absl::Duration lived);

struct Command {
  std::string program;  // absolute path
  std::vector<std::string> arguments;
  std::filesystem::path log;  // stdout and stderr are appended here
  std::vector<std::pair<std::string, std::string>> environment = {};  // set besides this process's own
  int niceness = 0;           // added to this process's own; above 0: yields the processor to the others
};

// Starts the command so that it is killed when the calling process dies, however that happens. Call from the main
// thread of a process with one thread.
absl::StatusOr<pid_t> Start(const Command& command);

// Empty if there is no such executable: looked for in PATH and then where Debian puts servers.
std::string FindProgram(const std::string& name);

}  // namespace vigil::installation
