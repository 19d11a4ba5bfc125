// The log and the cache go away. What was promised is kept; what cannot be promised is refused, and says when to try
// again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"
#include "platform/http/url.h"

namespace vigil::stack {
namespace {

class BrokerDownTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>(StackOptions{.restart_brokers = false, .students = 20});
  }
  static void TearDownTestSuite() { stack_.reset(); }

  static const School& Own() { return stack_->school(); }
  static json Quiet(int student) {
    return {{"student", {{"id", Own().students[static_cast<std::size_t>(student)]}}},
            {"factors", {"H2"}},
            {"narrative", "n"}};
  }
  static std::string Receipt(const Answer& report) {
    return "/api/v1/schools/" + Own().id + "/reports/" + report.body.at("report_id").get<std::string>();
  }

  static void KillBroker(const std::string& name) {
    const pid_t pid = stack_->Pid(name);
    ASSERT_GT(pid, 0);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    ASSERT_TRUE(Eventually(absl::Seconds(5), [&] { return stack_->Pid(name) == 0; }));
  }
  // Long enough for every service to know.
  static void AwaitLogGone() {
    ASSERT_TRUE(Eventually(absl::Seconds(10), [] { return stack_->Get("/readyz").status == 503; }));
  }
  // A second `up` starts what is missing.
  static void StartMissing() {
    const std::string pid = testing::ReadFile(stack_->home() + "/run/supervisor.pid");
    ASSERT_EQ(kill(std::stoi(pid), SIGHUP), 0);
    stack_->AwaitReady();
  }

  static std::unique_ptr<Stack> stack_;
};

std::unique_ptr<Stack> BrokerDownTest::stack_;

TEST_F(BrokerDownTest, ReportsAreAcceptedWithoutTheLogAndAreInItAfterwardsOnce) {
  const Answer before = stack_->Report(Own(), Quiet(0));
  ASSERT_EQ(before.status, 201);
  const std::string case_before = before.body.at("case_id");

  KillBroker("NATS");
  AwaitLogGone();
  std::vector<Answer> accepted;
  for (int i = 1; i <= 5; ++i) {
    accepted.push_back(stack_->Report(Own(), Quiet(i), "", absl::StrCat("while-down-", i)));
    EXPECT_EQ(accepted.back().status, 201) << accepted.back();
    ASSERT_TRUE(accepted.back().body.is_object());
    EXPECT_FALSE(accepted.back().body.value("report_id", "").empty());
    EXPECT_FALSE(accepted.back().body.contains("case_id")) << "there is no case yet";
    EXPECT_EQ(accepted.back().body.at("provisional_level"), "watch") << "classified all the same";
  }
  const Answer severe =
      stack_->Report(Own(), {{"student", {{"id", Own().students[6]}}}, {"signals", {"W1a"}}}, "", "while-down-severe");
  EXPECT_EQ(severe.status, 201) << severe;
  EXPECT_EQ(severe.body.at("provisional_level"), "severe");
  // On a child of whom nothing is known yet, and by name.
  const Answer by_name = stack_->Report(Own(), {{"student", {{"name", "无名"}, {"class", "1-1"}}}, {"factors", {"H2"}}},
                                        "", "while-down-name");
  EXPECT_EQ(by_name.status, 201) << by_name;
  // The same again while it is still down.
  const Answer again = stack_->Report(Own(), Quiet(1), "", "while-down-1");
  EXPECT_EQ(again.status, 201) << again;
  EXPECT_EQ(again.text, accepted.front().text);
  json other = Quiet(1);
  other["narrative"] = "else";
  EXPECT_EQ(stack_->Report(Own(), other, "", "while-down-1").status, 409);
  // Its receipt is there; the case is not yet.
  const Answer receipt = stack_->Get(Receipt(accepted.front()));
  EXPECT_EQ(receipt.status, 200) << receipt;
  EXPECT_FALSE(receipt.body.contains("case_id"));
  // Reading goes on from memory; everything else that must be written waits.
  EXPECT_EQ(stack_->Get("/api/v1/cases/" + case_before).status, 200);
  for (const auto& [command, body] :
       std::map<std::string, json>{{"close", {{"reason", "r"}}},
                                   {"confirmInSight", {{"staff_id", Own().Staff("leader").id}}},
                                   {"hold", {{"kind", "visit"}}},
                                   {"recordDeparture", {{"kind", "left"}}}}) {
    const Answer refused = stack_->Command(case_before, command, body, Own().Staff("leader").token);
    EXPECT_EQ(refused.status, 503) << command << ": " << refused;
    EXPECT_NE(refused.Header("Retry-After"), "") << command;
  }
  const Answer directory = stack_->Put("/api/v1/schools/" + Own().id + "/directory",
                                       {{"people", {{{"id", "new"}, {"kind", "staff"}, {"roles", {"teacher"}}}}}});
  EXPECT_EQ(directory.status, 503) << directory;

  // Intake dies as well: what is promised is on disk.
  const pid_t intake = stack_->Pid("INTAKE");
  ASSERT_EQ(kill(intake, SIGKILL), 0);
  ASSERT_TRUE(
      Eventually(absl::Seconds(3), [&] { return stack_->Pid("INTAKE") > 0 && stack_->Pid("INTAKE") != intake; }));

  // A cold start without the log: nobody is known, and a report is taken all the same.
  Answer cold;
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] {
    cold = stack_->Report(Own(), Quiet(9), "", "while-cold");
    return cold.status == 201;
  })) << cold;

  StartMissing();
  const auto arrived = [&](const Answer& report) {
    return Eventually(absl::Seconds(15), [&] { return stack_->Get(Receipt(report)).body.contains("case_id"); });
  };
  for (const Answer& report : accepted) ASSERT_TRUE(arrived(report)) << report;
  ASSERT_TRUE(arrived(severe));
  ASSERT_TRUE(arrived(by_name));
  ASSERT_TRUE(arrived(cold));
  EXPECT_EQ(stack_->Case(stack_->Get(Receipt(cold)).body.at("case_id")).at("student_id"), Own().students[9]);
  for (int i = 1; i <= 5; ++i) {
    const Answer& report = accepted[static_cast<std::size_t>(i) - 1];
    const std::string case_id = stack_->Get(Receipt(report)).body.at("case_id");
    EXPECT_EQ(stack_->Case(case_id).at("reports").size(), 1U) << "once";
    EXPECT_EQ(stack_->Case(case_id).at("student_id"), Own().students[static_cast<std::size_t>(i)]);
    // Sent again, it is answered as it was.
    EXPECT_EQ(stack_->Report(Own(), Quiet(i), "", absl::StrCat("while-down-", i)).text, report.text);
    EXPECT_EQ(stack_->Case(case_id).at("reports").size(), 1U);
  }
  EXPECT_TRUE(Eventually(absl::Seconds(5), [] { return stack_->Count(Own().leader_phone, "call") >= 1; }))
      << "the severe one rings";
  EXPECT_EQ(stack_->Command(case_before, "close", {{"reason", "r"}}, Own().Staff("leader").token).status, 200)
      << "as before";
  EXPECT_EQ(stack_->Vigil("verify --json").exit_code, 0);
}

