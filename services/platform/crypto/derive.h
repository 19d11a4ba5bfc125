#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace vigil {

// An id that follows from what it names: `kind` and 14 characters (70 bits) of lower-case base32 of SHA-256 over the parts, each preceded by
// its length in 8 bytes, big-endian. The same parts give the same id everywhere and for ever; ("ab","c") and ("a","bc") differ. 15 characters
// fit std::string without an allocation.
std::string DeriveId(char kind, std::initializer_list<std::string_view> parts);

}  // namespace vigil
