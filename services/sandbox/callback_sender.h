#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"
#include "platform/http/client.h"
#include "sandbox/phone_network.h"
#include "sandbox/timer_queue.h"

namespace vigil::sandbox {

inline constexpr std::size_t kMaxPendingCallbacks = 100'000;

struct CallbackStatistics {
  std::uint64_t delivered = 0;
  std::uint64_t retried = 0;
  std::uint64_t failed = 0;  // given up
  std::uint64_t pending = 0;
};

// Posts callbacks, signed, those of one record in order and each before the next. A callback that cannot be delivered
// (no connection, a broken one, no answer in time, a status of 500 or more) is tried again after each of
// `retry_delays`, then given up; any other status ends it. Beyond kMaxPendingCallbacks new ones are given up at once.
// Thread-safe.
class CallbackSender {
 public:
  struct Options {
    std::string secret;
    std::string ca_file;  // whom https callbacks are believed; empty: the system's authorities
    std::vector<absl::Duration> retry_delays = {absl::Milliseconds(100), absl::Milliseconds(400),
                                                absl::Milliseconds(1600)};
    absl::Duration timeout = absl::Seconds(5);  // of each attempt
  };

  // `timers` outlives the sender's last callback: stop it first, then destroy the sender.
  CallbackSender(Options options, TimerQueue& timers);

  void Send(std::vector<Callback> callbacks);
  CallbackStatistics statistics() const;

 private:
  struct Outgoing {
    std::string url;
    std::string body;
  };
  struct Lane {
    std::deque<Outgoing> waiting;  // the first is under way
    std::size_t attempts = 0;      // of the first
  };

  void Post(std::uint64_t record, const Outgoing& outgoing);
  void OnAnswer(std::uint64_t record, const absl::StatusOr<HttpResponse>& answer);
  void TryAgain(std::uint64_t record);

  const Options options_;
  TimerQueue& timers_;
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, Lane> lanes_;  // by record
  CallbackStatistics statistics_;
  HttpClient client_;  // last: its end calls back into the rest
};

}  // namespace vigil::sandbox
