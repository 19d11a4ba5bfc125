#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/log/log.h"

namespace vigil {

struct NatsOptions {
  std::string url = "nats://127.0.0.1:4222";  // or several, comma-separated
  std::string name;                           // shown by the broker's monitoring
  std::string ca_file;                        // PEM; empty: no TLS
  std::string certificate_file;               // PEM of this client, with key_file; empty: none
  std::string key_file;
  std::string server_name = "localhost";      // that the broker's certificate must carry
  std::string nkey_seed_file;                 // "SU…"; empty: no user
  std::string inbox_prefix = "_INBOX";        // one a user, e.g. _INBOX_intake, so that nobody else may read its answers
  absl::Duration connect_timeout = absl::Seconds(2);
  absl::Duration request_timeout = absl::Seconds(2);
  absl::Duration minimum_reconnect_wait = absl::Milliseconds(50);
  absl::Duration maximum_reconnect_wait = absl::Seconds(1);
  absl::Duration ping_interval = absl::Seconds(1);  // two unanswered: the connection is given up
  absl::Duration heartbeat = absl::Seconds(1);      // of a followed stream; three missed: it is followed anew
  // What an operator should read, in words (a refused consumer, a lost sequence, an authentication error). On a library thread.
  std::function<void(std::string)> on_problem;
};

// One connection to NATS with requests that do not block and JetStream streams that are followed without loss. It reconnects for ever, also
// after what nats.c gives up on (two authentication errors). Thread-safe. All its callbacks run one at a time (see Log).
//
// Permissions that its user needs: publish `$JS.API.CONSUMER.CREATE.<stream>`, `$JS.FC.>`, and what it requests; subscribe
// `<inbox_prefix>.>`.
class NatsClient {
 public:
  // A message of a followed stream. The views live as long as the call.
  struct Message {
    std::string_view subject;
    std::string_view body;
    std::uint64_t sequence = 0;
    absl::Time stored_time;
    std::string_view key_value_operation;  // the KV-Operation header: empty, "DEL", "PURGE"
  };
  struct FollowSpec {
    std::string stream;
    std::uint64_t first_sequence = 1;
    // Whether every sequence must be there (a stream that denies deletes). Otherwise only what the broker skips itself is skipped.
    bool contiguous = true;
    std::function<void(const Message&)> handler;
    std::function<void()> caught_up;  // once: everything that was stored when following began has been handled. May be empty
  };
  // OK with the answer's body. kUnavailable: no answer in time, not connected, or nobody there to answer (then nothing was done, but the
  // caller cannot tell). kInvalidArgument: too large or a malformed subject; nothing was sent.
  using Reply = absl::StatusOr<std::string>;
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // Tries once to connect, then goes on trying in the background. InvalidArgument: a file that cannot be read or used.
  static absl::StatusOr<std::unique_ptr<NatsClient>> Open(NatsOptions options);
  ~NatsClient();

  NatsClient(const NatsClient&) = delete;
  NatsClient& operator=(const NatsClient&) = delete;

  // `done` runs exactly once, on a library thread, never inside Request. Fails at once while disconnected: nothing waits in a buffer.
  void Request(const std::string& subject, const Headers& headers, std::string_view body, std::function<void(Reply)> done);

  // The same, waiting. Not from a callback of any client (FailedPrecondition).
  Reply Call(const std::string& subject, std::string_view body, const Headers& headers = {});

  std::unique_ptr<Subscription> Follow(FollowSpec spec);

  bool connected() const;
  void OnConnection(std::function<void(bool connected)> listener);

 private:
  class Impl;
  explicit NatsClient(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace vigil
