#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace vigil::gateway {

struct Rate {
  double per_second = 0;
  double burst = 0;
};

// A token bucket a key, in this process's memory: a limit against a program gone wild, not an account. Thread-safe.
class RateLimiter {
 public:
  // Beyond `max_keys` all buckets start full again.
  explicit RateLimiter(Rate rate, size_t max_keys = 100'000) : rate_(rate), max_keys_(max_keys) {}

  // nullopt: go on. Else how long until the next is allowed. A `now` before the last one counts as no time passed.
  std::optional<absl::Duration> Take(std::string_view key, absl::Time now);

 private:
  struct Bucket {
    double level = 0;
    absl::Time filled;
  };

  Bucket& Refill(std::string_view key, absl::Time now);
  std::optional<absl::Duration> Wait(const Bucket& bucket) const;

  const Rate rate_;
  const size_t max_keys_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, Bucket> buckets_;
};

}  // namespace vigil::gateway
