// The sandbox phone network as the outside contract writes it, over HTTP. With VIGIL_SANDBOX_URL and
// VIGIL_SANDBOX_SECRET set it is asked of that server instead of ours, except where a short ring timeout or our own
// paths are needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <optional>

#include "contract/sandbox/callback_receiver.h"
#include "platform/http/fetch.h"
#include "platform/http/url.h"
#include "sandbox/sandbox_server.h"

namespace vigil::sandbox {
namespace {

using nlohmann::json;
using testing::CallbackReceiver;
using ::testing::ElementsAre;

class SandboxContractTest : public ::testing::Test {
 protected:
  SandboxContractTest() {
    const char* const url = std::getenv("VIGIL_SANDBOX_URL");
    const char* const secret = std::getenv("VIGIL_SANDBOX_SECRET");
    if (url != nullptr && secret != nullptr) {
      outside_ = true;
      url_ = url;
      receiver_.emplace(secret);
    } else {
      server_ = *SandboxServer::Start(
          {.callbacks = {.secret = "secret"}, .network = {.ring_timeout = absl::Milliseconds(200), .seed = 3}});
      url_ = "http://127.0.0.1:" + std::to_string(server_->port());
      receiver_.emplace("secret");
    }
    Post("/v1/faults", json::object());
    // Ids and phones of this run only, as an outside network may remember others.
    run_ = std::to_string(std::chrono::system_clock::now().time_since_epoch().count() % 1'000'000'000);
    phone_ = "+861" + run_;
  }
  ~SandboxContractTest() override { Post("/v1/faults", json::object()); }

  struct Answer {
    int status;
    json body;
  };
  Answer Ask(const std::string& method, const std::string& path, const std::string& body) {
    const auto response =
        Fetch({.method = method, .url = url_ + path, .headers = {{"Content-Type", "application/json"}}, .body = body});
    if (!response.ok()) {
      ADD_FAILURE() << response.status();
      return {0, json()};
    }
    return {response->status, json::parse(response->body, nullptr, false)};
  }
  Answer Post(const std::string& path, const json& body) { return Ask("POST", path, body.dump()); }
  Answer Get(const std::string& path) { return Ask("GET", path, ""); }

  json Call(const std::string& id) {
    return {{"id", id + run_},
            {"to", phone_},
            {"say", {{{"language", "zh"}, {"text", "请按一"}}, {{"language", "en"}, {"text", "press one"}}}},
            {"gather", {{"digits", 1}, {"timeout_ms", 200}}},
            {"callback", receiver_->url()}};
  }
  json Message(const std::string& id) {
    return {{"id", id + run_}, {"to", phone_}, {"text", "请回电"}, {"callback", receiver_->url()}};
  }
  std::string PhonePath(const std::string& number, const std::string& more = "") {
    return "/v1/phones/" + PercentEncode(number) + more;
  }
  void Behave(const std::string& number, const json& behaviour) {
    EXPECT_EQ(Post(PhonePath(number, "/behaviour"), behaviour).status, 200);
  }

  bool outside_ = false;
  std::unique_ptr<SandboxServer> server_;
  std::string url_;
  std::string run_;
  std::string phone_;
  std::optional<CallbackReceiver> receiver_;
};

TEST_F(SandboxContractTest, ACallIsAnsweredWithAKey) {
  Behave(phone_, {{"answer", "keypad"}, {"digits", "1"}, {"delay_ms", 20}});
  const Answer answer = Post("/v1/calls", Call("c"));
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body["id"], "c" + run_);
  EXPECT_THAT(receiver_->EventsOf("c" + run_, 4), ElementsAre("ringing", "answered", "digits", "completed"));
  const std::vector<json> callbacks = receiver_->WaitFor(4);
  EXPECT_EQ(callbacks[2]["digits"], "1");
  std::string error;
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, callbacks[0]["time"].get<std::string>(), &time, &error)) << error;

  const json received = Get(PhonePath(phone_)).body["received"];
  ASSERT_EQ(received.size(), 1);
  EXPECT_EQ(received[0]["id"], "c" + run_);
  EXPECT_EQ(received[0]["kind"], "call");
  EXPECT_EQ(received[0]["events"], json({"ringing", "answered", "digits", "completed"}));
  EXPECT_NE(received[0]["text"].get<std::string>().find("请按一"), std::string::npos);
}

TEST_F(SandboxContractTest, ThePhoneThatIsBridgedToMustAnswer) {
  const std::string other = "+862" + run_;
  Behave(phone_, {{"answer", "keypad"}, {"digits", "1"}});
  Behave(other, {{"answer", "keypad"}, {"digits", ""}});
  json call = Call("c");
  call["bridge_to"] = other;
  EXPECT_EQ(Post("/v1/calls", call).status, 202);
  EXPECT_THAT(receiver_->EventsOf("c" + run_, 5), ElementsAre("ringing", "answered", "digits", "bridged", "completed"));
}

TEST_F(SandboxContractTest, AnUnconfiguredPhoneIsNeverAnswered) {
  if (outside_) GTEST_SKIP() << "an outside network's ring timeout is not known";
  Post("/v1/calls", Call("c"));
  EXPECT_THAT(receiver_->EventsOf("c" + run_, 2), ElementsAre("ringing", "no_answer"));
}

TEST_F(SandboxContractTest, TheSameIdAgainRingsNothing) {
  Behave(phone_, {{"answer", "busy"}});
  EXPECT_EQ(Post("/v1/calls", Call("c")).status, 202);
  const Answer again = Post("/v1/calls", Call("c"));
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body["id"], "c" + run_);
  EXPECT_EQ(Post("/v1/messages", Message("m")).status, 202);
  EXPECT_EQ(Post("/v1/messages", Message("m")).status, 200);
  EXPECT_EQ(Get(PhonePath(phone_)).body["received"].size(), 2);
}

