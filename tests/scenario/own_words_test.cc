#include <nlohmann/json.hpp>

#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;

// INT-09: the child's own words stand apart from what the reporter makes of them, sealed both, in the report and in the written report.
TEST(OwnWordsTest, AreStoredSealedAndReadBackApartFromTheNarrative) {
  Scene scene;
  auto request = Scene::RequestOf({.signals = {"W1a"}});
  request.set_narrative("在走廊看到他一个人坐着，我觉得他很难过");
  request.set_verbatim("我不想活了");
  const auto answer = scene.TryReport(Scene::As("teacher"), request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto received = scene.ReceivedReport(answer->report_id());
  ASSERT_TRUE(received && received->personal);
  const auto key = scene.world.keys().Connect()->Find(received->personal->person);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_THAT(received->personal->content, Not(HasSubstr("我不想活了"))) << "sealed";
  EXPECT_THAT(scene.BytesOnDisk(), Not(HasSubstr("我不想活了")));
  const auto opened = key->Open(received->personal->content, received->personal->person);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const auto words = nlohmann::json::parse(*opened, nullptr, false);
  EXPECT_EQ(words.value("verbatim", ""), "我不想活了");
  EXPECT_EQ(words.value("narrative", ""), "在走廊看到他一个人坐着，我觉得他很难过");

  api::FileWrittenReportRequest report;
  report.set_case_(answer->case_id());
  for (const auto& [id, value] : {std::pair("facts", "他一个人坐在走廊"), std::pair("verbatim", "我不想活了"), std::pair("actions_taken", "陪着他"), std::pair("with_child_now", "teacher"),
                                  std::pair("guardians_informed", "informed")}) {
    (*report.mutable_fields())[id] = value;
  }
  ASSERT_TRUE(scene.Try(Scene::As("leader"), report).ok());
  const auto records = scene.Records("leader", answer->case_id(), "written_report");
  ASSERT_TRUE(records.ok() && records->records_size() == 1);
  EXPECT_EQ(records->records(0).fields().at("verbatim"), "我不想活了");
  EXPECT_EQ(records->records(0).fields().at("facts"), "他一个人坐在走廊");
}

// PLAN-04
TEST(GroupSessionTest, KeepsWhoCameForThoseWhoNeedItAndTheNotesForTheCounsellors) {
  Scene scene;
  ASSERT_TRUE(scene.PutPeople({Scene::Person("expert", "staff", "mental_health_expert")}).ok());
  const auto filed = scene.FileOfSchool("office", "group_session", {{"held", "2026-03-10"}, {"led_by", "office"}, {"present", "child, twin"}, {"absent", "other_twin"}, {"note", "they spoke of exams"}});
  ASSERT_TRUE(filed.ok()) << filed.status();
  const auto nobody_came = scene.FileOfSchool("office", "group_session", {{"held", "2026-03-10"}, {"led_by", "office"}, {"present", "child, stranger"}});
  EXPECT_EQ(nobody_came.status().code(), absl::StatusCode::kInvalidArgument) << "each is a student of the school";
  const auto read = [&](const std::string& who) {
    const auto records = scene.RecordsOfSchool(who, "group_session");
    EXPECT_TRUE(records.ok()) << records.status();
    return records.ok() && records->records_size() == 1 ? records->records(0) : api::Record();
  };
  for (const std::string who : {"class_teacher", "grade_head", "leader"}) {
    const api::Record record = read(who);
    EXPECT_EQ(record.fields().at("present"), "child, twin") << who;
    EXPECT_EQ(record.fields().at("absent"), "other_twin") << who;
    EXPECT_THAT(record.fields(), Not(Contains(Key("note")))) << who;
    EXPECT_THAT(record.withheld(), ElementsAre("note")) << who;
  }
  EXPECT_EQ(read("office").fields().at("note"), "they spoke of exams");
  EXPECT_THAT(scene.RecordsOfSchool("doctor", "group_session")->records(), IsEmpty());
}

}  // namespace
}  // namespace vigil::scenario
