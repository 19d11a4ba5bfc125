#include "gateway/rate_limiter.h"

#include <algorithm>

namespace vigil::gateway {

RateLimiter::Bucket& RateLimiter::Refill(std::string_view key, absl::Time now) {
  const absl::string_view lookup(key.data(), key.size());
  auto found = buckets_.find(lookup);
  if (found == buckets_.end()) {
    if (buckets_.size() >= max_keys_) buckets_.clear();
    found = buckets_.emplace(std::string(key), Bucket{rate_.burst, now}).first;
  }
  Bucket& bucket = found->second;
  if (now > bucket.filled)
    bucket.level = std::min(rate_.burst, bucket.level + absl::ToDoubleSeconds(now - bucket.filled) * rate_.per_second);
  bucket.filled = now;
  return bucket;
}

std::optional<absl::Duration> RateLimiter::Wait(const Bucket& bucket) const {
  if (bucket.level >= 1) return std::nullopt;
  return absl::Seconds((1 - bucket.level) / rate_.per_second);
}

std::optional<absl::Duration> RateLimiter::Take(std::string_view key, absl::Time now) {
  std::lock_guard lock(mutex_);
  Bucket& bucket = Refill(key, now);
  std::optional<absl::Duration> wait = Wait(bucket);
  if (!wait.has_value()) bucket.level -= 1;
  return wait;
}

}  // namespace vigil::gateway
