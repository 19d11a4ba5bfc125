// What can be read of a case afterwards, and while it happens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "audit/audit.h"
#include "escalation-timer/escalation_timer.h"
#include "risk-rules/risk_rules.h"
#include "scenario/support/world.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

// Keeps rows, and takes no more than `room` until told.
class Rows final : public audit::RowSink {
 public:
  bool Offer(audit::v1::TimelineRow row) override {
    rows.push_back(std::move(row));
    return rows.size() < room;
  }
  void End(absl::Status status) override { ended = std::move(status); }

  std::vector<std::string> Types() const {
    std::vector<std::string> types;
    for (const audit::v1::TimelineRow& row : rows) types.push_back(row.type());
    return types;
  }

  std::vector<audit::v1::TimelineRow> rows;
  std::size_t room = SIZE_MAX;
  std::optional<absl::Status> ended;
};

std::string IdOf(const audit::v1::TimelineRow& row) {
  return absl::StrCat(absl::Dec(row.position().partition(), absl::kZeroPad2), "-", row.position().sequence(), "-", row.position().index());
}

class AuditTest : public testing::Test {
 protected:
  AuditTest() { world_.OpenSchool(intake_); }
  ~AuditTest() override {
    audit_.Kill();
    std::filesystem::remove_all(directory_);
  }

  std::unique_ptr<Service> MakeAudit(Node& node) {
    auto ledger = Ledger::Open({.directory = directory_ + "/ledger", .installation = "test"}, world_.random());
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    auto store = audit::TimelineStore::Open(directory_ + "/timeline.db");
    EXPECT_TRUE(store.ok()) << store.status();
    ManualLoop* worker = node.AddLoop();
    auto made = std::make_unique<audit::Audit>(*std::move(ledger), *std::move(store), worker, &world_.clock(), nullptr,
                                               audit::AuditOptions{.gather = absl::ZeroDuration()});
    worker->SetHooks(made->worker_hooks());
    return made;
  }

  audit::Audit& audit() { return audit_.service<audit::Audit>(); }

  absl::StatusOr<audit::v1::Timeline> Timeline(const std::string& case_id, const audit::Caller& caller = kLeader, const std::string& language = "en") {
    audit::v1::GetTimelineRequest request;
    request.set_case_(case_id);
    request.set_language(language);
    absl::StatusOr<audit::v1::Timeline> answer = absl::DeadlineExceededError("not answered");
    audit().GetTimeline(caller, request, [&](absl::StatusOr<audit::v1::Timeline> timeline) { answer = std::move(timeline); });
    world_.Advance(absl::Seconds(1));
    return answer;
  }

  std::vector<std::string> TypesOf(const std::string& case_id) {
    std::vector<std::string> types;
    const absl::StatusOr<audit::v1::Timeline> timeline = Timeline(case_id);
    EXPECT_TRUE(timeline.ok()) << timeline.status();
    if (!timeline.ok()) return types;
    for (const audit::v1::TimelineRow& row : timeline->events()) types.push_back(row.type());
    return types;
  }

  std::shared_ptr<Rows> Stream(const std::string& after = "", const std::string& school = "school", const audit::Caller& caller = kLeader) {
    audit::v1::StreamEventsRequest request;
    request.set_school(school);
    request.set_after(after);
    request.set_language("en");
    auto rows = std::make_shared<Rows>();
    audit().OpenStream(caller, request, rows);
    world_.Settle();
    return rows;
  }

  inline static const audit::Caller kLeader{.person = "leader", .role = "leader", .school = "school"};

  const std::string directory_ = testing::TempDir() + absl::StrCat("audit_test_", testing::UnitTest::GetInstance()->current_test_info()->name());
  World world_;
  Node& risk_ = world_.Run({.source = "risk", .make = [](Node&) { return std::make_unique<RiskRules>(); }});
  Node& timer_ = world_.Run({.source = "timer", .make = [this](Node&) {
                               return std::make_unique<EscalationTimer>(&world_.pack(), &world_.clock(), nullptr);
                             }});
  Node& audit_ = world_.Run({.source = "audit", .writes = false, .make = [this](Node& node) { return MakeAudit(node); },
                              .attach = [](Service& service, Machine& machine) { static_cast<audit::Audit&>(service).Attach(&machine); }});
  Node& intake_ = world_.RunWriter("intake");
};

