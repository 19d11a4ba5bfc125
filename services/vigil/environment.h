#pragma once

#include <map>
#include <string>
#include <string_view>

namespace vigil {

// Where the installation is: the process's own environment, and behind it what `up` wrote to $VIGIL_HOME/env, so that `vigil` also works
// in a shell that has not read that file.
class Environment {
 public:
  using Variables = std::map<std::string, std::string, std::less<>>;

  // `own` is the process's environment; `file_text` that of the env file, or empty.
  Environment(Variables own, std::string_view file_text);
  // Of this process; the file is $VIGIL_HOME/env, else ./.vigil/env, if there is one.
  static Environment OfProcess();

  // The variable's value, or empty. An empty variable counts as absent.
  std::string Get(std::string_view name) const;

 private:
  Variables variables_;
};

// NAME=word lines as `up` writes them: words are plain or in single quotes. Anything else is skipped.
Environment::Variables ParseEnvironmentFile(std::string_view text);

}  // namespace vigil
