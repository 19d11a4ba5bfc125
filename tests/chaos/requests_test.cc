// RELIABILITY.md, test 25: malformed, huge, slow, truncated and hostile requests, on every door. Clear refusals, flat memory, others unharmed.
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"
#include "unit/http/raw_connection.h"

namespace vigil::chaos {
namespace {

constexpr std::int64_t kMostGrowth = 64 << 20;

std::int64_t ResidentBytes(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, "VmRSS:")) continue;
    std::int64_t kilobytes = 0;
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    return words.size() > 1 && absl::SimpleAtoi(words[1], &kilobytes) ? kilobytes << 10 : 0;
  }
  return 0;
}

std::uint16_t PortOf(const std::string& address) {
  int port = 0;
  std::string_view text(address);
  text = text.substr(text.rfind(':') + 1);
  text = text.substr(0, text.find('/'));
  (void)absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &port);
  return static_cast<std::uint16_t>(port);
}

class RequestsChaosTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { nemesis_ = std::make_unique<Nemesis>(StackOptions{.students = 20}); }
  static void TearDownTestSuite() { nemesis_.reset(); }
  static Stack& TheStack() { return nemesis_->stack(); }

  // While the test runs, others are served; afterwards memory is as before.
  void SetUp() override {
    for (const char* service : stack::kServices) before_[service] = ResidentBytes(TheStack().Pid(service));
    others_ = std::thread([this] {
      while (!done_) {
        const absl::Time start = absl::Now();
        const Answer answer = TheStack().Report(nemesis_->school(), nemesis_->Quiet(served_));
        slowest_ = std::max(slowest_, absl::Now() - start);
        EXPECT_EQ(answer.status, 201) << "others are served: " << answer;
        ++served_;
        absl::SleepFor(absl::Milliseconds(50));
      }
    });
  }
  void TearDown() override {
    done_ = true;
    others_.join();
    EXPECT_GT(served_, 0);
    EXPECT_LT(slowest_, absl::Seconds(5));
    for (const char* service : stack::kServices) {
      EXPECT_GT(TheStack().Pid(service), 0) << service;
      EXPECT_LT(ResidentBytes(TheStack().Pid(service)) - before_[service], kMostGrowth) << service;
    }
    Figure("slowest_for_others", absl::FormatDuration(slowest_));
  }

  static std::unique_ptr<Nemesis> nemesis_;
  std::map<std::string, std::int64_t> before_;
  std::thread others_;
  std::atomic<bool> done_{false};
  int served_ = 0;
  absl::Duration slowest_;
};

std::unique_ptr<Nemesis> RequestsChaosTest::nemesis_;

