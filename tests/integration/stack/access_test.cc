// Who may do what, held against the pack's own table, over the real edge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

using ::testing::Contains;
using ::testing::Not;

class AccessTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>(StackOptions{.schools = 2});
    const Answer report =
        stack_->Report(School1(), {{"student", {{"id", School1().students[0]}}}, {"factors", {"H2"}}});
    ASSERT_EQ(report.status, 201) << report;
    case_id_ = report.body.at("case_id");
  }
  static void TearDownTestSuite() { stack_.reset(); }

  static const School& School1() { return stack_->schools()[0]; }
  static const School& School2() { return stack_->schools()[1]; }
  static Answer Do(const std::string& command, const json& body, const std::string& token) {
    return stack_->Command(case_id_, command, body, token);
  }

  static std::unique_ptr<Stack> stack_;
  static std::string case_id_;
};

std::unique_ptr<Stack> AccessTest::stack_;
std::string AccessTest::case_id_;

TEST_F(AccessTest, EveryAdultOfTheSchoolMayReport) {
  std::set<std::string> roles;
  for (const Person& person : School1().staff) {
    if (!roles.insert(person.role).second) continue;
    const Answer report =
        stack_->Report(School1(), {{"student", {{"id", School1().students[1]}}}, {"factors", {"H2"}}}, person.token);
    EXPECT_EQ(report.status, 201) << person.role << ": " << report;
  }
  EXPECT_GE(roles.size(), 9U);
}

TEST_F(AccessTest, AClassTeacherDoesNotDoWhatLeadersDo) {
  const std::string teacher = School1().Staff("class-1-1").token;
  const std::string now = Rfc3339(stack_->DomainNow());
  for (const auto& [command, body] : std::map<std::string, json>{
           {"assess",
            {{"level", "severe"},
             {"kind", "group"},
             {"members", {School1().Staff("assessor").id}},
             {"rationale", "r"}}},
           {"planShifts",
            {{"shifts", {{{"staff_ids", {School1().Staff("leader").id}}, {"from_time", now}, {"to_time", now}}}}}},
           {"handOverToAuthority", {{"authority", "police"}, {"officer", "o"}}},
           {"decideNotSevere", {{"assessor_ids", {"a", "b"}}, {"rationale", "r"}}},
           {"correctDiscovery", {{"discovered_time", now}, {"reason", "r"}}},
           {"moveToStudent", {{"id", School1().students[2]}, {"both_located", true}}},
           {"receiveWrittenReport", json::object()},
           {"liftHold", {{"kind", "guardians"}, {"reason", "r"}}},
           {"close", {{"reason", "r"}}}}) {
    EXPECT_EQ(Do(command, body, teacher).status, 403) << command;
  }
  EXPECT_EQ(stack_->Get("/api/v1/schools/" + School1().id + "/cases", teacher).status, 403);
  EXPECT_EQ(stack_->Get("/api/v1/audit/checkpoint?partition=0", teacher).status, 403);
  EXPECT_EQ(stack_->Get("/api/v1/events?school=" + School1().id, teacher).status, 403);
  EXPECT_EQ(stack_->Put("/api/v1/schools/" + School1().id + "/directory", {{"people", json::array()}}, teacher).status,
            403);
  EXPECT_EQ(
      stack_->Put("/api/v1/schools/" + School1().id + "/schedules/leader", {{"shifts", json::array()}}, teacher).status,
      403);
  // What is theirs is theirs.
  EXPECT_EQ(stack_->Get("/api/v1/cases/" + case_id_, teacher).status, 200);
  EXPECT_EQ(stack_->Get("/api/v1/schools/" + School1().id + "/oncall", teacher).status, 200);
}

TEST_F(AccessTest, ALeaderChangesNeitherDirectoryNorClockNorLevel) {
  const std::string leader = School1().Staff("leader").token;
  EXPECT_EQ(stack_->Put("/api/v1/schools/" + School1().id + "/directory", {{"people", json::array()}}, leader).status,
            403);
  EXPECT_EQ(stack_->Put("/api/v1/clock", {{"speed", 2}}, leader).status, 403);
  EXPECT_EQ(Do("assess",
               {{"level", "none"}, {"kind", "group"}, {"members", {School1().Staff("leader").id}}, {"rationale", "r"}},
               leader)
                .status,
            403)
      << "the assessment group sets levels";
}

TEST_F(AccessTest, AGuardianOrAnInterfaceReportsAndSeesNothingElse) {
  const Guardian guardian = School1().GuardiansOf(School1().students[0]).front();
  const std::map<std::string, std::string> tokens = {
      {"guardian", stack_->Token(School1().id, guardian.id, "guardian")},
      {"integration", stack_->Token(School1().id, "reader-1", "integration")}};
  for (const auto& [role, token] : tokens) {
    const Answer report =
        stack_->Report(School1(), {{"student", {{"id", School1().students[3]}}}, {"factors", {"H2"}}}, token);
    ASSERT_EQ(report.status, 201) << role << ": " << report;
    const std::string own = report.body.at("case_id");
    EXPECT_EQ(
        stack_
            ->Get("/api/v1/schools/" + School1().id + "/reports/" + report.body.at("report_id").get<std::string>(),
                  token)
            .status,
        200)
        << role;
    EXPECT_EQ(stack_->Get("/api/v1/cases/" + own, token).status, 403)
        << role << " does not read the case that came of it";
    EXPECT_EQ(stack_->Get("/api/v1/cases/" + own + "/timeline", token).status, 403) << role;
    EXPECT_EQ(stack_->Get("/api/v1/cases/" + own + "/custody", token).status, 403) << role;
    EXPECT_EQ(stack_->Get("/api/v1/schools/" + School1().id + "/cases", token).status, 403) << role;
    EXPECT_EQ(stack_->Get("/api/v1/events", token).status, 403) << role;
    EXPECT_EQ(stack_->Command(own, "confirmInSight", {{"staff_id", School1().Staff("leader").id}}, token).status, 403)
        << role;
    EXPECT_EQ(stack_->Command(own, "recordDeparture", {{"kind", "left"}}, token).status, 403) << role;
  }
}

