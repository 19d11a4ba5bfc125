#include "platform/crypto/random.h"

#include <ostream>

#include "platform/crypto/secret.h"
#include "platform/crypto/sodium_ready.h"

namespace vigil {

namespace internal {
void WipeMemory(void* data, std::size_t size) { sodium_memzero(data, size); }
void PrintHidden(std::ostream* out) { *out << "[secret]"; }
}  // namespace internal

std::string Random::Bytes(std::size_t count) {
  std::string bytes(count, '\0');
  Fill({internal::Bytes(bytes), bytes.size()});
  return bytes;
}

void SystemRandom::Fill(std::span<std::uint8_t> bytes) {
  internal::SodiumReady();
  randombytes_buf(bytes.data(), bytes.size());
}

SeededRandom::SeededRandom(std::uint64_t seed) {
  for (int i = 0; i < 8; ++i) key_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(seed >> (8 * i));
}

void SeededRandom::Fill(std::span<std::uint8_t> bytes) {
  internal::SodiumReady();
  std::array<std::uint8_t, crypto_stream_chacha20_NONCEBYTES> nonce{};
  std::lock_guard lock(mutex_);
  for (int i = 0; i < 8; ++i) nonce[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(counter_ >> (8 * i));
  ++counter_;
  crypto_stream_chacha20(bytes.data(), bytes.size(), nonce.data(), key_.data());
}

}  // namespace vigil