TEST_F(RequestsChaosTest, BodiesOfEveryKindOfWrong) {
  const std::string reports = "/api/v1/schools/" + nemesis_->school().id + "/reports";
  const std::string deep(20'000, '[');
  std::string wide = "{\"student\":{\"id\":\"x\"}";
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&wide, ",\"a", i, "\":1");
  wide += "}";
  const std::vector<std::string> bodies = {"",
                                           "{",
                                           "null",
                                           "[]",
                                           "\"x\"",
                                           "{}",
                                           deep,
                                           deep + std::string(20'000, ']'),
                                           wide,
                                           "{\"student\":{\"id\":\"\xff\xfe\"}}",
                                           "{\"student\":{\"id\":\"\\ud800\"}}",
                                           "{\"student\":1e999}",
                                           "{\"student\":{\"id\":\"a\"},\"student\":{\"id\":\"b\"}}",
                                           std::string(900'000, ' '),
                                           "{\"narrative\":\"" + std::string(900'000, 'x') + "\"}",
                                           std::string("{\"student\":{\"id\":\"a\0b\"}}", 25),
                                           std::string(2'000'000, 'x')};
  for (int round = 0; round < Count(3, 100); ++round) {
    for (const std::string& body : bodies) {
      stack::Request request{.method = "POST", .path = reports, .token = nemesis_->school().token, .body = body};
      request.headers.Add("Content-Type", "application/json");
      const Answer answer = TheStack().Send(request);
      EXPECT_EQ(answer.status / 100, 4) << body.substr(0, 60) << ": " << answer;
      if (answer.status != 0) {
        EXPECT_EQ(answer.Header("Content-Type"), "application/problem+json") << body.substr(0, 60);
      }
    }
  }
}

TEST_F(RequestsChaosTest, PathsTokensAndHeadersOfEveryKindOfWrong) {
  const auto refused = [&](const stack::Request& request) {
    const Answer answer = TheStack().Send(request);
    EXPECT_EQ(answer.status / 100, 4) << request.path.substr(0, 80) << ": " << answer;
  };
  for (const std::string& path : {std::string("/api/v1/schools/%00/cases"), std::string("/api/v1/schools/../../etc/passwd/cases"), "/api/v1/cases/" + std::string(4000, 'a'),
                                  std::string("/api/v1/cases/%ff%fe"), std::string("/api/v1/cases/x:close:close"), std::string("//api//v1"),
                                  "/api/v1/schools/" + nemesis_->school().id + "/cases?page_size=-1", "/api/v1/schools/" + nemesis_->school().id + "/cases?page_token=zz",
                                  std::string("/callbacks/sandbox/call"), std::string("/callbacks/sandbox/break-glass")}) {
    refused({.path = path, .token = TheStack().admin()});
  }
  for (const std::string& token : {std::string("x"), std::string(8000, 'x'), std::string("a.b.c"), TheStack().admin() + "x", TheStack().admin().substr(1)}) {
    refused({.path = "/api/v1/schools/" + nemesis_->school().id + "/cases", .token = token});
  }
  // Callbacks that nobody signed: nothing is taken by them.
  for (const char* kind : {"call", "message", "break-glass"}) {
    stack::Request forged{.method = "POST", .path = absl::StrCat("/callbacks/sandbox/", kind), .token = "", .body = R"({"id":"x","event":"digits","digits":"1"})"};
    forged.headers.Add("X-Sandbox-Signature", "sha256=" + std::string(64, '0'));
    EXPECT_EQ(TheStack().Send(forged).status, 401) << kind;
  }
}

TEST_F(RequestsChaosTest, BytesThatAreNoProtocolAndCallersWhoNeverEnd) {
  std::vector<std::uint16_t> ports = {PortOf(TheStack().Variable("VIGIL_URL"))};
  for (const char* service : stack::kServices) {
    ports.push_back(PortOf(TheStack().Variable(absl::StrCat("VIGIL_GRPC_", service))));
    std::string metrics = TheStack().Variable(absl::StrCat("VIGIL_METRICS_", service));
    ports.push_back(PortOf(metrics.substr(0, metrics.rfind('/'))));
  }
  const int connections = Count(40, 2000);
  std::vector<std::unique_ptr<testing::RawConnection>> open;
  const std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (const std::uint16_t port : ports) {
    ASSERT_NE(port, 0);
    for (int i = 0; i < connections; ++i) {
      auto connection = std::make_unique<testing::RawConnection>(port);
      switch (i % 5) {
        case 0: connection->Send(std::string(100'000, '\xff')); break;
        case 1: connection->Send("GET / HTTP/1.1\r\nHost: "); break;  // and never ends
        case 2: connection->Send(hello); break;                      // a handshake, cut
        case 3: connection->Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(1000, '\0')); break;
        default: break;  // says nothing
      }
      if (i % 2 == 0) open.push_back(std::move(connection));
    }
  }
  absl::SleepFor(absl::Seconds(3));
  EXPECT_EQ(TheStack().Get("/readyz").status, 200);
  Figure("hostile_connections", absl::StrCat(ports.size() * static_cast<std::size_t>(connections)));
}

}  // namespace
}  // namespace vigil::chaos
