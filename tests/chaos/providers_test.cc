// RELIABILITY.md, test 13: providers refuse, stall, lose receipts, reach machines; a second one is there.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "chaos/nemesis.h"
#include "platform/http/fetch.h"

namespace vigil::chaos {
namespace {

constexpr absl::Duration kOtherProviderWithin = absl::Seconds(60);

class ProvidersChaosTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    second_port_ = testing::FreePort();
    nemesis_ = std::make_unique<Nemesis>(StackOptions{.students = 60, .second_provider = absl::StrCat("http://127.0.0.1:", second_port_)});
    const Stack& stack = nemesis_->stack();
    directory_ = std::make_unique<testing::TemporaryDirectory>();
    const char* chosen = std::getenv("VIGIL_BIN");
    const std::string programs = chosen != nullptr ? chosen : VIGIL_PROGRAMS;
    second_ = std::make_unique<testing::ChildProcess>(
        std::vector<std::string>{programs + "/vigil-sandbox", "--listen", absl::StrCat("127.0.0.1:", second_port_), "--secret_file",
                                 stack.home() + "/secrets/sandbox.secret", "--callback_ca", stack.Variable("VIGIL_CA")},
        directory_->path() + "/second.log");
    ASSERT_TRUE(Eventually(absl::Seconds(10), [] { return Second("GET", "/v1/phones/" + Leader(), json()).has_value(); }));
  }
  static void TearDownTestSuite() {
    nemesis_.reset();
    second_.reset();
    directory_.reset();
  }
  void TearDown() override {
    Faults(json::object());
    (void)Second("POST", "/v1/faults", json::object());
    nemesis_->stack().Behave(Leader(), {{"answer", "no_answer"}});
  }

  static std::optional<json> Ask(const std::string& base, const std::string& method, const std::string& path, const json& body) {
    FetchRequest request{.method = method, .url = base + path};
    if (!body.is_null()) {
      request.headers.Add("Content-Type", "application/json");
      request.body = body.dump();
    }
    const absl::StatusOr<HttpResponse> response = Fetch(request);
    if (!response.ok() || response->status / 100 != 2) return std::nullopt;
    json parsed = json::parse(response->body, nullptr, false);
    return parsed.is_discarded() ? json() : parsed;
  }
  static std::optional<json> Second(const std::string& method, const std::string& path, const json& body) {
    return Ask(absl::StrCat("http://127.0.0.1:", second_port_), method, path, body);
  }
  static void Faults(const json& faults) { ASSERT_TRUE(Ask(nemesis_->stack().Variable("VIGIL_SANDBOX_URL"), "POST", "/v1/faults", faults).has_value()); }
  static std::string Leader() { return nemesis_->school().leader_phone; }
  static std::size_t CallsBySecond() {
    const auto phone = Second("GET", "/v1/phones/" + Leader(), json());
    if (!phone) return 0;
    std::size_t calls = 0;
    for (const json& one : phone->at("received")) calls += one.at("kind") == "call" ? 1U : 0U;
    return calls;
  }
  static std::string Severe(int student) {
    const Answer answer = nemesis_->Report(nemesis_->Severe(student), true, absl::StrCat("provider-", student));
    EXPECT_EQ(answer.status, 201) << answer;
    return answer.body.value("case_id", "");
  }
  static void Take(const std::string& case_id) {
    const json alert = stack::AlertOf(nemesis_->stack().Case(case_id), "severe_ladder");
    (void)nemesis_->stack().Post("/api/v1/alerts/" + alert.at("id").get<std::string>() + ":take", json::object(), nemesis_->school().Staff("leader").token);
  }

  static int second_port_;
  static std::unique_ptr<Nemesis> nemesis_;
  static std::unique_ptr<testing::ChildProcess> second_;
  static std::unique_ptr<testing::TemporaryDirectory> directory_;
};

int ProvidersChaosTest::second_port_ = 0;
std::unique_ptr<Nemesis> ProvidersChaosTest::nemesis_;
std::unique_ptr<testing::ChildProcess> ProvidersChaosTest::second_;
std::unique_ptr<testing::TemporaryDirectory> ProvidersChaosTest::directory_;

