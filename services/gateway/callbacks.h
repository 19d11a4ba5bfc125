#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/crypto/secret.h"

namespace vigil::gateway {

// What "/callbacks/{provider}/{kind}" names.
struct CallbackPath {
  std::string provider;
  std::string kind;
};

// nullopt: not such a path, or names that are not lower-case letters, digits, '-' and '_'.
std::optional<CallbackPath> ParseCallbackPath(std::string_view path);

// Whether `signature`, the X-Sandbox-Signature header, is "sha256=" and the hex HMAC-SHA-256 of the body under the
// secret. Takes the same time wherever it differs. Never true of an empty secret.
bool IsSandboxSignature(const Secret<std::string>& secret, std::string_view body, std::string_view signature);

}  // namespace vigil::gateway
