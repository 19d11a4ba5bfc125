#include "fuzz/fuzz.h"
#include "platform/crypto/encoding.h"
#include "platform/http/url.h"

namespace vigil::fuzz {

void Try(std::string_view input) {
  if (const auto bytes = Base64Decode(input)) Promise(Base64Encode(*bytes) == input, "base64 has one spelling");
  if (const auto bytes = Base64UrlDecode(input)) Promise(Base64UrlEncode(*bytes) == input, "base64url has one spelling");
  if (const auto bytes = Base32Decode(input)) Promise(Base32Encode(*bytes) == input, "base32 has one spelling");
  if (const auto bytes = HexDecode(input)) Promise(HexDecode(HexEncode(*bytes)) == bytes, "hex comes back");
  Promise(Base64Decode(Base64Encode(input)) == std::string(input), "base64 comes back");
  Promise(Base64UrlDecode(Base64UrlEncode(input)) == std::string(input), "base64url comes back");
  Promise(Base32Decode(Base32Encode(input)) == std::string(input), "base32 comes back");
  Promise(PercentDecode(PercentEncode(input)).value() == input, "percent-encoding comes back");
  (void)PercentDecode(input, /*plus_is_space=*/true);
  if (const auto target = ParseTarget(input); target.ok()) {
    Promise(target->path.find('\0') == std::string::npos, "no NUL in a path");
    for (const std::string& segment : target->path_segments) Promise(segment.find('\0') == std::string::npos, "no NUL in a segment");
  }
}

std::vector<std::string> Seeds() {
  return {"/api/v1/schools/s-1/cases?state=open&page_size=20", "/api/v1/cases/c1:close", "http://host/a%20b?x=%E5%AD%A9", "/%00", "/a%2Fb/../c?&=&a",
          "aGVsbG8=", "aGVsbG8", "nbswy3dp", "68656c6c6f", std::string("\0\xff\x80", 3)};
}

}  // namespace vigil::fuzz
