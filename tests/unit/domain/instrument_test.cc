#include "domain/instrument.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "domain/form.h"
#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const InstrumentRow& Instrument(const std::string& id) { return PrimarySchool().instruments.at(id); }

std::string Answers(std::initializer_list<int> yes, int items = 100) {
  std::string answers(static_cast<std::size_t>(items), '0');
  for (const int item : yes) answers[static_cast<std::size_t>(item) - 1] = '1';
  return answers;
}

TEST(InstrumentTest, MhtHasNinetyItemsInItsScalesAndTenForValidity) {
  std::set<int> items;
  for (const InstrumentRow::Scale& scale : Instrument("mht").scales) items.insert(scale.items.begin(), scale.items.end());
  EXPECT_EQ(items.size(), 90U);
  for (const int item : Instrument("mht").validity) EXPECT_FALSE(items.contains(item)) << item;
}

TEST(InstrumentTest, MhtIsScoredByScalesWithoutTheValidityItems) {
  const auto score = ScoreAnswers(Instrument("mht"), Answers({1, 2, 16, 81, 82, 84}));
  ASSERT_TRUE(score.ok());
  EXPECT_EQ(score->total, 4);
  EXPECT_EQ(score->scales.at("learning"), 2);
  EXPECT_EQ(score->scales.at("impulse"), 1);
  EXPECT_EQ(score->validity, 2);
  EXPECT_FALSE(score->voided);
  EXPECT_THAT(score->high, IsEmpty());
  const auto high = ScoreAnswers(Instrument("mht"), Answers({1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_THAT(high->high, ElementsAre("learning"));
}

TEST(InstrumentTest, AVoidTestKeepsItsCriticalItems) {
  const auto score = ScoreAnswers(Instrument("mht"), Answers({82, 84, 86, 88, 90, 92, 94, 85}));
  ASSERT_TRUE(score.ok());
  EXPECT_TRUE(score->voided);
  EXPECT_THAT(score->critical, ElementsAre(85));
  EXPECT_FALSE(ScoreAnswers(Instrument("mht"), Answers({82, 84, 86, 88, 90, 92}))->voided);
}

TEST(InstrumentTest, SixtyFiveOfNinetyAsksForAPlan) {
  std::string answers = std::string(65, '1') + std::string(35, '0');
  EXPECT_TRUE(ScoreAnswers(Instrument("mht"), answers)->plan);
  answers[0] = '0';
  EXPECT_FALSE(ScoreAnswers(Instrument("mht"), answers)->plan);
}

TEST(InstrumentTest, TheColumbiaScreenerProposesTheGravest) {
  const auto proposes = [](std::initializer_list<int> yes) { return ScoreAnswers(Instrument("cssrs"), Answers(yes, 7))->proposes; };
  EXPECT_EQ(proposes({4}), "severe");
  EXPECT_EQ(proposes({6}), "severe");
  EXPECT_EQ(proposes({3}), "high");
  EXPECT_EQ(proposes({7}), "high");
  EXPECT_EQ(proposes({1, 2}), "mild");
  EXPECT_EQ(proposes({1, 5}), "severe");
  EXPECT_EQ(proposes({}), "");
}

TEST(InstrumentTest, AsqIsPositiveWhenAnAnswerIsRefused) {
  const auto proposes = [](const char* answers) { return ScoreAnswers(Instrument("asq"), answers)->proposes; };
  EXPECT_EQ(proposes("00000"), "");
  EXPECT_EQ(proposes("0?000"), "high");
  EXPECT_EQ(proposes("10000"), "high");
  EXPECT_EQ(proposes("10001"), "severe");
  EXPECT_EQ(proposes("00001"), "") << "the fifth is asked only of who is positive";
}

TEST(InstrumentTest, WhatAreNoAnswersIsRefused) {
  EXPECT_FALSE(ScoreAnswers(Instrument("asq"), "1010").ok());
  EXPECT_FALSE(ScoreAnswers(Instrument("asq"), "yes,n").ok());
  EXPECT_TRUE(ScoreAnswers(Instrument("asq"), "1, 0, -, 0, 0").ok());
}

TEST(InstrumentTest, AFormIsFilledInByItsScore) {
  const RecordRow& form = PrimarySchool().records.at("screening_result");
  const auto fields = Scored(PrimarySchool(), form, {{"instrument", "mht"}, {"answers", Answers({97})}, {"critical", "false"}});
  ASSERT_TRUE(fields.ok());
  EXPECT_EQ(fields->at("critical"), "true") << "whatever was ticked";
  EXPECT_EQ(fields->at("total"), "1");
  EXPECT_FALSE(Scored(PrimarySchool(), form, {{"instrument", "mht"}, {"answers", "101"}}).ok());
  EXPECT_EQ(Scored(PrimarySchool(), form, {{"outcome", "unfit"}})->size(), 1U);
}

}  // namespace
}  // namespace vigil::domain
