#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "platform/crypto/random.h"
#include "platform/crypto/secret.h"

namespace vigil {

inline constexpr std::size_t kSealingKeyBytes = 32;
// What sealing adds to a text: a 24-byte nonce before it and a 16-byte tag after it.
inline constexpr std::size_t kSealOverheadBytes = 24 + 16;

// A key for XChaCha20-Poly1305 (IETF). Immutable, thread-safe.
class SealingKey {
 public:
  // InvalidArgument unless `bytes` has kSealingKeyBytes.
  static absl::StatusOr<SealingKey> FromBytes(std::string_view bytes);
  static SealingKey Generate(Random& random);

  // nonce || ciphertext || tag. `associated_data` is not hidden and not stored, but the text opens only with the same again: give what the
  // text belongs to (a person's id, a field), so that a sealed text moved elsewhere does not open.
  std::string Seal(std::string_view plaintext, std::string_view associated_data, Random& random) const;

  // DataLoss: not sealed by this key with this associated data, or altered since.
  absl::StatusOr<std::string> Open(std::string_view sealed, std::string_view associated_data) const;

  Secret<std::string> bytes() const;

 private:
  SealingKey() = default;
  Secret<std::array<std::uint8_t, kSealingKeyBytes>> key_;
};

// A key sealed by another key, as it is stored. Errors as Open's.
std::string WrapKey(const SealingKey& wrapping_key, const SealingKey& key, std::string_view associated_data, Random& random);
absl::StatusOr<SealingKey> UnwrapKey(const SealingKey& wrapping_key, std::string_view wrapped, std::string_view associated_data);

}  // namespace vigil
