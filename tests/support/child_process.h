#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace vigil::testing {

// A directory of its own under the system's, removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A program that a test started. It dies with the object, and with the test should that be killed.
class ChildProcess {
 public:
  // `output` receives what it prints. Throws std::runtime_error if it cannot be started.
  ChildProcess(const std::vector<std::string>& command, const std::string& output);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool alive();
  void Signal(int signal);
  // Waits for its end; the exit status as the shell gives it.
  int Wait();
  // SIGKILL and wait.
  void Kill();

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_;
};

// Runs a command to its end; throws std::runtime_error with its output unless it exits with 0.
void RunCommand(const std::vector<std::string>& command);

void WriteFile(const std::string& path, const std::string& text);
std::string ReadFile(const std::string& path);  // empty if there is none

// A TCP port on loopback that was free a moment ago.
int FreePort();

}  // namespace vigil::testing
