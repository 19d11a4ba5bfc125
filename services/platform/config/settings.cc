#include "platform/config/settings.h"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace vigil::config {
namespace {

std::string KindName(Text kind) {
  switch (kind) {
    case Text::kPlain: return "text";
    case Text::kFile: return "file";
    case Text::kDirectory: return "directory";
    case Text::kNewPath: return "path";
    case Text::kAddress: return "host:port";
    case Text::kUrl: return "URL";
  }
  return "text";
}

bool IsAddress(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  std::uint32_t port = 0;
  return absl::SimpleAtoi(text.substr(colon + 1), &port) && port <= 65535;
}

// Empty if fine, else what is wrong.
std::string WrongText(const TextRule& rule, const std::string& text) {
  if (text.empty()) return rule.required ? "must not be empty" : "";
  if (!rule.choices.empty() && std::find(rule.choices.begin(), rule.choices.end(), text) == rule.choices.end()) {
    return absl::StrCat("must be one of ", absl::StrJoin(rule.choices, ", "));
  }
  switch (rule.kind) {
    case Text::kPlain:
    case Text::kNewPath: return "";
    case Text::kFile: return access(text.c_str(), R_OK) == 0 ? "" : absl::StrCat("cannot read the file ", text);
    case Text::kDirectory: {
      struct stat found {};
      return stat(text.c_str(), &found) == 0 && S_ISDIR(found.st_mode) ? "" : absl::StrCat("is not a directory: ", text);
    }
    case Text::kAddress: return IsAddress(text) ? "" : "must be host:port";
    case Text::kUrl: {
      const std::size_t scheme = text.find("://");
      return scheme != std::string::npos && scheme > 0 && scheme + 3 < text.size() ? "" : "must be a URL, scheme://…";
    }
  }
  return "";
}

std::string ShowNumber(double number) {
  return std::abs(number) < 1e15 && number == std::floor(number) ? absl::StrCat(static_cast<std::int64_t>(number)) : absl::StrCat(number);
}

}  // namespace

class Settings::Impl {
 public:
  struct Row {
    std::string name;
    std::string unit;
    std::string bounds;
    std::string help;
    bool required = false;
    bool is_flag = false;
    std::function<std::string(const std::string&)> set;  // empty if fine, else what is wrong
    std::function<std::string()> show;
    // What was given, command line before file. A flag's is "true" or "false".
    std::optional<std::string> given;
  };

  void Add(Row row) {
    for (const Row& other : rows) {
      if (other.name == row.name) {
        std::fprintf(stderr, "%s: the setting %s is declared twice\n", program.c_str(), row.name.c_str());
        std::abort();
      }
    }
    rows.push_back(std::move(row));
  }

  std::string program;
  std::string summary;
  std::vector<Row> rows;
};

Settings::Settings(std::string program, std::string summary) : impl_(std::make_unique<Impl>()) {
  impl_->program = std::move(program);
  impl_->summary = std::move(summary);
}
Settings::~Settings() = default;

void Settings::Add(std::string name, std::string* value, TextRule rule) {
  Impl::Row row;
  row.name = std::move(name);
  row.unit = KindName(rule.kind);
  row.bounds = absl::StrJoin(rule.choices, "|");
  row.help = rule.help;
  row.required = rule.required;
  row.show = [value] { return *value; };
  row.set = [value, rule = std::move(rule)](const std::string& text) {
    std::string wrong = WrongText(rule, text);
    if (wrong.empty()) *value = text;
    return wrong;
  };
  impl_->Add(std::move(row));
}

void Settings::Add(std::string name, std::int64_t* value, NumberRule rule) {
  Impl::Row row;
  row.name = std::move(name);
  row.unit = rule.unit;
  row.bounds = absl::StrCat(ShowNumber(rule.min), "..", ShowNumber(rule.max));
  row.help = rule.help;
  row.show = [value] { return absl::StrCat(*value); };
  row.set = [value, rule = std::move(rule), bounds = row.bounds](const std::string& text) -> std::string {
    std::int64_t number = 0;
    if (!absl::SimpleAtoi(text, &number)) return "must be a whole number";
    if (static_cast<double>(number) < rule.min || static_cast<double>(number) > rule.max) return absl::StrCat("must be in ", bounds);
    *value = number;
    return "";
  };
  impl_->Add(std::move(row));
}

void Settings::Add(std::string name, double* value, NumberRule rule) {
  Impl::Row row;
  row.name = std::move(name);
  row.unit = rule.unit;
  row.bounds = absl::StrCat(ShowNumber(rule.min), "..", ShowNumber(rule.max));
  row.help = rule.help;
  row.show = [value] { return ShowNumber(*value); };
  row.set = [value, rule = std::move(rule), bounds = row.bounds](const std::string& text) -> std::string {
    double number = 0;
    if (!absl::SimpleAtod(text, &number) || std::isnan(number)) return "must be a number";
    if (number < rule.min || number > rule.max) return absl::StrCat("must be in ", bounds);
    *value = number;
    return "";
  };
  impl_->Add(std::move(row));
}

