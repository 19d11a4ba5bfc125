#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vigil::gateway {

// A service behind the gateway, as the edge sees it: methods by name, bytes in and out. rpc::GenericCaller, or a fake
// in tests. Thread-safe.
class Upstream {
 public:
  using Metadata = std::vector<std::pair<std::string, std::string>>;  // Keys in lower case, values printable ASCII.
  using Callback = std::function<void(absl::StatusOr<std::string> response)>;
  using OnMessage = std::function<bool(std::string message)>;
  using OnEnd = std::function<void(absl::Status)>;
  using Cancel = std::function<void()>;

  virtual ~Upstream() = default;

  // `callback` runs once, on any thread, perhaps before Call returns.
  virtual void Call(std::string_view method_path, std::string_view request, const Metadata& metadata,
                    absl::Duration deadline, Callback callback) = 0;
  // Until the stream ends or `on_message` returns false; `on_end` runs once, last. Cancel may be called from any thread
  // at any time.
  virtual Cancel Stream(std::string_view method_path, std::string_view request, const Metadata& metadata,
                        OnMessage on_message, OnEnd on_end) = 0;
};

}  // namespace vigil::gateway
