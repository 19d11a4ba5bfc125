#pragma once

#include <sodium.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace vigil::internal {

// libsodium must be told once before anything else of it; nothing can go on if its generator is not there.
inline void SodiumReady() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) std::abort();
}

inline const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
inline unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace vigil::internal
