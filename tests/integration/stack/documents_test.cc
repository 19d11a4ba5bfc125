// Documents and attachments over the real edge: printed by the real program, read back with pdftotext, scanned like a guardian does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kRareName[] = "李𫖯䶮";

class DocumentsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::system("pdftotext -v >/dev/null 2>&1") != 0) return;
    stack_ = std::make_unique<Stack>(StackOptions{.schools = 2});
    const Answer report = stack_->Report(
        OurSchool(), {{"student", {{"id", OurSchool().students[0]}}}, {"signals", {"W1a"}}, {"in_sight", {{"staff_id", OurSchool().Staff("leader").id}}}}, Leader());
    ASSERT_EQ(report.status, 201) << report;
    case_id_ = report.body.at("case_id");
    // A name that most fonts do not have.
    const Guardian guardian = OurSchool().GuardiansOf(OurSchool().students[0]).front();
    const Answer named = stack_->Put(Path("/directory"), {{"people", {{{"id", guardian.id}, {"kind", "guardian"}, {"name", kRareName}, {"phone", guardian.phone}, {"student_id", guardian.student}, {"call_order", 1}}}}});
    ASSERT_EQ(named.status, 200) << named;
  }
  static void TearDownTestSuite() { stack_.reset(); }
  void SetUp() override {
    ASSERT_NE(stack_, nullptr) << "pdftotext (poppler-utils of deploy/local/install) is not here";
    ASSERT_FALSE(case_id_.empty());
  }

  static const School& OurSchool() { return stack_->school(); }
  static std::string Leader() { return OurSchool().Staff("leader").token; }
  static std::string Path(const std::string& rest) { return absl::StrCat("/api/v1/schools/", OurSchool().id, rest); }
  static std::string DocumentPath(const std::string& record) { return absl::StrCat("/api/v1/cases/", case_id_, "/records/", record, "/document"); }
  // The newest record of the kind.
  static std::string RecordOf(const std::string& kind) {
    const Answer records = stack_->Get(absl::StrCat("/api/v1/cases/", case_id_, "/records?kind=", kind), Leader());
    return records.status == 200 && !records.body.at("records").empty() ? records.body.at("records")[0].at("record_id").get<std::string>() : "";
  }
  // Without spaces and line ends.
  static std::string TextOf(const std::string& pdf) {
    const testing::TemporaryDirectory directory;
    const std::string path = directory.path() + "/a.pdf";
    std::ofstream(path, std::ios::binary) << pdf;
    std::FILE* pipe = popen(("pdftotext -layout " + path + " - 2>/dev/null").c_str(), "r");
    std::string text;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
      if (c != ' ' && c != '\n' && c != '\f') text.push_back(static_cast<char>(c));
    }
    pclose(pipe);
    // For people to look at.
    if (const char* keep = std::getenv("VIGIL_KEEP_DOCUMENTS")) {
      static int number = 0;
      std::ofstream(absl::StrCat(keep, "/document-", ++number, ".pdf"), std::ios::binary) << pdf;
    }
    return text;
  }
  static Answer Fetch(const std::string& path, const std::string& language = "zh-CN", const std::string& token = Leader()) {
    return stack_->Send({.path = path, .token = token, .headers = {{"Accept-Language", language}}});
  }
  static std::string CopyPathIn(const std::string& text) {
    const std::size_t at = text.find("/d/");
    if (at == std::string::npos) return "";
    const std::size_t end = text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", at + 3);
    return text.substr(at, end - at);
  }

  static std::unique_ptr<Stack> stack_;
  static std::string case_id_;
};

std::unique_ptr<Stack> DocumentsTest::stack_;
std::string DocumentsTest::case_id_;

