#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/http/message.h"
#include "vigil/words.h"

namespace vigil {

// Exit codes of `vigil` (CONTRACT.md).
enum ExitCode : int { kExitDone = 0, kExitRefused = 1, kExitWrongUsage = 2, kExitUnreachable = 3 };

struct Connection {
  std::string url;      // https://host:port, no slash at the end
  std::string ca_file;  // PEM
  std::string token;    // bearer
  Language language = Language::kChinese;
};

struct ApiRequest {
  std::string method = "GET";
  std::string path;  // with query, encoded
  std::string body;  // JSON, unless content_type says otherwise
  std::string content_type = "application/json";
  std::string idempotency_key;
  std::string if_match;
  absl::Duration timeout = absl::Seconds(30);
};

// One request to the gateway, on the calling thread. Any HTTP status is an answer; errors are those of Fetch: it could not be reached, or
// not be trusted.
absl::StatusOr<HttpResponse> Call(const Connection& connection, const ApiRequest& request);

// For Idempotency-Key: 128 random bits.
std::string RandomKey();

}  // namespace vigil
