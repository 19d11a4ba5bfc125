// The same request again: the same answer and one effect, for reports and commands, at once, after restarts and after
// crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

constexpr int kAtOnce = 20;

class IdempotencyTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stack_ = std::make_unique<Stack>(StackOptions{.schools = 2, .students = 20}); }
  static void TearDownTestSuite() { stack_.reset(); }

  static const School& School1() { return stack_->schools()[0]; }
  static json Quiet(int student) {
    return {{"student", {{"id", School1().students[static_cast<std::size_t>(student)]}}},
            {"factors", {"H2"}},
            {"narrative", "n"}};
  }
  static json CaseOf(const Answer& report) { return stack_->Case(report.body.at("case_id")); }
  static std::size_t Events(const std::string& case_id, std::string_view type) {
    const json events = stack_->Get("/api/v1/cases/" + case_id + "/timeline").body.at("events");
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const json& event) {
      return event.at("type") == type && !event.value("void", false);
    }));
  }
  static void ExpectSame(const Answer& first, const Answer& again) {
    EXPECT_EQ(again.status, first.status) << again;
    EXPECT_EQ(again.text, first.text);
  }
  static void ExpectConflict(const Answer& answer) {
    EXPECT_EQ(answer.status, 409) << answer;
    EXPECT_EQ(answer.Header("Content-Type"), "application/problem+json");
  }
  static std::vector<Answer> AtOnce(const std::function<Answer()>& send) {
    std::vector<Answer> answers(kAtOnce);
    std::vector<std::thread> threads;
    for (int i = 0; i < kAtOnce; ++i) threads.emplace_back([&, i] { answers[static_cast<std::size_t>(i)] = send(); });
    for (std::thread& thread : threads) thread.join();
    return answers;
  }
  // Kills it and waits until another stands in its place.
  static void KillAndAwait(const std::string& service) {
    const pid_t before = stack_->Pid(service);
    ASSERT_GT(before, 0);
    ASSERT_EQ(kill(before, SIGKILL), 0);
    ASSERT_TRUE(
        Eventually(absl::Seconds(5), [&] { return stack_->Pid(service) > 0 && stack_->Pid(service) != before; }));
    stack_->AwaitReady();
  }

  static std::unique_ptr<Stack> stack_;
};

std::unique_ptr<Stack> IdempotencyTest::stack_;

TEST_F(IdempotencyTest, AReportSentAgainIsOneReport) {
  const Answer first = stack_->Report(School1(), Quiet(0), "", "report-again");
  ASSERT_EQ(first.status, 201) << first;
  ExpectSame(first, stack_->Report(School1(), Quiet(0), "", "report-again"));
  EXPECT_EQ(CaseOf(first).at("reports").size(), 1U);
  // The same said in another order or with other spaces is the same.
  Request request{.method = "POST", .path = "/api/v1/schools/" + School1().id + "/reports", .token = School1().token};
  request.body = "  { \"narrative\" : \"n\" , \"factors\" : [ \"H2\" ] , \"student\" : { \"id\" : \"" +
                 School1().students[0] + "\" } } ";
  request.headers = {{"Content-Type", "application/json"}, {"Idempotency-Key", "report-again"}};
  ExpectSame(first, stack_->Send(request));
}

TEST_F(IdempotencyTest, AnotherBodyUnderTheSameKeyIsAConflict) {
  ASSERT_EQ(stack_->Report(School1(), Quiet(1), "", "one-key").status, 201);
  json other = Quiet(1);
  other["narrative"] = "else";
  ExpectConflict(stack_->Report(School1(), other, "", "one-key"));
  ExpectConflict(stack_->Report(School1(), Quiet(2), "", "one-key"));
  EXPECT_EQ(stack_->Report(School1(), Quiet(1), "", "one-key").status, 201) << "the first still stands";
}

TEST_F(IdempotencyTest, AKeyIsItsCallersAndItsSchools) {
  const Answer first = stack_->Report(School1(), Quiet(3), School1().Staff("class-1-1").token, "shared-key");
  const Answer second = stack_->Report(School1(), Quiet(3), School1().Staff("class-2-1").token, "shared-key");
  ASSERT_EQ(first.status, 201) << first;
  ASSERT_EQ(second.status, 201) << second;
  EXPECT_NE(first.body.at("report_id"), second.body.at("report_id"));
  const School& other = stack_->schools()[1];
  const Answer elsewhere =
      stack_->Post("/api/v1/schools/" + other.id + "/reports",
                   {{"student", {{"id", other.students[0]}}}, {"factors", {"H2"}}}, "", "shared-key");
  const Answer here = stack_->Post("/api/v1/schools/" + School1().id + "/reports", Quiet(3), "", "shared-key");
  EXPECT_EQ(elsewhere.status, 201) << elsewhere;
  EXPECT_EQ(here.status, 201) << here;
}