TEST_F(DocumentsTest, TheWrittenReportIsPrintedInBothLanguages) {
  std::string facts;
  for (int i = 0; i < 400; ++i) absl::StrAppend(&facts, "第", i, "句：课间孩子独自在走廊，老师上前陪伴。");
  const Answer filed = stack_->Command(case_id_, "fileWrittenReport",
                                       {{"fields",
                                         {{"facts", facts},
                                          {"verbatim", "<b>我不想来了</b> & 原话"},
                                          {"actions_taken", "陪伴，通知领导"},
                                          {"with_child_now", "李老师"},
                                          {"guardians_informed", "informed"},
                                          {"injury", false},
                                          {"home_safety", "safe"},
                                          {"discoverer", OurSchool().Staff("leader").id}}}},
                                       Leader());
  ASSERT_EQ(filed.status, 200) << filed;
  const Answer printed = Fetch(DocumentPath(RecordOf("written_report")));
  ASSERT_EQ(printed.status, 200) << printed;
  EXPECT_EQ(printed.Header("Content-Type"), "application/pdf");
  EXPECT_EQ(printed.Header("Cache-Control"), "no-store");
  EXPECT_EQ(printed.Header("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(printed.Header("Content-Disposition"), StartsWith("attachment"));
  const std::string text = TextOf(printed.text);
  EXPECT_THAT(text, AllOf(HasSubstr("学生安全事项书面报告"), HasSubstr("<b>我不想来了</b>&原话"), HasSubstr("第0句"), HasSubstr("第399句"), HasSubstr("已告知"), HasSubstr("发现时间"), HasSubstr("心理辅导室签收")));
  EXPECT_THAT(text, HasSubstr("第3页共")) << "over several pages";
  EXPECT_THAT(text, Not(HasSubstr("/d/"))) << "no copy for guardians";
  const Answer english = Fetch(DocumentPath(RecordOf("written_report")), "en");
  EXPECT_THAT(TextOf(english.text), AllOf(HasSubstr("Writtenreport"), HasSubstr("guardians"), HasSubstr("page1of")));
}

TEST_F(DocumentsTest, TheHandoverIsPrintedAndItsCodeOpensTheGuardiansCopy) {
  const Guardian guardian = OurSchool().GuardiansOf(OurSchool().students[0]).front();
  const Answer handed = stack_->Command(case_id_, "handOverToGuardian",
                                        {{"guardian_id", guardian.id},
                                         {"identity_checked", true},
                                         {"fields",
                                          {{"relation", "父亲"},
                                           {"identity_document", "身份证 末四位1234"},
                                           {"place", "校门口传达室"},
                                           {"child_state", "平静，能正常交流"},
                                           {"belongings", "书包一个"},
                                           {"risk_explained", "已说明近期不宜独处的原因"},
                                           {"advice_given", true},
                                           {"destination", "hospital"},
                                           {"escort", "父亲驾车"},
                                           {"next_contacts", "今晚20:00电话；次日8:30电话"},
                                           {"guardian_position", "agrees"},
                                           {"leave_status", "请假就医"},
                                           {"told_child", "爸爸来接你去看医生"},
                                           {"witnesses", "张老师, 王校医"},
                                           {"copy_given", true}}},
                                         {"signatures", {guardian.id, OurSchool().Staff("leader").id}}},
                                        Leader());
  ASSERT_EQ(handed.status, 200) << handed;
  const std::string record = RecordOf("handover");
  const Answer printed = Fetch(DocumentPath(record));
  ASSERT_EQ(printed.status, 200) << printed;
  const std::string text = TextOf(printed.text);
  EXPECT_THAT(text, AllOf(HasSubstr("学生安全责任移交书"), HasSubstr(kRareName), HasSubstr("医院"), HasSubstr("本书只记录事实"), HasSubstr("张老师、王校医"), HasSubstr(guardian.phone)));

  // As a phone does it: no token but the one in the address.
  const std::string path = CopyPathIn(text);
  ASSERT_GT(path.size(), 60U) << text;
  const Answer copy = stack_->Send({.path = path});
  ASSERT_EQ(copy.status, 200) << copy;
  EXPECT_EQ(copy.Header("Content-Type"), "application/pdf");
  EXPECT_EQ(copy.Header("Cache-Control"), "no-store");
  EXPECT_EQ(copy.Header("Referrer-Policy"), "no-referrer");
  EXPECT_THAT(copy.Header("Content-Disposition"), StartsWith("inline"));
  EXPECT_THAT(TextOf(copy.text), AllOf(HasSubstr("监护人副本"), HasSubstr("平静，能正常交流")));
  std::string flipped = path;
  flipped[20] = flipped[20] == 'A' ? 'B' : 'A';
  for (const std::string& wrong : {flipped, std::string("/d/"), std::string("/d/x"), path + "/"}) {
    const Answer refused = stack_->Send({.path = wrong});
    EXPECT_EQ(refused.status, 404) << wrong << refused;
  }
  EXPECT_EQ(stack_->Send({.method = "POST", .path = path}).status, 405);
  // It stands in the timeline, with neither name nor address.
  const Answer timeline = stack_->Get(absl::StrCat("/api/v1/cases/", case_id_, "/timeline"), Leader());
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    return stack_->Get(absl::StrCat("/api/v1/cases/", case_id_, "/timeline"), Leader()).text.find("guardian_copy") != std::string::npos;
  }));
  EXPECT_EQ(stack_->LogText("gateway").find(path.substr(3, 40)), std::string::npos);
  EXPECT_EQ(stack_->LogText("intake").find(path.substr(3, 40)), std::string::npos);

  // Withdrawn, it opens nothing; the next one printed does.
  const Answer revoked = stack_->Post(absl::StrCat("/api/v1/cases/", case_id_, "/records/", record, ":revokeCopies"), json::object(), Leader());
  ASSERT_EQ(revoked.status, 200) << revoked;
  const Answer gone = stack_->Send({.path = path});
  EXPECT_EQ(gone.status, 404);
  EXPECT_THAT(gone.text, AllOf(HasSubstr("打不开"), HasSubstr("opens no document")));
  EXPECT_EQ(stack_->Send({.path = CopyPathIn(TextOf(Fetch(DocumentPath(record)).text))}).status, 200);
}

