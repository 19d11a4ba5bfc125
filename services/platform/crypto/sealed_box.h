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

inline constexpr std::size_t kBoxKeyBytes = 32;

// What anybody may seal to and only one can open: the public half of an X25519 key (libsodium's sealed boxes). Immutable, thread-safe.
class BoxPublicKey {
 public:
  // InvalidArgument unless `bytes` has kBoxKeyBytes.
  static absl::StatusOr<BoxPublicKey> FromBytes(std::string_view bytes);

  // Uses the operating system's randomness: a sealed box has a key of its own that nobody keeps.
  std::string Seal(std::string_view plaintext) const;

  std::string bytes() const { return {key_.begin(), key_.end()}; }
  bool operator==(const BoxPublicKey&) const = default;

 private:
  friend class BoxSecretKey;
  BoxPublicKey() = default;
  std::array<std::uint8_t, kBoxKeyBytes> key_{};
};

class BoxSecretKey {
 public:
  static BoxSecretKey Generate(Random& random);
  // InvalidArgument unless `bytes` has kBoxKeyBytes.
  static absl::StatusOr<BoxSecretKey> FromBytes(std::string_view bytes);

  // DataLoss: not sealed to this key, or altered.
  absl::StatusOr<std::string> Open(std::string_view sealed) const;

  const BoxPublicKey& public_key() const { return public_key_; }
  Secret<std::string> bytes() const;

 private:
  BoxSecretKey() = default;
  Secret<std::array<std::uint8_t, kBoxKeyBytes>> key_;
  BoxPublicKey public_key_;
};

}  // namespace vigil
