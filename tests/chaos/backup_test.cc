// RELIABILITY.md, tests 19 (in part) and 29: copies made under load, the machine gone, everything back from the copies; and who was erased stays
// erased, whichever copy is older.
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"
#include "machine/batch_codec.h"
#include "platform/crypto/encoding.h"
#include "platform/keys/nats_key_store.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::chaos {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kPng[] = "\x89PNG\r\n\x1a\nZQXCANARYZQX";

class BackupChaosTest : public ::testing::Test {
 protected:
  BackupChaosTest() : nemesis_({.students = 30}), stack_(nemesis_.stack()), copies_(stack_.home() + "-copies") { fs::create_directories(copies_); }
  ~BackupChaosTest() override {
    StopLoad();
    fs::remove_all(copies_);
  }

  std::string Copy(const std::string& name) const { return absl::StrCat(copies_, "/", name); }
  const std::string& Leader() const { return nemesis_.school().Staff("leader").token; }
  const std::string& Student(int number) const { return nemesis_.school().students[static_cast<std::size_t>(number)]; }

  json Backup(const std::string& log, const std::string& keys, const std::string& figure) {
    const absl::Time begin = absl::Now();
    const stack::Outcome made = stack_.Vigil(absl::StrCat("backup --json --to ", Copy(log), " --keys-to ", Copy(keys)));
    EXPECT_EQ(made.exit_code, 0) << made.out << made.err;
    if (!figure.empty()) Figure(figure, absl::FormatDuration(absl::Now() - begin));
    return json::parse(made.out, nullptr, false);
  }
  stack::Outcome CheckCopy(const std::string& log) { return stack_.Program("vigil", absl::StrCat("backup --json --check ", Copy(log))); }
  stack::Outcome Restore(const std::string& log, const std::string& keys, const std::string& more = "") {
    return stack_.Program("vigil", absl::StrCat("restore --json --from ", Copy(log), " --keys-from ", Copy(keys), " --custodian ", Copy("custodian.key"),
                                                " --home ", stack_.home(), " --port ", stack_.port(), durable_ ? "" : " --not-durable", " ", more));
  }
  void CopyCopy(const std::string& from, const std::string& to) { fs::copy(Copy(from), Copy(to), fs::copy_options::recursive); }

  // The machine is gone; what its custodian took away is not.
  void LoseMachine() {
    stack_.Down();
    fs::remove_all(stack_.home());
  }

  // A student of whom something was written, who has left, and of whom everything is erased.
  void Erase(int number) {
    const std::string key = absl::StrCat("leaves-", number);
    const Answer report = nemesis_.Report(nemesis_.Quiet(number), false, key);
    ASSERT_EQ(report.status, 201) << report;
    ASSERT_TRUE(Opens(number)) << "there is something to erase";
    const std::string path = absl::StrCat("/api/v1/schools/", nemesis_.school().id, "/people/", Student(number), ":erase");
    EXPECT_EQ(stack_.Post(path, json::object()).status, 409) << "still in the directory";
    const Answer closed = stack_.Command(report.body.at("case_id"), "close", {{"reason", "r"}}, Leader());
    ASSERT_EQ(closed.status, 200) << closed;
    const Answer left = stack_.Put(absl::StrCat("/api/v1/schools/", nemesis_.school().id, "/directory"), {{"removed", {Student(number)}}});
    ASSERT_EQ(left.status, 200) << left;
    EXPECT_EQ(stack_.Post(path, json::object(), Leader()).status, 403) << "not everybody may";
    const Answer erased = stack_.Post(path, json::object());
    ASSERT_EQ(erased.status, 200) << erased;
    EXPECT_EQ(stack_.Post(path, json::object()).text, erased.text) << "again: the same answer";
    EXPECT_FALSE(Opens(number)) << "answered when nobody can read it any more";
  }

