#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/http/message.h"

namespace vigil {

struct FetchRequest {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers;
  std::string body;
  std::string ca_file;                         // PEM; empty: the system's authorities
  std::string bearer_token;                    // sent as Authorization: Bearer unless empty
  absl::Duration timeout = absl::Seconds(30);  // absl::InfiniteDuration() for streams
  absl::Duration connect_timeout = absl::Seconds(5);
  // If set, a 2xx answer is handed over line by line as it comes (without line ends; server-sent events) and the
  // returned body is empty. Returning false ends the fetch, which then counts as a success.
  std::function<bool(std::string_view line)> on_line;
  // If set, asked about once a second, also while nothing comes; false ends the fetch with Cancelled.
  std::function<bool()> keep_going;
};

// One request on the calling thread, for command-line tools and tests. Errors as HttpClient::Callback describes.
absl::StatusOr<HttpResponse> Fetch(const FetchRequest& request);

}  // namespace vigil
