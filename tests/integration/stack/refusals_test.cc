// What the edge refuses, how it says so, and that a refusal leaves no trace: neither in the case nor in the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kJson[] = "application/json";

class RefusalsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>(StackOptions{.schools = 2});
    // A quiet case: nobody is rung for it, so that the log stands still but for what is done here.
    const Answer report = stack_->Report(
        School1(), {{"student", {{"id", School1().students[0]}}}, {"factors", {"H2"}}, {"narrative", "n"}});
    ASSERT_EQ(report.status, 201) << report;
    case_id_ = report.body.at("case_id");
    const Answer other = stack_->Report(School2(), {{"student", {{"id", School2().students[3]}}}, {"factors", {"H2"}}});
    ASSERT_EQ(other.status, 201) << other;
    closed_case_ = other.body.at("case_id");
    for (const std::string& id : {case_id_, closed_case_}) {
      ASSERT_TRUE(
          Eventually(absl::Seconds(5), [&] { return stack_->Case(id).at("level").at("provisional") != "none"; }));
    }
    const Answer closed = stack_->Command(closed_case_, "close", {{"reason", "r"}});
    ASSERT_EQ(closed.status, 200) << closed;
  }
  static void TearDownTestSuite() { stack_.reset(); }

  void SetUp() override {
    case_before_ = stack_->Case(case_id_);
    for (const School& school : stack_->schools()) last_before_.push_back(stack_->LastSequence(school.partition()));
    cases_before_ = stack_->Get("/api/v1/schools/" + School2().id + "/cases").body;
  }
  void TearDown() override {
    EXPECT_EQ(stack_->Case(case_id_), case_before_);
    EXPECT_EQ(stack_->Get("/api/v1/schools/" + School2().id + "/cases").body, cases_before_);
    for (std::size_t i = 0; i < last_before_.size(); ++i)
      EXPECT_EQ(stack_->LastSequence(stack_->schools()[i].partition()), last_before_[i]) << "nothing was appended";
  }

  static const School& School1() { return stack_->schools()[0]; }
  static const School& School2() { return stack_->schools()[1]; }
  static std::string Reports() { return "/api/v1/schools/" + School1().id + "/reports"; }
  static std::string CasePath(const std::string& rest = "") { return "/api/v1/cases/" + case_id_ + rest; }
  static std::string Student() { return School1().students[0]; }

  static Answer Raw(const std::string& method, const std::string& path, std::string body, const std::string& token = "",
                    HttpHeaders headers = {{"Content-Type", kJson}}) {
    return stack_->Send({.method = method,
                         .path = path,
                         .token = token.empty() ? stack_->admin() : token,
                         .body = std::move(body),
                         .headers = std::move(headers)});
  }
  static Answer PostReport(const json& report) { return Raw("POST", Reports(), report.dump(), School1().token); }
  static json Good() { return {{"student", {{"id", Student()}}}, {"factors", {"H2"}}}; }

  static void ExpectProblem(const Answer& answer, int status, const std::string& field = "") {
    EXPECT_EQ(answer.status, status) << answer;
    EXPECT_EQ(answer.Header("Content-Type"), "application/problem+json") << answer;
    ASSERT_TRUE(answer.body.is_object()) << answer;
    EXPECT_EQ(answer.body.value("status", 0), status);
    if (!field.empty()) {
      EXPECT_THAT(answer.Fields(), Contains(field)) << answer;
    }
    if (status == 409) {
      EXPECT_TRUE(answer.body.contains("state")) << answer;
      EXPECT_TRUE(answer.body.contains("allowed")) << answer;
    }
    if (status == 429 || status == 503) {
      EXPECT_NE(answer.Header("Retry-After"), "");
    }
  }

  static std::unique_ptr<Stack> stack_;
  static std::string case_id_;
  static std::string closed_case_;

 private:
  json case_before_;
  json cases_before_;
  std::vector<std::uint64_t> last_before_;
};

