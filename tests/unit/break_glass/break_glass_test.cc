#include "intake/break_glass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "domain/pack/loader.h"
#include "notification/channels/fake/fake_provider.h"
#include "platform/pack_directory/pack_directory.h"

namespace vigil::intake {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const domain::Pack& PrimarySchool() {
  static const std::shared_ptr<const domain::Pack> pack = [] {
    const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
    return *domain::LoadPack(*files, PackDigest);
  }();
  return *pack;
}

// Intake's break-glass, with notification's arm and its own, each with a telephone network of its own.
class BreakGlassTest : public ::testing::Test {
 protected:
  BreakGlassTest() : clock_(absl::FromUnixSeconds(1'800'000'000)), list_("", *SealingKey::FromBytes(std::string(32, 'k')), &random_) {
    list_.Put("school", {.name = "测试小学",
                         .duty_phone = "02100000000",
                         .language = "zh-CN",
                         .people = {{"leader", Secret<std::string>("1001"), ""}, {"deputy", Secret<std::string>("1002"), "en"}}});
    Begin();
  }

  void Begin() {
    break_glass_.reset();
    const auto arm = [](const break_glass::Ringer* ringer) {
      return [ringer](const break_glass::RingOrder& order, const auto& done) { ringer->Ring(order, done); };
    };
    break_glass_ = std::make_unique<BreakGlass>(BreakGlassOptions{
        .clock = &clock_, .list = &list_, .records = &records_, .every = absl::Seconds(60), .arms = {{"notification", arm(&theirs_)}, {"intake", arm(&own_)}}});
  }

  void Pass(absl::Duration span) {
    clock_.Advance(span);
    break_glass_->Tick();
  }
  static Matter Of(const std::string& report, const std::string& code = "AB12C") {
    return {.key = report, .report_id = report, .alert_id = "", .school = "school", .code = code};
  }
  absl::Status Press(const std::string& id, const std::string& digits = "1") {
    return break_glass_->ReceiveCallback(nlohmann::json{{"id", id}, {"event", "digits"}, {"digits", digits}}.dump());
  }

  ManualClock clock_;
  SystemRandom random_;
  FakeOutbox records_;
  break_glass::EmergencyList list_;
  notification::FakeProvider their_phones_{"theirs"};
  notification::FakeProvider own_phones_{"own"};
  notification::FakeProvider second_phones_{"second"};
  break_glass::Ringer theirs_{&PrimarySchool(), &list_, {&their_phones_}, nullptr};
  break_glass::Ringer own_{&PrimarySchool(), &list_, {&own_phones_, &second_phones_}, nullptr};
  std::unique_ptr<BreakGlass> break_glass_;
};

TEST_F(BreakGlassTest, HasEverybodyOnTheListRungByNotificationWithItsWordsAndNoName) {
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  Pass(absl::Seconds(4));
  EXPECT_THAT(their_phones_.placed(), IsEmpty());
  Pass(absl::Seconds(1));
  const auto placed = their_phones_.placed();
  ASSERT_THAT(placed, SizeIs(2));
  EXPECT_EQ(placed[0].to, "1001");
  EXPECT_TRUE(placed[0].gather);
  EXPECT_TRUE(placed[0].urgent);
  EXPECT_EQ(placed[0].text, "系统部分故障，按应急名单呼叫您。测试小学有紧急学生安全事项AB12C，请立即拨02100000000。由您负责，按1；重听，按9。");
  EXPECT_EQ(placed[1].language, "en");
  EXPECT_THAT(placed[1].text, HasSubstr("AB12C"));
  EXPECT_THAT(own_phones_.placed(), IsEmpty());
}

TEST_F(BreakGlassTest, RingsByItselfWhenNotificationCannot) {
  their_phones_.Answer(absl::UnavailableError("down"));
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  Pass(absl::Seconds(5));
  EXPECT_THAT(own_phones_.placed(), SizeIs(2));
  // The same call whoever places it: a provider that both ask rings once.
  EXPECT_EQ(own_phones_.placed()[0].id, their_phones_.asked()[0].id);
  ASSERT_THAT(break_glass_->Unrecorded(), SizeIs(1));
  EXPECT_EQ(break_glass_->Unrecorded()[0].by, "intake");
}

TEST_F(BreakGlassTest, AsksTheSecondProviderWhenTheFirstRefuses) {
  their_phones_.Answer(absl::UnavailableError("down"));
  own_phones_.Answer(absl::UnavailableError("down"));
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  Pass(absl::Seconds(5));
  EXPECT_THAT(second_phones_.placed(), SizeIs(2));
}

TEST_F(BreakGlassTest, TriesAgainInSecondsWhenNobodyAtAllTakesTheCall) {
  for (notification::FakeProvider* phones : {&their_phones_, &own_phones_, &second_phones_}) phones->Answer(absl::UnavailableError("down"));
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  Pass(absl::Seconds(5));
  EXPECT_THAT(break_glass_->Unrecorded(), IsEmpty()) << "nobody was rung";
  their_phones_.Answer(absl::OkStatus());
  Pass(absl::Seconds(5));
  EXPECT_THAT(their_phones_.placed(), SizeIs(2));
}

TEST_F(BreakGlassTest, RingsEachMinuteUntilAPersonPressesOne) {
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  Pass(absl::Seconds(5));
  Pass(absl::Seconds(60));
  ASSERT_THAT(their_phones_.placed(), SizeIs(4));
  EXPECT_TRUE(Press(their_phones_.placed()[3].id, "9").ok());
  EXPECT_TRUE(break_glass_->Waits("r1"));
  EXPECT_TRUE(Press(their_phones_.placed()[3].id).ok());
  EXPECT_FALSE(break_glass_->Waits("r1"));
  Pass(absl::Minutes(10));
  EXPECT_THAT(their_phones_.placed(), SizeIs(4));
  const auto records = break_glass_->Unrecorded();
  ASSERT_THAT(records, SizeIs(3));
  EXPECT_THAT(records[0].people, ElementsAre("leader", "deputy"));
  EXPECT_EQ(records[2].taken_by, "deputy");
  EXPECT_EQ(records[2].report_id, "r1");
  // Pressed again, by the other: it is taken.
  EXPECT_TRUE(Press(their_phones_.placed()[0].id).ok());
  EXPECT_THAT(break_glass_->Unrecorded(), SizeIs(3));
  // Told of the same report again (it is drained from the outbox): it stays taken.
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  Pass(absl::Minutes(1));
  EXPECT_THAT(their_phones_.placed(), SizeIs(4));
}

TEST_F(BreakGlassTest, OneCallTellsOfSeveralMattersAndOneKeypressTakesThem) {
  break_glass_->Begin(Of("r1", "AAAAA"), clock_.NowReal());
  break_glass_->Begin(Of("r2", "BBBBB"), clock_.NowReal());
  Pass(absl::Seconds(5));
  ASSERT_THAT(their_phones_.placed(), SizeIs(2)) << "a call a person, not a call a matter";
  EXPECT_THAT(their_phones_.placed()[0].text, HasSubstr("AAAAA, BBBBB"));
  EXPECT_TRUE(Press(their_phones_.placed()[0].id).ok());
  EXPECT_FALSE(break_glass_->Waits("r1"));
  EXPECT_FALSE(break_glass_->Waits("r2"));
}

TEST_F(BreakGlassTest, KnowsAfterARestartWhatItDidAndWhoMayPressTheKey) {
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  break_glass_->Begin(Of("r2"), clock_.NowReal());
  Pass(absl::Seconds(5));
  Begin();
  EXPECT_THAT(break_glass_->Unrecorded(), SizeIs(2));
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  EXPECT_TRUE(Press(their_phones_.placed()[0].id).ok());
  EXPECT_FALSE(break_glass_->Waits("r1"));
  ASSERT_THAT(break_glass_->Unrecorded(), SizeIs(4));
  EXPECT_EQ(break_glass_->Unrecorded()[2].taken_by, "leader");
  Begin();
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  EXPECT_FALSE(break_glass_->Waits("r1")) << "taken stays taken";
  for (const BreakGlassRecord& record : break_glass_->Unrecorded()) break_glass_->Recorded(record.id);
  EXPECT_EQ(*records_.Count(), 0U);
}

TEST_F(BreakGlassTest, AMatterWithoutAReportIsKnownByItsKeyAfterARestart) {
  break_glass_->Begin({.key = "quarantine/f1", .report_id = "", .alert_id = "", .school = "school", .code = "AB12C"}, clock_.NowReal());
  Pass(absl::Seconds(5));
  Begin();
  EXPECT_TRUE(Press(their_phones_.placed()[0].id).ok());
  Begin();
  break_glass_->Begin({.key = "quarantine/f1", .report_id = "", .alert_id = "", .school = "school", .code = "AB12C"}, clock_.NowReal());
  EXPECT_FALSE(break_glass_->Waits("quarantine/f1")) << "taken stays taken";
}

TEST_F(BreakGlassTest, RingsThoughItsDiskIsFull) {
  records_.FailWith(absl::ResourceExhaustedError("full"));
  break_glass_->Begin(Of("r1"), clock_.NowReal());
  Pass(absl::Seconds(5));
  EXPECT_THAT(their_phones_.placed(), SizeIs(2));
  EXPECT_THAT(break_glass_->Unrecorded(), SizeIs(1));
}

TEST_F(BreakGlassTest, SaysWhenASchoolIsNotOnTheListAndGoesOnTrying) {
  Matter matter = Of("r1");
  matter.school = "unknown";
  break_glass_->Begin(matter, clock_.NowReal());
  Pass(absl::Seconds(5));
  EXPECT_TRUE(break_glass_->Waits("r1"));
  list_.Put("unknown", {.name = "x", .duty_phone = "1", .language = "en", .people = {{"p", Secret<std::string>("1003"), ""}}});
  Pass(absl::Seconds(5));
  EXPECT_THAT(their_phones_.placed(), SizeIs(1));
}

TEST_F(BreakGlassTest, RefusesWhatIsNoCallbackAndPassesOverWhatIsNotIts) {
  EXPECT_TRUE(absl::IsInvalidArgument(break_glass_->ReceiveCallback("[]")));
  EXPECT_TRUE(absl::IsInvalidArgument(break_glass_->ReceiveCallback(R"({"id": "x"})")));
  EXPECT_TRUE(Press("unknown").ok());
}

}  // namespace
}  // namespace vigil::intake
