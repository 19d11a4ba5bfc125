// Settings of a program: each declared once, with its name, unit, default, bounds and help. They are read from `--config file.toml` (keys as
// declared) and from the command line (`--grpc_listen` or `--grpc-listen`), which wins. The environment is not read. What is not declared is
// an error that names it; so is a value outside its bounds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vigil::config {

// What a text setting holds, which says how it is checked.
enum class Text {
  kPlain,
  kFile,         // a path; must be readable
  kDirectory,    // a path; must be a directory
  kNewPath,      // a path that need not exist yet
  kAddress,      // host:port
  kUrl,          // scheme://…
};

struct TextRule {
  std::string help;
  Text kind = Text::kPlain;
  // The variable's value at declaration is the default; a required setting must be given and not be empty.
  bool required = false;
  // If not empty, the only values allowed.
  std::vector<std::string> choices = {};
};

struct NumberRule {
  std::string help;
  std::string unit;
  double min;
  double max;
};

struct DurationRule {
  std::string help;
  absl::Duration min;
  absl::Duration max;
};

// Not thread-safe. The variables given to it outlive Parse.
class Settings {
 public:
  // `program`: "vigil-intake"; `summary`: a line for --help.
  Settings(std::string program, std::string summary);
  ~Settings();
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  // `name` is lower-case with underscores; declaring one twice ends the program (a defect).
  void Add(std::string name, std::string* value, TextRule rule);
  void Add(std::string name, std::int64_t* value, NumberRule rule);
  void Add(std::string name, double* value, NumberRule rule);
  // Written as "1.5s", "200ms", "24h".
  void Add(std::string name, absl::Duration* value, DurationRule rule);
  void Add(std::string name, bool* value, std::string help);

  enum class Outcome { kRun, kPrinted };

  // kPrinted: `--help` or `--print-settings` was asked for, and *printed is what to show. InvalidArgument names the setting and what is wrong
  // with it.
  absl::StatusOr<Outcome> Parse(const std::vector<std::string>& arguments, std::string* printed);

  // For main: parses, prints what is to be printed, and gives the exit code when the program should end now: 0, or 2 for wrong usage.
  std::optional<int> ParseOrExit(int argc, const char* const* argv);

  // The table that --print-settings prints: name, unit, value, bounds, help.
  std::string Table() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vigil::config
