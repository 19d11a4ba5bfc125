// The `vigil` program as a process, against a gateway that remembers what it was asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sign.h"
#include "platform/crypto/token.h"
#include "platform/http/problem.h"
#include "platform/http/server.h"

namespace vigil {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Gateway {
 public:
  using Handler = std::function<void(const HttpRequest&, const std::shared_ptr<HttpResponder>&)>;

  explicit Gateway(Handler handler) : handler_(std::move(handler)) {
    auto server = HttpServer::Start({}, [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      handler_(request, responder);
    });
    if (!server.ok()) throw std::runtime_error(std::string(server.status().message()));
    server_ = *std::move(server);
  }
  ~Gateway() { server_->Stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  std::vector<HttpRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  const Handler handler_;
  std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  std::unique_ptr<HttpServer> server_;
};

Gateway::Handler Answer(int status, std::string body) {
  return [=](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) {
    HttpResponse response = JsonResponse(status, body);
    responder->Send(std::move(response));
  };
}

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

std::string ReadAll(int descriptor) {
  std::string text;
  char buffer[4096];
  for (ssize_t size = read(descriptor, buffer, sizeof(buffer)); size > 0; size = read(descriptor, buffer, sizeof(buffer))) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  close(descriptor);
  return text;
}

// Standard error goes to a file, so that neither pipe can fill while the other is read.
Outcome Vigil(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment) {
  std::vector<std::string> words = {VIGIL_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables = {"LANG=en_US.UTF-8"};
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  std::FILE* errors = std::tmpfile();
  int out[2];
  EXPECT_EQ(pipe(out), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(fileno(errors), STDERR_FILENO);
    close(out[0]);
    close(out[1]);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(out[1]);
  Outcome outcome;
  outcome.out = ReadAll(out[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  std::rewind(errors);
  outcome.err = ReadAll(dup(fileno(errors)));
  std::fclose(errors);
  return outcome;
}

constexpr char kCase[] = R"({"case_id":"c1","code":"AB12C","school":"s1","level":{"provisional":"severe","final":""},"state":"open","etag":"\"4\""})";

TEST(CommandLineTest, ReportsAsJsonWithTokenAndAKeyOfItsOwn) {
  Gateway gateway(Answer(201, R"({"report_id":"r1","case_id":"c1","accepted_time":"2026-11-22T01:17:05Z","provisional_level":"severe"})"));
  const std::map<std::string, std::string> environment = {{"VIGIL_URL", gateway.url()}, {"VIGIL_TOKEN", "t0ken"}};
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = Vigil({"--json", "report", "s1", "--student", "p1", "--signal", "W1a", "--signal", "W2d", "--not-in-sight"}, environment);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "{\"report_id\":\"r1\",\"case_id\":\"c1\",\"accepted_time\":\"2026-11-22T01:17:05Z\",\"provisional_level\":\"severe\"}\n");
  }
  const std::vector<HttpRequest> requests = gateway.requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].target, "/api/v1/schools/s1/reports");
  EXPECT_EQ(requests[0].Header("Authorization"), "Bearer t0ken");
  EXPECT_EQ(json::parse(requests[0].body), (json{{"student", {{"id", "p1"}}}, {"signals", {"W1a", "W2d"}}, {"in_sight", false}}));
  ASSERT_TRUE(requests[0].Header("Idempotency-Key").has_value());
  EXPECT_NE(requests[0].Header("Idempotency-Key"), requests[1].Header("Idempotency-Key"));
}

TEST(CommandLineTest, SendsTheKeyAndTheEtagThatItWasGiven) {
  Gateway gateway(Answer(200, kCase));
  const Outcome outcome = Vigil({"close", "c1", "--reason", "done", "--idempotency-key", "k1", "--if-match", "\"4\"", "--as", "leader-token"},
                              {{"VIGIL_URL", gateway.url()}, {"VIGIL_TOKEN", "other"}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const HttpRequest request = gateway.requests().at(0);
  EXPECT_EQ(request.target, "/api/v1/cases/c1:close");
  EXPECT_EQ(request.Header("Idempotency-Key"), "k1");
  EXPECT_EQ(request.Header("If-Match"), "\"4\"");
  EXPECT_EQ(request.Header("Authorization"), "Bearer leader-token");
  EXPECT_THAT(outcome.out, HasSubstr("AB12C"));
}

TEST(CommandLineTest, ARefusalExitsOneAndNamesEveryField) {
  Gateway gateway([](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) {
    responder->Send(ProblemResponse(400, "the request is not right", {{"signals[0]", "unknown code"}, {"student", "is required"}}));
  });
  const Outcome outcome = Vigil({"report", "s1", "--signal", "W9"}, {{"VIGIL_URL", gateway.url()}});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("the request is not right"), HasSubstr("signals[0]: unknown code"), HasSubstr("student: is required")));
}

