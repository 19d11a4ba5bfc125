#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "supervisor/layout.h"

namespace vigil::installation {

struct CommandResult {
  int exit_code = -1;
  std::string output;  // both streams
};

// A home of its own in the temporary directory, with ports that were free and a directory of pretended services. What
// runs is stopped, and everything removed, at the end.
class TestHome {
 public:
  TestHome();
  ~TestHome();
  TestHome(const TestHome&) = delete;
  TestHome& operator=(const TestHome&) = delete;

  const Layout& layout() const { return layout_; }
  int port() const { return port_; }

  // Runs vigil-installation <arguments> for this home; `variables` are set in its environment.
  CommandResult Command(const std::string& arguments, const std::string& variables = "") const;
  CommandResult Init(const std::string& arguments = "") const { return Command("init " + arguments); }
  CommandResult Run(const std::string& arguments = "", const std::string& variables = "") const;
  CommandResult Stop() const { return Command("stop"); }

  // Makes a shell script stand for vigil-<name>.
  void Pretend(const std::string& name, const std::string& script) const;

  // The variables of $VIGIL_HOME/env as a shell that has read it passes them to its children.
  std::map<std::string, std::string> Environment() const;
  pid_t PidOf(const std::string& variable) const;

 private:
  std::filesystem::path directory_;
  Layout layout_;
  int port_;
};

}  // namespace vigil::installation
