#include "notification/notification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "unit/notification/world.h"

namespace vigil::notification {
namespace {

using domain::AlertPhase;
using domain::AttemptEvent;
using domain::AttemptEventState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kLeader[] = "+86101";
constexpr char kOffice[] = "+86102";
constexpr char kGradeHead[] = "+86103";
constexpr char kDeputy[] = "+86104";
constexpr char kTeacher[] = "+86105";

class NotificationTest : public ::testing::Test {
 protected:
  void Begin(bool second_provider = false, int students = 1) {
    world.StartNotification(second_provider);
    world.AddSchool({{"leader", "leader", kLeader},
                     {"office", "counselling_office", kOffice},
                     {"head", "grade_head", kGradeHead},
                     {"deputy", "deputy", kDeputy},
                     {"teacher", "teacher", kTeacher, "en"}},
                    students);
  }
  std::vector<std::string> NumbersOf(const std::string& channel, const std::vector<FakeProvider::Order>& orders) {
    std::vector<std::string> numbers;
    for (const FakeProvider::Order& order : orders) {
      if (order.channel == channel) numbers.push_back(order.to);
    }
    return numbers;
  }
  absl::Status Climb(int step, int round) {
    return world.Write("timer", World::FileOf(1),
                       {World::Of(domain::LadderClimbed{.alert_id = world.Alert().alert_id, .step = step, .round = round, .reason = "unanswered"})});
  }
  int Count(AttemptEvent event) {
    const auto all = world.EventsOf<domain::AttemptProgressed>();
    return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const auto& progressed) { return progressed.event == event; }));
  }

  World world;
};

TEST_F(NotificationTest, AFirstCallWaitsForNoOtherMattersMessages) {
  Begin(false, 60);
  world.first.Hold();
  for (int i = 1; i <= 60; ++i) world.ReportSevere(i);
  const auto asked = world.first.asked();
  EXPECT_THAT(asked.back().text, HasSubstr("K0060"));
  EXPECT_TRUE(asked.back().urgent);
  EXPECT_LT(asked.size(), 60U * 6U);
}

TEST_F(NotificationTest, TheFirstStepRingsTogetherWithMessagesBeside) {
  Begin();
  world.ReportSevere();
  const auto placed = world.first.placed();
  EXPECT_THAT(NumbersOf("call", placed), UnorderedElementsAre(kLeader, kOffice, kGradeHead));
  EXPECT_THAT(NumbersOf("sms", placed), UnorderedElementsAre(kLeader, kOffice, kGradeHead));
  // Calls before messages, and the first of all before whatever else waits.
  EXPECT_TRUE(std::is_partitioned(placed.begin(), placed.end(), [](const auto& order) { return order.channel == "call"; }));
  EXPECT_TRUE(placed[0].urgent);
  EXPECT_EQ(std::count_if(placed.begin(), placed.end(), [](const auto& order) { return order.urgent; }), 1);
}

TEST_F(NotificationTest, WordsNameTheSchoolAndTheMatterAndNobodyElse) {
  Begin();
  world.ReportSevere();
  const auto placed = world.first.placed();
  const FakeProvider::Order* call = World::Find(placed, "call", kLeader);
  ASSERT_NE(call, nullptr);
  EXPECT_THAT(call->text, HasSubstr("示例小学"));
  EXPECT_THAT(call->text, HasSubstr("编号K0001"));
  EXPECT_THAT(call->text, HasSubstr("按1"));
  EXPECT_EQ(call->language, "zh-CN");
  EXPECT_TRUE(call->gather);
  EXPECT_EQ(call->bridge_to, kTeacher);
  const FakeProvider::Order* message = World::Find(placed, "sms", kLeader);
  ASSERT_NE(message, nullptr);
  EXPECT_THAT(message->text, HasSubstr("K0001，10:00"));
  EXPECT_THAT(message->text, HasSubstr("+86100"));
  for (const FakeProvider::Order& order : placed) {
    EXPECT_THAT(order.text, Not(HasSubstr("{")));
    EXPECT_THAT(order.text, Not(HasSubstr("child-1")));
    EXPECT_THAT(order.text, Not(HasSubstr("姓名")));
  }
}