TEST_F(DocumentsTest, TheAgreementIsPrintedWithWhatItNeverLacks) {
  const Guardian guardian = OurSchool().GuardiansOf(OurSchool().students[0]).front();
  ASSERT_EQ(stack_->Post(absl::StrCat("/api/v1/cases/", case_id_, "/records"),
                         {{"kind", "parent_meeting"}, {"fields", {{"invitations", 1}, {"attended", true}, {"explained", "两种选择"}, {"signed", "signed"}}}}, Leader())
                .status,
            200);
  const std::string end = Rfc3339(stack_->DomainNow() + absl::Hours(24 * 10));
  const Answer signed_one = stack_->Command(case_id_, "signAgreement",
                                            {{"fields",
                                              {{"options_explained", "带回家监护，或家长来校陪伴"},
                                               {"accompanying_adult", guardian.id},
                                               {"hours", "周一至周五 8:00–16:30，三（2）班"},
                                               {"duties", "家长随时在孩子身边；学校安排班主任和心理老师协助"},
                                               {"schools_duty", "stated"},
                                               {"absence", "提前一小时告知班主任，由学校看护"},
                                               {"end", end},
                                               {"signatures", "李家长, 王老师"},
                                               {"copies", 2}}}},
                                            Leader());
  ASSERT_EQ(signed_one.status, 200) << signed_one;
  const Answer printed = Fetch(DocumentPath(RecordOf("agreement")));
  ASSERT_EQ(printed.status, 200) << printed;
  const std::string text = TextOf(printed.text);
  EXPECT_THAT(text, AllOf(HasSubstr("家长陪伴监护协议"), HasSubstr(kRareName), HasSubstr("家长有权不签本协议"), HasSubstr("不含任何免责条款"), HasSubstr("已载明"), HasSubstr("/d/")));
}

