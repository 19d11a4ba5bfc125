#include "platform/crypto/nkey.h"

#include <cstdint>
#include <optional>

#include "platform/crypto/encoding.h"

namespace vigil {
namespace {

constexpr unsigned kSeedPrefix = 18U << 3U;  // "S"
constexpr unsigned kUserPrefix = 20U << 3U;  // "U"
constexpr char kSeedFirst = static_cast<char>(kSeedPrefix | (kUserPrefix >> 5U));
constexpr char kSeedSecond = static_cast<char>((kUserPrefix & 31U) << 3U);

std::uint16_t Crc16(std::string_view bytes) {
  unsigned crc = 0;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned>(static_cast<std::uint8_t>(byte)) << 8U;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000U) != 0 ? (crc << 1U) ^ 0x1021U : crc << 1U;
    crc &= 0xffffU;
  }
  return static_cast<std::uint16_t>(crc);
}

std::string EncodeChecked(std::string raw) {
  const std::uint16_t crc = Crc16(raw);
  raw.push_back(static_cast<char>(crc & 0xffU));
  raw.push_back(static_cast<char>(crc >> 8U));
  std::string text = Base32Encode(raw);
  for (char& character : text) {
    if (character >= 'a' && character <= 'z') character = static_cast<char>(character - 'a' + 'A');
  }
  return text;
}

std::optional<std::string> DecodeChecked(std::string_view text) {
  std::string lower(text);
  for (char& character : lower) {
    if (character >= 'a' && character <= 'z') return std::nullopt;
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character - 'A' + 'a');
  }
  std::optional<std::string> raw = Base32Decode(lower);
  if (!raw || raw->size() < 3) return std::nullopt;
  const std::string_view body = std::string_view(*raw).substr(0, raw->size() - 2);
  const auto low = static_cast<std::uint8_t>((*raw)[body.size()]);
  const auto high = static_cast<std::uint8_t>((*raw)[body.size() + 1]);
  if (Crc16(body) != (low | (high << 8))) return std::nullopt;
  raw->resize(body.size());
  return raw;
}

}  // namespace

Secret<std::string> EncodeNkeySeed(const SigningKey& key) {
  return Secret<std::string>(EncodeChecked(std::string{kSeedFirst, kSeedSecond} + key.seed().reveal()));
}

std::string EncodeNkeyPublic(const VerifyKey& key) { return EncodeChecked(static_cast<char>(kUserPrefix) + key.bytes()); }

absl::StatusOr<SigningKey> DecodeNkeySeed(std::string_view text) {
  const std::optional<std::string> raw = DecodeChecked(text);
  if (!raw || raw->size() != 2 + kSigningSeedBytes || (*raw)[0] != kSeedFirst || (*raw)[1] != kSeedSecond) {
    return absl::InvalidArgumentError("not the seed of a NATS user");
  }
  const Secret<std::string> seed(raw->substr(2));
  return SigningKey::FromSeed(seed.reveal());
}

absl::StatusOr<VerifyKey> DecodeNkeyPublic(std::string_view text) {
  const std::optional<std::string> raw = DecodeChecked(text);
  if (!raw || raw->size() != 1 + kVerifyKeyBytes || (*raw)[0] != static_cast<char>(kUserPrefix)) {
    return absl::InvalidArgumentError("not the public key of a NATS user");
  }
  return VerifyKey::FromBytes(std::string_view(*raw).substr(1));
}

}  // namespace vigil
