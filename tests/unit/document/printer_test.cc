#include "platform/document/printer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "platform/document/pages.h"
#include "support/child_process.h"

namespace vigil::document {
namespace {

Document Small() { return {.language = "zh-CN", .letterhead = "希望小学", .title = "移交书"}; }

absl::StatusOr<std::string> PrintWith(PrinterOptions options, const Document& document = Small()) {
  std::promise<absl::StatusOr<std::string>> answer;
  ProcessPrinter printer(std::move(options));
  printer.Print(document, [&](absl::StatusOr<std::string> pdf) { answer.set_value(std::move(pdf)); });
  return answer.get_future().get();
}

class Script {
 public:
  explicit Script(const std::string& body) : path_(directory_.path() + "/program") {
    std::ofstream(path_) << "#!/bin/sh\n" << body << "\n";
    chmod(path_.c_str(), 0700);
  }
  const std::string& path() const { return path_; }

 private:
  testing::TemporaryDirectory directory_;
  std::string path_;
};

TEST(PrinterTest, GivesThePagesOfTheProgram) {
  const auto pdf = PrintWith({.program = VIGIL_DOCUMENT_PROGRAM});
  ASSERT_TRUE(pdf.ok()) << pdf.status();
  EXPECT_TRUE(pdf->starts_with("%PDF-"));
}

TEST(PrinterTest, TheDocumentArrivesWhole) {
  // A program that says what it was given.
  const Script echo("printf '%%PDF-'; cat");
  Document document = Small();
  document.sections = {{.heading = "一", .lines = {{"甲", "<b>\"乙\"\n"}}, .columns = {"a", "b"}, .rows = {{"1", "2"}}}};
  document.signatures = {{"签名", "王"}};
  for (int i = 0; i < 3000; ++i) document.notes.push_back("一段长长的话，比一个套接字的缓冲区更长。");
  const auto out = PrintWith({.program = echo.path()}, document);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->substr(5), Encode(document));
  const auto back = Decode(out->substr(5));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->sections[0].lines[0].value, "<b>\"乙\"\n");
  EXPECT_EQ(back->sections[0].rows, document.sections[0].rows);
  EXPECT_EQ(back->signatures[0].name, "王");
  EXPECT_EQ(Encode(*back), Encode(document));
}

TEST(PrinterTest, WhatIsNoDocumentIsRefused) {
  for (const char* bytes : {"", "{}", "[1,2]", "[\"a\"]"}) EXPECT_FALSE(Decode(bytes).ok()) << bytes;
  EXPECT_EQ(Decode(std::string(kMaxDocumentBytes + 1, ' ')).status().code(), absl::StatusCode::kInvalidArgument);
}

// More than a socket holds at once.
TEST(PrinterTest, ALargeDocumentComesWhole) {
  const Script large("cat >/dev/null; printf '%%PDF-'; head -c 3000000 /dev/zero; printf end");
  const auto out = PrintWith({.program = large.path()});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->size(), 3000008U);
  EXPECT_TRUE(out->ends_with("end"));
}

TEST(PrinterTest, AProgramThatHangsIsEnded) {
  const Script hangs("exec sleep 600");
  const absl::Time start = absl::Now();
  EXPECT_EQ(PrintWith({.program = hangs.path(), .longest = absl::Milliseconds(300)}).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(absl::Now() - start, absl::Seconds(60));
}

TEST(PrinterTest, AProgramThatWritesWithoutEndIsEnded) {
  const Script floods("exec yes");
  EXPECT_EQ(PrintWith({.program = floods.path(), .most_bytes = 100'000}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(PrinterTest, AProgramThatBreaksBreaksOneDocument) {
  const Script crashes("kill -SEGV $$");
  EXPECT_FALSE(PrintWith({.program = crashes.path()}).ok());
  EXPECT_EQ(PrintWith({.program = "/nowhere/vigil-document"}).status().code(), absl::StatusCode::kUnavailable);
}

TEST(PrinterTest, SaysWhyByItsExit) {
  EXPECT_EQ(PrintWith({.program = Script("exit 3").path()}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PrintWith({.program = Script("exit 4").path()}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(PrintWith({.program = Script("exit 5").path()}).status().code(), absl::StatusCode::kUnavailable);
}

TEST(PrinterTest, MoreThanWaitAreToldToComeAgainAndStoppingAnswersAll) {
  const Script hangs("exec sleep 600");
  std::vector<absl::StatusCode> answers;
  {
    ProcessPrinter printer({.program = hangs.path(), .most_waiting = 2});
    for (int i = 0; i < 10; ++i) printer.Print(Small(), [&](absl::StatusOr<std::string> pdf) { answers.push_back(pdf.status().code()); });
    EXPECT_THAT(answers, ::testing::Each(absl::StatusCode::kResourceExhausted));
    EXPECT_GE(answers.size(), 7U) << "one runs, two wait";
    answers.clear();
  }
  EXPECT_THAT(answers, ::testing::Each(absl::StatusCode::kUnavailable));
  EXPECT_GE(answers.size(), 2U);
}

}  // namespace
}  // namespace vigil::document
