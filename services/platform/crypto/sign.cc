#include "platform/crypto/sign.h"

#include <algorithm>

#include "platform/crypto/sodium_ready.h"

namespace vigil {

absl::StatusOr<VerifyKey> VerifyKey::FromBytes(std::string_view bytes) {
  internal::SodiumReady();
  if (bytes.size() != kVerifyKeyBytes) return absl::InvalidArgumentError("an Ed25519 public key has 32 bytes");
  VerifyKey key;
  std::copy(bytes.begin(), bytes.end(), key.key_.begin());
  return key;
}

bool VerifyKey::Verify(std::string_view message, std::string_view signature) const {
  return signature.size() == kSignatureBytes &&
         crypto_sign_verify_detached(internal::Bytes(signature), internal::Bytes(message), message.size(), key_.data()) == 0;
}

std::string VerifyKey::bytes() const { return std::string(key_.begin(), key_.end()); }

absl::StatusOr<SigningKey> SigningKey::FromSeed(std::string_view seed) {
  internal::SodiumReady();
  if (seed.size() != kSigningSeedBytes) return absl::InvalidArgumentError("an Ed25519 seed has 32 bytes");
  SigningKey key;
  std::array<std::uint8_t, 64> secret{};
  crypto_sign_seed_keypair(key.verify_key_.key_.data(), secret.data(), internal::Bytes(seed));
  key.key_ = Secret(secret);
  sodium_memzero(secret.data(), secret.size());
  return key;
}

SigningKey SigningKey::Generate(Random& random) {
  const Secret<std::string> seed(random.Bytes(kSigningSeedBytes));
  return *FromSeed(seed.reveal());
}

std::string SigningKey::Sign(std::string_view message) const {
  std::string signature(kSignatureBytes, '\0');
  crypto_sign_detached(internal::Bytes(signature), nullptr, internal::Bytes(message), message.size(), key_.reveal().data());
  return signature;
}

Secret<std::string> SigningKey::seed() const {
  return Secret<std::string>(std::string(key_.reveal().begin(), key_.reveal().begin() + kSigningSeedBytes));
}

}  // namespace vigil
