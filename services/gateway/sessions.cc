#include "gateway/sessions.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "gateway/header_text.h"
#include "platform/crypto/hash.h"
#include "platform/http/message.h"

namespace vigil::gateway {

namespace {

constexpr std::string_view kScheme = "Bearer ";

}  // namespace

absl::StatusOr<std::shared_ptr<const Session>> Sessions::Authenticate(std::optional<std::string_view> authorization) {
  if (!authorization.has_value() || authorization->size() <= kScheme.size() ||
      !EqualsIgnoringCase(authorization->substr(0, kScheme.size()), kScheme)) {
    return absl::UnauthenticatedError("a bearer token is needed");
  }
  const std::string_view token = authorization->substr(kScheme.size());
  if (token.size() > kMaxTokenBytes) return absl::UnauthenticatedError("the token is not good");
  const std::string hash = AsString(Sha256(token));
  const absl::Time now = clock_.NowReal();
  {
    std::lock_guard lock(mutex_);
    if (const auto found = verified_.find(hash); found != verified_.end()) {
      if (now < found->second->claims.expires_time) return found->second;
      verified_.erase(found);
      return absl::UnauthenticatedError("the token has expired");
    }
  }
  absl::StatusOr<TokenClaims> claims = VerifyToken(key_, token, now);
  // What goes on as metadata must be what metadata can hold.
  if (!claims.ok() || !IsHeaderText(claims->person) || !IsHeaderText(claims->role) || !IsHeaderText(claims->school)) {
    return absl::UnauthenticatedError("the token is not good");
  }
  auto session = std::make_shared<Session>();
  session->metadata = {
      {"vigil-person", claims->person}, {"vigil-role", claims->role}, {"vigil-school", claims->school}};
  session->claims = *std::move(claims);
  std::lock_guard lock(mutex_);
  if (verified_.size() >= kMaxCachedTokens) verified_.clear();
  verified_[hash] = session;
  return session;
}

}  // namespace vigil::gateway
