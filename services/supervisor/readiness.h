// Whether what runs can be used yet.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "supervisor/installation.h"
#include "supervisor/layout.h"
#include "supervisor/supervisor.h"

namespace vigil::installation {

// The names of the processes that are not ready: they do not run, do not accept connections, or (the gateway) do not
// answer /readyz with 200. What has no executable is left out.
std::vector<std::string> NotReady(const Layout& layout, const Installation& installation);

}  // namespace vigil::installation
