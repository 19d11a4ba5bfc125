#include "platform/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <vector>

#include "platform/http/fetch.h"
#include "platform/http/server.h"
#include "unit/http/raw_connection.h"
#include "unit/http/test_certificate.h"

namespace vigil {
namespace {

using ::testing::ElementsAre;
using Result = absl::StatusOr<HttpResponse>;

// Keeps what it is asked until it is told to answer.
class HoldingServer {
 public:
  explicit HoldingServer(HttpServerOptions options = {}) {
    server_ =
        *HttpServer::Start(std::move(options), [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
          const std::lock_guard lock(mutex_);
          if (!holding_) responder->Send({.body = request.path});
          held_.emplace_back(request.path, std::move(responder));
          arrived_.notify_all();
        });
  }
  std::string Url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + std::string(path);
  }
  std::vector<std::string> WaitFor(std::size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return held_.size() >= count; });
    std::vector<std::string> paths;
    for (const auto& [path, responder] : held_) paths.push_back(path);
    return paths;
  }
  void AnswerAll() {
    const std::lock_guard lock(mutex_);
    holding_ = false;
    for (const auto& [path, responder] : held_) responder->Send({.body = path});
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  bool holding_ = true;
  std::vector<std::pair<std::string, std::shared_ptr<HttpResponder>>> held_;
  std::unique_ptr<HttpServer> server_;
};

std::future<Result> SendAsync(HttpClient& client, HttpClientRequest request) {
  auto promise = std::make_shared<std::promise<Result>>();
  client.Send(std::move(request), [promise](Result result) { promise->set_value(std::move(result)); });
  return promise->get_future();
}

std::unique_ptr<HttpServer> EchoServer(HttpServerOptions options = {}) {
  return *HttpServer::Start(std::move(options), [](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
    HttpResponse response;
    for (const HttpHeader& header : request.headers) response.headers.Add("X-Echo-" + header.name, header.value);
    response.body = request.method + " " + request.target + " " + request.body;
    responder->Send(std::move(response));
  });
}

std::string UrlOf(const HttpServer& server, std::string_view path) {
  return "http://127.0.0.1:" + std::to_string(server.port()) + std::string(path);
}

TEST(HttpClientTest, SendsAllMethodsWithTheirBodies) {
  const auto server = EchoServer();
  HttpClient client({});
  EXPECT_EQ(SendAsync(client, {.url = UrlOf(*server, "/a?b=c")}).get()->body, "GET /a?b=c ");
  EXPECT_EQ(SendAsync(client, {.method = "POST", .url = UrlOf(*server, "/"), .body = "x"}).get()->body, "POST / x");
  EXPECT_EQ(SendAsync(client, {.method = "POST", .url = UrlOf(*server, "/")}).get()->body, "POST / ");
  EXPECT_EQ(SendAsync(client, {.method = "PUT", .url = UrlOf(*server, "/"), .body = "y"}).get()->body, "PUT / y");
  EXPECT_EQ(SendAsync(client, {.method = "DELETE", .url = UrlOf(*server, "/")}).get()->body, "DELETE / ");
  EXPECT_EQ(SendAsync(client, {.method = "HEAD", .url = UrlOf(*server, "/")}).get()->body, "");
}

