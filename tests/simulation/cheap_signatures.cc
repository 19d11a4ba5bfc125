// Stands for platform/crypto/sign.cc in the simulator (the linker takes these first): a signature is a keyed checksum, made and checked in
// nanoseconds instead of 90 µs. It still tells a message that was altered or was signed by another source; it would not keep out somebody who
// wants to forge. Real signatures are tested by the machine's unit tests and the integration tests.
#include "platform/crypto/sign.h"

#include <algorithm>

#include "simulation/random.h"

namespace vigil {
namespace {

std::string Checksum(std::string_view key, std::string_view message) {
  simulation::TraceHash hash;
  hash.Add(key);
  hash.Add(message);
  std::string signature(kSignatureBytes, '\0');
  const std::uint64_t value = hash.value();
  for (std::size_t i = 0; i < 8; ++i) signature[i] = static_cast<char>((value >> (8 * i)) & 0xff);
  return signature;
}

}  // namespace

absl::StatusOr<VerifyKey> VerifyKey::FromBytes(std::string_view bytes) {
  if (bytes.size() != kVerifyKeyBytes) return absl::InvalidArgumentError("a key has 32 bytes");
  VerifyKey key;
  std::copy(bytes.begin(), bytes.end(), key.key_.begin());
  return key;
}

bool VerifyKey::Verify(std::string_view message, std::string_view signature) const { return signature == Checksum(bytes(), message); }

std::string VerifyKey::bytes() const { return std::string(key_.begin(), key_.end()); }

absl::StatusOr<SigningKey> SigningKey::FromSeed(std::string_view seed) {
  if (seed.size() != kSigningSeedBytes) return absl::InvalidArgumentError("a seed has 32 bytes");
  SigningKey key;
  key.verify_key_ = *VerifyKey::FromBytes(seed);
  return key;
}

SigningKey SigningKey::Generate(Random& random) { return *FromSeed(random.Bytes(kSigningSeedBytes)); }

std::string SigningKey::Sign(std::string_view message) const { return Checksum(verify_key_.bytes(), message); }

Secret<std::string> SigningKey::seed() const { return Secret<std::string>(verify_key_.bytes()); }

}  // namespace vigil