TEST_F(AccessTest, AReceiptIsForItsReporter) {
  const std::string teacher = School1().Staff("teacher-1-1").token;
  const Answer report =
      stack_->Report(School1(), {{"student", {{"id", School1().students[4]}}}, {"factors", {"H2"}}}, teacher);
  ASSERT_EQ(report.status, 201);
  const std::string receipt =
      "/api/v1/schools/" + School1().id + "/reports/" + report.body.at("report_id").get<std::string>();
  EXPECT_EQ(stack_->Get(receipt, teacher).status, 200);
  EXPECT_EQ(stack_->Get(receipt, School1().Staff("leader").token).status, 200) << "who may read cases";
  EXPECT_EQ(stack_->Get(receipt, School1().Staff("teacher-2-1").token).status, 404)
      << "a colleague does not learn that it exists";
  EXPECT_EQ(stack_->Get(receipt, School2().Staff("leader").token).status, 403);
}

TEST_F(AccessTest, ATokenEndsWhenItSays) {
  const std::string person = School1().Staff("leader").id;
  EXPECT_EQ(
      stack_->Get("/api/v1/cases/" + case_id_, stack_->Token(School1().id, person, "leader", -absl::Seconds(1))).status,
      401);
  const std::string brief = stack_->Token(School1().id, person, "leader", absl::Seconds(2));
  EXPECT_EQ(stack_->Get("/api/v1/cases/" + case_id_, brief).status, 200);
  EXPECT_TRUE(Eventually(absl::Seconds(5), [&] {
    return stack_->Get("/api/v1/cases/" + case_id_, brief).status == 401;
  })) << "also when it was good a moment ago";
}

TEST_F(AccessTest, ARoleThatThePackDoesNotKnowMayNothing) {
  const std::string token = stack_->Token(School1().id, "x", "emperor");
  EXPECT_EQ(stack_->Report(School1(), {{"student", {{"id", School1().students[0]}}}}, token).status, 403);
  EXPECT_EQ(stack_->Get("/api/v1/cases/" + case_id_, token).status, 403);
}

TEST_F(AccessTest, ToWhoIsRecusedTheMatterIsNotThere) {
  const Person& teacher = School1().Staff("class-6-1");
  const Answer report = stack_->Report(School1(), {{"student", {{"id", School1().students[5]}}}, {"factors", {"H2"}}});
  ASSERT_EQ(report.status, 201);
  const std::string matter = report.body.at("case_id");
  ASSERT_EQ(stack_->Get("/api/v1/cases/" + matter, teacher.token).status, 200);
  // Any member of staff may say so, of the leader too.
  const Answer recused = stack_->Command(matter, "recuse", {{"staff_id", teacher.id}, {"reason", "r"}},
                                         School1().Staff("teacher-1-1").token);
  ASSERT_EQ(recused.status, 200) << recused;
  const Person& leader = School1().Staff("leader");
  ASSERT_EQ(
      stack_
          ->Command(matter, "recuse", {{"staff_id", leader.id}, {"reason", "r"}}, School1().Staff("counsellor-1").token)
          .status,
      200);
  for (const Person& person : {teacher, leader}) {
    for (const char* rest : {"", "/clocks", "/custody", "/timeline"}) {
      EXPECT_EQ(stack_->Get("/api/v1/cases/" + matter + rest, person.token).status, 404) << person.id << rest;
    }
    EXPECT_EQ(stack_->Command(matter, "confirmInSight", {{"staff_id", person.id}}, person.token).status, 404)
        << person.id;
    EXPECT_EQ(stack_->Command(matter, "hold", {{"kind", "visit"}}, person.token).status, 404) << person.id;
  }
  const auto listed = [](const std::string& token) {
    std::set<std::string> ids;
    const json page = stack_->Get("/api/v1/schools/" + School1().id + "/cases", token).body;
    for (const json& one : page.at("cases")) ids.insert(one.at("case_id"));
    return ids;
  };
  EXPECT_THAT(listed(leader.token), Not(Contains(matter)));
  EXPECT_THAT(listed(School1().Staff("deputy").token), Contains(matter));
}

TEST_F(AccessTest, WhoIsRecusedIsNotRung) {
  const Person& leader = School1().Staff("leader");
  const std::size_t before = stack_->Received(leader.phone).size();
  const Answer quiet = stack_->Report(School1(), {{"student", {{"id", School1().students[6]}}}, {"factors", {"H2"}}});
  ASSERT_EQ(quiet.status, 201);
  const std::string matter = quiet.body.at("case_id");
  ASSERT_EQ(
      stack_
          ->Command(matter, "recuse", {{"staff_id", leader.id}, {"reason", "r"}}, School1().Staff("counsellor-1").token)
          .status,
      200);
  ASSERT_EQ(stack_->Report(School1(), {{"student", {{"id", School1().students[6]}}}, {"signals", {"W1a"}}}).status,
            201);
  const Person& counsellor = School1().Staff("counsellor-1");
  ASSERT_TRUE(Eventually(absl::Seconds(5), [&] { return stack_->Count(counsellor.phone, "call") >= 1; }));
  absl::SleepFor(absl::Milliseconds(500));
  EXPECT_EQ(stack_->Received(leader.phone).size(), before);
}

}  // namespace
}  // namespace vigil::stack
