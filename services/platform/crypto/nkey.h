#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "platform/crypto/secret.h"
#include "platform/crypto/sign.h"

namespace vigil {

// NATS user nkeys: an Ed25519 key as the broker and its clients write it. A text is base32 (capitals, no padding) of
// prefix || 32 bytes || CRC-16/XMODEM, low byte first; a user's seed begins "SU", its public key "U".
Secret<std::string> EncodeNkeySeed(const SigningKey& key);
std::string EncodeNkeyPublic(const VerifyKey& key);

// InvalidArgument: not a user's seed or public key, or its checksum is wrong.
absl::StatusOr<SigningKey> DecodeNkeySeed(std::string_view text);
absl::StatusOr<VerifyKey> DecodeNkeyPublic(std::string_view text);

}  // namespace vigil
