#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vigil {

// Each decoder accepts exactly what its encoder can produce (no spaces, no stray bits in the last character), so two different texts
// never decode to the same bytes. nullopt: not such a text. Hex also accepts capitals.

std::string Base64Encode(std::string_view bytes);  // RFC 4648, padded
std::optional<std::string> Base64Decode(std::string_view text);

std::string Base64UrlEncode(std::string_view bytes);  // RFC 4648 section 5, without padding
std::optional<std::string> Base64UrlDecode(std::string_view text);

std::string HexEncode(std::string_view bytes);  // lower case
std::optional<std::string> HexDecode(std::string_view text);

std::string Base32Encode(std::string_view bytes);  // RFC 4648 alphabet in lower case (a-z2-7), without padding
std::optional<std::string> Base32Decode(std::string_view text);

// Compares without showing, by the time it takes, where two texts differ. Texts of different length differ at once.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

}  // namespace vigil
