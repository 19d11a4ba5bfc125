// Every process of ours is killed in the middle of a case: it is back within a second, nothing is lost, and the ladder
// goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

// A minute of the ladder is three seconds.
constexpr double kSpeed = 20;

class KillTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stack_ = std::make_unique<Stack>(StackOptions{.speed = kSpeed}); }
  static void TearDownTestSuite() { stack_.reset(); }

  static const School& Own() { return stack_->school(); }
  static bool Alive(pid_t pid) { return pid > 0 && kill(pid, 0) == 0; }
  static void Kill(const std::string& name) {
    const pid_t before = stack_->Pid(name);
    ASSERT_GT(before, 0) << name;
    ASSERT_EQ(kill(before, SIGKILL), 0);
    EXPECT_TRUE(Eventually(absl::Seconds(1),
                           [&] {
                             const pid_t now = stack_->Pid(name);
                             return now != before && Alive(now);
                           }))
        << name << " is back within a second, and env names the new process";
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return stack_->Get("/readyz").status == 200; })) << name;
  }
  // Alerts' attempts come and go with the ladder; what may not change by a crash is the rest.
  static json Lasting(json of) {
    for (const char* name : {"alerts", "etag", "next"}) of.erase(name);
    for (json& clock : of.at("clocks")) clock.erase("met_time");
    return of;
  }

  static std::unique_ptr<Stack> stack_;
};

std::unique_ptr<Stack> KillTest::stack_;

TEST_F(KillTest, EachServiceInTurnWhileALadderClimbs) {
  const Answer report = stack_->Report(Own(),
                                       {{"student", {{"id", Own().students[0]}}},
                                        {"signals", {"W1a"}},
                                        {"in_sight", {{"staff_id", Own().Staff("class-1-1").id}}}},
                                       Own().Staff("class-1-1").token);
  ASSERT_EQ(report.status, 201) << report;
  const std::string case_id = report.body.at("case_id");
  ASSERT_TRUE(Eventually(absl::Seconds(5), [] { return stack_->Count(Own().leader_phone, "call") >= 1; }));
  for (const char* name : kServices) {
    SCOPED_TRACE(name);
    const json before = Lasting(stack_->Case(case_id));
    const int round = AlertOf(stack_->Case(case_id), "severe_ladder").at("round");
    const int step = AlertOf(stack_->Case(case_id), "severe_ladder").at("step");
    Kill(name);
    const json after = stack_->Case(case_id);
    EXPECT_EQ(after.at("case_id"), before.at("case_id"));
    EXPECT_EQ(after.at("reports"), before.at("reports"));
    EXPECT_EQ(after.at("custody").at("intervals"), before.at("custody").at("intervals"));
    EXPECT_EQ(after.at("level"), before.at("level"));
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&] {
      const json alert = AlertOf(stack_->Case(case_id), "severe_ladder");
      return alert.at("round") != round || alert.at("step") != step;
    })) << "the ladder goes on";
  }
  // A phone that is answered now still takes it.
  stack_->Behave(Own().leader_phone, {{"answer", "keypad"}, {"digits", "1"}});
  EXPECT_TRUE(Eventually(absl::Seconds(10),
                         [&] { return AlertOf(stack_->Case(case_id), "severe_ladder").at("state") == "taken"; }));
  stack_->Behave(Own().leader_phone, {{"answer", "no_answer"}});
}

TEST_F(KillTest, EachServiceRightAfterASevereReportStillRingsOnce) {
  stack_->SetSpeed(1);
  int student = 1;
  for (const char* name : kServices) {
    SCOPED_TRACE(name);
    const std::size_t before = stack_->Count(Own().leader_phone, "call");
    const Answer report = stack_->Report(
        Own(), {{"student", {{"id", Own().students[static_cast<std::size_t>(student++)]}}}, {"signals", {"W1a"}}});
    Kill(name);
    ASSERT_EQ(report.status, 201) << report;
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return stack_->Count(Own().leader_phone, "call") > before; }));
    absl::SleepFor(absl::Milliseconds(300));
    // An attempt is asked for under one id: the provider rings once, however often we die.
    EXPECT_EQ(stack_->Count(Own().leader_phone, "call"), before + 1);
    ASSERT_TRUE(Eventually(absl::Seconds(5), [&] {
      return ClockOf(stack_->Case(report.body.at("case_id")), "first_call").at("state") == "met";
    }));
  }
}

TEST_F(KillTest, TheBrokersAreBackTooAndNothingIsLost) {
  stack_->SetSpeed(1);
  const Answer report = stack_->Report(Own(), {{"student", {{"id", Own().students[8]}}}, {"factors", {"H2"}}});
  ASSERT_EQ(report.status, 201);
  const std::string case_id = report.body.at("case_id");
  ASSERT_TRUE(
      Eventually(absl::Seconds(5), [&] { return stack_->Case(case_id).at("level").at("provisional") == "watch"; }));
  std::size_t records = 0;
  for (const char* name : {"NATS", "REDIS"}) {
    const json before = stack_->Case(case_id);
    Kill(name);
    EXPECT_EQ(stack_->Case(case_id), before) << name;
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&] {
      return stack_
          ->Post("/api/v1/cases/" + case_id + "/records", {{"kind", "observation"}, {"fields", {{"note", "x"}}}}, "",
                 absl::StrCat("after-", name))
          .ok();
    })) << name;
    EXPECT_EQ(stack_->Case(case_id).at("records").size(), ++records);
  }
  EXPECT_EQ(stack_->Vigil("verify --json").exit_code, 0);
}

}  // namespace
}  // namespace vigil::stack