TEST_F(AuditTest, TimelineTellsWhatHappenedAndWhatFollowed) {
  world_.Run({.source = "notice", .make = [](Node&) { return std::make_unique<EverybodyAnswers>(); }});
  world_.Report(intake_, {.indicators = {"W1a"}});
  world_.Advance(absl::Hours(25));
  EXPECT_THAT(TypesOf("case-file"), IsSupersetOf({"report_received", "classified", "alert_raised", "clock_started", "supervision_started",
                                                  "alert_taken", "clock_warned", "clock_expired", "clock_overdue", "clock_reviewed"}));
}

TEST_F(AuditTest, RowsSayItInTheReadersLanguageAndByThePacksNames) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  const auto english = Timeline("case-file");
  const auto chinese = Timeline("case-file", kLeader, "zh-CN,zh;q=0.9");
  ASSERT_TRUE(english.ok() && chinese.ok());
  std::string english_text;
  std::string chinese_text;
  for (const auto& row : english->events()) absl::StrAppend(&english_text, row.summary(), "\n");
  for (const auto& row : chinese->events()) absl::StrAppend(&chinese_text, row.summary(), "\n");
  EXPECT_THAT(english_text, HasSubstr("class_teacher reports"));
  EXPECT_THAT(english_text, HasSubstr("clock runs: written report within 24 hours, due 03-11 10:00"));
  EXPECT_THAT(english_text, HasSubstr("alert: urgent report"));
  EXPECT_THAT(chinese_text, HasSubstr("开始计时：24小时书面报告，至 03-11 10:00"));
  EXPECT_THAT(chinese_text, HasSubstr("警报：紧急上报"));
  EXPECT_THAT(english_text, Not(HasSubstr("{")));
  EXPECT_THAT(english_text, Not(HasSubstr("[")));
}

TEST_F(AuditTest, RowsHoldNothingThatIsSealedAndNoStudent) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  domain::RecordFiled record{.record_id = "r", .kind = "talk", .fields = domain::Sealed{.person = "school/child", .content = "sealed words"}};
  ASSERT_TRUE(intake_.Do("school", "file", std::move(record)).ok());
  const auto timeline = Timeline("case-file");
  ASSERT_TRUE(timeline.ok());
  EXPECT_THAT(timeline->DebugString(), Not(HasSubstr("sealed words")));
  EXPECT_THAT(timeline->DebugString(), Not(HasSubstr(": \"child\"")));
}

// CRIT-07, CRIT-09
TEST_F(AuditTest, RestrictedIndicatorsAreShownToTheirReadersOnly) {
  world_.Report(intake_, {.indicators = {"W2d", "H2", "H4"}});
  const auto shown = [&](const audit::Caller& caller) {
    const auto timeline = Timeline("case-file", caller);
    EXPECT_TRUE(timeline.ok()) << timeline.status();
    if (!timeline.ok() || timeline->events().empty()) return std::string();
    return timeline->events(0).detail().count("indicators") > 0 ? timeline->events(0).detail().at("indicators") : std::string();
  };
  EXPECT_EQ(shown({.person = "office", .role = "counselling_office", .school = "school"}), "W2d,H2,H4");
  EXPECT_EQ(shown(kLeader), "W2d,H2");
  EXPECT_EQ(shown({.person = "grade_head", .role = "grade_head", .school = "school"}), "W2d");
  const auto streamed = Stream("", "school", {.person = "administrator", .role = "administrator", .school = "school"});
  world_.Report(intake_, {.indicators = {"W2d", "H4"}});
  for (const auto& row : streamed->rows) EXPECT_THAT(row.DebugString(), Not(HasSubstr("H4"))) << row.type();
  EXPECT_FALSE(streamed->rows.empty());
}

TEST_F(AuditTest, OnlyWhoMayReadTheCaseSeesIt) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  EXPECT_TRUE(absl::IsPermissionDenied(Timeline("case-file", {.person = "x", .role = "leader", .school = "another"}).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(Timeline("case-file", {.person = "guard", .role = "security", .school = "school"}).status()));
  EXPECT_TRUE(absl::IsNotFound(Timeline("no-such-case").status()));
  EXPECT_TRUE(Timeline("case-file", {.person = "admin", .role = "administrator", .school = "*"}).ok());
}

