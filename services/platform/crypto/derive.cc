#include "platform/crypto/derive.h"

#include <cstdint>

#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil {

std::string DeriveId(char kind, std::initializer_list<std::string_view> parts) {
  Sha256Hasher hasher;
  for (const std::string_view part : parts) {
    std::string length;
    for (int shift = 56; shift >= 0; shift -= 8) {
      length.push_back(static_cast<char>(static_cast<std::uint8_t>(static_cast<std::uint64_t>(part.size()) >> shift)));
    }
    hasher.Update(length).Update(part);
  }
  const std::string text = Base32Encode(AsView(hasher.Finish()).substr(0, 9));
  return std::string(1, kind).append(text, 0, 14);
}

}  // namespace vigil