TEST_F(IdempotencyTest, ACommandSentAgainHappensOnce) {
  const Answer report = stack_->Report(School1(), Quiet(4));
  ASSERT_EQ(report.status, 201);
  const std::string case_id = report.body.at("case_id");
  const std::string leader = School1().Staff("leader").token;
  const json talk = {{"kind", "talk"}, {"fields", {{"summary", "s"}, {"clear", true}}}};
  const Answer first = stack_->Post("/api/v1/cases/" + case_id + "/records", talk, leader, "talk-1");
  ASSERT_TRUE(first.ok()) << first;
  ExpectSame(first, stack_->Post("/api/v1/cases/" + case_id + "/records", talk, leader, "talk-1"));
  EXPECT_EQ(stack_->Case(case_id).at("records").size(), 1U);
  ExpectConflict(stack_->Post("/api/v1/cases/" + case_id + "/records",
                              {{"kind", "talk"}, {"fields", {{"summary", "t"}, {"clear", true}}}}, leader, "talk-1"));
  ExpectConflict(stack_->Command(case_id, "close", {{"reason", "r"}}, leader, "talk-1"));
  // Without a key, twice is twice.
  ASSERT_TRUE(stack_->Post("/api/v1/cases/" + case_id + "/records", talk, leader).ok());
  ASSERT_TRUE(stack_->Post("/api/v1/cases/" + case_id + "/records", talk, leader).ok());
  EXPECT_EQ(stack_->Case(case_id).at("records").size(), 3U);
  // What would be refused the second time is still answered as the first time.
  const Answer closed = stack_->Command(case_id, "close", {{"reason", "r"}}, leader, "close-1");
  ASSERT_EQ(closed.status, 200) << closed;
  ExpectSame(closed, stack_->Command(case_id, "close", {{"reason", "r"}}, leader, "close-1"));
  EXPECT_EQ(stack_->Command(case_id, "close", {{"reason", "r"}}, leader, "close-2").status, 409);
}

TEST_F(IdempotencyTest, ACaseIsMovedOnceAndAnOldCaseStillAnswers) {
  const std::string leader = School1().Staff("leader").token;
  const Answer wrong = stack_->Report(School1(), Quiet(9));
  ASSERT_EQ(wrong.status, 201);
  const std::string case_id = wrong.body.at("case_id");
  ASSERT_TRUE(Eventually(absl::Seconds(5), [&] { return CaseOf(wrong).at("level").at("provisional") == "watch"; }));
  const json to_right = {{"id", School1().students[10]}, {"both_located", true}};
  const Answer moved = stack_->Command(case_id, "moveToStudent", to_right, leader, "move-1");
  ASSERT_EQ(moved.status, 200) << moved;
  EXPECT_EQ(moved.body.at("student_id"), School1().students[10]);
  ExpectSame(moved, stack_->Command(case_id, "moveToStudent", to_right, leader, "move-1"));
  KillAndAwait("INTAKE");
  ExpectSame(moved, stack_->Command(case_id, "moveToStudent", to_right, leader, "move-1"));
  EXPECT_EQ(stack_->Case(moved.body.at("case_id")).at("reports").size(), 1U);
  EXPECT_EQ(stack_->Command(case_id, "moveToStudent", to_right, leader, "move-2").status, 409);
  // The child has another case since; what was answered of the first is answered again.
  const std::string first_case = moved.body.at("case_id");
  const Answer closed = stack_->Command(first_case, "close", {{"reason", "r"}}, leader, "old-close");
  ASSERT_EQ(closed.status, 200) << closed;
  const Answer later = stack_->Report(School1(), Quiet(10));
  ASSERT_EQ(later.status, 201);
  EXPECT_NE(later.body.at("case_id"), first_case);
  ExpectSame(closed, stack_->Command(first_case, "close", {{"reason", "r"}}, leader, "old-close"));
}