TEST_F(BrokerDownTest, ReportsUnderWayWhenTheLogDiesAreNeitherLostNorDoubled) {
  std::mutex mutex;
  std::vector<std::pair<int, Answer>> answers;
  std::atomic<bool> stop{false};
  std::vector<std::thread> reporters;
  std::atomic<int> number{0};
  for (int i = 0; i < 4; ++i) {
    reporters.emplace_back([&] {
      while (!stop) {
        const int mine = number++;
        const Answer answer = stack_->Report(Own(), Quiet(10 + mine % 8), "", absl::StrCat("storm-", mine));
        const std::lock_guard lock(mutex);
        answers.emplace_back(mine, answer);
      }
    });
  }
  absl::SleepFor(absl::Milliseconds(400));
  KillBroker("NATS");
  absl::SleepFor(absl::Milliseconds(1500));
  StartMissing();
  absl::SleepFor(absl::Milliseconds(400));
  stop = true;
  for (std::thread& reporter : reporters) reporter.join();

  std::set<std::string> promised;
  for (const auto& [mine, answer] : answers) {
    EXPECT_EQ(answer.status, 201) << answer;
    if (answer.status == 201) promised.insert(answer.body.at("report_id"));
  }
  EXPECT_GT(promised.size(), 20U);
  std::multiset<std::string> found;
  const auto read = [&] {
    found.clear();
    const json page = stack_->Get("/api/v1/schools/" + Own().id + "/cases?page_size=500").body;
    for (const json& one : page.at("cases")) {
      for (const json& report : one.at("reports")) {
        if (promised.contains(report.at("report_id"))) found.insert(report.at("report_id").get<std::string>());
      }
    }
    return found.size() >= promised.size();
  };
  EXPECT_TRUE(Eventually(absl::Seconds(20), read)) << found.size() << " of " << promised.size();
  absl::SleepFor(absl::Milliseconds(500));
  read();
  EXPECT_EQ(found.size(), promised.size()) << "none twice";
  EXPECT_EQ(std::set<std::string>(found.begin(), found.end()).size(), promised.size());
}

TEST_F(BrokerDownTest, WithoutTheCacheNobodyNoticesAnything) {
  const Answer report = stack_->Report(Own(), Quiet(7));
  ASSERT_EQ(report.status, 201);
  const std::string case_id = report.body.at("case_id");
  const std::string leader = Own().Staff("leader").token;
  ASSERT_TRUE(
      Eventually(absl::Seconds(5), [&] { return stack_->Case(case_id).at("level").at("provisional") == "watch"; }));
  const json before = stack_->Case(case_id);
  const auto works = [&] {
    EXPECT_EQ(stack_->Case(case_id), before);
    EXPECT_EQ(stack_->Get("/api/v1/cases/" + case_id, leader).status, 200) << "nobody is signed out";
    const std::size_t calls = stack_->Count(Own().leader_phone, "call");
    EXPECT_EQ(
        stack_->Report(Own(), {{"student", {{"id", Own().students[8]}}}, {"signals", {"W1a"}}, {"deteriorating", true}})
            .status,
        201);
    EXPECT_TRUE(Eventually(absl::Seconds(5), [&] { return stack_->Count(Own().leader_phone, "call") > calls; }));
  };
  // FLUSHALL, by its own client.
  const absl::StatusOr<std::string> url = stack_->Variable("VIGIL_REDIS_URL");
  ASSERT_FALSE(url->empty());
  const std::string flush = absl::StrCat("true; redis-cli -u '", *url, "' --no-auth-warning FLUSHALL");
  const Outcome flushed = stack_->Vigil("--help >/dev/null; " + flush);
  EXPECT_EQ(flushed.exit_code, 0) << flushed.out << flushed.err;
  works();
  KillBroker("REDIS");
  works();
  // A cold start without it.
  const pid_t intake = stack_->Pid("INTAKE");
  ASSERT_EQ(kill(intake, SIGKILL), 0);
  ASSERT_TRUE(
      Eventually(absl::Seconds(3), [&] { return stack_->Pid("INTAKE") > 0 && stack_->Pid("INTAKE") != intake; }));
  ASSERT_TRUE(Eventually(absl::Seconds(15), [&] { return stack_->Get("/readyz").status == 200; }));
  works();
  StartMissing();
  works();
}

}  // namespace
}  // namespace vigil::stack
