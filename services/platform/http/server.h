#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/http/message.h"

namespace vigil {

// What a slow reader of a stream may leave unread in our memory before it is disconnected.
inline constexpr std::size_t kMaxStreamBufferBytes = std::size_t{1} << 20;

struct HttpServerOptions {
  std::string address = "127.0.0.1";  // a numeric address
  std::uint16_t port = 0;             // 0: any free one, see HttpServer::port()
  // PEM files; TLS 1.2 or later when both are given, plain HTTP when both are empty (loopback tools only).
  std::string tls_certificate_file;
  std::string tls_key_file;
  int threads = 1;
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_body_bytes = std::size_t{1} << 20;
  // If set, the body limit of one request by method and path (undecoded) instead of max_body_bytes. Called on I/O
  // threads.
  std::function<std::size_t(std::string_view method, std::string_view path)> max_body_bytes_for;
  // Bodies being received or handled, all connections together; beyond it a request is answered 503.
  std::size_t max_buffered_body_bytes = std::size_t{256} << 20;
  std::size_t max_connections = 4096;  // beyond it the longest idle connection makes room, or the new one is closed
  // From the first byte of a request to the end of its header; a body gets this and min_body_bytes_per_second.
  absl::Duration read_timeout = absl::Seconds(15);
  std::size_t min_body_bytes_per_second = 16 * 1024;
  absl::Duration write_timeout = absl::Seconds(30);  // without progress
  absl::Duration idle_timeout = absl::Seconds(75);   // between requests of one connection
  absl::Duration stop_grace = absl::Seconds(5);      // what Stop() gives to requests that are being answered
};

// The way to answer one request, once: either Send, or StartStream followed by Write and Close. Thread-safe, never
// blocks; may be used from any thread, at any later time, also after the server has stopped (then nothing happens). A
// responder that is dropped without an answer answers 500.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;
  // Second and later answers are ignored.
  virtual void Send(HttpResponse response) = 0;
  // Begins an answer of unknown length (chunked; the connection closes after it). `on_closed`, which may be empty, is
  // called once when the stream has ended for whatever reason: Close, the client gone, too slow, the server stopping.
  // It runs on an I/O thread or, if the connection was already gone, before StartStream returns; it must not block.
  virtual void StartStream(int status, HttpHeaders headers, std::function<void()> on_closed) = 0;
  // Appends to the stream. False: the stream has ended (a reader more than kMaxStreamBufferBytes behind is
  // disconnected).
  virtual bool Write(std::string chunk) = 0;
  virtual void Close() = 0;
};

// Runs on an I/O thread: it must not block. What it throws is answered with 500.
using HttpHandler = std::function<void(HttpRequest request, std::shared_ptr<HttpResponder> responder)>;

// An HTTP/1.1 server with keep-alive. What is not a request within the limits never reaches the handler: 400 malformed,
// 408 slow, 413 body too large (not read), 431 header too large, 503 too much at once.
class HttpServer {
 public:
  // InvalidArgument for a bad address or certificate; Unavailable if the port cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options, HttpHandler handler);
  ~HttpServer();  // stops
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  std::size_t connections() const;  // open now
  // Accepts nothing more, ends streams and idle connections, gives running requests stop_grace, then closes everything.
  // The handler is not called again after it returns. Not to be called from an I/O thread. Later calls do nothing.
  void Stop();

 private:
  struct Core;
  explicit HttpServer(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace vigil
