// Which ports an installation needs and who is in the way.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vigil::installation {

// Ok if 127.0.0.1:port can be listened on now. AlreadyExists, naming the port and, if it can be known, the process that
// has it.
absl::Status CheckPortFree(int port);

// "name (pid N)" of the process that listens on the port, or empty if it cannot be known (another user's).
std::string ListenerOf(int port);

// True if somebody accepts a connection on 127.0.0.1:port within the timeout.
bool Accepts(int port, absl::Duration timeout);

}  // namespace vigil::installation
