#include "platform/crypto/seal.h"

#include <algorithm>

#include "platform/crypto/sodium_ready.h"

namespace vigil {
namespace {
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(kNonceBytes + kTagBytes == kSealOverheadBytes);
static_assert(kSealingKeyBytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
}  // namespace

absl::StatusOr<SealingKey> SealingKey::FromBytes(std::string_view bytes) {
  internal::SodiumReady();
  if (bytes.size() != kSealingKeyBytes) return absl::InvalidArgumentError("a sealing key has 32 bytes");
  SealingKey key;
  std::array<std::uint8_t, kSealingKeyBytes> copy{};
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  key.key_ = Secret(copy);
  sodium_memzero(copy.data(), copy.size());
  return key;
}

SealingKey SealingKey::Generate(Random& random) {
  const Secret<std::string> bytes(random.Bytes(kSealingKeyBytes));
  return *FromBytes(bytes.reveal());
}

std::string SealingKey::Seal(std::string_view plaintext, std::string_view associated_data, Random& random) const {
  std::string sealed(kNonceBytes + plaintext.size() + kTagBytes, '\0');
  random.Fill({internal::Bytes(sealed), kNonceBytes});
  crypto_aead_xchacha20poly1305_ietf_encrypt(internal::Bytes(sealed) + kNonceBytes, nullptr, internal::Bytes(plaintext), plaintext.size(),
                                             internal::Bytes(associated_data), associated_data.size(), nullptr, internal::Bytes(sealed),
                                             key_.reveal().data());
  return sealed;
}

absl::StatusOr<std::string> SealingKey::Open(std::string_view sealed, std::string_view associated_data) const {
  if (sealed.size() < kSealOverheadBytes) return absl::DataLossError("too short to be a sealed text");
  const std::string_view ciphertext = sealed.substr(kNonceBytes);
  std::string plaintext(ciphertext.size() - kTagBytes, '\0');
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(internal::Bytes(plaintext), nullptr, nullptr, internal::Bytes(ciphertext),
                                                 ciphertext.size(), internal::Bytes(associated_data), associated_data.size(),
                                                 internal::Bytes(sealed), key_.reveal().data()) != 0) {
    return absl::DataLossError("not sealed by this key for this place, or altered");
  }
  return plaintext;
}

Secret<std::string> SealingKey::bytes() const {
  return Secret<std::string>(std::string(key_.reveal().begin(), key_.reveal().end()));
}

std::string WrapKey(const SealingKey& wrapping_key, const SealingKey& key, std::string_view associated_data, Random& random) {
  return wrapping_key.Seal(key.bytes().reveal(), associated_data, random);
}

absl::StatusOr<SealingKey> UnwrapKey(const SealingKey& wrapping_key, std::string_view wrapped, std::string_view associated_data) {
  absl::StatusOr<std::string> bytes = wrapping_key.Open(wrapped, associated_data);
  if (!bytes.ok()) return bytes.status();
  const Secret<std::string> hidden(*std::move(bytes));
  return SealingKey::FromBytes(hidden.reveal());
}

}  // namespace vigil