TEST_F(NotificationTest, APersonIsSpokenToInTheirOwnLanguage) {
  Begin();
  world.PutStaff({{"leader", "leader", kLeader, "en"}});
  world.ReportSevere();
  const auto placed = world.first.placed();
  const FakeProvider::Order* call = World::Find(placed, "call", kLeader);
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(call->language, "en");
  EXPECT_THAT(call->text, HasSubstr("Press 1"));
}

TEST_F(NotificationTest, NothingIsPlacedBeforeItsIntentStandsInTheLog) {
  Begin();
  world.ReportSevere();
  const std::size_t before = world.first.asked().size();
  world.Begin("timer", World::FileOf(1), {World::Of(domain::LadderClimbed{.alert_id = world.Alert().alert_id, .step = 1, .round = 1})});
  world.SettleUntilStored();
  // The next append is the notification's, and it is lost on its way.
  world.broker.LoseRequests(PartitionOf(World::kSchool), 1);
  world.Settle();
  EXPECT_THAT(world.first.asked(), SizeIs(before));
  world.Advance(absl::Seconds(1));
  EXPECT_THAT(world.first.asked(), SizeIs(before + 2)) << "offered again, stored, and only then rung";
}

TEST_F(NotificationTest, AnAlertAndItsOutcomesAreTwoCommits) {
  Begin();
  world.ReportSevere();
  world.Advance(kSentGrid);
  EXPECT_EQ(world.written().commits, 2);
  EXPECT_THAT(world.EventsOf<domain::AttemptIntended>(), SizeIs(6));
  EXPECT_EQ(Count(AttemptEvent::kSent), 6);
  EXPECT_TRUE(world.Alert().attempted);
}

TEST_F(NotificationTest, TheFirstAttemptIsMeasuredOnce) {
  Begin();
  world.ReportSevere();
  ASSERT_TRUE(Climb(1, 1).ok());
  EXPECT_THAT(world.metrics.Text(), HasSubstr("vigil_report_to_first_attempt_seconds_count 1"));
  EXPECT_THAT(world.metrics.Text(), HasSubstr(R"(vigil_notice_attempts_total{channel="call",outcome="sent",provider="sandbox"} 4)"));
}

// ------------------------------------------------------------------------------------------------ taking

TEST_F(NotificationTest, KeyOneTakesTheAlert) {
  Begin();
  world.ReportSevere();
  const std::string call = world.IdOf("call", kLeader);
  EXPECT_TRUE(world.TellCall(call, "ringing").ok());
  EXPECT_TRUE(world.TellCall(call, "answered").ok());
  EXPECT_EQ(world.Alert().phase, AlertPhase::kOpen) << "to answer is not to take";
  EXPECT_TRUE(world.TellCall(call, "digits", "1").ok());
  EXPECT_EQ(world.Alert().phase, AlertPhase::kTaken);
  EXPECT_EQ(world.Alert().taken_by, "leader");
  const auto taken = world.EventsOf<domain::AlertTaken>();
  ASSERT_THAT(taken, SizeIs(1));
  EXPECT_EQ(taken[0].how, "keypress");
  EXPECT_EQ(taken[0].attempt_id, call);
}

TEST_F(NotificationTest, KeyTwoPassesItOnAndKeyNineChangesNothing) {
  Begin();
  world.ReportSevere();
  EXPECT_TRUE(world.TellCall(world.IdOf("call", kLeader), "digits", "2").ok());
  EXPECT_EQ(world.Attempt(world.IdOf("call", kLeader))->event, AttemptEventState::kDeclined);
  EXPECT_TRUE(world.TellCall(world.IdOf("call", kOffice), "digits", "9").ok());
  EXPECT_EQ(world.Attempt(world.IdOf("call", kOffice))->event, AttemptEventState::kReached);
  EXPECT_EQ(world.Alert().phase, AlertPhase::kOpen);
  EXPECT_THAT(world.EventsOf<domain::AlertTaken>(), IsEmpty());
}

