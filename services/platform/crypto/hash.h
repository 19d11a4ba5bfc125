#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vigil {

using Digest = std::array<std::uint8_t, 32>;

// SHA-256 of the whole of `bytes`.
Digest Sha256(std::string_view bytes);

// SHA-256 of what is given piece by piece. Not thread-safe; use one object once.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher& Update(std::string_view bytes);
  Digest Finish();

 private:
  alignas(16) std::array<std::byte, 128> state_;
};

// HMAC-SHA-256; the key may have any length.
Digest HmacSha256(std::string_view key, std::string_view message);

// The same 32 bytes as a view (it does not own them) or as a string.
std::string_view AsView(const Digest& digest);
std::string AsString(const Digest& digest);

}  // namespace vigil