TEST(CommandLineTest, ARefusalAsJsonIsTheProblemItself) {
  Gateway gateway([](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) { responder->Send(ProblemResponse(404, "no such case")); });
  const Outcome outcome = Vigil({"case", "c9", "--json"}, {{"VIGIL_URL", gateway.url()}});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(json::parse(outcome.out)["detail"], "no such case");
}

TEST(CommandLineTest, WrongUsageExitsTwoAndSendsNothing) {
  Gateway gateway(Answer(200, kCase));
  const std::map<std::string, std::string> environment = {{"VIGIL_URL", gateway.url()}};
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {}, {"no-such-command"}, {"case"}, {"close", "c1"}, {"case", "c1", "--unknown"}, {"clock", "--speed", "-1"}, {"spoken", "c1", "--with", "t1", "--at", "noon"}}) {
    EXPECT_EQ(Vigil(arguments, environment).code, 2) << testing::PrintToString(arguments);
  }
  EXPECT_THAT(gateway.requests(), IsEmpty());
  EXPECT_EQ(Vigil({"case", "c1"}, {}).code, 2) << "no VIGIL_URL";
}

TEST(CommandLineTest, AGatewayThatIsNotThereExitsThree) {
  std::string url;
  {
    Gateway gone(Answer(200, kCase));
    url = gone.url();
  }
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{{"case", "c1"}, {"tail"}, {"clock"}}) {
    const Outcome outcome = Vigil(arguments, {{"VIGIL_URL", url}});
    EXPECT_EQ(outcome.code, 3) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, HasSubstr("cannot reach"));
  }
}

TEST(CommandLineTest, CustodyCodePrintsTheCodeAlone) {
  Gateway gateway(Answer(200, R"({"supervised":true,"holders":["t1"],"code":"4711"})"));
  EXPECT_EQ(Vigil({"custody", "c1", "--code"}, {{"VIGIL_URL", gateway.url()}}).out, "4711\n");
  Gateway without(Answer(200, R"({"supervised":false,"code":""})"));
  EXPECT_EQ(Vigil({"custody", "c1", "--code"}, {{"VIGIL_URL", without.url()}}).code, 1);
}

TEST(CommandLineTest, NowIsDomainTime) {
  Gateway gateway([](const HttpRequest& request, const std::shared_ptr<HttpResponder>& responder) {
    const bool clock = request.path == "/api/v1/clock";
    responder->Send(JsonResponse(200, clock ? R"({"now_time":"2030-01-01T00:00:00Z","speed":60})" : kCase));
  });
  ASSERT_EQ(Vigil({"spoken", "c1", "--with", "t1", "--at", "now"}, {{"VIGIL_URL", gateway.url()}}).code, 0);
  EXPECT_EQ(json::parse(gateway.requests().at(1).body), (json{{"with_staff_id", "t1"}, {"spoken_time", "2030-01-01T00:00:00Z"}}));
}

TEST(CommandLineTest, ClockChangesTheSpeed) {
  Gateway gateway(Answer(200, R"({"now_time":"2026-11-22T01:17:05Z","speed":60})"));
  const Outcome outcome = Vigil({"clock", "--speed", "60"}, {{"VIGIL_URL", gateway.url()}});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(gateway.requests().at(0).method, "PUT");
  EXPECT_EQ(json::parse(gateway.requests().at(0).body), (json{{"speed", 60}}));
  EXPECT_THAT(outcome.out, HasSubstr("2026-11-22 09:17:05"));
}

TEST(CommandLineTest, TailShowsEachRowOnceThoughTheStreamBreaksAmongRowsOfACommit) {
  int streams = 0;
  Gateway gateway([&](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) {
    const int stream = ++streams;
    if (stream > 2) return responder->Send(ProblemResponse(403, "revoked"));
    responder->StartStream(200, {{"Content-Type", "text/event-stream"}}, nullptr);
    const auto event = [](const std::string& id, int number) {
      return "id: " + id + "\ndata: {\"time\":\"2026-11-22T01:17:05Z\",\"type\":\"checked_in\",\"summary\":\"row " + std::to_string(number) + "\"}\n\n";
    };
    // Two rows of the second commit, one of them cut off; then both again, and the rest.
    if (stream == 1) responder->Write(event("03-1-0", 1) + event("03-2-0", 2) + event("03-2-0", 3).substr(0, 30));
    if (stream == 2) responder->Write(event("03-2-0", 2) + event("03-2-0", 3) + event("03-3-0", 4));
    responder->Close();
  });
  const Outcome outcome = Vigil({"tail", "--school", "s1", "--after", "03-0-0"}, {{"VIGIL_URL", gateway.url()}});
  EXPECT_EQ(outcome.code, 1) << "what the gateway refuses ends it";
  std::vector<std::string> rows;
  for (std::size_t at = outcome.out.find("row "); at != std::string::npos; at = outcome.out.find("row ", at + 1)) rows.push_back(outcome.out.substr(at, 5));
  EXPECT_THAT(rows, ElementsAre("row 1", "row 2", "row 3", "row 4"));
  const std::vector<HttpRequest> requests = gateway.requests();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_EQ(requests[0].target, "/api/v1/events?school=s1");
  EXPECT_EQ(requests[0].Header("Last-Event-ID"), "03-0-0");
  EXPECT_EQ(requests[1].Header("Last-Event-ID"), "03-1-0");
  EXPECT_EQ(requests[2].Header("Last-Event-ID"), "03-2-0");
}