TEST_F(NotificationTest, VoicemailBusyFailureAndNoAnswerDoNotReachAnybody) {
  Begin();
  world.ReportSevere();
  const std::vector<std::pair<std::string, std::string>> ends{{kLeader, "voicemail"}, {kOffice, "busy"}, {kGradeHead, "no_answer"}};
  for (const auto& [number, end] : ends) {
    EXPECT_TRUE(world.TellCall(world.IdOf("call", number), end).ok());
    EXPECT_TRUE(world.TellCall(world.IdOf("call", number), "completed").ok());
    EXPECT_EQ(world.Attempt(world.IdOf("call", number))->event, AttemptEventState::kNotReached) << end;
  }
  EXPECT_EQ(world.Alert().phase, AlertPhase::kOpen);
  // It is not tried again within the step either: the ladder climbs.
  EXPECT_THAT(world.first.asked(), SizeIs(6));
}

TEST_F(NotificationTest, TakingStopsWhatStillWaitsOnEveryChannel) {
  constexpr int kMatters = 60;
  Begin(false, kMatters);
  world.first.Hold();
  for (int i = 1; i <= kMatters; ++i) world.ReportSevere(i);
  // All first calls went at once. Nothing else of the last matter did: the places are taken.
  EXPECT_GE(world.first.asked().size(), kMaxRequestsUnderWay);
  ASSERT_TRUE(world
                  .Write("intake", World::FileOf(kMatters),
                         {World::Of(domain::AlertTaken{.alert_id = world.Alert("severe_ladder", kMatters).alert_id, .person = "leader", .how = "api"})}, "leader")
                  .ok());
  world.first.Release();
  world.Settle();
  int asked_of_it = 0;
  for (const FakeProvider::Order& order : world.first.asked()) asked_of_it += order.text.find("K0060") != std::string::npos;
  EXPECT_EQ(asked_of_it, 1) << "its first call was out already; of its other calls and messages none";
  EXPECT_EQ(Count(AttemptEvent::kDropped), 5);
  EXPECT_THAT(world.first.asked(), SizeIs(kMatters * 6 - 5));
}

TEST_F(NotificationTest, ALateKeypressActsOnTheAlertItWasAskedAbout) {
  Begin(false, 2);
  world.ReportSevere(1);
  const std::string leader = world.IdOf("call", kLeader);
  const std::string office = world.IdOf("call", kOffice);
  world.ReportSevere(2);
  EXPECT_TRUE(world.TellCall(office, "digits", "1").ok());
  EXPECT_TRUE(world.TellCall(leader, "digits", "1").ok());
  EXPECT_EQ(world.Alert().taken_by, "office");
  EXPECT_EQ(world.Alert("severe_ladder", 2).phase, AlertPhase::kOpen) << "one answer takes one alert";
  EXPECT_THAT(world.EventsOf<domain::AlertTaken>(), SizeIs(1));
  EXPECT_EQ(Count(AttemptEvent::kDigits), 2);
}

TEST_F(NotificationTest, TwoWhoPressAtOnceMakeOneTaker) {
  Begin();
  world.ReportSevere();
  const std::string leader = world.IdOf("call", kLeader);
  const std::string office = world.IdOf("call", kOffice);
  int answered = 0;
  for (const std::string& id : {leader, office}) {
    world.notification().ReceiveCallback("call", nlohmann::json{{"id", id}, {"event", "digits"}, {"digits", "1"}}.dump(), [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      ++answered;
    });
  }
  world.Settle();
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(world.Alert().taken_by, "leader");
  EXPECT_THAT(world.EventsOf<domain::AlertTaken>(), SizeIs(1));
}

