// Records, duties, register, readiness and statistics over the real edge: the same rules, by HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

class RecordsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>(StackOptions{.students = 60});
    const Answer report = stack_->Report(School1(), {{"student", {{"id", School1().students[0]}}}, {"factors", {"H2"}}});
    ASSERT_EQ(report.status, 201) << report;
    case_id_ = report.body.at("case_id");
  }
  static void TearDownTestSuite() { stack_.reset(); }

  static const School& School1() { return stack_->school(); }
  static std::string Path(const std::string& rest) { return absl::StrCat("/api/v1/schools/", School1().id, rest); }
  static std::string CasePath(const std::string& rest) { return absl::StrCat("/api/v1/cases/", case_id_, rest); }

  static std::unique_ptr<Stack> stack_;
  static std::string case_id_;
};

std::unique_ptr<Stack> RecordsTest::stack_;
std::string RecordsTest::case_id_;

TEST_F(RecordsTest, OfACaseAreFiledByTheirFormAndReadBack) {
  const std::string counsellor = School1().Staff("counsellor-1").token;
  const Answer wrong = stack_->Post(CasePath("/records"), {{"kind", "treatment_pathway"}, {"fields", {{"pathway", "magic"}}}}, counsellor);
  EXPECT_EQ(wrong.status, 400) << wrong;
  EXPECT_THAT(wrong.Fields(), ElementsAre("fields.pathway"));
  const Answer filed = stack_->Post(CasePath("/records"), {{"kind", "treatment_pathway"}, {"fields", {{"pathway", "outpatient"}, {"reference", "市医院"}, {"compliant", true}}}}, counsellor);
  ASSERT_EQ(filed.status, 200) << filed;
  const Answer read = stack_->Get(CasePath("/records?kind=treatment_pathway"), counsellor);
  ASSERT_EQ(read.status, 200) << read;
  ASSERT_EQ(read.body.at("records").size(), 1U) << read;
  EXPECT_EQ(read.body.at("records")[0].at("fields").at("reference"), "市医院");
  EXPECT_EQ(read.body.at("records")[0].at("fields").at("compliant"), "true");
  EXPECT_EQ(stack_->Get(CasePath("/records?kind=nothing"), counsellor).status, 400);
  EXPECT_EQ(stack_->Post(CasePath("/records"), {{"kind", "treatment_pathway"}, {"fields", {{"pathway", "outpatient"}}}}, School1().Staff("class-1-1").token).status, 403);
}

TEST_F(RecordsTest, AGateNamesWhatIsMissing) {
  const Answer refused = stack_->Post(CasePath("/records"), {{"kind", "accompaniment"}, {"fields", {{"starts", "2026-03-10T00:00:00Z"}}}}, School1().Staff("leader").token);
  EXPECT_EQ(refused.status, 409) << refused;
  EXPECT_NE(refused.text.find("agreement"), std::string::npos) << refused;
}

TEST_F(RecordsTest, TheWeeksReportIsADutyThatARecordDoes) {
  const std::string teacher = School1().Staff("class-1-1").token;
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] { return !stack_->Get(Path("/duties")).body.at("duties").empty(); })) << stack_->Get(Path("/duties"));
  const Answer filed = stack_->Post(Path("/records"), {{"kind", "class_report"}, {"fields", {{"nothing_to_report", true}}}}, teacher, "week-1");
  ASSERT_EQ(filed.status, 200) << filed;
  const Answer again = stack_->Post(Path("/records"), {{"kind", "class_report"}, {"fields", {{"nothing_to_report", true}}}}, teacher, "week-1");
  EXPECT_EQ(again.text, filed.text) << "the same request, the same answer";
  EXPECT_EQ(filed.body.at("class"), "1-1");
  const Answer other = stack_->Post(Path("/records"), {{"kind", "class_report"}, {"fields", {{"nothing_to_report", true}}}, {"class", "1-2"}}, teacher);
  EXPECT_EQ(other.status, 403) << other;
  EXPECT_EQ(stack_->Get(Path("/duties?state=sometimes")).status, 400);
  for (const json& duty : stack_->Get(Path("/duties?state=due")).body.at("duties")) EXPECT_EQ(duty.at("state"), "due");
}

TEST_F(RecordsTest, RegisterReadinessAndStatisticsAreServed) {
  const Answer entry = stack_->Post(CasePath("/records"),
                                    {{"kind", "register_entry"},
                                     {"fields",
                                      {{"basis", "indicator"},
                                       {"responsible", School1().Staff("counsellor-1").id},
                                       {"next_review", "2026-12-01"},
                                       {"signed_by", {School1().Staff("counsellor-1").id, School1().Staff("counsellor-2").id}}}}},
                                    School1().Staff("counsellor-1").token);
  ASSERT_EQ(entry.status, 200) << entry;
  const Answer reg = stack_->Get(Path("/register"));
  ASSERT_EQ(reg.status, 200) << reg;
  ASSERT_EQ(reg.body.at("entries").size(), 1U) << reg;
  EXPECT_EQ(reg.body.at("entries")[0].at("student"), School1().students[0]);
  const Answer readiness = stack_->Get(Path("/readiness"));
  ASSERT_EQ(readiness.status, 200) << readiness;
  EXPECT_TRUE(readiness.body.contains("findings"));
  const Answer statistics = stack_->Get(Path("/statistics?from_time=2020-01-01T00:00:00Z&to_time=2040-01-01T00:00:00Z"));
  ASSERT_EQ(statistics.status, 200) << statistics;
  for (const json& cell : statistics.body.at("cases_by_level")) {
    const int count = cell.at("count");
    EXPECT_TRUE(count == 0 || count >= 5) << cell;
  }
}

TEST_F(RecordsTest, TheCalendarIsSetByTheSchool) {
  const json good{{"terms", {{{"from_date", "2026-09-01"}, {"to_date", "2027-01-22"}}}}, {"holidays", {{{"from_date", "2026-10-01"}, {"to_date", "2026-10-07"}}}}};
  EXPECT_EQ(stack_->Put(Path("/calendar"), good).status, 200);
  const Answer bad = stack_->Put(Path("/calendar"), {{"terms", {{{"from_date", "2026-09-01"}, {"to_date", "2026-08-01"}}}}});
  EXPECT_EQ(bad.status, 400) << bad;
  EXPECT_THAT(bad.Fields(), ElementsAre("terms[0].to_date"));
}

TEST_F(RecordsTest, TheCommandLineSaysTheSame) {
  const Outcome requirements = stack_->Vigil("requirements --json");
  ASSERT_EQ(requirements.exit_code, 0) << requirements.err;
  EXPECT_EQ(json::parse(requirements.out).at("total"), 241);
  const Outcome duties = stack_->Vigil(absl::StrCat("duties ", School1().id, " --json"));
  ASSERT_EQ(duties.exit_code, 0) << duties.err;
  EXPECT_TRUE(json::parse(duties.out).contains("duties"));
  EXPECT_EQ(stack_->Vigil("pack check /nowhere").exit_code, 1);
}

}  // namespace
}  // namespace vigil::stack
