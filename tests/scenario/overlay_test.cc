#include "domain/pack/overlay.h"

#include "platform/pack_directory/pack_directory.h"
#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::SizeIs;

// A school edits its overlay and no code: an indicator, a duty and a field of a form of its own, in use.
std::shared_ptr<const domain::Pack> WithOverlay() {
  const domain::PackFiles overlay = {{"school.yaml", R"(indicators:
  - id: S1
    kind: factor
    name: {zh-CN: 沉迷网络, en: cannot leave the screen}
    examples: {zh-CN: [整夜上网], en: [online all night]}
    for: [CRIT-23]
    basis: school_setting
rules:
  - id: screen-is-watched
    name: {zh-CN: 沉迷网络须关注, en: the screen is watched}
    when: {has: S1}
    propose: watch
    for: [CRIT-23]
    basis: school_setting
records:
  class_report:
    fields:
      - {id: absences, name: {zh-CN: 缺勤人数, en: absences}, type: number, required: true}
  canteen_check:
    name: {zh-CN: 食堂检查, en: check of the canteen}
    attaches_to: school
    written_by: [leader]
    read_by: [leader]
    fields:
      - {id: fine, name: {zh-CN: 正常, en: fine}, type: boolean, required: true}
    for: [REG-05]
    basis: school_setting
duties:
  canteen:
    name: {zh-CN: 每周食堂检查, en: weekly check of the canteen}
    owner: [leader]
    every: school_week
    due: {weekday: wednesday, time: "10:00"}
    record: canteen_check
    late: [{remind: true}]
    notice: duty_notice
    for: [REG-05]
    basis: school_setting
)"}};
  const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
  auto pack = domain::LoadPackWithOverlay(files.value_or(domain::PackFiles{}), overlay, PackDigest);
  EXPECT_TRUE(pack.ok()) << pack.status().message();
  return pack.value_or(nullptr);
}

TEST(OwnPackTest, ASchoolsIndicatorDutyAndFieldWorkWithoutCode) {
  Scene own(At("2026-03-10 10:00"), WithOverlay());
  const std::string c = own.Report("teacher", {.signals = {}, .factors = {"S1"}});
  EXPECT_EQ(own.See(c).level().provisional(), "watch");
  own.Hush();
  own.WaitUntil(At("2026-03-11 10:01"));
  EXPECT_THAT(own.Duties("overdue", "canteen"), SizeIs(1));
  EXPECT_THAT(own.Rung("sms"), Contains("leader"));
  ASSERT_TRUE(own.FileOfSchool("leader", "canteen_check", {{"fine", "true"}}).ok());
  EXPECT_THAT(own.Duties("done", "canteen"), SizeIs(1));
  EXPECT_EQ(own.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", "true"}}).status().code(), absl::StatusCode::kInvalidArgument)
      << "the school asks for more";
  EXPECT_TRUE(own.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", "true"}, {"absences", "2"}}).ok());
}

TEST(OwnPackTest, WithoutItNothingOfTheSortIsKnown) {
  Scene plain;
  EXPECT_FALSE(plain.TryReport(Scene::As("teacher"), Scene::RequestOf({.signals = {}, .factors = {"S1"}})).ok());
  EXPECT_FALSE(plain.FileOfSchool("leader", "canteen_check", {{"fine", "true"}}).ok());
  EXPECT_TRUE(plain.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", "true"}}).ok());
}

}  // namespace
}  // namespace vigil::scenario