TEST_F(NotificationTest, AReplyWithTheCodeTakesItHoweverItIsTyped) {
  Begin();
  world.ReportSevere();
  const std::string message = world.IdOf("sms", kOffice);
  EXPECT_TRUE(world.TellReply(message, "收到").ok());
  EXPECT_EQ(world.Alert().phase, AlertPhase::kOpen);
  EXPECT_TRUE(world.TellReply(message, "k0001　1").ok());
  EXPECT_EQ(world.Alert().phase, AlertPhase::kTaken);
  EXPECT_EQ(world.Alert().taken_by, "office");
  EXPECT_EQ(world.EventsOf<domain::AlertTaken>()[0].how, "reply");
}

TEST_F(NotificationTest, TheCodeSaysWhichMatterAReplyTakes) {
  Begin(false, 2);
  world.ReportSevere(1);
  world.ReportSevere(2);
  // A provider knows the number only, and gives the last message it carried there.
  std::string last;
  for (const FakeProvider::Order& order : world.first.placed()) {
    if (order.channel == "sms" && order.to == kLeader) last = order.id;
  }
  EXPECT_TRUE(world.TellReply(last, "K00011").ok());
  EXPECT_EQ(world.Alert("severe_ladder", 1).phase, AlertPhase::kTaken);
  EXPECT_EQ(world.Alert("severe_ladder", 2).phase, AlertPhase::kOpen);
}

// A clock's warning goes by message to the same people after the alert; a provider gives its id for whatever comes from their number.
TEST_F(NotificationTest, AReplyToALaterNoticeOfTheMatterTakesItsAlert) {
  Begin();
  world.ReportSevere();
  world.Begin("timer", World::FileOf(1), {World::Of(domain::AlertRaised{.alert_id = "notice-1", .ladder = "leader_notice"})});
  world.Settle();
  std::string last;
  for (const FakeProvider::Order& order : world.first.placed()) {
    if (order.channel == "sms" && order.to == kLeader) last = order.id;
  }
  ASSERT_NE(last, world.IdOf("sms", kLeader)) << "the notice went out too";
  EXPECT_TRUE(world.TellReply(last, "K00011").ok());
  EXPECT_EQ(world.Alert("severe_ladder", 1).phase, AlertPhase::kTaken);
}

TEST_F(NotificationTest, StopStopsNothing) {
  Begin();
  world.ReportSevere();
  EXPECT_TRUE(world.TellReply(world.IdOf("sms", kLeader), "STOP").ok());
  EXPECT_EQ(world.Alert().phase, AlertPhase::kOpen);
  const std::size_t before = world.first.asked().size();
  ASSERT_TRUE(Climb(0, 2).ok());
  EXPECT_THAT(world.first.asked(), SizeIs(before + 6));
}

TEST_F(NotificationTest, ABridgedCallMeansThatTheyHaveSpoken) {
  Begin();
  world.ReportSevere();
  const std::string call = world.IdOf("call", kLeader);
  EXPECT_TRUE(world.TellCall(call, "digits", "1").ok());
  EXPECT_TRUE(world.TellCall(call, "bridged").ok());
  const auto spoken = world.EventsOf<domain::Spoken>();
  ASSERT_THAT(spoken, SizeIs(1));
  EXPECT_EQ(spoken[0].superior, "leader");
  EXPECT_EQ(spoken[0].reporter, "teacher");
  EXPECT_EQ(spoken[0].how, "bridged");
  EXPECT_EQ(spoken[0].spoken_time, world.clock.Now());
  for (const domain::ClockState& clock : world.File().current->clocks) {
    if (clock.kind == "phone_report") {
      EXPECT_EQ(clock.phase, domain::ClockPhase::kMet);
    }
  }
}

// ------------------------------------------------------------------------------------------------ what goes wrong

