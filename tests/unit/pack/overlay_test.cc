#include "domain/pack/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/pack_directory/pack_directory.h"
#include "support/own_rows.h"

namespace vigil::domain {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const PackFiles& Base() {
  static const auto& files = *new PackFiles(ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK).value_or(PackFiles{}));
  return files;
}

absl::StatusOr<std::shared_ptr<const Pack>> With(const std::string& overlay) { return LoadPackWithOverlay(Base(), {{"school.yaml", overlay}}, PackDigest); }

// The refusal of an overlay; empty: it is accepted.
std::string RefusalOf(const std::string& overlay) {
  const auto pack = With(overlay);
  return pack.ok() ? "" : std::string(pack.status().message());
}

TEST(OverlayTest, ASchoolAddsAnIndicatorADutyAndAField) {
  const auto pack = With(kOwnRows);
  ASSERT_TRUE(pack.ok()) << pack.status().message();
  EXPECT_TRUE((*pack)->indicators.contains("S1"));
  EXPECT_TRUE((*pack)->duties.contains("canteen"));
  const RecordRow& report = (*pack)->records.at("class_report");
  EXPECT_NE(report.FindField("absences"), nullptr);
  EXPECT_NE(report.FindField("nothing_to_report"), nullptr) << "what was there stays";
  const auto base = LoadPack(Base(), PackDigest);
  EXPECT_NE((*pack)->digest, (*base)->digest) << "another pack, by its name too";
  EXPECT_THAT(FindLoosened(**base, **pack), IsEmpty());
}

TEST(OverlayTest, TheSameFilesGiveTheSameDigest) { EXPECT_EQ((*With(kOwnRows))->digest, (*With(kOwnRows))->digest); }

TEST(OverlayTest, WhatTheDocumentsRuleCanBeTightenedOnly) {
  EXPECT_EQ(RefusalOf("clocks:\n  written_report:\n    due_after: 20h\n    warn_before: [12h, 4h, 1h]\n"), "");
  EXPECT_THAT(RefusalOf("clocks:\n  written_report:\n    due_after: 48h\n"), HasSubstr("school.yaml:2: clocks written_report: runs longer"));
  EXPECT_THAT(RefusalOf("clocks:\n  written_report:\n    starts_from: now\n"), HasSubstr("counts from another instant"));
  EXPECT_THAT(RefusalOf("clocks:\n  written_report:\n    met_by: [record.filed: written_report, call.spoken]\n"), HasSubstr("can be met in another way"));
  EXPECT_THAT(RefusalOf("clocks:\n  special_supervision:\n    cancelled_by: [case.closed]\n"), HasSubstr("can be cancelled in another way"));
  EXPECT_THAT(RefusalOf("levels:\n  severe:\n    supervised: false\n"), Not(IsEmpty()));
  EXPECT_THAT(RefusalOf("custody:\n  extreme:\n    cover: [{school_adult: 1}]\n"), HasSubstr("asks for fewer adults"));
  EXPECT_THAT(RefusalOf("records:\n  guardianship_group:\n    roster: {adults: adults, helper: student_helper, at_least: 2, adults_at_least: 1}\n"), HasSubstr("names a smaller group"));
  EXPECT_THAT(RefusalOf("records:\n  return_to_school:\n    needs: [return_application]\n"), HasSubstr("needs less"));
  EXPECT_THAT(RefusalOf("records:\n  counselling_session:\n    read_by: [counselling_office, class_teacher]\n"), HasSubstr("is read by more"));
  EXPECT_THAT(RefusalOf("duties:\n  weekly_class_report:\n    due: {weekday: friday, time: \"22:00\"}\n"), HasSubstr("is due later"));
  EXPECT_EQ(RefusalOf("duties:\n  weekly_class_report:\n    due: {weekday: thursday, time: \"17:00\"}\n"), "");
  EXPECT_THAT(RefusalOf("indicators:\n  - id: H9\n    counts_once: {record: talk}\n"), HasSubstr("is confirmed in another way"));
  EXPECT_THAT(RefusalOf("indicators:\n  - id: H7\n    counts_once: {record: talk}\n"), HasSubstr("is confirmed in another way"));
  EXPECT_THAT(RefusalOf("indicators:\n  - id: H4\n    read_by: [counselling_office, class_teacher]\n"), HasSubstr("is shown to more"));
  EXPECT_EQ(RefusalOf("indicators:\n  - id: H4\n    read_by: [counselling_office]\n"), "");
  EXPECT_THAT(RefusalOf("indicators:\n  - id: W1a\n    counts_once: {record: talk}\n"), HasSubstr("a signal counts at once"));
  EXPECT_THAT(RefusalOf("rules:\n  - id: first-person-wish-is-severe\n    propose: high\n"), HasSubstr("proposes a lower level"));
  EXPECT_THAT(RefusalOf("rules:\n  - id: first-person-wish-is-severe\n    when: {has: W1b}\n"), HasSubstr("has another condition"));
}

TEST(OverlayTest, NothingOfTheDocumentsCanBeRemoved) {
  EXPECT_THAT(RefusalOf("clocks:\n  written_report: ~\n"), HasSubstr("school.yaml:2"));
  EXPECT_THAT(RefusalOf("indicators:\n  - id: W1a\n    basis: school_setting\n"), HasSubstr("is said to be the school's own"));
  EXPECT_THAT(RefusalOf("indicators:\n  - id: W1a\n    text_cues: [不想活]\n"), HasSubstr("has fewer text cues"));
}