std::unique_ptr<Stack> RefusalsTest::stack_;
std::string RefusalsTest::case_id_;
std::string RefusalsTest::closed_case_;

TEST_F(RefusalsTest, AReportWithWhatThePackDoesNotKnow) {
  const auto with = [](const char* name, json value) {
    json report = Good();
    report[name] = std::move(value);
    return PostReport(report);
  };
  ExpectProblem(with("signals", {"W9"}), 400, "signals[0]");
  ExpectProblem(with("signals", {"W1a", "H1"}), 400, "signals[1]");
  ExpectProblem(with("factors", {"H11"}), 400, "factors[0]");
  ExpectProblem(with("factors", {"H1", "H2", "W1a"}), 400, "factors[2]");
  ExpectProblem(with("claimed_level", "catastrophic"), 400, "claimed_level");
  ExpectProblem(with("channel", "pigeon"), 400, "channel");
  ExpectProblem(with("home_unsafe", "maybe"), 400, "home_unsafe");
  ExpectProblem(with("colour", "blue"), 400, "colour");
  ExpectProblem(with("in_sight", {{"staff_id", "nobody"}}), 400, "in_sight.staff_id");
}

TEST_F(RefusalsTest, AReportWhoseFieldsAreNotWhatTheyMustBe) {
  const auto with = [](const char* name, json value) {
    json report = Good();
    report[name] = std::move(value);
    return PostReport(report);
  };
  ExpectProblem(with("signals", "W1a"), 400, "signals");
  ExpectProblem(with("signals", {7}), 400, "signals[0]");
  ExpectProblem(with("deteriorating", "yes"), 400, "deteriorating");
  ExpectProblem(with("narrative", 7), 400, "narrative");
  ExpectProblem(with("student", "p1"), 400, "student");
  ExpectProblem(with("student", json::object()), 400, "student");
  ExpectProblem(with("student", {{"id", Student()}, {"name", "x"}}), 400, "student");
  ExpectProblem(with("student", {{"id", Student()}, {"age", 7}}), 400, "student.age");
  ExpectProblem(with("discovered_time", "yesterday"), 400, "discovered_time");
  ExpectProblem(with("discovered_time", 1700000000), 400, "discovered_time");
  ExpectProblem(with("narrative", std::string(64 * 1024 + 1, 'x')), 400, "narrative");
  ExpectProblem(with("verbatim", std::string(64 * 1024 + 1, 'x')), 400, "verbatim");
  ExpectProblem(PostReport({{"factors", {"H2"}}}), 400, "student");
  ExpectProblem(PostReport(json::array()), 400);
}

TEST_F(RefusalsTest, ADiscoveryMoreThanTwoMinutesAhead) {
  json report = Good();
  report["discovered_time"] = Rfc3339(stack_->DomainNow() + absl::Minutes(2) + absl::Seconds(20));
  ExpectProblem(PostReport(report), 400, "discovered_time");
  ExpectProblem(Raw("POST", CasePath(":correctDiscovery"),
                    json{{"discovered_time", report["discovered_time"]}, {"reason", "r"}}.dump()),
                400, "discovered_time");
}

