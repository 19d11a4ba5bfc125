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

inline constexpr std::size_t kSigningSeedBytes = 32;
inline constexpr std::size_t kVerifyKeyBytes = 32;
inline constexpr std::size_t kSignatureBytes = 64;

// The public half of an Ed25519 key. Immutable, thread-safe.
class VerifyKey {
 public:
  // InvalidArgument unless `bytes` has kVerifyKeyBytes.
  static absl::StatusOr<VerifyKey> FromBytes(std::string_view bytes);

  // Whether `signature` (kSignatureBytes) is of this key over `message`. Anything malformed is simply false.
  bool Verify(std::string_view message, std::string_view signature) const;

  std::string bytes() const;
  bool operator==(const VerifyKey&) const = default;

 private:
  friend class SigningKey;
  VerifyKey() = default;
  std::array<std::uint8_t, kVerifyKeyBytes> key_{};
};

// An Ed25519 key that signs. Immutable, thread-safe.
class SigningKey {
 public:
  // InvalidArgument unless `seed` has kSigningSeedBytes. The same seed is always the same key.
  static absl::StatusOr<SigningKey> FromSeed(std::string_view seed);
  static SigningKey Generate(Random& random);

  // kSignatureBytes of signature.
  std::string Sign(std::string_view message) const;

  Secret<std::string> seed() const;
  const VerifyKey& verify_key() const { return verify_key_; }

 private:
  SigningKey() = default;
  Secret<std::array<std::uint8_t, 64>> key_;  // libsodium's form: seed, then public key
  VerifyKey verify_key_;
};

}  // namespace vigil
