#include "platform/crypto/token.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "platform/crypto/encoding.h"

namespace vigil {
namespace {

constexpr std::string_view kContext = "vigil token v1\n";

std::string SignedText(std::string_view payload_text) { return std::string(kContext).append(payload_text); }

absl::Status Refused(std::string_view why) {
  return absl::UnauthenticatedError(absl::string_view(why.data(), why.size()));
}

}  // namespace

std::string MintToken(const SigningKey& key, const TokenClaims& claims) {
  const nlohmann::json payload = {{"id", claims.id},
                                  {"school", claims.school},
                                  {"person", claims.person},
                                  {"role", claims.role},
                                  {"expires_time", absl::ToUnixSeconds(claims.expires_time)}};
  const std::string text =
      Base64UrlEncode(payload.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return text + "." + Base64UrlEncode(key.Sign(SignedText(text)));
}

absl::StatusOr<TokenClaims> VerifyToken(const VerifyKey& key, std::string_view text, absl::Time now) {
  if (text.size() > kMaxTokenBytes) return Refused("the token is too long");
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return Refused("not a token");
  const std::string_view payload_text = text.substr(0, dot);
  const std::optional<std::string> signature = Base64UrlDecode(text.substr(dot + 1));
  if (!signature || !key.Verify(SignedText(payload_text), *signature)) return Refused("the token is not signed by this installation");

  const std::optional<std::string> payload = Base64UrlDecode(payload_text);
  if (!payload) return Refused("not a token");
  const nlohmann::json json = nlohmann::json::parse(*payload, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Refused("not a token");
  const auto is_text = [&](const char* name) { return json.contains(name) && json[name].is_string(); };
  if (!is_text("id") || !is_text("school") || !is_text("person") || !is_text("role") || !json.contains("expires_time") ||
      !json["expires_time"].is_number_integer()) {
    return Refused("the token lacks a claim");
  }
  TokenClaims claims;
  claims.id = json["id"].get<std::string>();
  claims.school = json["school"].get<std::string>();
  claims.person = json["person"].get<std::string>();
  claims.role = json["role"].get<std::string>();
  claims.expires_time = absl::FromUnixSeconds(json["expires_time"].get<std::int64_t>());
  if (now >= claims.expires_time) return Refused("the token has expired");
  return claims;
}

}  // namespace vigil