TEST_F(DocumentsTest, AreRefusedToWhoMayNotReadTheRecord) {
  ASSERT_EQ(stack_->Post(absl::StrCat("/api/v1/cases/", case_id_, "/records"),
                         {{"kind", "treatment_pathway"}, {"fields", {{"pathway", "outpatient"}, {"reference", "市医院"}}}}, OurSchool().Staff("counsellor-1").token)
                .status,
            200);
  const Answer records = stack_->Get(absl::StrCat("/api/v1/cases/", case_id_, "/records?kind=treatment_pathway"), OurSchool().Staff("counsellor-1").token);
  ASSERT_EQ(records.body.at("records").size(), 1U) << records;
  const std::string path = DocumentPath(records.body.at("records")[0].at("record_id"));
  EXPECT_EQ(Fetch(path, "zh-CN", OurSchool().Staff("counsellor-1").token).status, 200);
  EXPECT_EQ(Fetch(path, "zh-CN", stack_->Token(OurSchool().id, "guard-x", "security")).status, 403);
  EXPECT_EQ(Fetch(path, "zh-CN", stack_->schools()[1].Staff("leader").token).status, 403);
  EXPECT_EQ(stack_->Send({.path = path}).status, 401);
  EXPECT_EQ(Fetch(DocumentPath("dnone")).status, 404);
}

TEST_F(DocumentsTest, StatisticsArePrintedAndTheCommandLineWritesAFile) {
  const Answer statistics = Fetch(Path("/statistics/document"));
  ASSERT_EQ(statistics.status, 200) << statistics;
  EXPECT_THAT(TextOf(statistics.text), AllOf(HasSubstr("学期工作统计"), HasSubstr("少于5")));
  const testing::TemporaryDirectory directory;
  const Outcome written = stack_->Vigil(absl::StrCat("statistics-document ", OurSchool().id, " -o ", directory.path(), "/s.pdf"));
  EXPECT_EQ(written.exit_code, 0) << written.err;
  EXPECT_THAT(testing::ReadFile(directory.path() + "/s.pdf"), StartsWith("%PDF-"));
  const Outcome refused = stack_->Vigil(absl::StrCat("document ", case_id_, " dnone -o ", directory.path(), "/n.pdf"));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(testing::ReadFile(directory.path() + "/n.pdf"), "") << "a refusal leaves no file";
}

TEST_F(DocumentsTest, AnAttachmentIsReadBackByItsReaders) {
  const std::string photo = std::string("\x89PNG\r\n\x1A\n", 8) + std::string(200'000, '\0') + "end";
  const Answer stored = stack_->Send({.method = "POST", .path = Path("/attachments"), .token = Leader(), .body = photo, .headers = {{"Content-Type", "image/png"}}});
  ASSERT_EQ(stored.status, 201) << stored;
  const std::string id = stored.body.at("id");
  const Answer read = stack_->Get(Path("/attachments/" + id), Leader());
  ASSERT_EQ(read.status, 200) << read.status;
  EXPECT_EQ(read.text, photo);
  EXPECT_EQ(read.Header("Content-Type"), "image/png");
  EXPECT_EQ(read.Header("Content-Disposition"), "attachment");
  EXPECT_EQ(read.Header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(read.Header("Cache-Control"), "no-store");
  EXPECT_EQ(stack_->Get(Path("/attachments/" + id), OurSchool().Staff("counsellor-1").token).status, 403) << "nothing names it yet";
  EXPECT_EQ(stack_->Get(Path("/attachments/" + id), stack_->schools()[1].Staff("leader").token).status, 403) << "a token of another school";
  EXPECT_EQ(stack_->Get(absl::StrCat("/api/v1/schools/", stack_->schools()[1].id, "/attachments/", id), stack_->schools()[1].Staff("leader").token).status, 404) << "another school's";
  EXPECT_EQ(stack_->Get(Path("/attachments/anone"), Leader()).status, 404);
}

}  // namespace
}  // namespace vigil::stack