TEST(OverlayTest, MistakesAreNamedWithTheOverlaysLine) {
  EXPECT_THAT(RefusalOf("clocks:\n  assessment:\n    due_aftre: 2h\n"), HasSubstr("school.yaml:2: clock assessment: unknown key 'due_aftre'"));
  EXPECT_THAT(RefusalOf("pack:\n  id: mine\n"), HasSubstr("school.yaml:1: an overlay does not say what the pack is"));
  EXPECT_THAT(RefusalOf("colours:\n  red: {}\n"), HasSubstr("unknown section 'colours'"));
  EXPECT_THAT(RefusalOf("schedules:\n  night: {name: {zh-CN: 夜, en: night}, fallback_role: leader, for: [ORG-02], basis: protocol}\n"),
              HasSubstr("a row that a school adds says `basis: school_setting`"));
}

TEST(OverlayTest, ALongerSafetyClockIsNamed) {
  const auto base = LoadPack(Base(), PackDigest);
  const auto longer = With("clocks:\n  assessment:\n    due_after: 6h\n");
  ASSERT_TRUE(longer.ok()) << longer.status().message();
  EXPECT_THAT(LengthenedClocks(**base, **longer), ElementsAre("assessment"));
  const auto shorter = With("clocks:\n  assessment:\n    due_after: 3h\n");
  ASSERT_TRUE(shorter.ok()) << shorter.status().message();
  EXPECT_THAT(LengthenedClocks(**base, **shorter), IsEmpty());
}

TEST(OverlayTest, NothingStandsForSomethingElse) {
  EXPECT_THAT(RefusalOf("clocks:\n  assessment: &a\n    due_after: 3h\n  treatment_pathway: *a\n"), HasSubstr("school.yaml:4: an overlay has no aliases"));
}

TEST(OverlayTest, TheLevelsAreTheDocuments) {
  EXPECT_THAT(RefusalOf("levels:\n  doubly_severe:\n    rank: 6\n    basis: school_setting\n"), HasSubstr("school.yaml:2: levels doubly_severe: the levels are the documents'"));
}

// What two people must want (ORG-22): whatever asks less than what is in force, whoever's rule it was.
class AsksLessTest : public testing::Test {
 protected:
  static std::vector<std::string> Between(const std::string& in_force, const std::string& proposed) {
    const auto before = in_force.empty() ? LoadPack(Base(), PackDigest) : With(in_force);
    const auto after = proposed.empty() ? LoadPack(Base(), PackDigest) : With(proposed);
    EXPECT_TRUE(before.ok() && after.ok()) << before.status().message() << after.status().message();
    return before.ok() && after.ok() ? AsksLess(**before, **after) : std::vector<std::string>{"not read"};
  }
};

TEST_F(AsksLessTest, NotByRowsThatAreAddedOrTightened) {
  EXPECT_THAT(Between("", kOwnRows), IsEmpty());
  EXPECT_THAT(Between("", "clocks:\n  assessment:\n    due_after: 3h\n"), IsEmpty());
  EXPECT_THAT(Between(kOwnRows, kOwnRows), IsEmpty());
}

TEST_F(AsksLessTest, ByALongerClockOfTheSchools) {
  EXPECT_THAT(Between("", "clocks:\n  assessment:\n    due_after: 6h\n"), ElementsAre("clocks assessment: runs longer"));
  EXPECT_THAT(Between("clocks:\n  assessment:\n    due_after: 3h\n", ""), ElementsAre("clocks assessment: runs longer"))
      << "longer than what is in force, though not than the common pack";
}

TEST_F(AsksLessTest, ByTakingTheSchoolsOwnRowsBack) {
  EXPECT_THAT(Between(kOwnRows, ""), ::testing::UnorderedElementsAre("indicators S1: is gone", "rules screen-is-watched: is gone", "records canteen_check: is gone",
                                                                     "records class_report: has no field absences", "duties canteen: is gone"));
}

TEST_F(AsksLessTest, ByOtherWordsAndOtherRights) {
  EXPECT_THAT(Between("", "texts:\n  severe_call:\n    text: {zh-CN: 测试。, en: A test.}\n"), ElementsAre("texts severe_call: says something else"));
  EXPECT_THAT(Between("", "roles:\n  helper:\n    name: {zh-CN: 助手, en: helper}\n    may: [report, hold.place, recuse, case.read]\n    for: [ORG-09]\n    basis: school_setting\n"),
              ElementsAre("roles helper: is a new role with permissions"));
}

TEST(OverlayTest, TheDifferenceIsTold) {
  const auto base = LoadPack(Base(), PackDigest);
  const auto pack = With(std::string(kOwnRows) + "clocks:\n  assessment:\n    due_after: 3h\n");
  ASSERT_TRUE(pack.ok()) << pack.status().message();
  const std::vector<PackChange> changes = DiffPacks(**base, **pack);
  std::vector<std::string> told;
  for (const PackChange& change : changes) {
    told.push_back(change.section + "." + change.id);
    if (change.id == "assessment") {
      EXPECT_THAT(change.keys, ElementsAre("due_after: 4h -> 3h"));
    }
    if (change.id == "canteen") {
      EXPECT_EQ(change.what, PackChange::What::kAdded);
    }
  }
  EXPECT_THAT(told, ElementsAre("clocks.assessment", "duties.canteen", "indicators.S1", "records.canteen_check", "records.class_report", "rules.screen-is-watched"));
  EXPECT_THAT(DiffPacks(**base, **base), IsEmpty());
}

}  // namespace
}  // namespace vigil::domain
