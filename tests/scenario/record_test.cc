#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;

// Records with a form: who writes, who reads, what is sealed, what corrects what.
class RecordTest : public ::testing::Test {
 protected:
  void SetUp() override { case_ = scene_.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher"}); }
  Scene scene_;
  std::string case_;
};

TEST_F(RecordTest, IsReadBackWithWhatWasSealed) {
  ASSERT_TRUE(scene_.FileRecord("office", case_, "treatment_pathway", {{"pathway", "outpatient"}, {"reference", "市儿童医院"}}).ok());
  const auto records = scene_.Records("office", case_);
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->records_size(), 1);
  EXPECT_EQ(records->records(0).fields().at("pathway"), "outpatient");
  EXPECT_EQ(records->records(0).fields().at("reference"), "市儿童医院");
  EXPECT_EQ(records->records(0).author(), "office");
}

TEST_F(RecordTest, IsCheckedByItsFormAndNamesTheField) {
  const auto filed = scene_.FileRecord("office", case_, "treatment_pathway", {{"pathway", "magic"}});
  ASSERT_EQ(filed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(scene_.FileRecord("office", case_, "treatment_pathway", {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(scene_.FileRecord("office", case_, "class_report", {{"nothing_to_report", "true"}}).status().code(), absl::StatusCode::kInvalidArgument)
      << "a record of a class is none of a case";
}

TEST_F(RecordTest, IsWrittenAndReadByTheRolesOfItsRow) {
  EXPECT_EQ(scene_.FileRecord("teacher", case_, "treatment_pathway", {{"pathway", "outpatient"}}).status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(scene_.FileRecord("office", case_, "counselling_session", {{"kind", "individual"}, {"outcome", "held"}, {"note", "secret"}, {"disclosed", "parents know"}}).ok());
  const auto leader = scene_.Records("leader", case_);
  ASSERT_TRUE(leader.ok());
  EXPECT_THAT(leader->records(), IsEmpty()) << "not of those who read this kind";
  EXPECT_EQ(scene_.Records("guard", case_).status().code(), absl::StatusCode::kPermissionDenied);
  const auto assessor = scene_.Records("assessor", case_);
  ASSERT_TRUE(assessor.ok());
  ASSERT_EQ(assessor->records_size(), 1);
  EXPECT_THAT(assessor->records(0).withheld(), ElementsAre("note")) << "one field is for the counsellor alone";
  EXPECT_THAT(assessor->records(0).fields(), Not(Contains(Key("note"))));
  EXPECT_EQ(assessor->records(0).fields().at("disclosed"), "parents know");
}

TEST_F(RecordTest, IsCorrectedByAnotherAndStays) {
  ASSERT_TRUE(scene_.FileRecord("office", case_, "individual_plan", {{"goals", "one"}, {"measures", "a"}, {"next_review", "2026-04-01"}}).ok());
  const std::string first = scene_.Records("office", case_, "individual_plan")->records(0).record_id();
  api::FileRecordRequest request;
  request.set_case_(case_);
  request.set_kind("individual_plan");
  request.set_supersedes(first);
  for (const auto& [id, value] : {std::pair("goals", "two"), std::pair("measures", "b"), std::pair("next_review", "2026-04-01")}) (*request.mutable_fields())[id] = value;
  ASSERT_TRUE(scene_.Try(Scene::As("office"), request).ok());
  const auto records = scene_.Records("office", case_, "individual_plan");
  ASSERT_EQ(records->records_size(), 2);
  EXPECT_EQ(records->records(0).supersedes(), first);
  EXPECT_TRUE(records->records(1).superseded());
  EXPECT_EQ(records->records(1).fields().at("goals"), "one") << "the old one stays readable";
  EXPECT_EQ(scene_.Try(Scene::As("office"), request).status().code(), absl::StatusCode::kFailedPrecondition) << "corrected already";
}

TEST_F(RecordTest, ErasingTheStudentErasesTheWords) {
  ASSERT_TRUE(scene_.FileRecord("office", case_, "treatment_pathway", {{"pathway", "outpatient"}, {"reference", "a hospital"}}).ok());
  ASSERT_TRUE(scene_.EraseKey("child").ok());
  const auto records = scene_.Records("office", case_);
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->records_size(), 1);
  EXPECT_THAT(records->records(0).fields(), Not(Contains(Key("reference"))));
}

// REG-01, REG-02: by a signed decision, in and out.
TEST_F(RecordTest, TheRegisterTakesASignedDecision) {
  const std::vector<std::pair<std::string, std::string>> entry = {{"basis", "indicator"}, {"responsible", "office"}, {"next_review", "2026-04-01"}, {"signed_by", "office"}};
  EXPECT_EQ(scene_.FileRecord("office", case_, "register_entry", entry).status().code(), absl::StatusCode::kFailedPrecondition) << "one signature";
  auto both = entry;
  both.back().second = "office, teacher";
  EXPECT_FALSE(scene_.FileRecord("office", case_, "register_entry", both).ok()) << "a teacher does not decide";
  both.back().second = "office, assessor";
  ASSERT_TRUE(scene_.FileRecord("office", case_, "register_entry", both).ok());
  ASSERT_EQ(scene_.SeeRegister().entries_size(), 1);
  EXPECT_EQ(scene_.SeeRegister().entries(0).student(), "child");
  EXPECT_EQ(scene_.SeeRegister().entries(0).level(), "high");
  const std::vector<std::pair<std::string, std::string>> exit = {{"reason", "no_longer_at_risk"}, {"assessed", "seen again"}, {"signed_by", "assessor"}};
  EXPECT_FALSE(scene_.FileRecord("office", case_, "register_exit", exit).ok());
  ASSERT_TRUE(scene_.PutPeople({Scene::Person("assessor_2", "staff", "assessment_group")}).ok());
  auto signed_exit = exit;
  signed_exit.back().second = "assessor, assessor_2";
  EXPECT_FALSE(scene_.FileRecord("office", case_, "register_exit", signed_exit).ok()) << "without a current assessment";
  ASSERT_TRUE(scene_.Assess("assessor", case_, "watch").ok());
  ASSERT_TRUE(scene_.FileRecord("office", case_, "register_exit", signed_exit).ok());
  EXPECT_THAT(scene_.SeeRegister().entries(), IsEmpty());
}

}  // namespace
}  // namespace vigil::scenario