TEST_F(NotificationTest, WhatOneProviderRefusesTheOtherGetsAtOnce) {
  Begin(true);
  world.first.Answer(absl::UnavailableError("refused"));
  world.ReportSevere();
  EXPECT_THAT(world.first.placed(), IsEmpty());
  EXPECT_THAT(world.second.placed(), SizeIs(6));
  world.Advance(kSentGrid);
  EXPECT_EQ(Count(AttemptEvent::kRefused), 6);
  EXPECT_EQ(Count(AttemptEvent::kSent), 6);
  // Under other ids: the first may have placed it after all.
  std::set<std::string> ids;
  for (const auto& order : world.first.asked()) ids.insert(order.id);
  for (const auto& order : world.second.placed()) EXPECT_FALSE(ids.contains(order.id));
  // The refusal and what replaces it are one commit, so the ladder never saw everybody fail.
  EXPECT_EQ(world.written().commits, 3);
}

TEST_F(NotificationTest, ASickProviderIsAskedSecond) {
  Begin(true, 3);
  world.first.Answer(absl::UnavailableError("refused"));
  world.ReportSevere(1);
  const std::size_t before = world.first.asked().size();
  world.ReportSevere(2);
  EXPECT_THAT(world.first.asked(), SizeIs(before + 6)) << "one probe";
  world.ReportSevere(3);
  EXPECT_THAT(world.first.asked(), SizeIs(before + 6));
  EXPECT_THAT(world.second.placed(), SizeIs(18));
  world.first.Answer(absl::OkStatus());
  world.Advance(absl::Seconds(6));
  ASSERT_TRUE(Climb(1, 1).ok());
  EXPECT_THAT(world.first.placed(), SizeIs(2)) << "well again";
}

TEST_F(NotificationTest, TheOnlyProviderIsAskedAgainUntilItTakesIt) {
  Begin();
  world.first.Answer(absl::DeadlineExceededError("no answer"));
  world.ReportSevere();
  EXPECT_THAT(world.first.asked(), SizeIs(6));
  EXPECT_EQ(Count(AttemptEvent::kRefused), 6);
  world.Advance(absl::Milliseconds(999));
  EXPECT_THAT(world.first.asked(), SizeIs(6));
  world.Advance(absl::Milliseconds(1));
  EXPECT_THAT(world.first.asked(), SizeIs(12));
  world.first.Answer(absl::OkStatus());
  world.Advance(absl::Seconds(1));
  EXPECT_THAT(world.first.placed(), IsEmpty()) << "twice as long the second time";
  world.Advance(absl::Seconds(1));
  EXPECT_THAT(world.first.placed(), SizeIs(6));
  world.Advance(absl::Minutes(1));
  EXPECT_THAT(world.first.asked(), SizeIs(18));
}

TEST_F(NotificationTest, ANumberThatIsNoneIsNotTriedAgain) {
  Begin();
  world.PutStaff({{"leader", "leader", "none"}});
  world.ReportSevere();
  EXPECT_EQ(Count(AttemptEvent::kFailed), 2);
  world.Advance(absl::Minutes(1));
  EXPECT_THAT(world.first.asked(), SizeIs(6));
}

TEST_F(NotificationTest, WhoIsErasedIsNotCalled) {
  Begin(false, 2);
  world.ReportSevere(1);
  EXPECT_THAT(world.first.placed(), SizeIs(6));
  world.EraseKey("leader");
  world.ReportSevere(2);
  EXPECT_THAT(world.first.asked(), SizeIs(10));
  EXPECT_EQ(Count(AttemptEvent::kFailed), 2);
}

TEST_F(NotificationTest, WhoIsOffTheMatterIsNotCalled) {
  Begin();
  // Before anything is classified.
  ASSERT_TRUE(world
                  .Write("intake", World::FileOf(1),
                         {World::Of(domain::ReportReceived{.report_id = "r", .case_id = World::CaseOf(1), .student = "child-1", .channel = "web", .reporter = "teacher"})})
                  .ok());
  ASSERT_TRUE(world.Write("intake", World::FileOf(1), {World::Of(domain::Recused{.person = "leader"})}).ok());
  world.ReportSevere();
  EXPECT_THAT(NumbersOf("call", world.first.placed()), UnorderedElementsAre(kOffice, kGradeHead));
}

