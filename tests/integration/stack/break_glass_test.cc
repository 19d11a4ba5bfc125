// The way past the log, with the shipped programs: whatever dies under a severe report, the leader's telephone rings within ten seconds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

constexpr absl::Duration kRingsWithin = absl::Seconds(10);

class BreakGlassTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>(StackOptions{.restart_brokers = false, .students = 20});
    // The list is kept a moment behind the directory.
    const bool listed = Eventually(absl::Seconds(20), [] { return std::filesystem::exists(List("intake")) && std::filesystem::exists(List("notification")); });
    ASSERT_TRUE(listed) << "the emergency list is there";
    absl::SleepFor(absl::Seconds(5));
  }
  static void TearDownTestSuite() { stack_.reset(); }

  static std::string List(const std::string& service) { return stack_->home() + "/data/" + service + "/emergency-list"; }
  static const School& Own() { return stack_->school(); }
  static json Severe(int student) { return {{"student", {{"id", Own().students[static_cast<std::size_t>(student)]}}}, {"signals", {"W1a"}}}; }

  static void Kill(const std::string& name) {
    const pid_t pid = stack_->Pid(name);
    ASSERT_GT(pid, 0) << name;
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    ASSERT_TRUE(Eventually(absl::Seconds(5), [&] { return stack_->Pid(name) != pid; }));
  }
  // As dead as can be: alive to the supervisor, and doing nothing. It comes back with Wake.
  static void Freeze(const std::string& name) { ASSERT_EQ(kill(stack_->Pid(name), SIGSTOP), 0); }
  static void Wake(const std::string& name) { ASSERT_EQ(kill(stack_->Pid(name), SIGCONT), 0); }
  static void StartMissing() {
    const std::string pid = testing::ReadFile(stack_->home() + "/run/supervisor.pid");
    ASSERT_EQ(kill(std::stoi(pid), SIGHUP), 0);
    stack_->AwaitReady();
  }
  static std::vector<json> Emergency() {
    std::vector<json> calls;
    for (const json& one : stack_->Received(Own().leader_phone)) {
      if (one.at("kind") == "call" && one.at("text").get<std::string>().find("应急名单") != std::string::npos) calls.push_back(one);
    }
    return calls;
  }
  static std::string CaseOf(const Answer& report) {
    std::string case_id;
    Eventually(absl::Seconds(30), [&] {
      const Answer receipt = stack_->Get("/api/v1/schools/" + Own().id + "/reports/" + report.body.at("report_id").get<std::string>());
      if (receipt.status == 200) case_id = receipt.body.value("case_id", "");
      return !case_id.empty();
    });
    return case_id;
  }
  static std::size_t Told(const std::string& case_id, std::string_view type) {
    const json rows = stack_->Get("/api/v1/cases/" + case_id + "/timeline").body.value("events", json::array());
    return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [&](const json& row) { return row.at("type") == type; }));
  }

  static std::unique_ptr<Stack> stack_;
};

std::unique_ptr<Stack> BreakGlassTest::stack_;

