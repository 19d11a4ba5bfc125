// What the address of a guardian's copy holds: one document of one case, until some day. Sealed by a key that follows from the installation's
// key, so that nothing can be read from it, none can be made and none altered outside. Whoever has it can open that document: it is a key, and
// treated as one (not logged, not cached, rate limited, withdrawn by a command).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/crypto/random.h"
#include "platform/crypto/seal.h"

namespace vigil::intake {

inline constexpr std::size_t kMaxCopyTokenBytes = 256;

struct CopyClaims {
  std::string case_id;
  std::string record_id;
  absl::Time issued_time = absl::InfinitePast();   // milliseconds
  absl::Time expires_time = absl::InfinitePast();  // seconds; refused from this instant on
};

// Base64url, about 120 characters. Ids of at most 32 bytes.
std::string MintCopyToken(const SealingKey& installation_key, const CopyClaims& claims, Random& random);

// NotFound: not made here, altered, or expired at `now`: one answer for all, which says nothing to who guesses.
absl::StatusOr<CopyClaims> OpenCopyToken(const SealingKey& installation_key, std::string_view token, absl::Time now);

}  // namespace vigil::intake