TEST_F(RefusalsTest, WhatIsNoJson) {
  for (const std::string& body :
       {std::string("{"), std::string("{\"student\":}"), std::string("[1,]"), std::string("nonsense"),
        std::string("{\"a\":1}x"), std::string("{'student':1}"), std::string("\xef\xbb\xbf{}"),
        std::string("{\"student\":{\"id\":\"\x01\"}}"), std::string("\0{}", 3)}) {
    ExpectProblem(Raw("POST", Reports(), body, School1().token), 400);
  }
  ExpectProblem(Raw("POST", Reports(), "{\"student\":{\"id\":\"" + Student() + "\"},\"narrative\":\"a\xff\xfe\"}",
                    School1().token),
                400);
  ExpectProblem(
      Raw("POST", Reports(), "{\"student\":{\"id\":\"" + Student() + "\"},\"narrative\":\"\\ud800\"}", School1().token),
      400);
  const Answer duplicate =
      Raw("POST", Reports(), "{\"student\":{\"id\":\"" + Student() + "\"},\"narrative\":\"a\",\"narrative\":\"b\"}",
          School1().token);
  ExpectProblem(duplicate, 400, "narrative");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  ExpectProblem(Raw("POST", Reports(), deep, School1().token), 400);
  ExpectProblem(Raw("POST", Reports(), std::string(200'000, '['), School1().token), 400);
}

TEST_F(RefusalsTest, BrokenUtf8NamesItsField) {
  const Answer broken = Raw(
      "POST", Reports(), "{\"student\":{\"id\":\"" + Student() + "\"},\"narrative\":\"a\xff\xfe\"}", School1().token);
  ExpectProblem(broken, 400, "narrative");
  ExpectProblem(Raw("POST", Reports(), "{\"student\":{\"name\":\"\xc3(\"}}", School1().token), 400, "student.name");
}

TEST_F(RefusalsTest, PagesAndFiltersThatCannotBe) {
  const std::string cases = "/api/v1/schools/" + School1().id + "/cases";
  ExpectProblem(stack_->Get(cases + "?page_size=-1"), 400, "page_size");
  ExpectProblem(stack_->Get(cases + "?page_size=501"), 400, "page_size");
  ExpectProblem(stack_->Get(cases + "?page_size=many"), 400, "page_size");
  ExpectProblem(stack_->Get(cases + "?page_size=99999999999999999999"), 400, "page_size");
  ExpectProblem(stack_->Get(cases + "?page_token=elsewhere"), 400, "page_token");
  ExpectProblem(stack_->Get(cases + "?state=asleep"), 400, "state");
  ExpectProblem(stack_->Get(cases + "?level=worst"), 400, "level");
  ExpectProblem(stack_->Get(cases + "?colour=blue"), 400, "colour");
  ExpectProblem(stack_->Get("/api/v1/audit/checkpoint?partition=16"), 404);
  ExpectProblem(stack_->Get("/api/v1/audit/checkpoint?partition=-1"), 400, "partition");
}

TEST_F(RefusalsTest, WithoutAGoodToken) {
  const auto with = [](const std::string& authorization) {
    Request request{.method = "POST", .path = Reports(), .body = Good().dump(), .headers = {{"Content-Type", kJson}}};
    if (!authorization.empty()) request.headers.Add("Authorization", authorization);
    return stack_->Send(request);
  };
  const std::string good = School1().token;
  for (const std::string& bad :
       {std::string(), std::string("Bearer"), std::string("Bearer x"), std::string("Basic dXNlcjpwYXNz"),
        "Bearer " + good + "x", "Bearer " + good.substr(1), "Bearer " + std::string(5'000, 'a'), good}) {
    const Answer answer = with(bad);
    ExpectProblem(answer, 401);
    EXPECT_THAT(answer.Header("WWW-Authenticate"), HasSubstr("Bearer"));
  }
  ExpectProblem(stack_->Send({.path = CasePath()}), 401);
  ExpectProblem(stack_->Send({.path = "/api/v1/events"}), 401);
}

TEST_F(RefusalsTest, ATokenOfAnotherSchool) {
  ExpectProblem(Raw("POST", Reports(), Good().dump(), School2().token), 403);
  ExpectProblem(stack_->Get(CasePath(), School2().Staff("leader").token), 403);
  ExpectProblem(stack_->Get(CasePath("/timeline"), School2().Staff("leader").token), 403);
  ExpectProblem(stack_->Get(CasePath("/custody"), School2().Staff("leader").token), 403);
  ExpectProblem(stack_->Get("/api/v1/schools/" + School1().id + "/cases", School2().Staff("leader").token), 403);
  ExpectProblem(stack_->Get("/api/v1/events?school=" + School1().id, School2().Staff("leader").token), 403);
  ExpectProblem(stack_->Command(case_id_, "close", {{"reason", "r"}}, School2().Staff("leader").token), 403);
}

TEST_F(RefusalsTest, WhatIsNotThere) {
  ExpectProblem(stack_->Post("/api/v1/schools/nowhere/reports", Good()), 404);
  ExpectProblem(stack_->Get("/api/v1/schools/nowhere/cases"), 404);
  ExpectProblem(stack_->Get("/api/v1/cases/c0000000000000"), 404);
  ExpectProblem(stack_->Get("/api/v1/cases/c0000000000000/timeline"), 404);
  ExpectProblem(stack_->Get("/api/v1/cases/c0000000000000/custody"), 404);
  ExpectProblem(stack_->Command("c0000000000000", "close", {{"reason", "r"}}), 404);
  ExpectProblem(stack_->Post("/api/v1/alerts/a0000000000000:take", json::object()), 404);
  ExpectProblem(stack_->Get(Reports() + "/r0000000000000", School1().token), 404);
  ExpectProblem(PostReport({{"student", {{"id", "p-unknown"}}}, {"factors", {"H2"}}}), 404);
  ExpectProblem(PostReport({{"student", {{"id", School2().students[0]}}}, {"factors", {"H2"}}}), 404);
  ExpectProblem(PostReport({{"student", {{"id", School1().Staff("leader").id}}}, {"factors", {"H2"}}}), 404);
  ExpectProblem(stack_->Command(case_id_, "identifyStudent", {{"id", "p-unknown"}}), 404);
  ExpectProblem(stack_->Get("/api/v1/nothing"), 404);
  ExpectProblem(stack_->Get("/api/v2/clock"), 404);
  ExpectProblem(stack_->Command(case_id_, "vanish", json::object()), 404);
}

TEST_F(RefusalsTest, WhatTheCaseIsNotInAStateFor) {
  const std::string leader = School1().Staff("leader").token;
  const auto refused = [&](const std::string& command, const json& body) {
    const Answer answer = stack_->Command(case_id_, command, body, leader);
    ExpectProblem(answer, 409);
    EXPECT_EQ(answer.body.value("state", ""), "open") << command << ": " << answer;
    EXPECT_THAT(answer.body.at("allowed"), Contains("assess")) << command << ": " << answer;
    EXPECT_THAT(answer.body.at("allowed"), Not(Contains("checkIn"))) << command;
  };
  refused("offerShift", {{"to_staff_ids", {School1().Staff("crisis-1").id}}});
  refused("acceptShift", json::object());
  refused("checkIn", {{"in_sight", false}});
  refused("decideNotSevere",
          {{"assessor_ids", {School1().Staff("assessor").id, School1().Staff("counsellor-1").id}}, {"rationale", "r"}});
  refused("receiveWrittenReport", json::object());
  refused("liftHold", {{"kind", "guardians"}, {"reason", "r"}});
  refused("correctDiscovery", {{"discovered_time", Rfc3339(stack_->DomainNow())}, {"reason", "r"}});
  refused("handOverToGuardian", {{"guardian_id", School1().GuardiansOf(Student())[0].id},
                                 {"identity_checked", false},
                                 {"fields", {{"child_state", "x"}}}});
  refused("identifyStudent", {{"id", School1().students[1]}});
  refused("moveToStudent", {{"id", School1().students[1]}, {"both_located", false}});
}

TEST_F(RefusalsTest, AStaleEtag) {
  Request request{.method = "POST",
                  .path = CasePath(":close"),
                  .token = School1().Staff("leader").token,
                  .body = R"({"reason":"r"})"};
  request.headers = {{"Content-Type", kJson}, {"If-Match", "\"999\""}};
  const Answer stale = stack_->Send(request);
  ExpectProblem(stale, 409);
  EXPECT_EQ(stale.body.value("state", ""), "open");
}

TEST_F(RefusalsTest, ACommandWithWhatItDoesNotTake) {
  const auto with = [](const std::string& command, const json& body) {
    return stack_->Command(case_id_, command, body);
  };
  ExpectProblem(
      with("assess",
           {{"level", "worst"}, {"kind", "group"}, {"members", {School1().Staff("assessor").id}}, {"rationale", "r"}}),
      400, "level");
  ExpectProblem(with("assess", {{"level", "high"}, {"kind", "alone"}, {"rationale", "r"}}), 400, "kind");
  ExpectProblem(with("assess", {{"level", "high"}, {"kind", "group"}, {"members", {"nobody"}}, {"rationale", "r"}}),
                400, "members[0]");
  ExpectProblem(with("assess", {{"level", "high"}, {"kind", "group"}}), 400, "rationale");
  ExpectProblem(with("confirmInSight", {{"staff_id", "nobody"}}), 400, "staff_id");
  ExpectProblem(with("confirmInSight", json::object()), 400, "staff_id");
  ExpectProblem(with("recordDeparture", {{"kind", "flew"}}), 400, "kind");
  ExpectProblem(with("hold", {{"kind", "everything"}}), 400, "kind");
  ExpectProblem(with("recuse", {{"staff_id", "nobody"}, {"reason", "r"}}), 400, "staff_id");
  ExpectProblem(with("recordGuardianContact", {{"guardian_id", "g"}, {"outcome", "sang"}}), 400, "outcome");
  ExpectProblem(with("recordPhoneReport", {{"with_staff_id", School1().Staff("leader").id},
                                           {"spoken_time", Rfc3339(stack_->DomainNow() + absl::Hours(1))}}),
                400, "spoken_time");
  ExpectProblem(with("fileWrittenReport", {{"fields", json::object()}}), 400, "fields.facts");
  ExpectProblem(with("close", {{"reason", "r"}, {"why", "not"}}), 400, "why");
  ExpectProblem(with("close", {{"case", "c1"}, {"reason", "r"}}), 400, "case");
  const auto record = [](const json& body) { return stack_->Post(CasePath("/records"), body); };
  ExpectProblem(record({{"kind", "diary"}, {"fields", json::object()}}), 400, "kind");
  ExpectProblem(record({{"kind", "written_report"}, {"fields", json::object()}}), 400, "kind");
  ExpectProblem(record({{"kind", "talk"}, {"fields", {{"summary", "s"}}}}), 400, "fields.clear");
  ExpectProblem(record({{"kind", "talk"}, {"fields", {{"summary", "s"}, {"clear", "perhaps"}}}}), 400, "fields.clear");
  ExpectProblem(record({{"kind", "talk"}, {"fields", {{"summary", "s"}, {"clear", true}, {"mood", "x"}}}}), 400,
                "fields.mood");
}

TEST_F(RefusalsTest, WhatIsTooLargeOrOfTheWrongType) {
  ExpectProblem(Raw("POST", Reports(), "{\"narrative\":\"" + std::string((1 << 20) + 10, 'x') + "\"}", School1().token),
                413);
  ExpectProblem(Raw("POST", Reports(), Good().dump(), School1().token, {{"Content-Type", "text/plain"}}), 415);
  ExpectProblem(
      Raw("POST", Reports(), Good().dump(), School1().token, {{"Content-Type", "application/x-www-form-urlencoded"}}),
      415);
  ExpectProblem(Raw("POST", Reports(), Good().dump(), School1().token, {{"Content-Type", "application/jsonp"}}), 415);
  const Answer verb = Raw("PATCH", Reports(), Good().dump(), School1().token);
  ExpectProblem(verb, 405);
  EXPECT_THAT(verb.Header("Allow"), HasSubstr("POST"));
}

TEST_F(RefusalsTest, HostileHeadersAndPaths) {
  const auto with = [](std::string name, std::string value) {
    return Raw("POST", Reports(), Good().dump(), School1().token,
               {{"Content-Type", kJson}, {std::move(name), std::move(value)}});
  };
  ExpectProblem(with("Idempotency-Key", std::string(256, 'k')), 400, "Idempotency-Key");
  ExpectProblem(with("Idempotency-Key", "schl\xc3\xbcssel"), 400, "Idempotency-Key");
  ExpectProblem(with("If-Match", std::string(300, 'e')), 400, "If-Match");
  EXPECT_EQ(with("X-Filler", std::string(200'000, 'f')).status, 431);
  for (const char* path : {"/api/v1/schools/%00/cases", "/api/v1/schools/%ff/cases", "/api/v1/schools/%2e%2e%2f/cases",
                           "/api/v1/cases/%zz"}) {
    const int status = stack_->Get(path).status;
    EXPECT_TRUE(status == 400 || status == 403 || status == 404) << path << ": " << status;
  }
  // The service must not take a caller's word for who it is.
  const Answer forged = stack_->Send({.method = "POST",
                                      .path = CasePath(":close"),
                                      .token = School1().token,
                                      .body = R"({"reason":"r"})",
                                      .headers = {{"Content-Type", kJson},
                                                  {"vigil-role", "administrator"},
                                                  {"vigil-person", "administrator"},
                                                  {"vigil-school", "*"}}});
  ExpectProblem(forged, 403);
}

TEST_F(RefusalsTest, CallbacksThatNobodySigned) {
  const std::string body = R"({"id":"t1","event":"digits","digits":"1","time":"2026-01-01T00:00:00Z"})";
  ExpectProblem(Raw("POST", "/callbacks/sandbox/call", body, "x"), 401);
  ExpectProblem(
      Raw("POST", "/callbacks/sandbox/call", body, "x", {{"X-Sandbox-Signature", "sha256=" + std::string(64, '0')}}),
      401);
  ExpectProblem(Raw("GET", "/callbacks/sandbox/call", "", "x"), 405);
  ExpectProblem(Raw("POST", "/callbacks/../../etc/passwd", body, "x"), 404);
}

TEST_F(RefusalsTest, TheClockOfAnInstallationForUse) {
  ExpectProblem(stack_->Put("/api/v1/clock", {{"speed", 60}}), 409);
}

TEST_F(RefusalsTest, AClosedCaseIsClosed) {
  for (const auto& [command, body] :
       std::map<std::string, json>{{"close", {{"reason", "again"}}},
                                   {"confirmInSight", {{"staff_id", School2().Staff("leader").id}}},
                                   {"hold", {{"kind", "visit"}}},
                                   {"recordDeparture", {{"kind", "left"}}}}) {
    const Answer answer = stack_->Command(closed_case_, command, body);
    ExpectProblem(answer, 409);
    EXPECT_EQ(answer.body.value("state", ""), "closed") << command;
    EXPECT_THAT(answer.body.at("allowed"), IsEmpty()) << command;
  }
}

// Last, as it uses up what this address may get wrong.
TEST_F(RefusalsTest, TooManyBadTokensAreHeldAndAGoodOneIsNot) {
  std::atomic<int> held{0};
  std::atomic<int> refused{0};
  std::atomic<int> others{0};
  std::vector<std::thread> guessing;
  for (int i = 0; i < 8; ++i) {
    guessing.emplace_back([&, i] {
      for (int guess = 0; guess < 60; ++guess) {
        const Answer answer = stack_->Send({.path = CasePath(), .token = absl::StrCat("guess-", i, "-", guess)});
        if (answer.status == 429) {
          ++held;
          if (answer.Header("Retry-After").empty()) ++others;
        } else {
          ++(answer.status == 401 ? refused : others);
        }
      }
    });
  }
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(stack_->Get(CasePath()).status, 200) << "nobody is turned away for a neighbour";
  for (std::thread& thread : guessing) thread.join();
  EXPECT_GT(held, 0);
  EXPECT_GT(refused, 50);
  EXPECT_EQ(others, 0);
}

}  // namespace
}  // namespace vigil::stack
