// A school changes its pack by HTTP while all runs as shipped; what it added is used, and is still there after every process has begun anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "integration/stack/stack.h"
#include "support/own_rows.h"

namespace vigil::stack {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SchoolPackTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stack_ = std::make_unique<Stack>(StackOptions{.schools = 2}); }
  static void TearDownTestSuite() { stack_.reset(); }

  static const School& Own() { return stack_->schools()[0]; }
  static const School& Other() { return stack_->schools()[1]; }
  static std::string Path(const School& school, const std::string& rest) { return absl::StrCat("/api/v1/schools/", school.id, rest); }
  static json OfStudent(const School& school, std::size_t student, const char* factor) {
    return {{"student", {{"id", school.students[student]}}}, {"factors", {factor}}};
  }
  // Every service has read what the log holds of the report.
  static bool BecomesWatched(const std::string& case_id) {
    return Eventually(absl::Seconds(10), [&] { return stack_->Case(case_id).at("level").at("provisional") == "watch"; });
  }

  static std::unique_ptr<Stack> stack_;
};

std::unique_ptr<Stack> SchoolPackTest::stack_;

TEST_F(SchoolPackTest, WhatASchoolAddsIsUsedAtOnceAndAfterARestartOfEverything) {
  const std::string leader = Own().Staff("leader").token;
  const std::string teacher = Own().Staff("class-1-1").token;
  EXPECT_EQ(stack_->Report(Own(), OfStudent(Own(), 0, "S1")).status, 400) << "not known yet";

  const Answer put = stack_->Put(Path(Own(), "/pack"), {{"overlay", kOwnRows}}, leader);
  ASSERT_EQ(put.status, 200) << put;
  EXPECT_EQ(put.body.at("adopted_by"), Own().Staff("leader").id);
  EXPECT_FALSE(put.body.contains("proposed")) << put;
  EXPECT_EQ(put.body.at("changes").size(), 5U) << put;

  const Answer report = stack_->Report(Own(), OfStudent(Own(), 0, "S1"));
  ASSERT_EQ(report.status, 201) << report;
  EXPECT_EQ(report.body.at("provisional_level"), "watch");
  const std::string case_id = report.body.at("case_id");
  EXPECT_TRUE(BecomesWatched(case_id)) << "the rules know it too";
  EXPECT_EQ(stack_->Report(Other(), OfStudent(Other(), 0, "S1")).status, 400) << "another school has its own";
  const json record{{"kind", "class_report"}, {"fields", {{"nothing_to_report", true}}}};
  const Answer lacking = stack_->Post(Path(Own(), "/records"), record, teacher);
  EXPECT_EQ(lacking.status, 400) << lacking;
  EXPECT_THAT(lacking.Fields(), ElementsAre("fields.absences"));

  stack_->Down();
  stack_->Up();
  stack_->AwaitReady();
  const Answer shown = stack_->Get(Path(Own(), "/pack"), leader);
  ASSERT_EQ(shown.status, 200) << shown;
  EXPECT_EQ(shown.body, put.body);
  EXPECT_EQ(stack_->Case(case_id).at("level").at("provisional"), "watch");
  const Answer again = stack_->Report(Own(), OfStudent(Own(), 1, "S1"));
  ASSERT_EQ(again.status, 201) << again;
  EXPECT_TRUE(BecomesWatched(again.body.at("case_id")));
  const json whole{{"kind", "class_report"}, {"fields", {{"nothing_to_report", true}, {"absences", 2}}}};
  EXPECT_EQ(stack_->Post(Path(Own(), "/records"), whole, teacher).status, 200);
  EXPECT_EQ(stack_->Vigil("verify --json").exit_code, 0);
}

TEST_F(SchoolPackTest, TwoPeopleDecideOnALongerClockByTheCommandLine) {
  const std::string file = stack_->home() + "/longer.yaml";
  std::ofstream(file) << "clocks:\n  assessment:\n    due_after: 6h\n";
  const std::string leader = " --token " + Other().Staff("leader").token;
  const std::string deputy = " --token " + Other().Staff("deputy").token;
  const Outcome put = stack_->Vigil("pack put " + Other().id + " --overlay " + file + " --json" + leader);
  ASSERT_EQ(put.exit_code, 0) << put.err;
  const json proposed = json::parse(put.out).at("proposed");
  EXPECT_EQ(proposed.at("asks_less"), json({"clocks assessment: runs longer"}));
  const std::string digest = proposed.at("digest");

  const std::string approve = "pack approve " + Other().id + " --digest " + digest;
  EXPECT_EQ(stack_->Vigil(approve + leader).exit_code, 1) << "not who proposed it";
  const Outcome shown = stack_->Vigil("pack show " + Other().id + " --lang en" + deputy);
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("due_after: 4h -> 6h"));
  const Outcome approved = stack_->Vigil(approve + " --json" + deputy);
  ASSERT_EQ(approved.exit_code, 0) << approved.err;
  EXPECT_EQ(json::parse(approved.out).at("digest"), digest);
  const Answer report = stack_->Report(Other(), {{"student", {{"id", Other().students[0]}}}, {"signals", {"W1a"}}});
  ASSERT_EQ(report.status, 201) << report;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] { return !ClockOf(stack_->Case(report.body.at("case_id")), "assessment").is_null(); }));
  const json clock = ClockOf(stack_->Case(report.body.at("case_id")), "assessment");
  EXPECT_EQ(TimeOf(clock.at("due_time")) - TimeOf(clock.at("start_time")), absl::Hours(6));
}

TEST_F(SchoolPackTest, MistakesNameTheLineAndOthersAreKeptOut) {
  const std::string leader = Own().Staff("leader").token;
  const Answer wrong = stack_->Put(Path(Own(), "/pack"), {{"overlay", "clocks:\n  written_report:\n    due_after: 48h\n"}}, leader);
  EXPECT_EQ(wrong.status, 400) << wrong;
  EXPECT_THAT(wrong.Fields(), ElementsAre("overlay.yaml:2"));
  EXPECT_EQ(stack_->Put(Path(Own(), "/pack"), {{"overlay", std::string(70'000, '#')}}, leader).status, 400);
  EXPECT_EQ(stack_->Put(Path(Own(), "/pack"), {{"overlay", kOwnRows}}, Own().Staff("class-1-1").token).status, 403);
  EXPECT_EQ(stack_->Put(Path(Own(), "/pack"), {{"overlay", kOwnRows}}, Other().Staff("leader").token).status, 403);
  EXPECT_EQ(stack_->Get(Path(Own(), "/pack"), Own().token).status, 403);
  EXPECT_EQ(stack_->Post(Path(Own(), "/pack:approve"), {{"digest", "0123456789ab"}}, leader).status, 409);
}

}  // namespace
}  // namespace vigil::stack
