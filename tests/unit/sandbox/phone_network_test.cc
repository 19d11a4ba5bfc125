#include "sandbox/phone_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vigil::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Placed = PhoneNetwork::Placed;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

CallRequest Call(std::string id, std::string to = "+8613800000001") {
  return {.id = std::move(id),
          .to = std::move(to),
          .text = "请回电",
          .gather_digits = 1,
          .gather_timeout = absl::Seconds(8),
          .callback = "https://gateway/callbacks/sandbox/call"};
}

MessageRequest Message(std::string id, std::string to = "+8613800000001") {
  return {.id = std::move(id),
          .to = std::move(to),
          .text = "hello",
          .callback = "https://gateway/callbacks/sandbox/message"};
}

Behaviour Keypad(std::string digits, absl::Duration delay = absl::ZeroDuration()) {
  return {.answer = Answer::kKeypad, .digits = std::move(digits), .delay = delay};
}

std::vector<std::string> Events(const std::vector<Callback>& callbacks) {
  std::vector<std::string> events;
  for (const Callback& callback : callbacks) events.emplace_back(EventName(callback.event));
  return events;
}

class PhoneNetworkTest : public ::testing::Test {
 protected:
  std::vector<std::string> EventsUntil(absl::Duration after_start) {
    return Events(network_.Advance(kStart + after_start));
  }
  std::size_t EventsReceived(const std::string& number) { return network_.ReceivedBy(number).front().events.size(); }

  PhoneNetwork network_{{}};
  const std::string phone_ = "+8613800000001";
};