TEST_F(ProvidersChaosTest, TheFirstRefuses_TheSecondCalls) {
  const std::size_t before = CallsBySecond();
  Faults({{"refuse", 1}});
  const absl::Time start = absl::Now();
  const std::string case_id = Severe(0);
  EXPECT_TRUE(Eventually(kOtherProviderWithin, [&] { return CallsBySecond() > before; }));
  Figure("second_after_refusal", absl::FormatDuration(absl::Now() - start));
  Take(case_id);
}

TEST_F(ProvidersChaosTest, TheFirstStallsForTwentySeconds_TheSecondCalls) {
  const std::size_t before = CallsBySecond();
  Faults({{"stall_ms", 20'000}});
  const absl::Time start = absl::Now();
  const std::string case_id = Severe(1);
  EXPECT_TRUE(Eventually(kOtherProviderWithin, [&] { return CallsBySecond() > before; }));
  Figure("second_after_stall", absl::FormatDuration(absl::Now() - start));
  Take(case_id);
}

TEST_F(ProvidersChaosTest, ReceiptsAreLost_TheLadderClimbsAllTheSame) {
  Faults({{"drop_receipts", 1}});
  const std::string case_id = Severe(2);
  EXPECT_TRUE(Eventually(absl::Seconds(90), [&] {
    const json alert = stack::AlertOf(nemesis_->stack().Case(case_id), "severe_ladder");
    return !alert.is_null() && alert.at("step").get<int>() > 1;
  }));
  Take(case_id);
}

TEST_F(ProvidersChaosTest, VoicemailIsNotATaking) {
  nemesis_->stack().Behave(Leader(), {{"answer", "voicemail"}});
  const std::size_t before = nemesis_->stack().Count(Leader(), "call");
  const std::string case_id = Severe(3);
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] { return nemesis_->stack().Count(Leader(), "call") > before; }));
  absl::SleepFor(absl::Seconds(3));
  EXPECT_EQ(stack::AlertOf(nemesis_->stack().Case(case_id), "severe_ladder").at("state"), "open");
  Take(case_id);
}

TEST_F(ProvidersChaosTest, OneInTenRefused_EverybodyIsReached) {
  nemesis_->stack().Behave(Leader(), {{"answer", "keypad"}, {"digits", "1"}});
  (void)Second("POST", "/v1/phones/" + Leader() + "/behaviour", {{"answer", "keypad"}, {"digits", "1"}});
  Faults({{"refuse", 0.1}});
  (void)Second("POST", "/v1/faults", {{"refuse", 0.1}});
  const int reports = Count(20, 500);
  std::vector<std::string> cases;
  for (int i = 0; i < reports; ++i) cases.push_back(Severe(4 + i % 40));
  int reached = 0;
  for (const std::string& case_id : cases) {
    const bool taken = Eventually(absl::Seconds(60), [&] {
      for (const json& alert : nemesis_->stack().Case(case_id).at("alerts")) {
        if (alert.at("ladder") == "severe_ladder" && alert.at("state") == "open") return false;
      }
      return true;
    });
    EXPECT_TRUE(taken) << case_id;
    reached += taken ? 1 : 0;
  }
  Figure("reached", absl::StrCat(reached, " of ", reports));
  (void)Second("POST", "/v1/phones/" + Leader() + "/behaviour", {{"answer", "no_answer"}});
}

TEST_F(ProvidersChaosTest, BothAreDownForAWhile_WhenOneIsBackTheLeaderIsRung) {
  Faults({{"refuse", 1}});
  second_->Signal(SIGSTOP);
  const std::string case_id = Severe(50);
  absl::SleepFor(Count(absl::Seconds(20), absl::Minutes(30)));
  const std::size_t before = nemesis_->stack().Count(Leader(), "call");
  Faults(json::object());
  const absl::Time back = absl::Now();
  EXPECT_TRUE(Eventually(kOtherProviderWithin, [&] { return nemesis_->stack().Count(Leader(), "call") > before; }));
  Figure("rang_after_providers_back", absl::FormatDuration(absl::Now() - back));
  second_->Signal(SIGCONT);
  Take(case_id);
}

}  // namespace
}  // namespace vigil::chaos
