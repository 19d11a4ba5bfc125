#include "platform/document/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "support/child_process.h"

namespace vigil::document {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Document Sample() {
  Document document{.language = "zh-CN", .letterhead = "希望小学", .title = "学生安全责任移交书", .number = "编号 XW-1"};
  document.head = {{"学生", "王小明"}, {"班级", "三（2）班"}};
  document.sections = {{.heading = "一、状态", .lines = {{"孩子当时状态", "平静，能正常交流"}}, .columns = {}, .rows = {}}};
  document.signatures = {{"交出人", ""}, {"接收人", "王大明"}};
  document.notes = {"本书只记录事实。"};
  document.page_words = "第 {page} 页 共 {pages} 页";
  document.printed_words = "打印于 2026-03-10 14:10";
  document.unknown_words = "有 {count} 处字符没有字形";
  document.date_words = "日期";
  return document;
}

// What a reader of the PDF can copy out of it, spaces and line ends left out: where a line breaks is not what these tests are about.
std::string TextOf(const std::string& pdf) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.pdf";
  std::ofstream(path, std::ios::binary) << pdf;
  std::FILE* pipe = popen(("pdftotext -layout " + path + " - 2>/dev/null").c_str(), "r");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != ' ' && c != '\n' && c != '\f') text.push_back(static_cast<char>(c));
  }
  pclose(pipe);
  return text;
}

class PagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MakePages(Sample(), FontFiles()).ok()) << "are the fonts of deploy/local/install here?";
    ASSERT_EQ(std::system("pdftotext -v >/dev/null 2>&1"), 0) << "pdftotext (poppler-utils of deploy/local/install) is not here";
  }
};

TEST_F(PagesTest, GiveTheirTextBack) {
  const auto pages = MakePages(Sample(), FontFiles());
  ASSERT_TRUE(pages.ok()) << pages.status();
  EXPECT_EQ(pages->count, 1);
  EXPECT_EQ(pages->unknown_characters, 0);
  const std::string text = TextOf(pages->pdf);
  for (const char* said : {"希望小学", "学生安全责任移交书", "编号XW-1", "王小明", "三（2）班", "一、状态", "平静，能正常交流", "交出人", "王大明", "本书只记录事实。", "第1页共1页", "打印于2026-03-1014:10"}) {
    EXPECT_THAT(text, HasSubstr(said));
  }
  EXPECT_THAT(text, Not(HasSubstr("没有字形")));
}

TEST_F(PagesTest, AreTheSameForTheSameDocument) {
  const auto without_date = [](std::string pdf) {
    const std::size_t at = pdf.find("/CreationDate");
    return at == std::string::npos ? pdf : pdf.substr(0, at);
  };
  EXPECT_EQ(without_date(MakePages(Sample(), FontFiles())->pdf), without_date(MakePages(Sample(), FontFiles())->pdf));
}

TEST_F(PagesTest, ALongAnswerRunsOverSeveralAndLosesNothing) {
  Document document = Sample();
  std::string facts;
  for (int i = 0; i < 1200; ++i) facts += "第" + std::to_string(i) + "句话。";
  document.sections[0].lines.push_back({"事实经过", facts});
  const auto pages = MakePages(document, FontFiles());
  ASSERT_TRUE(pages.ok()) << pages.status();
  EXPECT_GE(pages->count, 4);
  const std::string text = TextOf(pages->pdf);
  // At a page's end stand its foot and the head of the next; so sentence by sentence.
  int found = 0;
  for (int i = 0; i < 1200; ++i) found += text.find("第" + std::to_string(i) + "句话") != std::string::npos ? 1 : 0;
  EXPECT_GE(found, 1200 - 2 * pages->count) << "a sentence may be divided between two pages, none may be lost";
  EXPECT_THAT(text, HasSubstr("第" + std::to_string(pages->count) + "页共" + std::to_string(pages->count) + "页"));
  EXPECT_THAT(text, HasSubstr("本书只记录事实。")) << "what comes after it";
}

TEST_F(PagesTest, MarkupInAFieldIsText) {
  Document document = Sample();
  document.sections[0].lines[0].value = "<b>粗</b> &amp; <span foreground='red'>红</span> </i>";
  const std::string text = TextOf(MakePages(document, FontFiles())->pdf);
  EXPECT_THAT(text, HasSubstr("<b>粗</b>&amp;<spanforeground='red'>红</span></i>"));
}

// A name in a character of the later extensions of Unicode is a name.
TEST_F(PagesTest, RareCharactersOfNamesAreShown) {
  Document document = Sample();
  document.head[0].value = "𫖯䶮𩽾㛃";
  const auto pages = MakePages(document, FontFiles());
  EXPECT_EQ(pages->unknown_characters, 0);
  EXPECT_THAT(TextOf(pages->pdf), HasSubstr("𫖯䶮𩽾㛃"));
}

TEST_F(PagesTest, WhatNoFontHasIsToldByItsNumberAndCounted) {
  Document document = Sample();
  document.head[0].value = "王\uE123明\U000F0001";  // of private areas: another system's characters
  document.sections[0].lines[0].value = "\u202Egnorw";     // would turn the line around
  const auto pages = MakePages(document, FontFiles());
  ASSERT_TRUE(pages.ok());
  EXPECT_EQ(pages->unknown_characters, 3);
  const std::string text = TextOf(pages->pdf);
  EXPECT_THAT(text, HasSubstr("王〔U+E123〕明〔U+F0001〕"));
  EXPECT_THAT(text, HasSubstr("〔U+202E〕gnorw"));
  EXPECT_THAT(text, HasSubstr("有3处字符没有字形"));
}

TEST_F(PagesTest, AnAddressThatIsBrokenReadsAsItIs) {
  Document document = Sample();
  document.copy_url = "https://school.example/d/" + std::string(118, 'x');
  document.copy_words = "扫码";
  const std::string text = TextOf(MakePages(document, FontFiles())->pdf);
  EXPECT_THAT(text, HasSubstr(document.copy_url));
}

TEST_F(PagesTest, EmbedTheirFonts) {
  const std::string pdf = MakePages(Sample(), FontFiles())->pdf;
  EXPECT_LT(pdf.size(), 200'000U) << "subset, not whole: the font has 17 MB";
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.pdf";
  std::ofstream(path, std::ios::binary) << pdf;
  EXPECT_EQ(std::system(("pdffonts " + path + " | tail -n +3 | awk '$0 !~ / yes yes yes /' | grep -q . ").c_str()) != 0, true) << "each embedded, subset, with a way back to text";
}

TEST_F(PagesTest, TooManyAreRefusedRatherThanCut) {
  Document document = Sample();
  std::string facts;
  while (facts.size() < 450'000) facts += "很长。";
  document.sections[0].lines.push_back({"事实", facts});
  EXPECT_EQ(MakePages(document, FontFiles()).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(PagesWithoutFontsTest, SayThatTheyAreMissing) {
  EXPECT_EQ(MakePages(Sample(), {"/nowhere.ttf"}).status().code(), absl::StatusCode::kNotFound);
}

TEST(PagesBadTextTest, IsRefused) {
  Document document = Sample();
  document.head[0].value = "\xFF\xFE";
  const auto pages = MakePages(document, FontFiles());
  EXPECT_EQ(pages.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace vigil::document
