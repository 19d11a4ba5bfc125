#include "gateway/callbacks.h"

#include <algorithm>

#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil::gateway {

namespace {

constexpr std::string_view kPrefix = "/callbacks/";
constexpr std::string_view kScheme = "sha256=";
constexpr size_t kMaxNameBytes = 32;

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace

std::optional<CallbackPath> ParseCallbackPath(std::string_view path) {
  if (path.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  CallbackPath names{std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
  if (!IsName(names.provider) || !IsName(names.kind)) return std::nullopt;
  return names;
}

bool IsSandboxSignature(const Secret<std::string>& secret, std::string_view body, std::string_view signature) {
  if (secret.reveal().empty() || signature.substr(0, kScheme.size()) != kScheme) return false;
  const std::optional<std::string> given = HexDecode(signature.substr(kScheme.size()));
  return given.has_value() && ConstantTimeEqual(*given, AsView(HmacSha256(secret.reveal(), body)));
}

}  // namespace vigil::gateway
