#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/http/message.h"

namespace vigil {

struct HttpClientOptions {
  std::string ca_file;              // PEM; empty: the system's authorities
  std::string proxy;                // empty: none; the environment's proxy variables are not looked at
  std::size_t max_in_flight = 256;  // requests on the wire at once, all hosts together
  std::size_t urgent_reserve = 64;  // further requests on the wire that only urgent ones may use
  std::size_t max_queued = 20'000;  // waiting requests that are not urgent; beyond it ResourceExhausted
  std::size_t max_urgent_queued = 20'000;
  std::size_t max_response_bytes = std::size_t{4} << 20;
  absl::Duration connect_timeout = absl::Seconds(5);
};

struct HttpClientRequest {
  std::string method = "GET";
  std::string url;  // http or https, absolute
  HttpHeaders headers;
  std::string body;
  absl::Duration timeout = absl::Seconds(10);  // from Send to the last byte of the answer, waiting included
  bool urgent = false;                         // goes before all that are not
};

// An asynchronous HTTP/1.1 client with keep-alive connections, on one thread of its own. Follows no redirects, keeps no
// cookies, verifies certificates. Thread-safe.
class HttpClient {
 public:
  // Any HTTP status is an answer. Otherwise:
  //   Unavailable         the request did not reach the server: sending again cannot double it
  //   DeadlineExceeded    no answer in time; the server may have acted
  //   Unknown             the connection broke after the request began; the server may have acted
  //   ResourceExhausted   the queue is full, or the answer is larger than max_response_bytes
  //   FailedPrecondition  the server's certificate is not to be trusted
  //   InvalidArgument     the URL is unusable
  //   Cancelled           the client was destroyed
  using Callback = std::function<void(absl::StatusOr<HttpResponse>)>;

  explicit HttpClient(HttpClientOptions options);
  // Every callback that is outstanding is called with Cancelled before it returns (to which nothing must be sent
  // again). Not to be called from a callback.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Never blocks. The callback runs once, on the client's thread (never inside Send), and must not block.
  void Send(HttpClientRequest request, Callback callback);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace vigil
