#include "platform/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <stdexcept>
#include <thread>

#include "platform/http/fetch.h"
#include "unit/http/raw_connection.h"
#include "unit/http/test_certificate.h"

namespace vigil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RawConnection;
using ::testing::StartsWith;
using testing::TestCertificate;

// Answers with what it understood, one word a line.
void Echo(const HttpRequest& request, HttpResponder& responder) {
  HttpResponse response;
  response.headers.Add("X-Method", request.method);
  response.body = request.path + "\n" + request.body;
  responder.Send(std::move(response));
}

class HttpServerTest : public ::testing::Test {
 protected:
  void StartServer(HttpServerOptions options, HttpHandler handler) {
    auto started = HttpServer::Start(std::move(options), std::move(handler));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  void StartEcho(HttpServerOptions options = {}) {
    StartServer(std::move(options), [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
      Echo(request, *responder);
      ++handled_;
    });
  }
  std::string Url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + std::string(path);
  }
  std::string Exchange(std::string_view bytes) const {
    const RawConnection connection(server_->port());
    connection.Send(bytes);
    return connection.ReadAll();
  }
  void ExpectStillServing() const {
    const auto response = Fetch({.url = Url("/alive")});
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "/alive\n");
  }

  std::atomic<int> handled_{0};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, HandsOverWhatWasSent) {
  std::promise<HttpRequest> seen;
  StartServer({}, [&](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
    seen.set_value(std::move(request));
    responder->Send({.status = 201, .headers = {{"X-Made", "yes"}}});
  });
  const auto response = Fetch({.method = "POST",
                               .url = Url("/v1/a%20b?x=1"),
                               .headers = {{"X-Thing", "7"}},
                               .body = "hello",
                               .bearer_token = "t"});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->headers.Find("x-made"), "yes");
  EXPECT_TRUE(response->headers.Find("date").has_value());
  const HttpRequest request = seen.get_future().get();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/v1/a%20b");
  EXPECT_THAT(request.path_segments, ElementsAre("v1", "a b"));
  EXPECT_EQ(request.Query("x"), "1");
  EXPECT_EQ(request.Header("x-thing"), "7");
  EXPECT_EQ(request.Header("Authorization"), "Bearer t");
  EXPECT_EQ(request.body, "hello");
  EXPECT_EQ(request.peer_address, "127.0.0.1");
  EXPECT_FALSE(request.secure);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderOnOneConnection) {
  StartEcho();
  const std::string answer = Exchange(
      "GET /one HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
      "POST /three HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: "
      "close\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n");
  const std::size_t one = answer.find("/one\n");
  const std::size_t two = answer.find("/two\nabc");
  const std::size_t three = answer.find("/three\ndef");
  ASSERT_NE(three, std::string::npos) << answer;
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
}

TEST_F(HttpServerTest, RequestInSingleBytesIsUnderstood) {
  StartEcho();
  const RawConnection connection(server_->port());
  for (const char c :
       std::string_view("POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab")) {
    connection.Send({&c, 1});
  }
  EXPECT_THAT(connection.ReadAll(), HasSubstr("/x\nab"));
}

TEST_F(HttpServerTest, AnswersHeadWithoutBody) {
  StartEcho();
  const std::string answer = Exchange("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer,
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Content-Length: 3\r\n"), ::testing::EndsWith("\r\n\r\n")));
}

TEST_F(HttpServerTest, ServesHttp10AndClosesAfterIt) {
  StartEcho();
  EXPECT_THAT(Exchange("GET /x HTTP/1.0\r\n\r\n"), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("/x")));
}

TEST_F(HttpServerTest, RefusesABodyOverTheLimitWithoutReadingIt) {
  StartEcho({.max_body_bytes = 10});
  EXPECT_THAT(Exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(
      Exchange("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n"),
      StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("application/problem+json")));
  EXPECT_EQ(handled_, 0);
  const auto large = Fetch({.method = "POST", .url = Url(), .body = std::string(5 << 20, 'x')});
  ASSERT_TRUE(large.ok()) << large.status();
  EXPECT_EQ(large->status, 413);
  EXPECT_EQ(Fetch({.method = "POST", .url = Url(), .body = "0123456789"})->status, 200);
}