void Settings::Add(std::string name, absl::Duration* value, DurationRule rule) {
  Impl::Row row;
  row.name = std::move(name);
  row.unit = "duration";
  row.bounds = absl::StrCat(absl::FormatDuration(rule.min), "..", absl::FormatDuration(rule.max));
  row.help = rule.help;
  row.show = [value] { return absl::FormatDuration(*value); };
  row.set = [value, rule = std::move(rule), bounds = row.bounds](const std::string& text) -> std::string {
    absl::Duration duration;
    if (!absl::ParseDuration(text, &duration)) return "must be a duration such as 1.5s, 200ms or 24h";
    if (duration < rule.min || duration > rule.max) return absl::StrCat("must be in ", bounds);
    *value = duration;
    return "";
  };
  impl_->Add(std::move(row));
}

void Settings::Add(std::string name, bool* value, std::string help) {
  Impl::Row row;
  row.name = std::move(name);
  row.unit = "yes or no";
  row.help = std::move(help);
  row.is_flag = true;
  row.show = [value] { return *value ? "true" : "false"; };
  row.set = [value](const std::string& text) -> std::string {
    if (text != "true" && text != "false") return "must be true or false";
    *value = text == "true";
    return "";
  };
  impl_->Add(std::move(row));
}

std::string Settings::Table() const {
  std::vector<std::vector<std::string>> lines = {{"name", "unit", "value", "bounds", "help"}};
  for (const Impl::Row& row : impl_->rows) {
    std::string value = row.show();
    if (value.empty()) value = "-";
    lines.push_back({row.name, row.unit, std::move(value), row.bounds.empty() ? "-" : row.bounds,
                     row.required ? absl::StrCat(row.help, " (required)") : row.help});
  }
  std::vector<std::size_t> widths(5, 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string table;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      absl::StrAppend(&table, line[i], std::string(widths[i] - line[i].size() + 2, ' '));
    }
    absl::StrAppend(&table, line.back(), "\n");
  }
  return table;
}

absl::StatusOr<Settings::Outcome> Settings::Parse(const std::vector<std::string>& arguments, std::string* printed) {
  CLI::App app(impl_->summary, impl_->program);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "Settings in TOML; the command line wins");
  bool print_settings = false;
  app.add_flag("--print-settings", print_settings, "Print every setting with its unit, value and bounds, and end")->configurable(false);

  for (Impl::Row& row : impl_->rows) {
    row.given.reset();
    std::string names = absl::StrCat("--", row.name);
    const std::string dashed = absl::StrReplaceAll(row.name, {{"_", "-"}});
    if (dashed != row.name) absl::StrAppend(&names, ",--", dashed);
    const std::string help = absl::StrCat(row.help, row.bounds.empty() ? "" : absl::StrCat(" [", row.bounds, "]"));
    const auto take = [&row](const std::string& text) { row.given = text; };
    if (row.is_flag) {
      app.add_flag_function(names, [&row](std::int64_t count) { row.given = count > 0 ? "true" : "false"; }, help);
    } else {
      app.add_option_function<std::string>(names, take, help)->type_name(row.unit)->default_str(row.show());
    }
  }

  try {
    // CLI11 takes them last first.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    *printed = app.help();
    return Outcome::kPrinted;
  } catch (const CLI::ConfigError& error) {
    return absl::InvalidArgumentError(
        absl::StrReplaceAll(error.what(), {{"INI was not able to parse ", "unknown setting in the config file: "}}));
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }

  if (print_settings) {
    // What is printed may be incomplete or wrong; it is for finding out.
    for (Impl::Row& row : impl_->rows) {
      if (row.given) row.set(*row.given);
    }
    *printed = Table();
    return Outcome::kPrinted;
  }
  for (Impl::Row& row : impl_->rows) {
    if (!row.given) {
      if (row.required && row.show().empty()) return absl::InvalidArgumentError(absl::StrCat(row.name, ": must be given"));
      continue;
    }
    if (const std::string wrong = row.set(*row.given); !wrong.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(row.name, ": ", wrong));
    }
  }
  return Outcome::kRun;
}

std::optional<int> Settings::ParseOrExit(int argc, const char* const* argv) {
  std::string printed;
  const absl::StatusOr<Outcome> outcome = Parse(std::vector<std::string>(argv + std::min(argc, 1), argv + argc), &printed);
  if (!outcome.ok()) {
    std::fprintf(stderr, "%s: %s\n", impl_->program.c_str(), std::string(outcome.status().message()).c_str());
    return 2;
  }
  if (*outcome == Outcome::kPrinted) {
    std::fputs(printed.c_str(), stdout);
    return 0;
  }
  return std::nullopt;
}

}  // namespace vigil::config
