// Everything that is computed from installation.json and the secrets at every start: the services' and brokers'
// configuration files, and the environment file for people and checks.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "supervisor/installation.h"
#include "supervisor/layout.h"

namespace vigil::installation {

// The phone network(s) that notification calls.
struct Providers {
  std::string url;         // empty: our own sandbox
  std::string second_url;  // empty: none
  std::string secret;      // of an outside `url`; empty: the installation's own
};

struct Surroundings {
  Providers providers;
  std::filesystem::path pack;      // the protocol pack's directory
  std::filesystem::path programs;  // where vigil-<name> lie
  std::string public_url = {};     // where people outside reach the gateway; empty: where it listens
};

// "https://127.0.0.1:8080" and the like.
std::string GatewayUrl(const Installation& installation);
std::string SandboxUrl(const Installation& installation, const Providers& providers);

// Keys in file order; values as CLI11's configuration syntax wants them.
using Settings = std::vector<std::pair<std::string, std::string>>;
Settings ServiceSettings(const Layout& layout, const Installation& installation, const Surroundings& surroundings,
                         const Service& service);
Settings SandboxSettings(const Layout& layout, const Installation& installation);

// Writes config/*.toml, nats.conf, redis.conf and the files that hold broker URLs.
absl::Status WriteConfigs(const Layout& layout, const Installation& installation, const Surroundings& surroundings);

// A token that may do everything, for VIGIL_ADMIN_TOKEN.
absl::StatusOr<std::string> AdministratorToken(const Layout& layout, absl::Time now);

// $VIGIL_HOME/env. `pid_of` gives 0 for what does not run.
absl::Status WriteEnvironment(const Layout& layout, const Installation& installation, const Surroundings& surroundings,
                              std::string_view token, const std::function<pid_t(std::string_view)>& pid_of);

}  // namespace vigil::installation