TEST_F(BreakGlassTest, LogDown_TheLeaderIsRungAndTakesItAndTheLogHearsOfItOnce) {
  stack_->Behave(Own().leader_phone, {{"answer", "keypad"}, {"digits", "1"}, {"delay_ms", 300}});
  Kill("NATS");
  ASSERT_TRUE(Eventually(absl::Seconds(10), [] { return stack_->Get("/readyz").status == 503; }));
  const absl::Time accepted = absl::Now();
  const Answer report = stack_->Report(Own(), Severe(0), "", "severe-while-down");
  ASSERT_EQ(report.status, 201) << report;
  EXPECT_EQ(report.body.at("provisional_level"), "severe");
  EXPECT_TRUE(Eventually(kRingsWithin, [] { return !Emergency().empty(); }));
  std::cout << "rang after " << absl::Now() - accepted << "\n";
  const std::size_t rung = Emergency().size();
  absl::SleepFor(absl::Seconds(3));
  EXPECT_EQ(Emergency().size(), rung);
  EXPECT_GE(stack_->Metric("INTAKE", "vigil_break_glass_total") + stack_->Metric("NOTIFICATION", "vigil_break_glass_total"), 1);

  StartMissing();
  const std::string case_id = CaseOf(report);
  ASSERT_FALSE(case_id.empty());
  EXPECT_TRUE(Eventually(absl::Seconds(20), [&] { return AlertOf(stack_->Case(case_id), "severe_ladder").value("taken_by", "") == Own().Staff("leader").id; }))
      << stack_->Case(case_id);
  EXPECT_TRUE(Eventually(absl::Seconds(5), [&] { return Told(case_id, "break_glass_taken") == 1; }));
  EXPECT_EQ(Told(case_id, "break_glass_rung"), 1U);
  stack_->Behave(Own().leader_phone, {{"answer", "no_answer"}});
  EXPECT_EQ(stack_->Vigil("verify --json").exit_code, 0);
}

TEST_F(BreakGlassTest, ColdStartWithTheLogDown_AReportIsTakenAndTheLeaderIsRung) {
  const std::size_t before = Emergency().size();
  Kill("NATS");
  Kill("REDIS");
  Kill("INTAKE");
  Kill("NOTIFICATION");
  Answer report;
  EXPECT_TRUE(Eventually(absl::Seconds(15), [&] {
    report = stack_->Report(Own(), Severe(1), "", "severe-while-cold");
    return report.status == 201;
  })) << report;
  // On a child of whom nobody here has heard.
  const Answer unknown = stack_->Report(Own(), {{"student", {{"name", "新生"}, {"class", "1-1"}}}, {"signals", {"W1a"}}, {"narrative", "x"}}, "", "new-while-cold");
  EXPECT_EQ(unknown.status, 201) << unknown;
  EXPECT_TRUE(Eventually(kRingsWithin, [&] { return Emergency().size() > before; }));
  StartMissing();
  for (const Answer& accepted : {report, unknown}) {
    const std::string case_id = CaseOf(accepted);
    EXPECT_FALSE(case_id.empty()) << accepted;
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return stack_->Case(case_id).at("level").at("provisional") == "severe"; }));
  }
}

// Each one that stands between a report and the telephone, frozen for good under a severe report.
TEST_F(BreakGlassTest, WhateverIsFrozen_TheLeaderIsRung) {
  int student = 2;
  for (const char* name : {"NOTIFICATION", "RISK_RULES", "ESCALATION_TIMER", "AUDIT", "NATS", "REDIS"}) {
    SCOPED_TRACE(name);
    const std::size_t before = stack_->Count(Own().leader_phone, "call");
    Freeze(name);
    const absl::Time start = absl::Now();
    const Answer report = stack_->Report(Own(), Severe(student++), "", absl::StrCat("frozen-", name));
    EXPECT_EQ(report.status, 201) << report;
    EXPECT_TRUE(Eventually(kRingsWithin - (absl::Now() - start), [&] { return stack_->Count(Own().leader_phone, "call") > before; }));
    std::cout << name << ": rang " << absl::Now() - start << " after the report was sent\n";
    Wake(name);
    EXPECT_TRUE(Eventually(absl::Seconds(30), [] { return stack_->Get("/readyz").status == 200; }));
    // What was frozen catches up, and somebody takes it, so that the next is alone.
    const std::string case_id = CaseOf(report);
    ASSERT_FALSE(case_id.empty());
    EXPECT_TRUE(Eventually(absl::Seconds(20), [&] {
      const json alert = AlertOf(stack_->Case(case_id), "severe_ladder");
      return !alert.is_null() && stack_->Post("/api/v1/alerts/" + alert.at("id").get<std::string>() + ":take", json::object(), Own().Staff("leader").token).ok();
    }));
  }
}

}  // namespace
}  // namespace vigil::stack
