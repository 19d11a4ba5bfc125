// Privacy as an outsider would test it: unmistakable strings in every field that may hold something about a person, a
// whole case with them, and then a search through everything that is stored, logged, counted, sent or said. (NFR-02,
// PRV-03, invariant I8)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <mutex>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "integration/stack/stack.h"

namespace vigil::stack {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Utf16(std::string_view text) {
  std::string wide;
  for (const char c : text) {
    wide.push_back(c);
    wide.push_back('\0');
  }
  return wide;
}

class CanaryTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>();
    PlantPeople();
    PlayCase();
  }
  static void TearDownTestSuite() { stack_.reset(); }

  // A string that stands nowhere else.
  static std::string Canary(const std::string& field) {
    std::string canary = absl::StrCat("ZQXCANARY", planted_.size() + 100, "ZQX");
    planted_[field] = canary;
    return canary;
  }
  static std::string PhoneCanary(const std::string& field) {
    std::string phone = absl::StrCat("+86137", 73310000 + planted_.size());
    planted_[field] = phone;
    return phone;
  }

  static void PlantPeople() {
    json people = json::array();
    const auto add = [&](json person, const std::string& field) {
      person["name"] = Canary(field + " name");
      person["phone"] = PhoneCanary(field + " phone");
      phones_[field] = person["phone"];
      people.push_back(std::move(person));
    };
    add({{"id", "canary-leader"}, {"kind", "staff"}, {"roles", {"leader"}}}, "leader");
    add({{"id", "canary-teacher"}, {"kind", "staff"}, {"roles", {"class_teacher"}}, {"grade", "1"}, {"class", "1-1"}},
        "teacher");
    add({{"id", "canary-second"}, {"kind", "staff"}, {"roles", {"crisis_team"}}}, "second");
    add({{"id", "canary-child"}, {"kind", "student"}, {"grade", "1"}, {"class", "1-1"}}, "child");
    add({{"id", "canary-guardian"}, {"kind", "guardian"}, {"student_id", "canary-child"}, {"call_order", 1}},
        "guardian");
    const Answer set = stack_->Put("/api/v1/schools/canary-school/directory",
                                   {{"school_name", "例校"}, {"duty_phone", "+861000000"}, {"people", people}});
    ASSERT_EQ(set.status, 200) << set;
  }

  static void PlayCase() {
    const std::string leader = stack_->Token("canary-school", "canary-leader", "leader");
    const std::string teacher = stack_->Token("canary-school", "canary-teacher", "class_teacher");
    const std::string assessor = stack_->Token("canary-school", "canary-leader", "counselling_office");
    School school{.id = "canary-school"};
    // Read by nobody's rule: found by cue words in the text as well.
    const Answer report = stack_->Report(school,
                                         {{"student", {{"id", "canary-child"}}},
                                          {"reporter", {{"kind", "staff"}, {"name", Canary("reporter")}}},
                                          {"signals", {"W1a"}},
                                          {"narrative", Canary("narrative") + " 死亡 坟墓"},
                                          {"verbatim", Canary("verbatim")},
                                          {"location", Canary("location")},
                                          {"in_sight", {{"name", Canary("in_sight")}}}},
                                         teacher, "canary-key");
    ASSERT_EQ(report.status, 201) << report;
    case_id_ = report.body.at("case_id");
    const Answer unknown =
        stack_->Report(school,
                       {{"student", {{"name", Canary("unknown name")}, {"class", Canary("unknown class")}}},
                        {"narrative", Canary("unknown narrative")}},
                       teacher);
    ASSERT_EQ(unknown.status, 201) << unknown;
    ASSERT_TRUE(Eventually(absl::Seconds(5), [] {
      return stack_->Count(phones_["leader"], "call") >= 1 && stack_->Count(phones_["leader"], "message") >= 1;
    }));
    stack_->Behave(phones_["teacher"], {{"answer", "keypad"}});
    stack_->Behave(phones_["leader"], {{"answer", "keypad"}, {"digits", "1"}});
    ASSERT_TRUE(Eventually(absl::Seconds(5),
                           [] { return AlertOf(stack_->Case(case_id_), "severe_ladder").at("state") == "taken"; }));
    const auto command = [&](const std::string& name, const json& body, const std::string& token) {
      const Answer answer = stack_->Command(case_id_, name, body, token);
      EXPECT_EQ(answer.status, 200) << name << ": " << answer;
    };
    const json fields = {{"student", Canary("written student")},   {"facts", Canary("facts")},
                         {"verbatim", Canary("written verbatim")}, {"actions_taken", Canary("actions")},
                         {"with_child_now", Canary("with")},       {"guardians_informed", "informed"},
                         {"discoverer", Canary("discoverer")},     {"next_step", Canary("next step")},
                         {"signature", Canary("signature")},       {"means_removed", Canary("means removed")},
                         {"police_or_120", Canary("police")}};
    command("confirmInSight", {{"staff_id", "canary-teacher"}}, teacher);
    command("fileWrittenReport", {{"fields", fields}}, teacher);
    command("assess",
            {{"level", "extreme"},
             {"kind", "expert"},
             {"members", {"canary-leader"}},
             {"face_to_face", true},
             {"rationale", Canary("rationale")}},
            assessor);
    command("correctDiscovery",
            {{"discovered_time", Rfc3339(stack_->DomainNow() - absl::Minutes(5))}, {"reason", Canary("correction")}},
            leader);
    command("hold", {{"kind", "guardians"}, {"reason", Canary("hold")}}, leader);
    command("liftHold", {{"kind", "guardians"}, {"reason", Canary("lift")}}, leader);
    command("recuse", {{"staff_id", "canary-second"}, {"reason", Canary("recuse")}}, leader);
    command("recordDeparture",
            {{"kind", "hospital"},
             {"to", Canary("hospital")},
             {"with", {Canary("escort"), "canary-teacher"}},
             {"reason", Canary("departure")}},
            leader);
    command("recordGuardianContact",
            {{"guardian_id", "canary-guardian"},
             {"outcome", "reached"},
             {"arrival_time", Rfc3339(stack_->DomainNow() + absl::Minutes(30))}},
            teacher);
    const Answer record = stack_->Post(
        "/api/v1/cases/" + case_id_ + "/records",
        {{"kind", "talk"},
         {"fields", {{"summary", Canary("talk")}, {"verbatim", Canary("talk verbatim")}, {"clear", true}}}},
        leader);
    EXPECT_TRUE(record.ok()) << record;
    command("handOverToGuardian",
            {{"guardian_id", "canary-guardian"},
             {"identity_checked", true},
             {"fields",
              {{"child_state", Canary("state")},
               {"identity_document", Canary("document")},
               {"belongings", Canary("belongings")},
               {"advice_given", true},
               {"destination", "home"}}},
             {"signatures", {Canary("signatures")}}},
            leader);
    ASSERT_TRUE(Eventually(absl::Seconds(5), [] { return stack_->Count(phones_["guardian"], "message") >= 1; }));
    command("returnCustody", {{"staff_id", "canary-teacher"}}, leader);
    const Answer authority = stack_->Command(
        case_id_, "handOverToAuthority",
        {{"authority", "police"}, {"officer", Canary("officer")}, {"fields", {{"reason", Canary("authority reason")}}}},
        leader);
    EXPECT_EQ(authority.status, 200) << authority;
    for (const char* kind : {"aftercare_contact", "aftercare_morning"}) {
      EXPECT_TRUE(stack_
                      ->Post("/api/v1/cases/" + case_id_ + "/records",
                             {{"kind", kind}, {"fields", {{"reached", Canary(kind)}, {"arrived_safely", true}}}},
                             leader)
                      .ok());
    }
    // Refused requests are logged as well, perhaps with what was wrong.
    (void)stack_->Report(school,
                         {{"student", {{"id", Canary("refused student")}}},
                          {"narrative", Canary("refused narrative")},
                          {"signals", {Canary("refused signal")}}},
                         teacher);
    (void)stack_->Command(case_id_, "close", {{"reason", Canary("close")}, {"surprise", Canary("surprise")}}, leader);
    (void)stack_->Send({.method = "POST",
                        .path = "/api/v1/schools/canary-school/reports",
                        .token = teacher,
                        .body = "{\"narrative\":\"" + Canary("broken") + "\xff\"}",
                        .headers = {{"Content-Type", "application/json"}}});
    // Everything that follows the log has followed.
    ASSERT_TRUE(Eventually(absl::Seconds(10), [] { return stack_->Vigil("verify --json").exit_code == 0; }));
  }

  static void ExpectNoCanary(std::string_view haystack, const std::string& where) {
    for (const auto& [field, canary] : planted_) {
      for (const std::string& form : {canary, absl::WebSafeBase64Escape(canary), absl::Base64Escape(canary),
                                      absl::BytesToHexString(canary), Utf16(canary)}) {
        EXPECT_EQ(haystack.find(form), std::string_view::npos) << "what was in " << field << " stands in " << where;
      }
    }
  }
  static void ExpectNoCanaryBelow(const std::filesystem::path& directory) {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      ExpectNoCanary(testing::ReadFile(entry.path()), entry.path());
    }
    EXPECT_GT(files, 0U) << directory;
  }

  static std::unique_ptr<Stack> stack_;
  static std::string case_id_;
  static std::map<std::string, std::string> planted_;
  static std::map<std::string, std::string> phones_;
};

