#include "platform/crypto/hash.h"

#include <new>

#include "platform/crypto/sodium_ready.h"

namespace vigil {
namespace {

crypto_hash_sha256_state* State(std::array<std::byte, 128>& storage) {
  static_assert(sizeof(crypto_hash_sha256_state) <= 128 && alignof(crypto_hash_sha256_state) <= 16);
  return std::launder(reinterpret_cast<crypto_hash_sha256_state*>(storage.data()));
}

}  // namespace

Digest Sha256(std::string_view bytes) {
  Digest digest;
  crypto_hash_sha256(digest.data(), internal::Bytes(bytes), bytes.size());
  return digest;
}

Sha256Hasher::Sha256Hasher() {
  internal::SodiumReady();
  crypto_hash_sha256_init(new (state_.data()) crypto_hash_sha256_state);
}

Sha256Hasher& Sha256Hasher::Update(std::string_view bytes) {
  crypto_hash_sha256_update(State(state_), internal::Bytes(bytes), bytes.size());
  return *this;
}

Digest Sha256Hasher::Finish() {
  Digest digest;
  crypto_hash_sha256_final(State(state_), digest.data());
  return digest;
}

Digest HmacSha256(std::string_view key, std::string_view message) {
  internal::SodiumReady();
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, internal::Bytes(key), key.size());
  crypto_auth_hmacsha256_update(&state, internal::Bytes(message), message.size());
  Digest digest;
  crypto_auth_hmacsha256_final(&state, digest.data());
  sodium_memzero(&state, sizeof state);
  return digest;
}

std::string_view AsView(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }
std::string AsString(const Digest& digest) { return std::string(AsView(digest)); }

}  // namespace vigil
