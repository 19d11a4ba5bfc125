#include "vigil/api_client.h"

#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"
#include "platform/http/fetch.h"

namespace vigil {

absl::StatusOr<HttpResponse> Call(const Connection& connection, const ApiRequest& request) {
  FetchRequest fetch;
  fetch.method = request.method;
  fetch.url = connection.url + request.path;
  fetch.ca_file = connection.ca_file;
  fetch.bearer_token = connection.token;
  fetch.timeout = request.timeout;
  fetch.body = request.body;
  fetch.headers.Set("Accept-Language", std::string(LanguageTag(connection.language)));
  if (!request.body.empty()) fetch.headers.Set("Content-Type", request.content_type);
  if (!request.idempotency_key.empty()) fetch.headers.Set("Idempotency-Key", request.idempotency_key);
  if (!request.if_match.empty()) fetch.headers.Set("If-Match", request.if_match);
  return Fetch(fetch);
}

std::string RandomKey() {
  constexpr std::size_t kKeyBytes = 16;
  SystemRandom random;
  return HexEncode(random.Bytes(kKeyBytes));
}

}  // namespace vigil
