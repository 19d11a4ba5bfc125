#include "vigil/display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vigil/words.h"

namespace vigil {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(WordsTest, ChineseCharactersTakeTwoColumns) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("第2天 21:14"), 11);
  EXPECT_EQ(Padded("校长", 6), "校长  ");
  EXPECT_EQ(Padded("校长", 2), "校长");
}

TEST(WordsTest, TheLanguageIsTheWantedOneElseTheLocalesElseChinese) {
  EXPECT_EQ(ChooseLanguage("en", "zh_CN.UTF-8"), Language::kEnglish);
  EXPECT_EQ(ChooseLanguage("", "en_GB.UTF-8"), Language::kEnglish);
  EXPECT_EQ(ChooseLanguage("", "C.UTF-8"), Language::kChinese);
}

TEST(DisplayTest, AProblemShowsTitleDetailAndEveryField) {
  const std::string text = DisplayProblem(
      400, R"({"title":"Bad Request","detail":"two fields","errors":[{"field":"signals[0]","reason":"unknown code"},{"field":"in_sight","reason":"is required"}]})",
      Language::kEnglish);
  EXPECT_EQ(text, "400 Bad Request: two fields\n  signals[0]: unknown code\n  in_sight: is required\n");
}

TEST(DisplayTest, AConflictShowsWhatTheStateAllows) {
  const std::string text = DisplayProblem(409, R"({"title":"Conflict","state":"handed_over","allowed":["close","returnCustody"]})", Language::kEnglish);
  EXPECT_THAT(text, HasSubstr("state: handed_over"));
  EXPECT_THAT(text, HasSubstr("close, returnCustody"));
}

TEST(DisplayTest, AnAnswerThatIsNoProblemStillNamesTheStatus) { EXPECT_EQ(DisplayProblem(502, "<html>", Language::kEnglish), "502 Bad Gateway\n"); }

TEST(DisplayTest, ACaseShowsItsLevelInWordsAndMarksItProvisional) {
  const std::string body = R"({"case_id":"c1","code":"AB12C","school":"s1","student_id":"","level":{"provisional":"severe","final":""},"state":"open",
      "custody":{"holders":["t1","t2"]},"alerts":[{"id":"a1","ladder":"severe_ladder","state":"open","taken_by":""},{"id":"a0","state":"closed"}]})";
  const std::string text = Display(Answer::kCase, body, Language::kChinese);
  EXPECT_THAT(text, HasSubstr("严重（暂定）"));
  EXPECT_THAT(text, HasSubstr("t1, t2"));
  EXPECT_THAT(text, HasSubstr("a1"));
  EXPECT_THAT(text, Not(HasSubstr("a0")));
}

TEST(DisplayTest, TimesAreTheSchools) { EXPECT_EQ(SchoolTime("2026-11-22T01:17:05Z"), "2026-11-22 09:17:05"); }

TEST(DisplayTest, WhatIsNotJsonIsShownAsItIs) { EXPECT_EQ(Display(Answer::kPlain, "vigil/abc\n12\n", Language::kEnglish), "vigil/abc\n12\n"); }

}  // namespace
}  // namespace vigil