TEST_F(SandboxContractTest, AMessageIsDeliveredAndRepliedTo) {
  EXPECT_EQ(Post(PhonePath(phone_, "/reply"), {{"text", "1"}}).status, 409);
  EXPECT_EQ(Post("/v1/messages", Message("m")).status, 202);
  EXPECT_THAT(receiver_->EventsOf("m" + run_, 1), ElementsAre("delivered"));
  EXPECT_EQ(Post(PhonePath(phone_, "/reply"), {{"text", "收到"}}).status, 200);
  const std::vector<json> callbacks = receiver_->WaitFor(2);
  ASSERT_EQ(callbacks.size(), 2);
  EXPECT_EQ(callbacks[1]["event"], "reply");
  EXPECT_EQ(callbacks[1]["text"], "收到");
  EXPECT_EQ(callbacks[1]["id"], "m" + run_);
}

TEST_F(SandboxContractTest, RefusesAsOftenAsItIsTold) {
  Post("/v1/faults", {{"refuse", 1}});
  EXPECT_EQ(Post("/v1/messages", Message("m")).status, 503);
  EXPECT_EQ(Post("/v1/calls", Call("c")).status, 503);
  EXPECT_EQ(Get(PhonePath(phone_)).body["received"].size(), 0);
  Post("/v1/faults", json::object());
  EXPECT_EQ(Post("/v1/messages", Message("m")).status, 202);
}

TEST_F(SandboxContractTest, AStalledRequestHasReachedThePhoneBeforeItIsAnswered) {
  Post("/v1/faults", {{"stall_ms", 60'000}});
  const auto response = Fetch({.method = "POST",
                               .url = url_ + "/v1/messages",
                               .body = Message("m").dump(),
                               .timeout = absl::Milliseconds(200)});
  EXPECT_EQ(response.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Get(PhonePath(phone_)).body["received"].size(), 1) << "and what is asked of the phones is not stalled";
  Post("/v1/faults", {{"stall_ms", 1}});
  EXPECT_EQ(Post("/v1/messages", Message("m")).status, 200);
}

TEST_F(SandboxContractTest, DroppedReceiptsStayAway) {
  Post("/v1/faults", {{"drop_receipts", 1}});
  EXPECT_EQ(Post("/v1/messages", Message("lost")).status, 202);
  Post("/v1/faults", json::object());
  EXPECT_EQ(Post("/v1/messages", Message("m")).status, 202);
  const std::vector<json> callbacks = receiver_->WaitFor(1);
  ASSERT_EQ(callbacks.size(), 1);
  EXPECT_EQ(callbacks[0]["id"], "m" + run_);
  EXPECT_EQ(Get(PhonePath(phone_)).body["received"][0]["events"], json({"delivered"}));
}

TEST_F(SandboxContractTest, CallbacksAreTriedAgainAndStayInOrder) {
  if (outside_) GTEST_SKIP() << "the contract does not ask for it";
  Behave(phone_, {{"answer", "keypad"}, {"digits", "1"}});
  receiver_->RefuseNext(2);
  Post("/v1/calls", Call("c"));
  EXPECT_THAT(receiver_->EventsOf("c" + run_, 4), ElementsAre("ringing", "answered", "digits", "completed"));
}

TEST_F(SandboxContractTest, SaysWhatIsWrongWithARequest) {
  if (outside_) GTEST_SKIP() << "the contract does not ask for it";
  json call = Call("c");
  call["to"] = "nobody";
  const auto response = Fetch({.method = "POST", .url = url_ + "/v1/calls", .body = call.dump()});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 400);
  EXPECT_EQ(response->headers.Find("Content-Type"), "application/problem+json");
  EXPECT_EQ(json::parse(response->body)["errors"][0]["field"], "to");
  EXPECT_EQ(Get(PhonePath("nobody")).body["errors"][0]["field"], "number");
  EXPECT_EQ(Get("/v1/received?after=x").body["errors"][0]["field"], "after");
  EXPECT_EQ(Ask("POST", "/v1/messages", "{").status, 400);
  EXPECT_EQ(Ask("POST", "/v1/messages", std::string(1 << 20, ' ')).status, 413);
  EXPECT_EQ(Get("/v1/calls").status, 405);
  EXPECT_EQ(Get("/v1/nothing").status, 404);
  EXPECT_EQ(Get("/v1/phones").status, 404);
  EXPECT_EQ(Post(PhonePath(phone_, "/hangup"), json::object()).status, 404);
  EXPECT_EQ(Post(PhonePath(phone_, "/behaviour/more"), json::object()).status, 404);
  EXPECT_EQ(Post(PhonePath(phone_), json::object()).status, 405);
}

TEST_F(SandboxContractTest, ShowsEverythingReceivedPageByPage) {
  if (outside_) GTEST_SKIP() << "ours alone";
  for (const char* id : {"a", "b", "c"}) Post("/v1/messages", Message(id));
  const json first = Get("/v1/received?limit=2").body;
  ASSERT_EQ(first["received"].size(), 2);
  EXPECT_EQ(first["received"][0]["number"], phone_);
  const json rest = Get("/v1/received?after=" + std::to_string(first["next"].get<int>())).body;
  ASSERT_EQ(rest["received"].size(), 1);
  EXPECT_EQ(rest["received"][0]["id"], "c" + run_);
  EXPECT_EQ(Get("/v1/received?after=" + std::to_string(rest["next"].get<int>())).body["next"], rest["next"]);
  receiver_->WaitFor(3);
  EXPECT_EQ(Get("/v1/stats").body["messages"], 3);
}

}  // namespace
}  // namespace vigil::sandbox
