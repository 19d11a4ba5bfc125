#include "platform/crypto/encoding.h"

#include <cstdint>

#include "platform/crypto/sodium_ready.h"

namespace vigil {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::string_view kHex = "0123456789abcdef";

std::string Encode(std::string_view bytes, std::string_view alphabet, unsigned bits_each) {
  std::string text;
  text.reserve((bytes.size() * 8 + bits_each - 1) / bits_each);
  std::uint32_t window = 0;
  unsigned held = 0;
  const std::uint32_t mask = (1U << bits_each) - 1;
  for (const char byte : bytes) {
    window = (window << 8U) | static_cast<std::uint8_t>(byte);
    held += 8;
    while (held >= bits_each) {
      held -= bits_each;
      text.push_back(alphabet[(window >> held) & mask]);
    }
  }
  if (held > 0) text.push_back(alphabet[(window << (bits_each - held)) & mask]);
  return text;
}

std::optional<std::string> Decode(std::string_view text, std::string_view alphabet, unsigned bits_each) {
  std::string bytes;
  bytes.reserve(text.size() * bits_each / 8);
  std::uint32_t window = 0;
  unsigned held = 0;
  for (const char character : text) {
    const auto digit = alphabet.find(character);
    if (digit == std::string_view::npos) return std::nullopt;
    window = (window << bits_each) | static_cast<std::uint32_t>(digit);
    held += bits_each;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<char>(static_cast<std::uint8_t>(window >> held)));
    }
  }
  // A whole unused character, or set bits in the unused part of the last one, is not what the encoder writes.
  if (held >= bits_each || (window & ((1U << held) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace

std::string Base64Encode(std::string_view bytes) {
  std::string text = Encode(bytes, kBase64, 6);
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::optional<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  return Decode(text, kBase64, 6);
}

std::string Base64UrlEncode(std::string_view bytes) { return Encode(bytes, kBase64Url, 6); }
std::optional<std::string> Base64UrlDecode(std::string_view text) { return Decode(text, kBase64Url, 6); }

std::string HexEncode(std::string_view bytes) { return Encode(bytes, kHex, 4); }
std::optional<std::string> HexDecode(std::string_view text) {
  std::string lower(text);
  for (char& character : lower) {
    if (character >= 'A' && character <= 'F') character = static_cast<char>(character - 'A' + 'a');
  }
  return Decode(lower, kHex, 4);
}

std::string Base32Encode(std::string_view bytes) { return Encode(bytes, kBase32, 5); }
std::optional<std::string> Base32Decode(std::string_view text) { return Decode(text, kBase32, 5); }

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace vigil
