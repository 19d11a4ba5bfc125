#include "vigil/environment.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

extern char** environ;

namespace vigil {
namespace {

std::string Unquoted(std::string_view word) {
  std::string text;
  bool quoted = false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\'') {
      quoted = !quoted;
    } else if (!quoted && word[i] == '\\' && i + 1 < word.size()) {
      text.push_back(word[++i]);
    } else {
      text.push_back(word[i]);
    }
  }
  return text;
}

bool IsName(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

}  // namespace

Environment::Variables ParseEnvironmentFile(std::string_view text) {
  Environment::Variables variables;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos || !IsName(std::string_view(line).substr(0, equals))) continue;
    variables[line.substr(0, equals)] = Unquoted(std::string_view(line).substr(equals + 1));
  }
  return variables;
}

Environment::Environment(Variables own, std::string_view file_text) : variables_(std::move(own)) {
  for (auto& [name, value] : ParseEnvironmentFile(file_text)) {
    std::string& mine = variables_[name];
    if (mine.empty()) mine = value;
  }
}

Environment Environment::OfProcess() {
  Variables own;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) own.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  const std::string home = own.contains("VIGIL_HOME") && !own["VIGIL_HOME"].empty() ? own["VIGIL_HOME"] : ".vigil";
  std::stringstream text;
  // A shell that names a gateway means that one; the file's token is for another.
  if (own["VIGIL_URL"].empty()) {
    std::ifstream file(home + "/env");
    if (file) text << file.rdbuf();
  }
  Environment environment(std::move(own), text.str());
  if (environment.Get("VIGIL_HOME").empty()) environment.variables_["VIGIL_HOME"] = home;
  return environment;
}

std::string Environment::Get(std::string_view name) const {
  const auto it = variables_.find(name);
  return it == variables_.end() ? "" : it->second;
}

}  // namespace vigil