TEST(HttpClientTest, SendsHeadersAndRefusesForgedOnes) {
  const auto server = EchoServer();
  HttpClient client({});
  const Result response = SendAsync(client, {.method = "POST",
                                             .url = UrlOf(*server, "/"),
                                             .headers = {{"X-A", "b"}, {"X-Empty", ""}},
                                             .body = std::string(2'000, 'x')})
                              .get();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->headers.Find("x-echo-x-a"), "b");
  EXPECT_EQ(response->headers.Find("x-echo-x-empty"), "");
  EXPECT_FALSE(response->headers.Find("x-echo-expect").has_value());
  const Result forged = SendAsync(client, {.url = UrlOf(*server, "/"), .headers = {{"X-A", "b\r\nX-C: d"}}}).get();
  EXPECT_EQ(forged.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(HttpClientTest, ReusesItsConnections) {
  const auto server = EchoServer();
  HttpClient client({.max_in_flight = 3});
  std::vector<std::future<Result>> results;
  for (int i = 0; i < 200; ++i) {
    results.push_back(
        SendAsync(client, {.method = "POST", .url = UrlOf(*server, "/" + std::to_string(i)), .body = "x"}));
  }
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(results[static_cast<std::size_t>(i)].get()->body, "POST /" + std::to_string(i) + " x");
  EXPECT_LE(server->connections(), 3);
}

TEST(HttpClientTest, UrgentRequestsGoFirst) {
  HoldingServer server;
  HttpClient client({.max_in_flight = 1, .urgent_reserve = 0});
  std::vector<std::future<Result>> results;
  results.push_back(SendAsync(client, {.url = server.Url("/running")}));
  server.WaitFor(1);
  results.push_back(SendAsync(client, {.url = server.Url("/waits")}));
  results.push_back(SendAsync(client, {.url = server.Url("/urgent"), .urgent = true}));
  server.AnswerAll();
  for (auto& result : results) ASSERT_TRUE(result.get().ok());
  EXPECT_THAT(server.WaitFor(3), ElementsAre("/running", "/urgent", "/waits"));
}

TEST(HttpClientTest, UrgentRequestsPassAStalledProvider) {
  HoldingServer server;
  HttpClient client({.max_in_flight = 2, .urgent_reserve = 1});
  std::vector<std::future<Result>> results;
  for (int i = 0; i < 4; ++i) results.push_back(SendAsync(client, {.url = server.Url("/slow")}));
  server.WaitFor(2);
  results.push_back(SendAsync(client, {.url = server.Url("/urgent"), .urgent = true}));
  EXPECT_THAT(server.WaitFor(3), ElementsAre("/slow", "/slow", "/urgent"));
  server.AnswerAll();
  for (auto& result : results) EXPECT_TRUE(result.get().ok());
}

TEST(HttpClientTest, ErrorsSayWhetherTheServerMayHaveActed) {
  HoldingServer server;
  HttpClient client({});
  EXPECT_EQ(SendAsync(client, {.url = server.Url(), .timeout = absl::Milliseconds(100)}).get().status().code(),
            absl::StatusCode::kDeadlineExceeded);
  std::uint16_t closed_port = 0;
  {
    const auto closed = EchoServer();
    closed_port = closed->port();
  }
  EXPECT_EQ(SendAsync(client, {.url = "http://127.0.0.1:" + std::to_string(closed_port)}).get().status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(SendAsync(client, {.url = "file:///etc/passwd"}).get().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SendAsync(client, {.url = "http://"}).get().status().code(), absl::StatusCode::kInvalidArgument);

  // A server that hangs up without a word after it has read the request.
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  socklen_t length = sizeof address;
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  auto result = SendAsync(
      client, {.method = "POST", .url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), .body = "x"});
  const int accepted = ::accept(listener, nullptr, nullptr);
  char buffer[1000];
  ASSERT_GT(::recv(accepted, buffer, sizeof buffer, 0), 0);
  ::close(accepted);
  EXPECT_EQ(result.get().status().code(), absl::StatusCode::kUnknown);
  ::close(listener);
  server.AnswerAll();
}

TEST(HttpClientTest, WaitingCountsAgainstTheTimeout) {
  HoldingServer server;
  HttpClient client({.max_in_flight = 1});
  auto running = SendAsync(client, {.url = server.Url("/running")});
  server.WaitFor(1);
  const Result waited = SendAsync(client, {.url = server.Url("/waits"), .timeout = absl::Milliseconds(50)}).get();
  EXPECT_EQ(waited.status().code(), absl::StatusCode::kUnavailable);
  server.AnswerAll();
  EXPECT_TRUE(running.get().ok());
  EXPECT_THAT(server.WaitFor(1), ElementsAre("/running"));
}

TEST(HttpClientTest, RefusesMoreThanItsQueueHolds) {
  HoldingServer server;
  HttpClient client({.max_in_flight = 1, .max_queued = 2});
  std::vector<std::future<Result>> results;
  results.push_back(SendAsync(client, {.url = server.Url()}));
  server.WaitFor(1);
  for (int i = 0; i < 3; ++i) results.push_back(SendAsync(client, {.url = server.Url()}));
  EXPECT_EQ(results.back().get().status().code(), absl::StatusCode::kResourceExhausted);
  results.pop_back();
  server.AnswerAll();
  for (auto& result : results) EXPECT_TRUE(result.get().ok());
}

TEST(HttpClientTest, GivesUpOnAnEndlessAnswer) {
  const auto server = *HttpServer::Start({}, [](HttpRequest, std::shared_ptr<HttpResponder> responder) {
    responder->Send({.body = std::string(5000, 'x')});
  });
  HttpClient client({.max_response_bytes = 4000});
  EXPECT_EQ(SendAsync(client, {.url = UrlOf(*server, "/")}).get().status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(HttpClientTest, EveryRequestIsCalledBackWhenTheClientGoes) {
  HoldingServer server({.stop_grace = absl::Milliseconds(10)});
  auto client = std::make_unique<HttpClient>(HttpClientOptions{.max_in_flight = 1});
  std::vector<std::future<Result>> results;
  for (int i = 0; i < 3; ++i) results.push_back(SendAsync(*client, {.url = server.Url()}));
  server.WaitFor(1);
  client.reset();
  for (auto& result : results) EXPECT_EQ(result.get().status().code(), absl::StatusCode::kCancelled);
}

TEST(HttpClientTest, TrustsOnlyItsAuthority) {
  const testing::TestCertificate certificate;
  const auto server =
      EchoServer({.tls_certificate_file = certificate.certificate_file(), .tls_key_file = certificate.key_file()});
  const std::string port = std::to_string(server->port());
  HttpClient trusting({.ca_file = certificate.certificate_file()});
  for (int i = 0; i < 3; ++i) {
    const Result response = SendAsync(trusting, {.url = "https://localhost:" + port + "/"}).get();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "GET / ");
  }
  EXPECT_LE(server->connections(), 1);
  HttpClient other({});
  EXPECT_EQ(SendAsync(other, {.url = "https://localhost:" + port + "/"}).get().status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(FetchTest, CanBeEndedWhileNothingComes) {
  HoldingServer server;
  EXPECT_EQ(Fetch({.url = server.Url(), .timeout = absl::InfiniteDuration(), .keep_going = [] { return false; }})
                .status()
                .code(),
            absl::StatusCode::kCancelled);
  server.AnswerAll();
}

}  // namespace
}  // namespace vigil
