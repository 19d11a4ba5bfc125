#include "notification/texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/school_time.h"

namespace vigil::notification {
namespace {

TEST(TextsTest, FillsWhatATextAsksForAndLeavesOtherBracesAlone) {
  const TextValues values{.school = "示例小学", .code = "AB12C", .phone = "+8610"};
  EXPECT_EQ(Render("【{school}】事项{code}，{code}1，{nobody} {phone}", values), "【示例小学】事项AB12C，AB12C1，{nobody} +8610");
  EXPECT_EQ(Render("{school", values), "{school");
  EXPECT_EQ(Render("{{code}}", values), "{AB12C}");
  EXPECT_EQ(Render("", values), "");
}

TEST(TextsTest, SpeaksTheWantedLanguageOrTheNearest) {
  const domain::Text text{{"en", "yes"}, {"zh-CN", "是"}};
  std::string_view language;
  EXPECT_EQ(ChooseLanguage(text, "zh-CN", &language), "是");
  EXPECT_EQ(ChooseLanguage(text, "zh-TW", &language), "是");
  EXPECT_EQ(language, "zh-CN");
  EXPECT_EQ(ChooseLanguage(text, "en-GB", &language), "yes");
  EXPECT_EQ(ChooseLanguage(text, "", &language), "yes");
  EXPECT_EQ(language, "en");
}

TEST(TextsTest, SaysTheDayOnlyWhenItIsAnother) {
  const absl::Time now = absl::FromCivil(absl::CivilSecond(2026, 3, 5, 23, 50, 0), domain::SchoolZone());
  EXPECT_EQ(TimeText(now - absl::Hours(2), now, "zh-CN"), "21:50");
  EXPECT_EQ(TimeText(now + absl::Hours(8), now, "zh-CN"), "3月6日07:50");
  EXPECT_EQ(TimeText(now + absl::Hours(8), now, "en"), " 6 Mar, 07:50");
}

TEST(TextsTest, ReadsARepliedCodeHoweverItWasTyped) {
  EXPECT_EQ(FoldReply("ab12c1"), "AB12C1");
  EXPECT_EQ(FoldReply(" AB12C 1\n"), "AB12C1");
  EXPECT_EQ(FoldReply("ＡＢ１２ｃ１"), "AB12C1");
  EXPECT_EQ(FoldReply("“AB12C1”　"), "AB12C1");
  EXPECT_EQ(FoldReply("不要AB12C1"), "不要AB12C1");
  EXPECT_EQ(FoldReply("\xEF\xBC"), "\xEF\xBC");
}

}  // namespace
}  // namespace vigil::notification
