#include "intake/copy_token.h"
#include "platform/crypto/random.h"
#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using document::v1::Document;

// Everything that a document says, a line each.
std::string TextOf(const Document& document) {
  std::string text = document.letterhead() + "\n" + document.title() + "\n" + document.number() + "\n";
  for (const auto& mark : document.marks()) text += mark + "\n";
  for (const auto& line : document.head()) text += line.label() + ": " + line.value() + "\n";
  for (const auto& section : document.sections()) {
    text += "# " + section.heading() + "\n";
    for (const auto& line : section.lines()) text += line.label() + ": " + line.value() + "\n";
    for (const auto& row : section.rows()) {
      for (const auto& cell : row.cells()) text += cell + "|";
      text += "\n";
    }
  }
  for (const auto& signature : document.signatures()) text += signature.label() + ": " + signature.name() + "\n";
  for (const auto& note : document.notes()) text += note + "\n";
  return text + document.printed_words() + "\n";
}

intake::Caller In(const std::string& who, const std::string& language) {
  intake::Caller caller = Scene::As(who);
  caller.language = language;
  return caller;
}

// A child of the school handed to its mother; what is printed of it.
class DocumentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
    api::PersonInput mother = Scene::Person("mother", "guardian", "");
    mother.set_name("王大明𫖯");
    mother.set_student_id("child");
    ASSERT_TRUE(scene_.PutPeople({mother}).ok());
    const auto handed = scene_.HandOver("leader", case_, "mother");
    ASSERT_TRUE(handed.ok()) << handed.status();
    record_ = handed->records(0).record_id();
  }

  Document Printed(const std::string& who = "leader", const std::string& language = "zh-CN") {
    const auto document = scene_.Document(In(who, language), case_, record_);
    EXPECT_TRUE(document.ok()) << document.status();
    return document.ok() ? *document : Document();
  }
  std::string Token() {
    const std::string path = Printed().copy_path();
    EXPECT_THAT(path, StartsWith("/d/"));
    return path.size() > 3 ? path.substr(3) : "";
  }
  Scene scene_;
  std::string case_;
  std::string record_;
};

TEST_F(DocumentTest, AHandoverSaysWhoGaveAndTookTheChildInWords) {
  const std::string text = TextOf(Printed());
  EXPECT_THAT(text, AllOf(HasSubstr("学生安全责任移交书"), HasSubstr("接收人（监护人）: 王大明𫖯"), HasSubstr("学生: 小明"), HasSubstr("班级: 3-2"),
                          HasSubstr("孩子当时状态（双方所见）: calm"), HasSubstr("去向: 回家"), HasSubstr("本书只记录事实，不免除任何一方法定责任。"), HasSubstr("打印于")));
  EXPECT_THAT(text, HasSubstr("身份与禁止接领核对: 证件已当面核验"));
  EXPECT_THAT(text, HasSubstr("家长意见: （未填）")) << "so that nobody fills it in on the paper later";
  EXPECT_THAT(text, Not(HasSubstr("mother"))) << "people by name, not by id";
  const std::string english = TextOf(Printed("leader", "en-GB"));
  EXPECT_THAT(english, AllOf(HasSubstr("Handover of responsibility"), HasSubstr("destination: home"), HasSubstr("releases no side")));
}

TEST_F(DocumentTest, OfAFormWithoutALayoutSaysAllOfIt) {
  ASSERT_TRUE(scene_.FileRecord("office", case_, "treatment_pathway", {{"pathway", "outpatient"}, {"reference", "市儿童医院"}}).ok());
  const auto records = scene_.Records("office", case_, "treatment_pathway");
  const auto document = scene_.Document(Scene::As("office"), case_, records->records(0).record_id());
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_THAT(TextOf(*document), AllOf(HasSubstr("门诊"), HasSubstr("市儿童医院")));
  EXPECT_THAT(document->copy_path(), IsEmpty()) << "only what a layout says is given to guardians";
}

TEST_F(DocumentTest, TheWrittenReportHasItsTimesAndIsMarkedLate) {
  scene_.Wait(absl::Hours(25));
  const auto filed = scene_.FileReport("teacher", case_);
  ASSERT_TRUE(filed.ok()) << filed.status();
  const auto records = scene_.Records("office", case_, "written_report");
  const auto document = scene_.Document(Scene::As("office"), case_, records->records(0).record_id());
  ASSERT_TRUE(document.ok()) << document.status();
  const std::string text = TextOf(*document);
  EXPECT_THAT(text, AllOf(HasSubstr("逾期提交"), HasSubstr("发现时间: 2026-03-10 10:00"), HasSubstr("录入时间: 2026-03-10 10:00"), HasSubstr("事实经过: what happened"), HasSubstr("首报人")));
  EXPECT_THAT(document->copy_path(), IsEmpty());
}