TEST_F(HttpServerTest, BodyLimitMayDependOnThePath) {
  StartEcho({.max_body_bytes_for = [](std::string_view method, std::string_view path) -> std::size_t {
    return method == "POST" && path == "/files" ? 2000 : 10;
  }});
  const std::string body(1000, 'x');
  EXPECT_EQ(Fetch({.method = "POST", .url = Url("/files?a=b"), .body = body})->status, 200);
  EXPECT_EQ(Fetch({.method = "POST", .url = Url("/other"), .body = body})->status, 413);
  EXPECT_EQ(Fetch({.method = "PUT", .url = Url("/files"), .body = body})->status, 413);
}

TEST_F(HttpServerTest, RefusesMoreBodiesAtOnceThanItWillHold) {
  StartEcho({.max_body_bytes = 2000, .max_buffered_body_bytes = 3000});
  const RawConnection first(server_->port());
  first.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(first.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  const std::string second = Exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n");
  EXPECT_THAT(second, AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1")));
  first.Send(std::string(2000, 'x'));
  EXPECT_THAT(first.ReadUntil("xxx"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Fetch({.method = "POST", .url = Url(), .body = std::string(2000, 'x')})->status, 200);
}

TEST_F(HttpServerTest, RefusesALargeHeader) {
  StartEcho({.max_header_bytes = 1000});
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Exchange("GET /" + std::string(2000, 'x') + " HTTP/1.1\r\n"), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nX: " + std::string(200'000, 'x')), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpServerTest, RefusesEndlesslyManySmallHeaders) {
  StartEcho({.max_header_bytes = 1000});
  const RawConnection connection(server_->port());
  connection.Send("GET / HTTP/1.1\r\nHost: h\r\n");
  for (int i = 0; i < 200; ++i) {
    connection.Send("X-A: b\r\n");
    std::this_thread::yield();
  }
  EXPECT_THAT(connection.ReadUntil("\r\n"), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  StartEcho();
  EXPECT_THAT(Exchange("\x16\x03\x01\x02\x01\x01 hello\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Exchange("GET / HTTP/3.9\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\n\r\n"), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("Host")));
  EXPECT_THAT(Exchange("GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(
      Exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Exchange("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(handled_, 0);
  ExpectStillServing();
}

TEST_F(HttpServerTest, TellsASlowClientThatItsTimeIsOver) {
  StartEcho({.read_timeout = absl::Milliseconds(100)});
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHo"), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(Exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(handled_, 0);
}

TEST_F(HttpServerTest, ClosesIdleConnections) {
  StartEcho({.idle_timeout = absl::Milliseconds(100)});
  EXPECT_EQ(Exchange(""), "");
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AsksForTheBodyThatWaits) {
  StartEcho();
  const RawConnection connection(server_->port());
  connection.Send(
      "POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(connection.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.Send("ab");
  EXPECT_THAT(connection.ReadAll(), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("/x\nab")));
}

TEST_F(HttpServerTest, AnswersLaterFromAnotherThread) {
  std::thread other;
  StartServer({}, [&](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
    other = std::thread([request = std::move(request), responder] { Echo(request, *responder); });
  });
  const auto response = Fetch({.url = Url("/later")});
  other.join();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "/later\n");
}

TEST_F(HttpServerTest, OnlyTheFirstAnswerCounts) {
  StartServer({}, [](HttpRequest, std::shared_ptr<HttpResponder> responder) {
    responder->Send({.status = 200, .body = "first"});
    responder->Send({.status = 500, .body = "second"});
    EXPECT_FALSE(responder->Write("third"));
  });
  EXPECT_EQ(Fetch({.url = Url()})->body, "first");
  EXPECT_EQ(Fetch({.url = Url()})->body, "first");
}

TEST_F(HttpServerTest, AForgottenRequestIsAnsweredAnyway) {
  StartServer({}, [](HttpRequest request, std::shared_ptr<HttpResponder>) {
    if (request.path == "/throw") throw std::runtime_error("no");
  });
  EXPECT_EQ(Fetch({.url = Url()})->status, 500);
  EXPECT_EQ(Fetch({.url = Url("/throw")})->status, 500);
}

TEST_F(HttpServerTest, AHeaderValueCannotAddAHeader) {
  StartServer({}, [](HttpRequest, std::shared_ptr<HttpResponder> responder) {
    responder->Send({.headers = {{"X-A", "b\r\nX-Evil: c"}}});
  });
  const auto response = Fetch({.url = Url()});
  EXPECT_FALSE(response->headers.Find("X-Evil").has_value());
}

TEST_F(HttpServerTest, SendsLargeBodies) {
  const std::string large(3 << 20, 'x');
  StartServer({}, [&](HttpRequest, std::shared_ptr<HttpResponder> responder) { responder->Send({.body = large}); });
  EXPECT_EQ(Fetch({.url = Url()})->body, large);
}

TEST_F(HttpServerTest, StreamsLinesAsTheyAreWritten) {
  std::promise<std::shared_ptr<HttpResponder>> streaming;
  std::promise<void> closed;
  StartServer({}, [&](HttpRequest, std::shared_ptr<HttpResponder> responder) {
    responder->StartStream(200, {{"Content-Type", "text/event-stream"}}, [&] { closed.set_value(); });
    EXPECT_TRUE(responder->Write("data: 1\n\n"));
    streaming.set_value(responder);
  });
  std::vector<std::string> lines;
  const auto response = Fetch({.url = Url(), .timeout = absl::Seconds(10), .on_line = [&](std::string_view line) {
                                 lines.emplace_back(line);
                                 // The second is written only once the first has arrived.
                                 if (lines.size() == 2) {
                                   const auto responder = streaming.get_future().get();
                                   EXPECT_TRUE(responder->Write("data: 2\n"));
                                   responder->Close();
                                 }
                                 return true;
                               }});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(lines, ElementsAre("data: 1", "", "data: 2"));
  closed.get_future().get();
}

TEST_F(HttpServerTest, NoticesThatTheReaderOfAStreamIsGone) {
  std::promise<void> closed;
  std::shared_ptr<HttpResponder> stream;
  StartServer({}, [&](HttpRequest, std::shared_ptr<HttpResponder> responder) {
    responder->StartStream(200, {}, [&] { closed.set_value(); });
    responder->Write("hello\n");
    stream = responder;
  });
  ASSERT_TRUE(Fetch({.url = Url(), .on_line = [](std::string_view) { return false; }}).ok());
  closed.get_future().get();
  EXPECT_FALSE(stream->Write("more"));
}

TEST_F(HttpServerTest, DisconnectsAReaderThatFallsTooFarBehind) {
  std::promise<std::shared_ptr<HttpResponder>> streaming;
  std::promise<void> closed;
  StartServer({}, [&](HttpRequest, std::shared_ptr<HttpResponder> responder) {
    responder->StartStream(200, {}, [&] { closed.set_value(); });
    streaming.set_value(responder);
  });
  const RawConnection reader(server_->port());
  reader.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto responder = streaming.get_future().get();
  const std::string chunk(64 * 1024, 'x');
  std::size_t written = 0;
  // What the kernel's buffers take comes on top of our limit; a gigabyte is beyond any of that.
  while (written < (std::size_t{1} << 30) && responder->Write(chunk)) written += chunk.size();
  closed.get_future().get();
  EXPECT_LT(written, std::size_t{1} << 30);
}

TEST_F(HttpServerTest, MakesRoomForNewConnectionsByClosingIdleOnes) {
  StartEcho({.max_connections = 2});
  const RawConnection first(server_->port());
  first.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
  first.ReadUntil("/1\n");
  const RawConnection second(server_->port());
  second.Send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  second.ReadUntil("/2\n");
  const RawConnection third(server_->port());
  third.Send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(third.ReadUntil("/3\n"), HasSubstr("200 OK"));
  EXPECT_EQ(first.ReadAll(), "");  // closed
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(HttpServerTest, StopsWhileRequestsAndStreamsAreOpen) {
  std::promise<std::shared_ptr<HttpResponder>> kept;
  std::promise<std::shared_ptr<HttpResponder>> streamed;
  std::promise<void> closed;
  StartServer({.threads = 2, .stop_grace = absl::Milliseconds(200)},
              [&](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
                if (request.path == "/stream") {
                  responder->StartStream(200, {}, [&] { closed.set_value(); });
                  streamed.set_value(responder);
                } else {
                  kept.set_value(responder);
                }
              });
  const RawConnection waiting(server_->port());
  waiting.Send("GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
  const RawConnection stream(server_->port());
  stream.Send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  const RawConnection idle(server_->port());
  const auto kept_responder = kept.get_future().get();
  const auto streamed_responder = streamed.get_future().get();
  server_->Stop();
  closed.get_future().get();
  EXPECT_EQ(waiting.ReadAll(), "");
  EXPECT_THAT(stream.ReadAll(), ::testing::EndsWith("0\r\n\r\n"));
  EXPECT_EQ(server_->connections(), 0);
  server_.reset();
  kept_responder->Send({.body = "too late"});
  EXPECT_FALSE(streamed_responder->Write("too late"));
}

TEST_F(HttpServerTest, FinishesTheRequestItIsAnsweringWhenItStops) {
  std::promise<std::shared_ptr<HttpResponder>> kept;
  StartServer({}, [&](HttpRequest, std::shared_ptr<HttpResponder> responder) { kept.set_value(responder); });
  const RawConnection connection(server_->port());
  connection.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto responder = kept.get_future().get();
  std::thread stopper([&] { server_->Stop(); });
  responder->Send({.body = "done"});
  EXPECT_THAT(connection.ReadAll(), HasSubstr("done"));
  stopper.join();
}

TEST_F(HttpServerTest, SurvivesGarbage) {
  StartEcho({.threads = 2, .max_header_bytes = 2000, .max_body_bytes = 1000});
  const std::string_view seed =
      "POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;e=f\r\nabc\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd";
  std::mt19937 random(20);
  for (int i = 0; i < 1500; ++i) {
    std::string bytes(seed);
    for (std::uint32_t edits = 1 + random() % 6; edits > 0; --edits) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, random() % 8);
          break;
        case 2:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 40));
          break;
        default:
          bytes.insert(at, 1, "\r\n: \0;,"[random() % 7]);
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    const RawConnection connection(server_->port());
    connection.Send(bytes);
    connection.CloseSending();
    connection.ReadAll();
  }
  ExpectStillServing();
}

TEST_F(HttpServerTest, ServesTlsToWhoeverTrustsItsCertificate) {
  const TestCertificate certificate;
  StartEcho({.tls_certificate_file = certificate.certificate_file(), .tls_key_file = certificate.key_file()});
  const std::string url = "https://127.0.0.1:" + std::to_string(server_->port()) + "/tls";
  const auto trusted = Fetch(
      {.method = "POST", .url = url, .body = std::string(100'000, 'x'), .ca_file = certificate.certificate_file()});
  ASSERT_TRUE(trusted.ok()) << trusted.status();
  EXPECT_EQ(trusted->body, "/tls\n" + std::string(100'000, 'x'));
  EXPECT_EQ(Fetch({.url = url}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").find("200"), std::string::npos);
  const auto too_large = Fetch(
      {.method = "POST", .url = url, .body = std::string(4 << 20, 'x'), .ca_file = certificate.certificate_file()});
  ASSERT_TRUE(too_large.ok()) << too_large.status();
  EXPECT_EQ(too_large->status, 413);
}

TEST_F(HttpServerTest, SurvivesGarbageInsteadOfATlsHandshake) {
  const TestCertificate certificate;
  StartEcho({.tls_certificate_file = certificate.certificate_file(),
             .tls_key_file = certificate.key_file(),
             .read_timeout = absl::Milliseconds(200)});
  std::mt19937 random(21);
  for (int i = 0; i < 100; ++i) {
    std::string bytes("\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03", 11);
    for (int j = 0; j < 60; ++j) bytes.push_back(static_cast<char>(random()));
    if (i % 10 != 0) bytes[random() % bytes.size()] = static_cast<char>(random());
    const RawConnection connection(server_->port());
    connection.Send(bytes);
    connection.CloseSending();
    connection.ReadAll();
  }
  const RawConnection silent(server_->port());
  EXPECT_EQ(silent.ReadAll(), "");  // the handshake has its limit too
  EXPECT_EQ(Fetch({.url = "https://127.0.0.1:" + std::to_string(server_->port()) + "/",
                   .ca_file = certificate.certificate_file()})
                ->status,
            200);
}

TEST(HttpServerStartTest, SaysWhyItCannotStart) {
  const HttpHandler none = [](HttpRequest, std::shared_ptr<HttpResponder>) {};
  const auto first = HttpServer::Start({}, none);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(HttpServer::Start({.port = (*first)->port()}, none).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(HttpServer::Start({.address = "nowhere"}, none).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      HttpServer::Start({.tls_certificate_file = "/nonexistent", .tls_key_file = "/nonexistent"}, none).status().code(),
      absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace vigil
