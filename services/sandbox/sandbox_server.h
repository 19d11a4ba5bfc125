#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sandbox/callback_sender.h"
#include "sandbox/phone_network.h"

namespace vigil::sandbox {

struct SandboxOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  CallbackSender::Options callbacks;
  PhoneNetwork::Options network;
  // Real time, in UTC; must never go back. Empty: the system's, taken at the start and counted on from there.
  std::function<absl::Time()> now;
};

// The phone network behind HTTP:
//   POST /v1/calls, /v1/messages                        202 {id}; the same id again 200 {id}
//   GET  /v1/phones/{number}                            {received:[{id, kind, time, text, events}]}; events are names,
//   in order POST /v1/phones/{number}/behaviour, …/reply         200 {}; 200 {id} of the message replied to, 409 if
//   there is none GET and POST /v1/faults                             the faults; POST replaces all of them GET
//   /v1/received?after=N&limit=M                   everything any phone received, in order; {received:[…], next} GET
//   /v1/stats                                      {calls, messages, …}     GET /healthz
// Refusals and stalls concern the first two only. A stalled request has been accepted when its answer is held back.
class SandboxServer {
 public:
  static absl::StatusOr<std::unique_ptr<SandboxServer>> Start(SandboxOptions options);
  ~SandboxServer();
  SandboxServer(const SandboxServer&) = delete;
  SandboxServer& operator=(const SandboxServer&) = delete;

  std::uint16_t port() const;

 private:
  class Core;
  explicit SandboxServer(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace vigil::sandbox