  // Whether anything that was reported of a student opens with the keys that are stored now. Fails the test if nothing was reported.
  bool Opens(int number) {
    NatsOptions options;
    options.url = stack_.Variable("VIGIL_NATS_URL");
    options.ca_file = stack_.Variable("VIGIL_NATS_CA");
    options.nkey_seed_file = stack_.home() + "/secrets/intake.nkey";
    options.inbox_prefix = "_INBOX_intake";
    SystemRandom random;
    std::string hex = stack_.SecretFile("installation.key");
    while (!hex.empty() && hex.back() == '\n') hex.pop_back();
    const auto keys = OpenNatsKeyStore(options, *SealingKey::FromBytes(HexDecode(hex).value_or("")), random);
    EXPECT_TRUE(keys.ok());
    EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return (*keys)->ready(); }));
    int sealed = 0;
    int opened = 0;
    for (const log::v1::Event& event : Events()) {
      if (!event.has_report_received() || event.report_received().student() != Student(number) || !event.report_received().has_personal()) continue;
      ++sealed;
      const log::v1::Sealed& personal = event.report_received().personal();
      const absl::StatusOr<SealingKey> key = (*keys)->Find(personal.person());
      if (key.ok() && key->Open(personal.content(), personal.person()).ok()) ++opened;
    }
    EXPECT_GT(sealed, 0) << "nothing was reported of " << Student(number);
    return opened > 0;
  }

  // Reports of those who are still here.
  void StartLoad(int clients) {
    for (int i = 0; i < clients; ++i) {
      clients_.emplace_back([this] {
        while (!stop_) {
          const int mine = number_++;
          nemesis_.Report(nemesis_.Quiet(3 + mine % 20), false, absl::StrCat("while-copied-", mine));
        }
      });
    }
  }
  void StopLoad() {
    stop_ = true;
    for (std::thread& client : clients_) client.join();
    clients_.clear();
  }

  std::vector<log::v1::Event> Events() {
    std::vector<log::v1::Event> events;
    for (const LogMessage& message : stack_.Messages(nemesis_.school().partition())) {
      const auto batch = DecodeOwnBatch(message.body);
      if (!batch.ok()) continue;
      for (const std::string& bytes : batch->commits) {
        log::v1::Commit commit;
        if (!commit.ParseFromString(bytes)) continue;
        for (const log::v1::Event& event : commit.events()) events.push_back(event);
      }
    }
    return events;
  }

  // What is shown of every case that time alone does not change.
  std::map<std::string, json> Cases() {
    std::map<std::string, json> cases;
    const Answer list = stack_.Get(absl::StrCat("/api/v1/schools/", nemesis_.school().id, "/cases?page_size=100"));
    EXPECT_EQ(list.status, 200) << list;
    for (const json& one : list.body.at("cases")) {
      json shown = stack_.Case(one.at("case_id"));
      if (shown.at("level").at("provisional") != "watch") {
        for (const char* moving : {"clocks", "alerts", "custody", "next", "etag"}) shown.erase(moving);
      }
      cases[one.at("case_id")] = shown;
    }
    return cases;
  }

  static std::size_t FilesWith(const std::string& directory, const std::vector<std::string>& words) {
    std::size_t found = 0;
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      EXPECT_EQ(entry.status().permissions() & (fs::perms::group_all | fs::perms::others_all), fs::perms::none) << entry.path();
      const std::string text = testing::ReadFile(entry.path());
      for (const std::string& word : words) found += absl::StrContains(text, word) ? 1 : 0;
    }
    EXPECT_GT(files, 0U) << directory;
    return found;
  }

  Nemesis nemesis_;
  Stack& stack_;
  const std::string copies_;
  bool durable_ = true;
  std::atomic<bool> stop_{false};
  std::atomic<int> number_{0};
  std::vector<std::thread> clients_;
};