// Reading by paper is reading.
TEST_F(DocumentTest, WhoMayNotReadTheRecordMayNotPrintIt) {
  EXPECT_EQ(scene_.Document(Scene::As("guard"), case_, record_).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(scene_.Document(Scene::As("assessor"), case_, record_).status().code(), absl::StatusCode::kPermissionDenied);
  intake::Caller stranger = Scene::As("leader");
  stranger.school = "another";
  EXPECT_EQ(scene_.Document(stranger, case_, record_).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(scene_.Document(Scene::As("leader"), case_, "dnone").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(scene_.Document(Scene::As("leader"), "cnone", record_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(scene_.Openings(), IsEmpty());
}

TEST_F(DocumentTest, FieldsOfOthersAreLeftOutAndItSaysThatSomeAre) {
  const std::string open = scene_.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher", .student = "twin"});
  ASSERT_TRUE(scene_.FileRecord("office", open, "counselling_session", {{"kind", "individual"}, {"outcome", "held"}, {"note", "secret"}, {"disclosed", "parents know"}}).ok());
  const std::string record = scene_.Records("office", open)->records(0).record_id();
  const auto whole = scene_.Document(Scene::As("office"), open, record);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_THAT(TextOf(*whole), HasSubstr("secret"));
  const auto part = scene_.Document(Scene::As("assessor"), open, record);
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_THAT(TextOf(*part), AllOf(Not(HasSubstr("secret")), HasSubstr("parents know"), HasSubstr("另有 1 项内容按权限未印出")));
  EXPECT_EQ(scene_.Document(Scene::As("leader"), open, record).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(DocumentTest, OfAPersonErasedThereIsNone) {
  const std::string token = Token();
  ASSERT_TRUE(scene_.EraseKey("child").ok());
  EXPECT_EQ(scene_.Document(Scene::As("leader"), case_, record_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(scene_.Copy(token).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DocumentTest, EachPrintAndEachReadingStandsInTheLog) {
  const std::string token = Token();
  ASSERT_TRUE(scene_.Copy(token).ok());
  ASSERT_TRUE(scene_.Copy(token).ok()) << "twice within a minute";
  EXPECT_THAT(scene_.Openings(), ElementsAre("printed by leader", "guardian_copy by intake"));
  scene_.Wait(absl::Minutes(2));
  ASSERT_TRUE(scene_.Copy(token).ok());
  EXPECT_EQ(scene_.Openings().size(), 3U);
}

// ---- the guardian's copy

TEST_F(DocumentTest, TheCopyOpensThatDocumentForTheGuardian) {
  const auto copy = scene_.Copy(Token());
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_THAT(TextOf(*copy), AllOf(HasSubstr("监护人副本"), HasSubstr("孩子当时状态（双方所见）: calm"), Not(HasSubstr("打印于"))));
  EXPECT_THAT(copy->copy_path(), IsEmpty()) << "a copy makes no further copies";
  const std::string path = Printed().copy_path();
  for (const char* personal : {"child", "mother", "school", "小明"}) EXPECT_THAT(path, Not(HasSubstr(personal)));
}

TEST_F(DocumentTest, TheCopyEndsWithItsTime) {
  const SealingKey key = *SealingKey::FromBytes(std::string(32, 'k'));
  const auto claims = intake::OpenCopyToken(key, Token(), scene_.now());
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->expires_time, scene_.now() + absl::Hours(24 * 14)) << "as the pack says";
  EXPECT_FALSE(intake::OpenCopyToken(key, Token(), claims->expires_time).ok());
  SeededRandom random(7);
  intake::CopyClaims soon = *claims;
  soon.expires_time = scene_.now() + absl::Hours(1);
  const std::string token = intake::MintCopyToken(key, soon, random);
  scene_.Wait(absl::Minutes(59));
  EXPECT_TRUE(scene_.Copy(token).ok());
  scene_.Wait(absl::Minutes(1));
  EXPECT_EQ(scene_.Copy(token).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DocumentTest, AnAlteredAddressOpensNothing) {
  const std::string token = Token();
  for (const std::size_t at : {std::size_t{0}, token.size() / 2, token.size() - 2}) {
    std::string flipped = token;
    flipped[at] = flipped[at] == 'A' ? 'B' : 'A';
    EXPECT_EQ(scene_.Copy(flipped).status().code(), absl::StatusCode::kNotFound) << at;
  }
  for (const std::string& other : {std::string(), std::string("x"), token + "A", token.substr(0, 40), std::string(5000, 'A')}) {
    EXPECT_EQ(scene_.Copy(other).status().code(), absl::StatusCode::kNotFound);
  }
}

TEST_F(DocumentTest, WithdrawnCopiesOpenNothingAndNewOnesDo) {
  const std::string token = Token();
  api::RevokeCopiesRequest revoke;
  revoke.set_case_(case_);
  revoke.set_record(record_);
  EXPECT_EQ(scene_.Try(Scene::As("guard"), revoke).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(scene_.Try(Scene::As("assessor"), revoke).status().code(), absl::StatusCode::kPermissionDenied) << "who may not read it";
  EXPECT_TRUE(scene_.Copy(token).ok());
  scene_.Wait(absl::Minutes(1));
  ASSERT_TRUE(scene_.Try(Scene::As("leader"), revoke).ok());
  EXPECT_EQ(scene_.Copy(token).status().code(), absl::StatusCode::kNotFound);
  scene_.Wait(absl::Minutes(1));
  EXPECT_TRUE(scene_.Copy(Token()).ok());
  scene_.RestartIntake();
  EXPECT_EQ(scene_.Copy(token).status().code(), absl::StatusCode::kNotFound);
}

// A household that must not be called must not read either.
TEST_F(DocumentTest, WhileContactWithGuardiansIsHeldTheCopyOpensNothing) {
  const std::string token = Token();
  api::HoldRequest hold;
  hold.set_case_(case_);
  hold.set_kind("guardians");
  ASSERT_TRUE(scene_.Try(Scene::As("office"), hold).ok());
  EXPECT_EQ(scene_.Copy(token).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Printed().copy_path(), IsEmpty()) << "and none is printed";
}

TEST_F(DocumentTest, OnceAGuardianIsOffTheMatterTheCopyOpensNothing) {
  const std::string token = Token();
  api::RecuseRequest recuse;
  recuse.set_case_(case_);
  recuse.set_staff_id("father");
  recuse.set_reason("suspected");
  ASSERT_TRUE(scene_.Try(Scene::As("office"), recuse).ok());
  EXPECT_EQ(scene_.Copy(token).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DocumentTest, ATokenOfAnotherInstallationOpensNothing) {
  SeededRandom random(7);
  const intake::CopyClaims claims{.case_id = case_, .record_id = record_, .issued_time = scene_.now(), .expires_time = scene_.now() + absl::Hours(1)};
  const std::string theirs = intake::MintCopyToken(*SealingKey::FromBytes(std::string(32, 'x')), claims, random);
  EXPECT_EQ(scene_.Copy(theirs).status().code(), absl::StatusCode::kNotFound);
  const std::string ours = intake::MintCopyToken(*SealingKey::FromBytes(std::string(32, 'k')), claims, random);
  EXPECT_TRUE(scene_.Copy(ours).ok()) << "what a token is made of";
  // Of a record that guardians are given no copy of.
  ASSERT_TRUE(scene_.FileRecord("office", case_, "treatment_pathway", {{"pathway", "outpatient"}}).ok());
  intake::CopyClaims other = claims;
  other.record_id = scene_.Records("office", case_, "treatment_pathway")->records(0).record_id();
  EXPECT_EQ(scene_.Copy(intake::MintCopyToken(*SealingKey::FromBytes(std::string(32, 'k')), other, random)).status().code(), absl::StatusCode::kNotFound);
}

TEST(ClosedDocumentTest, AClosedCaseIsStillPrinted) {
  Scene scene;
  const std::string closed = scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  scene.TakeAndHandOver(closed);
  ASSERT_TRUE(scene.Assess("assessor", closed, "mild").ok());
  scene.CloseAfterHandover(closed);
  const auto records = scene.Records("leader", closed, "handover");
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->records_size(), 1);
  const auto document = scene.Document(Scene::As("leader"), closed, records->records(0).record_id());
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_TRUE(scene.Copy(document->copy_path().substr(3)).ok());
}

// ---- the school's own

TEST(SchoolDocumentTest, ARecordOfAClassIsPrintedForItsReaders) {
  Scene scene;
  const auto filed = scene.FileOfSchool("class_teacher", "class_report", {{"nothing_to_report", "true"}}, "", "3-2");
  ASSERT_TRUE(filed.ok()) << filed.status();
  const auto document = scene.SchoolDocument("leader", filed->record_id());
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_THAT(TextOf(*document), AllOf(HasSubstr("3-2"), HasSubstr(": 是")));
  EXPECT_EQ(scene.SchoolDocument("guard", filed->record_id()).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(SchoolDocumentTest, StatisticsTellNoSmallNumbersOfChildren) {
  Scene scene;
  scene.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  const auto document = scene.StatisticsDocument("leader");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_THAT(TextOf(*document), AllOf(HasSubstr("学期工作统计"), HasSubstr("严重|少于5|")));
  EXPECT_EQ(scene.StatisticsDocument("guard").status().code(), absl::StatusCode::kPermissionDenied);
}

// ---- attachments read back

class AttachmentReadTest : public ::testing::Test {
 protected:
  const std::string photo_ = std::string("\xFF\xD8\xFF", 3) + "a photo of a drawing";
  Scene scene_;
};

TEST_F(AttachmentReadTest, WhoMayReadTheReportReadsIt) {
  const auto stored = scene_.TryAttach(Scene::As("teacher"), photo_);
  ASSERT_TRUE(stored.ok()) << stored.status();
  api::CreateReportRequest report = Scene::RequestOf({.signals = {"W1a"}, .in_sight = "teacher"});
  report.add_attachments(stored->id());
  ASSERT_TRUE(scene_.TryReport(Scene::As("teacher"), report).ok());
  const auto read = scene_.TryReadAttachment(Scene::As("leader"), stored->id());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->content(), photo_);
  EXPECT_EQ(read->media_type(), "image/jpeg");
  EXPECT_TRUE(scene_.TryReadAttachment(Scene::As("teacher"), stored->id()).ok()) << "who stored it";
  scene_.RestartIntake();
  EXPECT_TRUE(scene_.TryReadAttachment(Scene::As("leader"), stored->id()).ok());
}

TEST_F(AttachmentReadTest, WhatARecordNamesIsForItsReaders) {
  const std::string open = scene_.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher"});
  const auto stored = scene_.TryAttach(Scene::As("office"), photo_);
  api::FileRecordRequest request;
  request.set_case_(open);
  request.set_kind("counselling_session");
  for (const auto& [id, value] : {std::pair("kind", "individual"), std::pair("outcome", "held"), std::pair("note", "n"), std::pair("disclosed", "d")}) (*request.mutable_fields())[id] = value;
  request.add_attachments(stored->id());
  EXPECT_EQ(scene_.TryReadAttachment(Scene::As("leader"), stored->id()).status().code(), absl::StatusCode::kPermissionDenied) << "named by nothing yet";
  ASSERT_TRUE(scene_.Try(Scene::As("office"), request).ok());
  EXPECT_TRUE(scene_.TryReadAttachment(Scene::As("assessor"), stored->id()).ok());
  EXPECT_EQ(scene_.TryReadAttachment(Scene::As("leader"), stored->id()).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(scene_.TryReadAttachment(Scene::As("guard"), stored->id()).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(AttachmentReadTest, OfAnotherSchoolIsNotThereAndErasedIsGone) {
  const auto stored = scene_.TryAttach(Scene::As("teacher"), photo_);
  intake::Caller everywhere = Scene::As("teacher");
  everywhere.school = "*";
  EXPECT_EQ(scene_.TryReadAttachment(everywhere, stored->id(), "another").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(scene_.TryReadAttachment(Scene::As("teacher"), "anone").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(scene_.EraseKey(stored->id()).ok());
  EXPECT_EQ(scene_.TryReadAttachment(Scene::As("teacher"), stored->id()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(AttachmentReadTest, IsNotThereForWhoIsOffTheMatter) {
  const auto stored = scene_.TryAttach(Scene::As("teacher"), photo_);
  api::CreateReportRequest report = Scene::RequestOf({.signals = {"W1a"}, .in_sight = "teacher"});
  report.add_attachments(stored->id());
  const auto accepted = scene_.TryReport(Scene::As("teacher"), report);
  ASSERT_TRUE(accepted.ok());
  api::RecuseRequest recuse;
  recuse.set_case_(accepted->case_id());
  recuse.set_staff_id("deputy");
  recuse.set_reason("kin");
  EXPECT_TRUE(scene_.TryReadAttachment(Scene::As("deputy"), stored->id()).ok());
  ASSERT_TRUE(scene_.Try(Scene::As("leader"), recuse).ok());
  EXPECT_EQ(scene_.TryReadAttachment(Scene::As("deputy"), stored->id()).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace vigil::scenario
