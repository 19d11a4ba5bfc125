#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "gateway/upstream.h"
#include "platform/clock/clock.h"
#include "platform/crypto/token.h"

namespace vigil::gateway {

// Tokens remembered as verified; beyond it all are forgotten and verified again.
inline constexpr size_t kMaxCachedTokens = 10'000;

// Who calls, as the token says.
struct Session {
  TokenClaims claims;
  Upstream::Metadata metadata;  // vigil-person, vigil-role, vigil-school
};

// Verifies bearer tokens. A signature costs more than the rest of a request, so tokens already verified are known by
// their hash; whether one has expired is asked each time. Thread-safe.
class Sessions {
 public:
  // `clock` must outlive it; tokens expire in real time.
  Sessions(VerifyKey key, const Clock& clock) : key_(std::move(key)), clock_(clock) {}

  // Unauthenticated, with words for the caller: there is no "Bearer <token>", or the token is not good.
  absl::StatusOr<std::shared_ptr<const Session>> Authenticate(std::optional<std::string_view> authorization);

 private:
  const VerifyKey key_;
  const Clock& clock_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<const Session>> verified_;  // By the token's SHA-256.
};

}  // namespace vigil::gateway
