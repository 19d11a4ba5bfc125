#include "sandbox/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vigil::sandbox {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

template <class T>
std::string WrongField(const Parsed<T>& parsed) {
  return parsed.errors.empty() ? "" : parsed.errors.front().field;
}

TEST(SandboxRequestsTest, UnderstandsACallInFull) {
  const auto parsed = ParseCall(
      R"({"id":"n1","to":"+8613800000001","say":[{"language":"zh","text":"请接"},{"language":"en","text":"answer"}],
      "gather":{"digits":1,"timeout_ms":8000},"bridge_to":"01088886666","callback":"https://127.0.0.1:8080/callbacks/sandbox/call"})");
  ASSERT_THAT(parsed.errors, IsEmpty());
  EXPECT_EQ(parsed.value.id, "n1");
  EXPECT_EQ(parsed.value.to, "+8613800000001");
  EXPECT_EQ(parsed.value.text, "请接\nanswer");
  EXPECT_EQ(parsed.value.gather_digits, 1);
  EXPECT_EQ(parsed.value.gather_timeout, absl::Seconds(8));
  EXPECT_EQ(parsed.value.bridge_to, "01088886666");
  EXPECT_EQ(parsed.value.callback, "https://127.0.0.1:8080/callbacks/sandbox/call");
}

TEST(SandboxRequestsTest, NamesTheFieldThatIsWrong) {
  const std::string say = R"("say":[{"language":"zh","text":"x"}])";
  const std::string callback = R"("callback":"http://h/c")";
  const auto call = [&](const std::string& more, const std::string& said) {
    return WrongField(ParseCall("{" + said + "," + callback + "," + more + "}"));
  };
  EXPECT_EQ(call(R"("id":"1","to":"123")", say), "");
  EXPECT_EQ(call(R"("to":"123")", say), "id");
  EXPECT_EQ(call(R"("id":"","to":"123")", say), "id");
  EXPECT_EQ(call(R"("id":7,"to":"123")", say), "id");
  EXPECT_EQ(call(R"("id":"1")", say), "to");
  EXPECT_EQ(call(R"("id":"1","to":"12a")", say), "to");
  EXPECT_EQ(call(R"("id":"1","to":"123","bridge_to":"x")", say), "bridge_to");
  EXPECT_EQ(call(R"("id":"1","to":"123","voice":"x")", say), "voice");
  EXPECT_EQ(call(R"("id":"1","to":"123")", R"("say":[])"), "say");
  EXPECT_EQ(call(R"("id":"1","to":"123")", R"("say":[{"language":"zh"}])"), "say[0].text");
  EXPECT_EQ(call(R"("id":"1","to":"123")", R"("say":["x"])"), "say[0]");
  EXPECT_EQ(call(R"("id":"1","to":"123","gather":{"digits":0})", say), "gather.digits");
  EXPECT_EQ(call(R"("id":"1","to":"123","gather":{"digits":1.5})", say), "gather.digits");
  EXPECT_EQ(call(R"("id":"1","to":"123","gather":{"digits":18446744073709551615})", say), "gather.digits");
  EXPECT_EQ(call(R"("id":"1","to":"123","gather":{"digits":1,"timeout_ms":-1})", say), "gather.timeout_ms");
  EXPECT_EQ(call(R"("id":"1","to":"123","gather":3)", say), "gather");

  EXPECT_EQ(WrongField(ParseMessage(R"({"id":"1","to":"123","text":"x","callback":"ftp://h"})")), "callback");
  EXPECT_EQ(WrongField(ParseMessage(R"({"id":"1","to":"123","text":"x","callback":"http://h/ x"})")), "callback");
  EXPECT_EQ(WrongField(ParseMessage(R"({"id":"1","to":"123","text":"x"})")), "callback");
  EXPECT_EQ(WrongField(ParseMessage(R"({"id":"1","to":"123","text":null,"callback":"http://h"})")), "text");
  EXPECT_EQ(WrongField(ParseBehaviour(R"({"digits":"1"})")), "answer");
  EXPECT_EQ(WrongField(ParseBehaviour(R"({"answer":"shout"})")), "answer");
  EXPECT_EQ(WrongField(ParseBehaviour(R"({"answer":"keypad","digits":"1a"})")), "digits");
  EXPECT_EQ(WrongField(ParseBehaviour(R"({"answer":"keypad","delay_ms":"3"})")), "delay_ms");
  EXPECT_EQ(WrongField(ParseReply(R"({})")), "text");
  EXPECT_EQ(WrongField(ParseFaults(R"({"refuse":1.1})")), "refuse");
  EXPECT_EQ(WrongField(ParseFaults(R"({"drop_receipts":true})")), "drop_receipts");
  EXPECT_EQ(WrongField(ParseFaults(R"({"stall_ms":-5})")), "stall_ms");
}

TEST(SandboxRequestsTest, RefusesWhatIsNotAJsonObject) {
  for (const std::string_view text : {"", "{", "[]", "3", "null", "{\"text\":\"\xff\"}", "{\"text\":\"a\"}}"}) {
    EXPECT_EQ(WrongField(ParseReply(text)), "body") << text;
  }
  const std::string deep(100'000, '[');
  EXPECT_EQ(WrongField(ParseReply(deep)), "body");
}

TEST(SandboxRequestsTest, NamesEveryFieldThatIsWrong) { EXPECT_THAT(ParseMessage(R"({"extra":1})").errors, SizeIs(5)); }

TEST(SandboxRequestsTest, WhatIsNotGivenIsOff) {
  const auto faults = ParseFaults("{}");
  ASSERT_THAT(faults.errors, IsEmpty());
  EXPECT_EQ(FaultsJson(faults.value), R"({"refuse":0.0,"stall_ms":0,"drop_receipts":0.0})");
}

TEST(SandboxRequestsTest, WritesCallbacksAsTheContractSays) {
  Callback callback{
      .id = "n\"1", .event = Event::kDigits, .digits = "1", .time = absl::FromUnixMillis(1'800'000'000'007)};
  EXPECT_EQ(CallbackJson(callback), R"({"id":"n\"1","event":"digits","digits":"1","time":"2027-01-15T08:00:00.007Z"})");
  callback = {.id = "n", .event = Event::kReply, .text = "好", .reason = "r", .time = absl::FromUnixSeconds(0)};
  EXPECT_EQ(CallbackJson(callback),
            R"({"id":"n","event":"reply","text":"好","reason":"r","time":"1970-01-01T00:00:00.000Z"})");
}

}  // namespace
}  // namespace vigil::sandbox