TEST_F(BackupChaosTest, EverythingIsBackFromTheCopiesAndWhoWasErasedIsNot) {
  durable_ = !absl::StrContains(testing::ReadFile(stack_.home() + "/installation.json"), "\"durable\": false");
  fs::rename(stack_.home() + "/custodians/custodian-2.key", Copy("custodian.key"));

  // ---- a taken severe case with a photo, a case that is closed, somebody erased
  stack::Request photo{.method = "POST", .path = absl::StrCat("/api/v1/schools/", nemesis_.school().id, "/attachments"), .token = nemesis_.school().token, .body = kPng};
  photo.headers = {{"Content-Type", "image/png"}};
  const Answer stored = stack_.Send(photo);
  ASSERT_EQ(stored.status, 201) << stored;
  json severe = nemesis_.Severe(0);
  severe["attachments"] = {stored.body.at("id")};
  const Answer reported = nemesis_.Report(severe, true, "severe-first");
  ASSERT_EQ(reported.status, 201) << reported;
  const std::string case_id = reported.body.at("case_id");
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] { return !stack::AlertOf(stack_.Case(case_id), "severe_ladder").is_null(); }));
  const Answer taken = stack_.Post(absl::StrCat("/api/v1/alerts/", stack::AlertOf(stack_.Case(case_id), "severe_ladder").at("id").get<std::string>(), ":take"),
                                   json::object(), Leader());
  ASSERT_EQ(taken.status, 200) << taken;
  Erase(1);

  // ---- copies under load; first some that are killed in the middle
  StartLoad(3);
  ASSERT_TRUE(Eventually(Count(absl::Seconds(20), absl::Minutes(10)), [&] { return nemesis_.accepted() > Count<std::size_t>(60, 2000); }));
  for (const char* seconds : {"0.02", "0.06", "0.12", "0.2"}) {
    (void)stack_.Vigil(absl::StrCat("--help >/dev/null; timeout -s KILL ", seconds, " vigil backup --to ", Copy("log"), " --keys-to ", Copy("keys")));
  }
  const json first = Backup("log", "keys", "backup_under_load_took");
  StopLoad();
  EXPECT_GT(first.at("messages").get<int>(), 50);
  EXPECT_EQ(first.at("attachments"), 1);
  EXPECT_GE(first.at("erased_keys").get<int>(), 1);
  Figure("backup_messages", first.at("messages").dump());
  CopyCopy("log", "log-1");
  CopyCopy("keys", "keys-1");

  // ---- somebody is erased after that; more happens; an incremental copy
  Erase(2);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(nemesis_.Report(nemesis_.Quiet(5 + i % 20), false, absl::StrCat("later-", i)).status, 201);
  ASSERT_TRUE(Eventually(absl::Seconds(20), [&] { return nemesis_.Drained(); }));
  absl::SleepFor(absl::Seconds(3));  // what follows from the reports has come
  const json second = Backup("log", "keys", "backup_incremental_took");
  EXPECT_LT(second.at("new_messages").get<int>(), second.at("messages").get<int>()) << "only what is new";
  EXPECT_GT(second.at("new_messages").get<int>(), 0);
  EXPECT_EQ(second.at("new_attachments"), 0);
  EXPECT_EQ(Backup("log", "keys", "").at("new_attachments"), 0);

  // ---- a copy is checked without anything else, and what is wrong is named
  const absl::Time check = absl::Now();
  const stack::Outcome checked = CheckCopy("log");
  ASSERT_EQ(checked.exit_code, 0) << checked.out << checked.err;
  Figure("check_took", absl::FormatDuration(absl::Now() - check));
  EXPECT_GT(json::parse(checked.out).at("signed_commits").get<int>(), 0);
  EXPECT_EQ(CheckCopy("log-1").exit_code, 0);
  CopyCopy("log", "log-torn");
  std::string segment;
  for (const auto& entry : fs::recursive_directory_iterator(Copy("log-torn") + "/log")) {
    if (entry.is_regular_file() && (segment.empty() || entry.file_size() > fs::file_size(segment))) segment = entry.path();
  }
  fs::resize_file(segment, fs::file_size(segment) - 7);
  EXPECT_EQ(CheckCopy("log-torn").exit_code, 1);
  EXPECT_THAT(CheckCopy("log-torn").err, HasSubstr(fs::path(segment).filename().string()));

  // ---- nothing about anybody in the copy of the log, no key of anybody either
  EXPECT_EQ(FilesWith(Copy("log"), {kCanary, "ZQXCANARYZQX", Base64Encode(kCanary), stack_.SecretFile("installation.key")}), 0U);
  EXPECT_EQ(FilesWith(Copy("keys"), {kCanary, stack_.SecretFile("installation.key"), stack_.SecretFile("checkpoint.sign")}), 0U);
  EXPECT_EQ(FilesWith(stack_.home() + "/secrets", {stack_.SecretFile("installation.key")}), 1U) << "the search finds what is there";

  // ---- the machine is gone. The copy of keys is the older one: from before the second erasure
  const std::map<std::string, json> before = Cases();
  ASSERT_GT(before.size(), 10U);
  EXPECT_EQ(Restore("log", "keys").exit_code, 1) << "a home that is there is left alone";
  const std::vector<LogMessage> messages = stack_.Messages(nemesis_.school().partition());
  LoseMachine();
  EXPECT_EQ(Restore("log-torn", "keys").exit_code, 1);
  EXPECT_FALSE(fs::exists(stack_.home())) << "nothing is made of a torn copy";
  const absl::Time restore = absl::Now();
  const stack::Outcome restored = Restore("log", "keys-1");
  ASSERT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  Figure("restore_took", absl::FormatDuration(absl::Now() - restore));
  Figure("restored_messages", json::parse(restored.out).at("messages").dump());
  EXPECT_GE(json::parse(restored.out).at("erased_again").get<int>(), 1);
  stack_.Up();
  Figure("ready_after_loss", absl::FormatDuration(absl::Now() - restore));

  const stack::Outcome verified = stack_.Vigil("verify --json");
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  const std::vector<LogMessage> back = stack_.Messages(nemesis_.school().partition());
  const auto copied = static_cast<std::size_t>(std::count_if(messages.begin(), messages.end(), [&](const LogMessage& message) {
    return message.sequence <= back.size() && back[message.sequence - 1].source == message.source && back[message.sequence - 1].body == message.body;
  }));
  EXPECT_GE(copied + 3, messages.size()) << "each stands where it stood (but for what came after the last copy)";
  const std::map<std::string, json> after = Cases();
  EXPECT_EQ(after.size(), before.size());
  for (const auto& [id, shown] : before) {
    ASSERT_TRUE(after.contains(id)) << id;
    EXPECT_EQ(after.at(id), shown);
  }
  EXPECT_EQ(stack::AlertOf(stack_.Case(case_id), "severe_ladder").at("state"), "taken");
  const Answer again = stack_.Report(nemesis_.school(), severe, "", "severe-first");
  EXPECT_EQ(again.status, reported.status);
  EXPECT_EQ(again.text, reported.text) << "the same request gives the first answer";
  EXPECT_TRUE(Opens(0));
  EXPECT_TRUE(Opens(6));
  EXPECT_FALSE(Opens(1)) << "erased before the copies";
  EXPECT_FALSE(Opens(2)) << "erased after the keys were copied";
  EXPECT_EQ(Restore("log", "keys").exit_code, 1) << "a home that is there is left alone";

  // ---- it goes on: reports, and the next copy onto the same one
  ASSERT_EQ(nemesis_.Report(nemesis_.Severe(25), true, "after").status, 201);
  absl::SleepFor(absl::Seconds(3));
  EXPECT_GT(Backup("log", "keys", "").at("new_messages").get<int>(), 0);
  EXPECT_EQ(CheckCopy("log").exit_code, 0) << CheckCopy("log").err;
  ASSERT_TRUE(Eventually(absl::Seconds(20), [&] { return nemesis_.Drained(); }));
  Evidence evidence = nemesis_.Collect();
  evidence.down = absl::Minutes(3);
  // The telephones' own memory of the first life is gone.
  for (AcceptedReport& report : evidence.reports) report.severe = report.severe && report.sent > restore;
  const Verdict verdict = Check(evidence);
  for (const std::string& violation : verdict.violations) ADD_FAILURE() << violation;
  EXPECT_GE(verdict.reports, 80U);
  Figure("violations", absl::StrCat(verdict.violations.size()));

  // ---- and once more, from copies that are both older than the second erasure, with the list that the newer copy has
  CopyCopy("log", "log-newest");
  LoseMachine();
  std::string list;
  for (const auto& entry : fs::directory_iterator(Copy("keys"))) {
    if (entry.path().filename() == "erasures") list = entry.path();
  }
  ASSERT_FALSE(list.empty());
  const stack::Outcome older = Restore("log-1", "keys-1", "--erasures " + list);
  ASSERT_EQ(older.exit_code, 0) << older.out << older.err;
  EXPECT_EQ(json::parse(older.out).at("erasures_told"), 1);
  stack_.Up();
  EXPECT_EQ(stack_.Vigil("verify --json").exit_code, 0);
  EXPECT_TRUE(Opens(0));
  const std::vector<log::v1::Event> events = Events();
  EXPECT_EQ(std::count_if(events.begin(), events.end(), [&](const log::v1::Event& event) { return event.has_person_erased(); }), 2)
      << "the log knows now of the erasure that it had not known of";
  // The report of the one who was erased later stands in the newer copy only; that the key did not come back is what counts.
  const std::string path = absl::StrCat("/api/v1/schools/", nemesis_.school().id, "/people/", Student(1), ":erase");
  EXPECT_EQ(stack_.Post(path, json::object()).status, 200) << "it is still known who was erased";
  const stack::Outcome other_log = stack_.Vigil(absl::StrCat("backup --to ", Copy("log"), " --keys-to ", Copy("keys")));
  EXPECT_EQ(other_log.exit_code, 1) << "another log than the one that was copied is not put over it";
  EXPECT_EQ(CheckCopy("log").exit_code, 0) << "and nothing was changed: " << CheckCopy("log").err;
}

}  // namespace
}  // namespace vigil::chaos
