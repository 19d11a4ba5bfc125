// What every provider keeps to, the fake one and the real one alike.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "notification/channels/fake/fake_provider.h"
#include "notification/channels/sandbox/sandbox.h"
#include "platform/http/fetch.h"
#include "sandbox/sandbox_server.h"

namespace vigil::notification {
namespace {

struct Heard {
  std::string id;
  std::string text;
  bool operator==(const Heard&) const = default;
};

class Harness {
 public:
  virtual ~Harness() = default;
  virtual Provider& provider() = 0;
  // What the phone received, in order.
  virtual std::vector<Heard> ReceivedBy(const std::string& number) = 0;
  virtual void RefuseEverything(bool refuse) = 0;
  // From here on nobody is at the other end.
  virtual void GoAway() = 0;
};

class FakeHarness final : public Harness {
 public:
  Provider& provider() override { return provider_; }
  std::vector<Heard> ReceivedBy(const std::string& number) override {
    std::vector<Heard> heard;
    for (const FakeProvider::Order& order : provider_.placed()) {
      if (order.to == number) heard.push_back({order.id, order.text});
    }
    return heard;
  }
  void RefuseEverything(bool refuse) override { provider_.Answer(refuse ? absl::UnavailableError("refused") : absl::OkStatus()); }
  void GoAway() override { provider_.Answer(absl::UnavailableError("nobody there")); }

 private:
  FakeProvider provider_{"fake"};
};

class SandboxHarness final : public Harness {
 public:
  SandboxHarness() {
    sandbox::SandboxOptions options;
    options.callbacks.secret = "s";
    options.callbacks.retry_delays = {};
    server_ = *sandbox::SandboxServer::Start(std::move(options));
    url_ = absl::StrCat("http://127.0.0.1:", server_->port());
    // Nobody listens for receipts here.
    provider_ = MakeSandboxProvider({.url = url_, .callback_base_url = "http://127.0.0.1:9/callbacks"}, &client_);
  }
  Provider& provider() override { return *provider_; }
  std::vector<Heard> ReceivedBy(const std::string& number) override {
    const auto answer = Fetch({.url = absl::StrCat(url_, "/v1/phones/", number)});
    EXPECT_TRUE(answer.ok()) << answer.status();
    std::vector<Heard> heard;
    const auto body = nlohmann::json::parse(answer->body);
    for (const auto& one : body["received"]) heard.push_back({one["id"], one["text"]});
    return heard;
  }
  void RefuseEverything(bool refuse) override {
    const auto answer = Fetch({.method = "POST", .url = url_ + "/v1/faults", .body = refuse ? R"({"refuse":1})" : "{}"});
    EXPECT_TRUE(answer.ok() && answer->status == 200);
  }
  void GoAway() override { server_.reset(); }

 private:
  std::unique_ptr<sandbox::SandboxServer> server_;
  std::string url_;
  HttpClient client_{HttpClientOptions{}};
  std::unique_ptr<Provider> provider_;
};

template <typename T>
class ProviderContractTest : public ::testing::Test {
 protected:
  absl::Status Call(const std::string& id, const std::string& to, const std::string& text = "请按1") {
    std::promise<absl::Status> done;
    harness_.provider().PlaceCall({.id = id, .to = Secret<std::string>(to), .language = "zh-CN", .text = text, .gather = true, .bridge_to = Secret<std::string>("+861000")},
                                  [&](absl::Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }
  absl::Status Message(const std::string& id, const std::string& to, const std::string& text = "请按1") {
    std::promise<absl::Status> done;
    harness_.provider().PlaceMessage({.id = id, .to = Secret<std::string>(to), .text = text}, [&](absl::Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }
  T harness_;
};

using Harnesses = ::testing::Types<FakeHarness, SandboxHarness>;
TYPED_TEST_SUITE(ProviderContractTest, Harnesses);

TYPED_TEST(ProviderContractTest, CarriesCallsAndMessagesWithTheirWords) {
  EXPECT_TRUE(this->Call("t1", "+8610001", "“引号”、\\ 与\n换行").ok());
  EXPECT_TRUE(this->Message("t2", "+8610001", "短信").ok());
  EXPECT_EQ(this->harness_.ReceivedBy("+8610001"), (std::vector<Heard>{{"t1", "“引号”、\\ 与\n换行"}, {"t2", "短信"}}));
}

TYPED_TEST(ProviderContractTest, TheSameIdRingsOnce) {
  EXPECT_TRUE(this->Call("t1", "+8610001").ok());
  EXPECT_TRUE(this->Call("t1", "+8610001").ok());
  EXPECT_TRUE(this->Message("t2", "+8610001").ok());
  EXPECT_TRUE(this->Message("t2", "+8610001").ok());
  EXPECT_EQ(this->harness_.ReceivedBy("+8610001").size(), 2U);
}

TYPED_TEST(ProviderContractTest, ARefusedOrderMayBePlacedAgainUnderItsId) {
  this->harness_.RefuseEverything(true);
  EXPECT_TRUE(absl::IsUnavailable(this->Call("t1", "+8610001")));
  EXPECT_TRUE(this->harness_.ReceivedBy("+8610001").empty());
  this->harness_.RefuseEverything(false);
  EXPECT_TRUE(this->Call("t1", "+8610001").ok());
  EXPECT_EQ(this->harness_.ReceivedBy("+8610001").size(), 1U);
}

TYPED_TEST(ProviderContractTest, ANumberThatIsNoneIsToldApartFromARefusal) {
  EXPECT_TRUE(absl::IsInvalidArgument(this->Call("t1", "nobody")));
  EXPECT_TRUE(absl::IsInvalidArgument(this->Message("t2", "")));
}

TYPED_TEST(ProviderContractTest, AProviderThatIsGoneIsUnavailable) {
  this->harness_.GoAway();
  EXPECT_TRUE(absl::IsUnavailable(this->Call("t1", "+8610001")));
}

}  // namespace
}  // namespace vigil::notification