TEST_F(PhoneNetworkTest, APhoneThatNobodySetUpRingsAndIsNeverAnswered) {
  EXPECT_EQ(network_.PlaceCall(Call("c1"), kStart), Placed::kAccepted);
  EXPECT_THAT(EventsUntil(absl::ZeroDuration()), ElementsAre("ringing"));
  EXPECT_EQ(network_.NextDue(), kStart + absl::Seconds(25));
  EXPECT_THAT(EventsUntil(absl::Milliseconds(24'999)), IsEmpty());
  EXPECT_EQ(network_.live_calls(), 1);
  EXPECT_THAT(EventsUntil(absl::Seconds(25)), ElementsAre("no_answer"));
  EXPECT_EQ(network_.live_calls(), 0);
  EXPECT_EQ(network_.NextDue(), absl::InfiniteFuture());
}

TEST_F(PhoneNetworkTest, KeysArePressedAfterTheDelay) {
  network_.SetBehaviour(phone_, Keypad("123", absl::Seconds(3)), kStart);
  network_.PlaceCall(Call("c1"), kStart);
  EXPECT_THAT(EventsUntil(absl::Milliseconds(2'999)), ElementsAre("ringing"));
  const auto callbacks = network_.Advance(kStart + absl::Seconds(10));
  EXPECT_THAT(Events(callbacks), ElementsAre("answered", "digits", "completed"));
  EXPECT_EQ(callbacks[1].digits, "1") << "only as many as are gathered";
  EXPECT_EQ(callbacks[1].id, "c1");
  EXPECT_EQ(callbacks[1].url, "https://gateway/callbacks/sandbox/call");
  EXPECT_EQ(callbacks[1].time, kStart + absl::Seconds(3)) << "the time it happened, not when it was noticed";
}

TEST_F(PhoneNetworkTest, AnsweringWithoutPressingAKeyWaitsForTheGatherToEnd) {
  network_.SetBehaviour(phone_, Keypad(""), kStart);
  network_.PlaceCall(Call("c1"), kStart);
  EXPECT_THAT(EventsUntil(absl::Seconds(7)), ElementsAre("ringing", "answered"));
  EXPECT_THAT(EventsUntil(absl::Seconds(8)), ElementsAre("completed"));
}

TEST_F(PhoneNetworkTest, NoKeysWhereNoneAreGathered) {
  network_.SetBehaviour(phone_, Keypad("1"), kStart);
  CallRequest call = Call("c1");
  call.gather_digits = 0;
  network_.PlaceCall(std::move(call), kStart);
  EXPECT_THAT(EventsUntil(absl::ZeroDuration()), ElementsAre("ringing", "answered", "completed"));
}

TEST_F(PhoneNetworkTest, BridgesOnlyAfterAOneToAPhoneWhoseOwnerAnswers) {
  const std::string other = "+8613800000002";
  const auto events = [&](const std::string& id, const std::string& bridge_to) {
    CallRequest call = Call(id);
    call.bridge_to = bridge_to;
    network_.PlaceCall(std::move(call), kStart);
    return EventsUntil(absl::ZeroDuration());
  };
  network_.SetBehaviour(phone_, Keypad("1"), kStart);
  EXPECT_THAT(events("nobody there", other), ElementsAre("ringing", "answered", "digits", "completed"));
  network_.SetBehaviour(other, {.answer = Answer::kVoicemail}, kStart);
  EXPECT_THAT(events("voicemail", other), ElementsAre("ringing", "answered", "digits", "completed"));
  network_.SetBehaviour(other, Keypad(""), kStart);
  EXPECT_THAT(events("answers", other), ElementsAre("ringing", "answered", "digits", "bridged", "completed"));
  EXPECT_THAT(events("no bridge", ""), ElementsAre("ringing", "answered", "digits", "completed"));
  network_.SetBehaviour(phone_, Keypad("2"), kStart);
  EXPECT_THAT(events("another key", other), ElementsAre("ringing", "answered", "digits", "completed"));
}

TEST_F(PhoneNetworkTest, VoicemailBusyAndFailure) {
  const auto callbacks = [&](Answer answer) {
    network_.SetBehaviour(phone_, {.answer = answer, .delay = absl::Seconds(2)}, kStart);
    network_.PlaceCall(Call(std::to_string(static_cast<int>(answer))), kStart);
    return network_.Advance(kStart + absl::Seconds(2));
  };
  EXPECT_THAT(Events(callbacks(Answer::kVoicemail)), ElementsAre("ringing", "voicemail", "completed"));
  EXPECT_THAT(Events(callbacks(Answer::kBusy)), ElementsAre("busy"));
  EXPECT_THAT(Events(callbacks(Answer::kNoAnswer)), ElementsAre("ringing", "no_answer"));
  const auto failed = callbacks(Answer::kFail);
  EXPECT_THAT(Events(failed), ElementsAre("failed"));
  EXPECT_EQ(failed[0].reason, "unreachable");
}

TEST_F(PhoneNetworkTest, TheOwnerMayPickUpAPhoneThatRingsAlready) {
  network_.PlaceCall(Call("c1"), kStart);
  EXPECT_THAT(EventsUntil(absl::Seconds(5)), ElementsAre("ringing"));
  network_.SetBehaviour(phone_, Keypad("1", absl::Seconds(1)), kStart + absl::Seconds(5));
  EXPECT_THAT(EventsUntil(absl::Seconds(100)), ElementsAre("answered", "digits", "completed"))
      << "and no no_answer after it";
}

TEST_F(PhoneNetworkTest, OtherBehavioursLeaveACallThatRings) {
  network_.PlaceCall(Call("c1"), kStart);
  network_.Advance(kStart);
  network_.SetBehaviour(phone_, {.answer = Answer::kBusy}, kStart + absl::Seconds(5));
  EXPECT_THAT(EventsUntil(absl::Seconds(25)), ElementsAre("no_answer"));
}

TEST_F(PhoneNetworkTest, TheSameIdAgainRingsNothing) {
  EXPECT_EQ(network_.PlaceCall(Call("same"), kStart), Placed::kAccepted);
  EXPECT_EQ(network_.PlaceCall(Call("same"), kStart), Placed::kRepeated);
  EXPECT_EQ(network_.SendMessage(Message("same"), kStart), Placed::kAccepted)
      << "ids of calls and of messages are apart";
  EXPECT_EQ(network_.SendMessage(Message("same"), kStart), Placed::kRepeated);
  EXPECT_THAT(EventsUntil(absl::ZeroDuration()), ElementsAre("ringing", "delivered"));
  EXPECT_THAT(network_.ReceivedBy(phone_), SizeIs(2));
}

TEST_F(PhoneNetworkTest, MessagesAreDeliveredUnlessThePhoneFails) {
  network_.SetBehaviour("10086", {.answer = Answer::kFail}, kStart);
  network_.SendMessage(Message("m1"), kStart);
  network_.SendMessage(Message("m2", "10086"), kStart);
  EXPECT_THAT(EventsUntil(absl::ZeroDuration()), ElementsAre("delivered", "undelivered"));
}

TEST_F(PhoneNetworkTest, AReplyGoesToTheLatestMessage) {
  EXPECT_FALSE(network_.Reply(phone_, "1", kStart).has_value());
  network_.PlaceCall(Call("c1"), kStart);
  EXPECT_FALSE(network_.Reply(phone_, "1", kStart).has_value()) << "a call is nothing to reply to";
  network_.SendMessage(Message("m1"), kStart);
  network_.SendMessage(Message("m2"), kStart);
  network_.Advance(kStart);
  network_.PlaceCall(Call("c2"), kStart);
  network_.Advance(kStart);
  EXPECT_EQ(network_.Reply(phone_, "收到", kStart + absl::Seconds(1)), "m2");
  const auto callbacks = network_.Advance(kStart + absl::Seconds(1));
  EXPECT_THAT(Events(callbacks), ElementsAre("reply"));
  EXPECT_EQ(callbacks[0].text, "收到");
  EXPECT_EQ(callbacks[0].url, "https://gateway/callbacks/sandbox/message");
  EXPECT_THAT(network_.ReceivedBy(phone_)[2].events, ElementsAre(Event::kDelivered, Event::kReply));
}

TEST_F(PhoneNetworkTest, AMessageThatWasNotDeliveredCannotBeRepliedTo) {
  network_.SetBehaviour(phone_, {.answer = Answer::kFail}, kStart);
  network_.SendMessage(Message("m1"), kStart);
  network_.Advance(kStart);
  EXPECT_FALSE(network_.Reply(phone_, "1", kStart).has_value());
}

TEST_F(PhoneNetworkTest, ARefusedRequestReachesNoPhoneAndMayBeSentAgain) {
  network_.SetFaults({.refuse = 1});
  EXPECT_EQ(network_.PlaceCall(Call("c1"), kStart), Placed::kRefused);
  EXPECT_EQ(network_.SendMessage(Message("m1"), kStart), Placed::kRefused);
  EXPECT_THAT(network_.ReceivedBy(phone_), IsEmpty());
  network_.SetFaults({});
  EXPECT_EQ(network_.PlaceCall(Call("c1"), kStart), Placed::kAccepted);
}

TEST_F(PhoneNetworkTest, DroppedReceiptsAreOnlyDroppedForTheCaller) {
  network_.SetFaults({.drop_receipts = 1});
  network_.SetBehaviour(phone_, Keypad("1"), kStart);
  network_.PlaceCall(Call("c1"), kStart);
  EXPECT_THAT(EventsUntil(absl::ZeroDuration()), IsEmpty());
  EXPECT_EQ(EventsReceived(phone_), 4);
  EXPECT_EQ(network_.statistics().callbacks_dropped, 4);
}

TEST(PhoneNetworkChanceTest, FaultsComeAsOftenAsAskedAndTheSameForTheSameSeed) {
  const auto run = [](std::uint64_t seed) {
    PhoneNetwork network({.seed = seed});
    network.SetFaults({.refuse = 0.1});
    std::string outcome;
    for (int i = 0; i < 10'000; ++i) {
      outcome += network.SendMessage(Message(std::to_string(i)), kStart) == Placed::kRefused ? 'x' : '.';
    }
    return outcome;
  };
  const std::string first = run(7);
  EXPECT_NEAR(static_cast<double>(std::count(first.begin(), first.end(), 'x')), 1000, 150);
  EXPECT_EQ(run(7), first);
  EXPECT_NE(run(8), first);
}

TEST(PhoneNetworkMemoryTest, KeepsTheLatestOfEachPhoneAndOfAll) {
  PhoneNetwork network({.max_records_per_phone = 3, .max_records = 5});
  for (int i = 0; i < 10; ++i) network.SendMessage(Message("a" + std::to_string(i), "111"), kStart);
  ASSERT_THAT(network.ReceivedBy("111"), SizeIs(3));
  EXPECT_EQ(network.ReceivedBy("111").front().id, "a7");
  EXPECT_EQ(network.SendMessage(Message("a9", "111"), kStart), Placed::kRepeated);
  for (int i = 0; i < 10; ++i) network.SendMessage(Message("b" + std::to_string(i), "22" + std::to_string(i)), kStart);
  EXPECT_THAT(network.ReceivedBy("111"), IsEmpty());
  EXPECT_THAT(network.ReceivedBy("224"), IsEmpty());
  EXPECT_THAT(network.ReceivedBy("225"), SizeIs(1));
  EXPECT_EQ(network.records(), 5);
}

TEST(PhoneNetworkMemoryTest, BoundsTheBytesToo) {
  PhoneNetwork network({.max_record_bytes = 100'000});
  MessageRequest large = Message("x");
  large.text.assign(10'000, 'x');
  for (int i = 0; i < 100; ++i) {
    large.id = std::to_string(i);
    network.SendMessage(large, kStart);
  }
  EXPECT_EQ(network.records(), 9);
}

TEST(PhoneNetworkMemoryTest, ACallThatIsForgottenStillRunsToItsEnd) {
  PhoneNetwork network({.max_records_per_phone = 1});
  network.PlaceCall(Call("old"), kStart);
  network.PlaceCall(Call("new"), kStart);
  network.Advance(kStart);
  const auto callbacks = network.Advance(kStart + absl::Seconds(25));
  ASSERT_THAT(callbacks, SizeIs(2));
  EXPECT_EQ(callbacks[0].id, "old");
}

TEST(PhoneNetworkMemoryTest, TakesNoMoreCallsThanItsLines) {
  PhoneNetwork network({.max_live_calls = 2, .max_configured_phones = 1});
  EXPECT_EQ(network.PlaceCall(Call("1"), kStart), Placed::kAccepted);
  EXPECT_EQ(network.PlaceCall(Call("2"), kStart), Placed::kAccepted);
  EXPECT_EQ(network.PlaceCall(Call("3"), kStart), Placed::kFull);
  network.Advance(kStart + absl::Seconds(25));
  EXPECT_EQ(network.PlaceCall(Call("3"), kStart + absl::Seconds(25)), Placed::kAccepted);
  EXPECT_TRUE(network.SetBehaviour("111", {}, kStart));
  EXPECT_FALSE(network.SetBehaviour("222", {}, kStart));
  EXPECT_TRUE(network.SetBehaviour("111", {}, kStart));
}

TEST_F(PhoneNetworkTest, ShowsWhatAllPhonesReceivedInOrder) {
  network_.SendMessage(Message("m1", "111"), kStart);
  network_.PlaceCall(Call("c1", "222"), kStart);
  network_.SendMessage(Message("m2", "111"), kStart);
  const auto first = network_.ReceivedAfter(0, 2);
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[1].id, "c1");
  EXPECT_EQ(first[1].number, "222");
  const auto rest = network_.ReceivedAfter(first.back().sequence, 10);
  ASSERT_THAT(rest, SizeIs(1));
  EXPECT_EQ(rest[0].id, "m2");
  EXPECT_THAT(network_.ReceivedAfter(rest[0].sequence, 10), IsEmpty());
}

}  // namespace
}  // namespace vigil::sandbox