std::unique_ptr<Stack> CanaryTest::stack_;
std::string CanaryTest::case_id_;
std::map<std::string, std::string> CanaryTest::planted_;
std::map<std::string, std::string> CanaryTest::phones_;

TEST_F(CanaryTest, EnoughWasPlantedAndTheSearchFindsWhatIsThere) {
  EXPECT_GT(planted_.size(), 40U);
  // The same reading finds what may be there: ids.
  EXPECT_TRUE(absl::StrContains(testing::ReadFile(stack_->home() + "/data/audit/timeline.db") +
                                    testing::ReadFile(stack_->home() + "/data/audit/timeline.db-wal"),
                                case_id_));
  std::string log;
  for (const LogMessage& message : stack_->Messages(School{.id = "canary-school"}.partition())) log += message.body;
  EXPECT_THAT(log, HasSubstr("canary-leader"));
}

TEST_F(CanaryTest, NotInTheLogsMessagesNorTheirSubjects) {
  for (int partition = 0; partition < kPartitions; ++partition) {
    for (const LogMessage& message : stack_->Messages(partition)) {
      ExpectNoCanary(message.body, absl::StrCat("message ", message.sequence, " of partition ", partition));
      EXPECT_TRUE(message.source == "intake" || message.source == "risk" || message.source == "timer" ||
                  message.source == "notice")
          << message.source;
    }
  }
}