TEST_F(IdempotencyTest, TwentyAtOnceAreOne) {
  const std::vector<Answer> reports = AtOnce([] { return stack_->Report(School1(), Quiet(5), "", "at-once"); });
  for (const Answer& answer : reports) ExpectSame(reports.front(), answer);
  ASSERT_EQ(reports.front().status, 201) << reports.front();
  EXPECT_EQ(CaseOf(reports.front()).at("reports").size(), 1U);
  const std::string case_id = reports.front().body.at("case_id");
  const std::string leader = School1().Staff("leader").token;
  const std::vector<Answer> records = AtOnce([&] {
    return stack_->Post("/api/v1/cases/" + case_id + "/records", {{"kind", "observation"}, {"fields", {{"note", "x"}}}},
                        leader, "records-at-once");
  });
  for (const Answer& answer : records) ExpectSame(records.front(), answer);
  ASSERT_TRUE(records.front().ok()) << records.front();
  EXPECT_EQ(stack_->Case(case_id).at("records").size(), 1U);
}

TEST_F(IdempotencyTest, TwentyDifferentAtOnceAreTwenty) {
  std::atomic<int> number{0};
  const std::vector<Answer> reports =
      AtOnce([&] { return stack_->Report(School1(), Quiet(6), "", absl::StrCat("each-", number++)); });
  std::set<std::string> ids;
  for (const Answer& answer : reports) {
    ASSERT_EQ(answer.status, 201) << answer;
    ids.insert(answer.body.at("report_id"));
    EXPECT_EQ(answer.body.at("case_id"), reports.front().body.at("case_id")) << "one child, one case";
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kAtOnce));
  EXPECT_EQ(CaseOf(reports.front()).at("reports").size(), static_cast<std::size_t>(kAtOnce));
}

TEST_F(IdempotencyTest, AfterACrashRightAfterTheAnswerItIsStillOne) {
  // Killed at once, before anything that is written later can have been written.
  for (int round = 0; round < 2; ++round) {
    const json body = Quiet(7);
    const std::string key = absl::StrCat("crash-", round);
    const Answer first = stack_->Report(School1(), body, "", key);
    const Answer record =
        stack_->Post("/api/v1/cases/" + first.body.at("case_id").get<std::string>() + "/records",
                     {{"kind", "observation"}, {"fields", {{"note", "x"}}}}, School1().Staff("leader").token, key);
    KillAndAwait("INTAKE");
    ASSERT_EQ(first.status, 201) << first;
    ASSERT_TRUE(record.ok()) << record;
    ExpectSame(first, stack_->Report(School1(), body, "", key));
    ExpectSame(record, stack_->Post("/api/v1/cases/" + first.body.at("case_id").get<std::string>() + "/records",
                                    {{"kind", "observation"}, {"fields", {{"note", "x"}}}},
                                    School1().Staff("leader").token, key));
    EXPECT_EQ(CaseOf(first).at("reports").size(), static_cast<std::size_t>(round) + 1);
    EXPECT_EQ(CaseOf(first).at("records").size(), static_cast<std::size_t>(round) + 1);
    json other = body;
    other["narrative"] = "else";
    ExpectConflict(stack_->Report(School1(), other, "", key));
  }
}

TEST_F(IdempotencyTest, AfterARestartOfEverythingItIsStillOne) {
  const Answer report = stack_->Report(School1(), Quiet(8), "", "over-night");
  ASSERT_EQ(report.status, 201);
  const std::string case_id = report.body.at("case_id");
  const std::string leader = School1().Staff("leader").token;
  const Answer closed = stack_->Command(case_id, "close", {{"reason", "r"}}, leader, "over-night");
  ASSERT_EQ(closed.status, 200) << closed;
  const json before = stack_->Case(case_id);
  stack_->Down();
  stack_->Up();
  EXPECT_EQ(stack_->Case(case_id), before) << "replay gives the state that was served";
  ExpectSame(report, stack_->Report(School1(), Quiet(8), "", "over-night"));
  ExpectSame(closed, stack_->Command(case_id, "close", {{"reason", "r"}}, leader, "over-night"));
  EXPECT_EQ(stack_->Case(case_id), before);
  EXPECT_EQ(Events(case_id, "report_received"), 1U);
  EXPECT_EQ(Events(case_id, "case_closed"), 1U);
}

}  // namespace
}  // namespace vigil::stack
