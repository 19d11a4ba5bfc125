#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/crypto/sign.h"

namespace vigil {

inline constexpr std::size_t kMaxTokenBytes = 2048;
inline constexpr std::string_view kEverySchool = "*";

struct TokenClaims {
  std::string id;      // of the token itself; a revocation names it
  std::string school;  // kEverySchool: a token of the district or the installation
  std::string person;
  std::string role;
  absl::Time expires_time = absl::InfinitePast();  // whole seconds; the token is refused from this instant on

  bool AllowsSchool(std::string_view wanted) const { return school == kEverySchool || school == wanted; }
  bool operator==(const TokenClaims&) const = default;
};

// An access token: base64url(JSON {"id","school","person","role","expires_time": unix seconds}) "." base64url(signature). The signature is
// over "vigil token v1\n" and the first part as written, so that the key's other signatures are never tokens.
std::string MintToken(const SigningKey& key, const TokenClaims& claims);

// Unauthenticated: not signed by `key`, malformed, or expired at `now`. Says nothing of revocation, which the caller knows from the log.
absl::StatusOr<TokenClaims> VerifyToken(const VerifyKey& key, std::string_view text, absl::Time now);

}  // namespace vigil
