// The bytes go to our HTTP server over loopback, as one client's whole connection.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "fuzz/fuzz.h"
#include "platform/http/server.h"

namespace vigil::fuzz {
namespace {

const HttpServer& Server() {
  static const std::unique_ptr<HttpServer> server = [] {
    HttpServerOptions options;
    options.threads = 1;
    options.max_header_bytes = 4096;
    options.max_body_bytes = 8192;
    options.read_timeout = absl::Milliseconds(500);
    options.idle_timeout = absl::Milliseconds(500);
    return HttpServer::Start(std::move(options), [](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
             Promise(request.body.size() <= 8192, "no body over its limit reaches the handler");
             Promise(!request.method.empty(), "a request has a method");
             HttpResponse response;
             response.body = std::to_string(request.body.size());
             responder->Send(std::move(response));
           }).value();
  }();
  return *server;
}

}  // namespace

void Try(std::string_view input) {
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  Promise(client >= 0, "a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(Server().port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  Promise(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, "it takes connections, whatever came before");
  while (!input.empty()) {
    const ssize_t sent = ::send(client, input.data(), input.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    input.remove_prefix(static_cast<std::size_t>(sent));
  }
  ::shutdown(client, SHUT_WR);
  std::string answer;
  std::array<char, 4096> buffer{};
  ssize_t got = 0;
  while ((got = ::recv(client, buffer.data(), buffer.size(), 0)) > 0) answer.append(buffer.data(), static_cast<std::size_t>(got));
  const bool timed_out = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  Promise(!timed_out, "a connection whose client has ended ends");
  Promise(answer.empty() || answer.starts_with("HTTP/1.1 "), "what it answers is HTTP");
  ::close(client);
}

std::vector<std::string> Seeds() {
  return {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
          "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
          "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
          "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
          "GET / HTTP/1.0\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
          "\r\n\r\nGET  / HTTP/9.9\r\nA\r\n: b\r\n\r\n",
          "GET / HTTP/1.1\r\n" + std::string(5000, 'a') + ": b\r\n\r\n"};
}

}  // namespace vigil::fuzz
