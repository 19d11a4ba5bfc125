#include "integration/installation/test_home.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "supervisor/ports.h"

namespace vigil::installation {
namespace {

std::filesystem::path NewDirectory() {
  std::string path = (std::filesystem::temp_directory_path() / "vigil-home-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
  return path;
}

// Below the range from which the system gives ports to clients.
int FreePorts() {
  constexpr int kFirst = 20000;
  constexpr int kCount = 12000;
  constexpr int kStep = kLastPortOffset + 1;
  for (int attempt = 0; attempt < 400; ++attempt) {
    const int base = kFirst + ((getpid() * 7 + attempt) * kStep) % kCount;
    bool free = true;
    for (int offset = 0; free && offset <= kLastPortOffset; ++offset) free = CheckPortFree(base + offset).ok();
    if (free) return base;
  }
  throw std::runtime_error("no free ports");
}

CommandResult Shell(const std::string& line) {
  CommandResult result;
  FILE* pipe = popen(absl::StrCat("{ ", line, "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (std::size_t size = fread(buffer, 1, sizeof(buffer), pipe); size > 0;
       size = fread(buffer, 1, sizeof(buffer), pipe)) {
    result.output.append(buffer, size);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace

TestHome::TestHome() : directory_(NewDirectory()), layout_(directory_ / "home"), port_(FreePorts()) {
  std::filesystem::create_directory(directory_ / "programs");
}

TestHome::~TestHome() {
  Stop();
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

CommandResult TestHome::Command(const std::string& arguments, const std::string& variables) const {
  return Shell(absl::StrCat(
      "env -u VIGIL_SANDBOX_URL -u VIGIL_SANDBOX_URL_2 -u VIGIL_SANDBOX_SECRET VIGIL_HOME=", layout_.home().string(),
      " VIGIL_PORT=", port_, " ", variables, " " VIGIL_INSTALLATION " ", arguments));
}

CommandResult TestHome::Run(const std::string& arguments, const std::string& variables) const {
  return Command(absl::StrCat("run --pack ", directory_.string(), " --programs ", (directory_ / "programs").string(),
                              " ", arguments),
                 variables);
}

void TestHome::Pretend(const std::string& name, const std::string& script) const {
  const std::filesystem::path path = directory_ / "programs" / ("vigil-" + name);
  std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

std::map<std::string, std::string> TestHome::Environment() const {
  std::map<std::string, std::string> variables;
  const CommandResult result =
      Shell(absl::StrCat("env -i PATH=/usr/bin:/bin sh -c '. ", layout_.environment().string(), " && env'"));
  for (const absl::string_view line : absl::StrSplit(result.output, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    variables.insert(parts);
  }
  return variables;
}

pid_t TestHome::PidOf(const std::string& variable) const {
  pid_t pid = 0;
  return absl::SimpleAtoi(Environment()[variable], &pid) ? pid : 0;
}

}  // namespace vigil::installation
