#include "platform/crypto/sealed_box.h"

#include <algorithm>

#include "platform/crypto/sodium_ready.h"

namespace vigil {

static_assert(kBoxKeyBytes == crypto_box_PUBLICKEYBYTES && kBoxKeyBytes == crypto_box_SECRETKEYBYTES);

absl::StatusOr<BoxPublicKey> BoxPublicKey::FromBytes(std::string_view bytes) {
  internal::SodiumReady();
  if (bytes.size() != kBoxKeyBytes) return absl::InvalidArgumentError("a key to seal to has 32 bytes");
  BoxPublicKey key;
  std::copy(bytes.begin(), bytes.end(), key.key_.begin());
  return key;
}

std::string BoxPublicKey::Seal(std::string_view plaintext) const {
  std::string sealed(plaintext.size() + crypto_box_SEALBYTES, '\0');
  crypto_box_seal(internal::Bytes(sealed), internal::Bytes(plaintext), plaintext.size(), key_.data());
  return sealed;
}

BoxSecretKey BoxSecretKey::Generate(Random& random) {
  const Secret<std::string> bytes(random.Bytes(kBoxKeyBytes));
  return *FromBytes(bytes.reveal());
}

absl::StatusOr<BoxSecretKey> BoxSecretKey::FromBytes(std::string_view bytes) {
  internal::SodiumReady();
  if (bytes.size() != kBoxKeyBytes) return absl::InvalidArgumentError("a custodian's key has 32 bytes");
  BoxSecretKey key;
  std::array<std::uint8_t, kBoxKeyBytes> copy{};
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  crypto_scalarmult_base(key.public_key_.key_.data(), copy.data());
  key.key_ = Secret(copy);
  sodium_memzero(copy.data(), copy.size());
  return key;
}

absl::StatusOr<std::string> BoxSecretKey::Open(std::string_view sealed) const {
  if (sealed.size() < crypto_box_SEALBYTES) return absl::DataLossError("too short to be a sealed text");
  std::string plaintext(sealed.size() - crypto_box_SEALBYTES, '\0');
  if (crypto_box_seal_open(internal::Bytes(plaintext), internal::Bytes(sealed), sealed.size(), public_key_.key_.data(), key_.reveal().data()) != 0) {
    return absl::DataLossError("not sealed to this key, or altered");
  }
  return plaintext;
}

Secret<std::string> BoxSecretKey::bytes() const { return Secret<std::string>(std::string(key_.reveal().begin(), key_.reveal().end())); }

}  // namespace vigil
