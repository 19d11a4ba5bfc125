#pragma once

#include <string>

#include "absl/time/time.h"

namespace vigil::notification {

struct SandboxProviderOptions {
  // Recorded with each attempt.
  std::string name = "sandbox";
  // Where its API is: http://host:port.
  std::string url;
  // Where it posts what becomes of an order: this and "/sandbox/call" or "/sandbox/message".
  std::string callback_base_url;
  // What becomes of a call is posted to callback_base_url and "/sandbox/" and this.
  std::string call_kind = "call";
  // How long it may take to accept an order.
  absl::Duration timeout = absl::Seconds(5);
  // How long a called person may take to press a key.
  absl::Duration gather_timeout = absl::Seconds(10);
};

}  // namespace vigil::notification