TEST_F(CanaryTest, NotInTheBrokersFilesWithTheKeysAndSubjectsInThem) {
  ExpectNoCanaryBelow(stack_->home() + "/nats/store");
}

TEST_F(CanaryTest, NotInTheServicesFiles) { ExpectNoCanaryBelow(stack_->home() + "/data"); }

TEST_F(CanaryTest, NotInTheLogFiles) {
  ExpectNoCanaryBelow(stack_->home() + "/logs");
  for (const char* service : {"intake", "risk-rules", "escalation-timer", "notification", "audit", "gateway"}) {
    EXPECT_THAT(stack_->LogText(service), Not(HasSubstr("severe"))) << service;
  }
}

TEST_F(CanaryTest, NotInTheMetrics) {
  for (const char* service : kServices) {
    const std::string text = stack_->Metrics(service);
    EXPECT_GT(text.size(), 100U) << service;
    ExpectNoCanary(text, absl::StrCat("metrics of ", service));
    for (const char* word : {"canary-child", "canary-leader", "canary-school"})
      EXPECT_THAT(text, Not(HasSubstr(word))) << service;
    EXPECT_THAT(text, Not(HasSubstr(case_id_))) << service;
  }
}

TEST_F(CanaryTest, NotInTheCache) {
  // Every key with its value, as stored; and what stands on disk.
  const std::string redis = absl::StrCat("redis-cli -u '", stack_->Variable("VIGIL_REDIS_URL"), "' --no-auth-warning ");
  const Outcome keys = stack_->Vigil("--help >/dev/null; " + redis + "--scan");
  ASSERT_EQ(keys.exit_code, 0) << keys.out << keys.err;
  ExpectNoCanary(keys.out, "the cache's keys");
  const Outcome values =
      stack_->Vigil("--help >/dev/null; for key in $(" + redis + "--scan); do " + redis + "--raw DUMP \"$key\"; done");
  ExpectNoCanary(values.out, "the cache's values");
  const std::filesystem::path directory = stack_->home() + "/redis";
  if (!std::filesystem::is_empty(directory)) ExpectNoCanaryBelow(directory);
}

TEST_F(CanaryTest, NotInWhatIsServedToWhoMayRead) {
  // Names and texts are not part of a case or a timeline; they are read where they are needed, and not before.
  for (const char* rest : {"", "/timeline", "/clocks", "/custody"})
    ExpectNoCanary(stack_->Get("/api/v1/cases/" + case_id_ + rest).text, rest);
  ExpectNoCanary(stack_->Get("/api/v1/schools/canary-school/cases").text, "the list of cases");
  ExpectNoCanary(stack_->Get("/api/v1/schools/canary-school/oncall").text, "who is on call");
}

TEST_F(CanaryTest, NoTextThatLeftSaysWhoOrWhat) {
  std::size_t texts = 0;
  for (const auto& [who, phone] : phones_) {
    for (const json& one : stack_->Received(phone)) {
      ++texts;
      const std::string text = one.at("text");
      for (const auto& [field, canary] : planted_) {
        // A member of staff may be named: who took the matter, who hands over the document.
        if (field == "leader name" || field == "teacher name") continue;
        EXPECT_THAT(text, Not(HasSubstr(canary))) << field << " to " << who;
      }
      for (const char* word :
           {"canary-child", "severe", "extreme", "严重", "W1a", "死亡", "自杀", "心理", "危机", "http"})
        EXPECT_THAT(text, Not(HasSubstr(word))) << "to " << who;
    }
  }
  EXPECT_GE(texts, 3U);
  EXPECT_EQ(stack_->Received(phones_["child"]).size(), 0U) << "nobody rings the child";
}

}  // namespace
}  // namespace vigil::stack