TEST(CommandLineTest, HelpIsInTheLanguageAsked) {
  EXPECT_THAT(Vigil({"--lang", "zh", "--help"}, {}).out, HasSubstr("核对账本与日志"));
  EXPECT_THAT(Vigil({"--help"}, {}).out, HasSubstr("Check the ledger against the log"));
  EXPECT_THAT(Vigil({"--help"}, {}).out, Not(HasSubstr("play")));
}

class SampleTest : public ::testing::Test {
 protected:
  SampleTest() : key_(SigningKey::Generate(random_)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "vigil-sample-XXXXXX").string();
    home_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(home_ / "secrets");
    std::ofstream(home_ / "secrets" / "token.sign") << HexEncode(key_.seed().reveal());
  }
  ~SampleTest() override { std::filesystem::remove_all(home_); }

  SystemRandom random_;
  const SigningKey key_;
  std::filesystem::path home_;
};

TEST_F(SampleTest, LoadsEverySchoolAndPrintsWhatOthersNeed) {
  std::atomic<int> busy{3};
  Gateway gateway([&](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) {
    // Bulk waits while the services are behind.
    if (busy-- > 0) return responder->Send(ProblemResponse(503, "later"));
    responder->Send(JsonResponse(200, "{}"));
  });
  const Outcome outcome = Vigil({"sample", "--schools", "3", "--students", "20", "--json", "--seed", "5"},
                              {{"VIGIL_URL", gateway.url()}, {"VIGIL_ADMIN_TOKEN", "admin"}, {"VIGIL_HOME", home_.string()}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json schools = json::parse(outcome.out).at("schools");
  ASSERT_THAT(schools, SizeIs(3));
  std::set<std::string> leader_phones;
  for (const json& school : schools) {
    EXPECT_THAT(school.at("students"), SizeIs(20));
    EXPECT_THAT(school.at("guardians"), SizeIs(40));
    EXPECT_TRUE(leader_phones.insert(school.at("leader_phone").get<std::string>()).second);
    const auto claims = VerifyToken(key_.verify_key(), school.at("token").get<std::string>(), absl::Now());
    ASSERT_TRUE(claims.ok());
    EXPECT_EQ(claims->school, school.at("id").get<std::string>());
    for (const json& person : school.at("staff")) {
      const auto own = VerifyToken(key_.verify_key(), person.at("token").get<std::string>(), absl::Now());
      ASSERT_TRUE(own.ok());
      EXPECT_EQ(own->person, person.at("id").get<std::string>());
      EXPECT_EQ(own->role, person.at("role").get<std::string>());
    }
  }
  int directories = 0;
  for (const HttpRequest& request : gateway.requests()) directories += request.path.ends_with("/directory") ? 1 : 0;
  EXPECT_EQ(directories, 3 + 3) << "each school once, and again what was told to wait";
}

TEST_F(SampleTest, WithoutTheInstallationsKeyNothingIsLoaded) {
  std::filesystem::remove(home_ / "secrets" / "token.sign");
  Gateway gateway(Answer(200, "{}"));
  const Outcome outcome = Vigil({"sample", "--schools", "1", "--students", "1"}, {{"VIGIL_URL", gateway.url()}, {"VIGIL_HOME", home_.string()}});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("token.sign"));
  EXPECT_THAT(gateway.requests(), IsEmpty());
}

TEST_F(SampleTest, WhatTheGatewayRefusesEndsIt) {
  Gateway gateway([](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) { responder->Send(ProblemResponse(403, "not this token")); });
  const Outcome outcome = Vigil({"sample", "--schools", "2", "--students", "1", "--json"}, {{"VIGIL_URL", gateway.url()}, {"VIGIL_HOME", home_.string()}});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, HasSubstr("not this token"));
}

}  // namespace
}  // namespace vigil