TEST_F(NotificationTest, NobodyReachableIsLeftToTheLadder) {
  world.StartNotification();
  world.AddSchool({{"deputy", "deputy", kDeputy}});
  world.ReportSevere();
  EXPECT_THAT(world.first.asked(), IsEmpty());
  EXPECT_EQ(world.written().commits, 0);
  ASSERT_TRUE(Climb(1, 1).ok());
  EXPECT_THAT(NumbersOf("call", world.first.placed()), ElementsAre(kDeputy));
}

TEST_F(NotificationTest, WhatHasAQuietNightWaitsForTheMorning) {
  Begin();
  world.ReportSevere();
  const std::size_t before = world.first.asked().size();
  world.clock.AdvanceTo(SchoolMorning() + absl::Hours(12) + absl::Minutes(30));
  ASSERT_TRUE(world.Write("timer", World::FileOf(1), {World::Of(domain::AlertRaised{.alert_id = "a-quiet", .ladder = "leader_notice"})}).ok());
  EXPECT_THAT(world.first.asked(), SizeIs(before));
  world.clock.AdvanceTo(SchoolMorning() + absl::Hours(21) - absl::Seconds(1));
  world.Settle();
  EXPECT_THAT(world.first.asked(), SizeIs(before));
  world.Advance(absl::Seconds(1));
  EXPECT_THAT(world.first.asked(), SizeIs(before + 1));
  // What rings does so at night.
  world.clock.AdvanceTo(SchoolMorning() + absl::Hours(36) + absl::Minutes(30));
  ASSERT_TRUE(Climb(1, 1).ok());
  EXPECT_THAT(world.first.asked(), SizeIs(before + 3));
}

// ------------------------------------------------------------------------------------------------ restarts and receipts

TEST_F(NotificationTest, AfterARestartWhatWasIntendedIsAskedAgainUnderItsId) {
  Begin();
  world.first.Hold();
  world.ReportSevere();
  const auto before = world.first.asked();
  ASSERT_THAT(before, SizeIs(6));
  world.StartNotification();
  world.first.Release();
  world.Settle();
  const auto after = world.first.asked();
  ASSERT_THAT(after, SizeIs(12));
  std::set<std::string> old_ids;
  std::set<std::string> new_ids;
  for (std::size_t i = 0; i < 6; ++i) old_ids.insert(after[i].id);
  for (std::size_t i = 6; i < 12; ++i) new_ids.insert(after[i].id);
  EXPECT_EQ(old_ids, new_ids);
  EXPECT_THAT(world.first.placed(), SizeIs(6)) << "the provider knows the ids";
  EXPECT_THAT(world.EventsOf<domain::AttemptIntended>(), SizeIs(6));
  world.Advance(kSentGrid);
  EXPECT_EQ(Count(AttemptEvent::kSent), 6);
  // What was sent is not asked a third time.
  world.StartNotification();
  EXPECT_THAT(world.first.asked(), SizeIs(12));
}

TEST_F(NotificationTest, AfterARestartNothingIsPlacedForWhatWasTakenMeanwhile) {
  Begin();
  world.first.Hold();
  world.ReportSevere();
  world.StopNotification();
  ASSERT_TRUE(world
                  .Write("intake", World::FileOf(1), {World::Of(domain::AlertTaken{.alert_id = world.Alert().alert_id, .person = "leader", .how = "api"})},
                         "leader")
                  .ok());
  world.StartNotification();
  EXPECT_THAT(world.first.asked(), SizeIs(6)) << "those of before";
  EXPECT_EQ(Count(AttemptEvent::kDropped), 6);
}

TEST_F(NotificationTest, ReceiptsAreKnownAfterARestart) {
  Begin();
  world.ReportSevere();
  const std::string call = world.IdOf("call", kLeader);
  world.StartNotification();
  EXPECT_TRUE(world.TellCall(call, "digits", "1").ok());
  EXPECT_EQ(world.Alert().taken_by, "leader");
}