TEST_F(AuditTest, WhoIsOffTheMatterDoesNotSeeThatThereIsOne) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  ASSERT_TRUE(intake_.Do("school", "file", domain::Recused{.person = "deputy"}).ok());
  const audit::Caller deputy{.person = "deputy", .role = "deputy", .school = "school"};
  EXPECT_TRUE(absl::IsNotFound(Timeline("case-file", deputy).status()));
  EXPECT_TRUE(Timeline("case-file").ok());
  const auto live = Stream("", "school", deputy);
  ASSERT_TRUE(intake_.Do("school", "file", domain::ReportRead{}).ok());
  EXPECT_THAT(live->rows, IsEmpty());
}

TEST_F(AuditTest, VoidCommitsAreShownAsSuch) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  Node& notice = world_.RunWriter("notice");
  const std::string alert = intake_.Alert("severe_ladder")->alert_id;
  world_.broker().Hold(PartitionOf("school"));
  const auto take = [&](Node& node, const char* person) {
    std::vector<domain::Event> events;
    events.push_back({domain::AlertTaken{.alert_id = alert, .person = person, .how = "api"}});
    return node.Submit("school", "file", std::move(events), person);
  };
  const auto first = take(intake_, "leader");
  const auto second = take(notice, "deputy");
  world_.Settle();
  world_.broker().Release(PartitionOf("school"));
  world_.Settle();
  const auto timeline = Timeline("case-file");
  ASSERT_TRUE(timeline.ok());
  int with_effect = 0;
  int without = 0;
  for (const auto& row : timeline->events()) {
    if (row.type() != "alert_taken") continue;
    ++(row.void_() ? without : with_effect);
    EXPECT_EQ(row.detail().at("ladder"), "severe_ladder");
  }
  EXPECT_EQ(with_effect, 1);
  EXPECT_EQ(without, 1);
}

TEST_F(AuditTest, StreamIsLiveAndResumesAfterAPosition) {
  const auto live = Stream();
  world_.Report(intake_, {.indicators = {"W1a"}});
  ASSERT_THAT(live->Types(), IsSupersetOf({"report_received", "classified", "alert_raised"}));
  EXPECT_FALSE(live->rows.front().summary().empty());

  // Whoever comes back with the report's position gets everything after it, in the same order, and goes on live.
  const auto resumed = Stream(IdOf(live->rows.front()));
  std::vector<std::string> rest = live->Types();
  std::size_t same_position = 0;
  while (IdOf(live->rows[same_position]) == IdOf(live->rows.front())) ++same_position;
  rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(same_position));
  EXPECT_EQ(resumed->Types(), rest);
  const std::size_t before = resumed->rows.size();
  world_.Advance(absl::Minutes(2));
  EXPECT_GT(resumed->rows.size(), before);
  EXPECT_EQ(resumed->rows.size() + same_position, live->rows.size());
}

TEST_F(AuditTest, StreamOfASchoolShowsNoOther) {
  world_.OpenSchool(intake_, "another");
  const auto live = Stream();
  const auto all = Stream("", "", {.person = "admin", .role = "administrator", .school = "*"});
  world_.Report(intake_, {.indicators = {"W1a"}}, "their file", "another");
  EXPECT_THAT(live->rows, IsEmpty());
  EXPECT_THAT(all->Types(), Contains("report_received"));
  const auto refused = Stream("", "another");
  ASSERT_TRUE(refused->ended);
  EXPECT_TRUE(absl::IsPermissionDenied(*refused->ended));
}

TEST_F(AuditTest, SlowReaderMissesNothing) {
  const auto slow = Stream();
  const auto quick = Stream();
  slow->room = 1;
  for (int i = 0; i < 20; ++i) world_.Report(intake_, {.indicators = {"H1"}}, absl::StrCat("file ", i));
  EXPECT_LT(slow->rows.size(), quick->rows.size());
  slow->room = SIZE_MAX;
  audit().Continue(slow.get());
  world_.Settle();
  EXPECT_EQ(slow->Types(), quick->Types());
  world_.Report(intake_, {.indicators = {"H1"}}, "one more");
  EXPECT_EQ(slow->Types(), quick->Types());
}

