// Calls of methods known only by name, with bytes in and out: what the HTTP edge needs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace vigil::rpc {

// Keys in lower case.
using MetadataList = std::vector<std::pair<std::string, std::string>>;

// Thread-safe. Calls still running when it is destroyed are cancelled and waited for; so it may not be destroyed from a callback.
class GenericCaller {
 public:
  using Callback = std::function<void(absl::StatusOr<std::string> response)>;

  explicit GenericCaller(std::shared_ptr<grpc::Channel> channel);
  ~GenericCaller();
  GenericCaller(const GenericCaller&) = delete;
  GenericCaller& operator=(const GenericCaller&) = delete;

  // Calls the unary method `method_path` ("/vigil.intake.v1.IntakeService/Report") and returns at once. `callback` runs once, on one of
  // gRPC's threads or on this one before Call returns, and must not block: the serialized response, or the status with its Problem. Unavailable at once when not connected;
  // InvalidArgument for a path that is none or metadata over kMaxMetadataBytes.
  void Call(std::string_view method_path, std::string_view request, const MetadataList& metadata, absl::Duration deadline, Callback callback);

  // Reads a server-streaming method until it ends or `on_message` returns false. `on_end` runs once, last. No deadline.
  using OnMessage = std::function<bool(std::string message)>;
  using OnEnd = std::function<void(absl::Status)>;
  // Cancels the stream; on_end still runs. Valid to call at any time, from any thread.
  using Cancel = std::function<void()>;
  Cancel Stream(std::string_view method_path, std::string_view request, const MetadataList& metadata, OnMessage on_message, OnEnd on_end);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vigil::rpc