TEST_F(NotificationTest, AReceiptIsAnsweredOnlyOnceItIsInTheLog) {
  Begin();
  world.ReportSevere();
  const int partition = PartitionOf(World::kSchool);
  const std::string call = world.IdOf("call", kLeader);
  world.broker.Hold(partition);
  const auto ringing = world.Tell("call", {{"id", call}, {"event", "no_answer"}});
  const auto digits = world.Tell("call", {{"id", world.IdOf("call", kOffice)}, {"event", "digits"}, {"digits", "1"}});
  EXPECT_FALSE(ringing->has_value());
  EXPECT_FALSE(digits->has_value());
  world.broker.Release(partition);
  world.Settle();
  ASSERT_TRUE(ringing->has_value() && digits->has_value());
  EXPECT_TRUE((*ringing)->ok());
  EXPECT_TRUE((*digits)->ok());
}

TEST_F(NotificationTest, AReceiptToldTwiceIsRecordedOnce) {
  Begin();
  world.ReportSevere();
  const std::string call = world.IdOf("call", kLeader);
  for (const char* event : {"ringing", "answered", "bridged", "completed"}) {
    EXPECT_TRUE(world.TellCall(call, event).ok());
    const int commits = world.written().commits;
    EXPECT_TRUE(world.TellCall(call, event).ok());
    EXPECT_EQ(world.written().commits, commits) << event;
  }
  EXPECT_TRUE(world.TellCall(call, "digits", "1").ok());
  const int commits = world.written().commits;
  EXPECT_TRUE(world.TellCall(call, "digits", "1").ok());
  EXPECT_EQ(world.written().commits, commits);
}

TEST_F(NotificationTest, UnknownReceiptsAreAcceptedAndMalformedOnesRefused) {
  Begin();
  world.ReportSevere();
  const int commits = world.written().commits;
  EXPECT_TRUE(world.TellCall("t-nobody-knows", "answered").ok());
  EXPECT_TRUE(world.TellCall(world.IdOf("call", kLeader), "sang").ok());
  // A call's event about a message is nobody's keypress.
  EXPECT_TRUE(world.TellCall(world.IdOf("sms", kLeader), "digits", "1").ok());
  EXPECT_EQ(world.written().commits, commits);
  EXPECT_THAT(world.metrics.Text(), HasSubstr("vigil_notice_unknown_callbacks_total 3"));
  for (const char* body : {"", "[]", "{}", R"({"id":"x"})", R"({"id":3,"event":"answered"})", "{\"id\":\"\xff"}) {
    absl::Status answer;
    world.notification().ReceiveCallback("call", body, [&](absl::Status status) { answer = std::move(status); });
    world.Settle();
    EXPECT_TRUE(absl::IsInvalidArgument(answer)) << body;
  }
}

TEST_F(NotificationTest, AttemptsAreForgottenAnHourAfterTheirAlertHasClosed) {
  Begin(false, 2);
  world.ReportSevere(1);
  EXPECT_EQ(world.notification().known_attempts(), 6U);
  world.Advance(absl::Hours(3));
  const std::string call = world.IdOf("call", kLeader);
  EXPECT_TRUE(world.TellCall(call, "answered").ok());
  EXPECT_GE(world.notification().known_attempts(), 6U) << "it is open still";
  ASSERT_TRUE(world.Write("intake", World::FileOf(1), {World::Of(domain::HandedOverToAuthority{.authority = "police"})}).ok());
  world.Advance(absl::Minutes(59));
  EXPECT_TRUE(world.TellCall(call, "completed").ok());
  EXPECT_GE(world.notification().known_attempts(), 6U);
  world.Advance(absl::Hours(2));
  world.ReportSevere(2);
  EXPECT_EQ(world.notification().known_attempts(), 6U) << "of the second alone";
}

}  // namespace
}  // namespace vigil::notification