TEST_F(AuditTest, LedgerHoldsEveryCommitAndProvesIt) {
  for (int i = 0; i < 5; ++i) world_.Report(intake_, {.indicators = {"H1"}}, absl::StrCat("file ", i));
  const auto partition = static_cast<std::uint32_t>(PartitionOf("school"));
  const audit::Caller admin{.person = "admin", .role = "administrator", .school = "*"};
  audit::v1::ListEntriesRequest request;
  request.set_partition(partition);
  audit::v1::ListEntriesResponse entries;
  audit().ListEntries(admin, request, [&](absl::StatusOr<audit::v1::ListEntriesResponse> answer) { entries = answer.value(); });
  world_.Settle();
  EXPECT_EQ(entries.size(), audit_.machine().statistics().commits);
  ASSERT_EQ(static_cast<std::uint64_t>(entries.entries_size()), entries.size());
  log::v1::Commit commit;
  EXPECT_TRUE(commit.ParseFromString(entries.entries(0).commit()));

  audit::v1::GetInclusionRequest wanted;
  wanted.set_partition(partition);
  wanted.set_leaf(1);
  audit::v1::Proof proof;
  audit().GetInclusion(admin, wanted, [&](absl::StatusOr<audit::v1::Proof> answer) { proof = answer.value(); });
  world_.Settle();
  std::vector<Digest> path;
  for (const std::string& hash : proof.hashes()) {
    Digest digest{};
    std::copy(hash.begin(), hash.end(), digest.begin());
    path.push_back(digest);
  }
  EXPECT_EQ(proof.leaf_hash(), entries.entries(1).leaf_hash());
  EXPECT_EQ(proof.root(), AsString(*audit().ledger().Root(partition, proof.size())));
  EXPECT_FALSE(path.empty());
}

TEST_F(AuditTest, ForgedMessagesHaveNoLeafAndDoNotStopTheLedger) {
  world_.Report(intake_, {.indicators = {"H1"}});
  const auto partition = static_cast<std::uint32_t>(PartitionOf("school"));
  const std::uint64_t size = audit().ledger().Size(partition);
  world_.broker().Forge(static_cast<int>(partition), "intake", "not a batch");
  world_.Settle();
  EXPECT_EQ(audit().ledger().Size(partition), size);
  ASSERT_TRUE(intake_.Do("school", "file", domain::ReportRead{}).ok());
  EXPECT_EQ(audit().ledger().Size(partition), size + 1);
  EXPECT_EQ(audit().ledger().Position(partition), world_.broker().LastSequence(static_cast<int>(partition)));
}

TEST_F(AuditTest, RestartGoesOnWhereItWas) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  const auto before = Timeline("case-file");
  const auto partition = static_cast<std::uint32_t>(PartitionOf("school"));
  const std::string checkpoint = audit().ledger().SignedCheckpoint(partition);
  audit_.Restart();
  world_.Settle();
  EXPECT_EQ(audit().ledger().SignedCheckpoint(partition), checkpoint);
  const auto after = Timeline("case-file");
  ASSERT_TRUE(before.ok() && after.ok());
  ASSERT_GE(after->events_size(), before->events_size());
  for (int i = 0; i < before->events_size(); ++i) EXPECT_EQ(after->events(i).DebugString(), before->events(i).DebugString());
  EXPECT_THAT(TypesOf("case-file"), Contains("report_received"));

  ASSERT_TRUE(intake_.Do("school", "file", domain::ReportRead{}).ok());
  EXPECT_THAT(TypesOf("case-file"), Contains("report_read"));
}

TEST_F(AuditTest, TimelineLostIsMadeAgainFromTheLog) {
  world_.Report(intake_, {.indicators = {"W1a"}});
  const std::vector<std::string> before = TypesOf("case-file");
  audit_.Kill();
  std::filesystem::remove(directory_ + "/timeline.db");
  std::filesystem::remove(directory_ + "/timeline.db-wal");
  audit_.Start();
  world_.Settle();
  const std::vector<std::string> after = TypesOf("case-file");
  ASSERT_GE(after.size(), before.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
}

}  // namespace
}  // namespace vigil::scenario
