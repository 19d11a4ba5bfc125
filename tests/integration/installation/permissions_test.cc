// What each user may do at a real broker that was configured by a real installation. A refused request gets no answer
// from NATS.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "integration/installation/test_home.h"
#include "platform/log/log.h"
#include "platform/log/nats_admin.h"
#include "platform/log/nats_client.h"
#include "supervisor/nats_config.h"

namespace vigil::installation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kUsers[] = {"intake", "risk", "timer", "notice", "audit", "gateway", "reader", "admin"};
constexpr const char* kSources[] = {"intake", "risk", "timer", "notice"};

class PermissionsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    home_ = std::make_unique<TestHome>();
    const CommandResult init = home_->Init("--not-durable");
    ASSERT_EQ(init.exit_code, 0) << init.output;
    const CommandResult run = home_->Run();
    ASSERT_EQ(run.exit_code, 0) << run.output;
  }
  static void TearDownTestSuite() { home_.reset(); }

  // Which of the requests, each made by each user, the broker answers at all, be it with an error of JetStream's. All
  // are made at once, as a refused one shows only by its silence.
  struct Made {
    std::string user;
    std::string subject;
    bool operator<(const Made& other) const { return std::tie(user, subject) < std::tie(other.user, other.subject); }
  };
  static std::map<Made, bool> Answered(const std::vector<std::pair<std::string, std::string>>& requests) {
    std::vector<std::unique_ptr<NatsClient>> clients;
    std::mutex mutex;
    std::map<Made, bool> answered;
    std::latch left(static_cast<std::ptrdiff_t>(requests.size() * std::size(kUsers)));
    for (const std::string user : kUsers) {
      clients.push_back(Connect(user));
      for (const auto& [subject, body] : requests) {
        const Made made = {user, subject};
        clients.back()->Request(subject, {}, body, [&, made](NatsClient::Reply reply) {
          const std::lock_guard lock(mutex);
          answered[made] = reply.ok();
          left.count_down();
        });
      }
    }
    left.wait();
    return answered;
  }

  static std::unique_ptr<NatsClient> Connect(const std::string& user) {
    NatsOptions options;
    options.url = absl::StrCat("tls://127.0.0.1:", home_->port() + kNatsPortOffset);
    options.ca_file = home_->layout().authority().string();
    options.nkey_seed_file = home_->layout().secret(user + ".nkey").string();
    options.inbox_prefix = "_INBOX_" + user;
    options.request_timeout = absl::Seconds(2);
    absl::StatusOr<std::unique_ptr<NatsClient>> client = NatsClient::Open(options);
    if (!client.ok()) throw std::runtime_error(client.status().ToString());
    for (int attempt = 0; attempt < 500 && !(*client)->connected(); ++attempt) absl::SleepFor(absl::Milliseconds(20));
    EXPECT_TRUE((*client)->connected()) << user;
    return *std::move(client);
  }

  static std::unique_ptr<TestHome> home_;
};

std::unique_ptr<TestHome> PermissionsTest::home_;

TEST_F(PermissionsTest, EachSourceIsWrittenByItsOwnServiceAlone) {
  std::vector<std::pair<std::string, std::string>> requests;
  for (const char* source : kSources) requests.emplace_back(SubjectName(3, source), "x");
  for (const auto& [made, answered] : Answered(requests)) {
    EXPECT_EQ(answered, made.subject == "vigil.03." + made.user) << made.user << " " << made.subject;
  }
  const NatsClient::Reply info = Connect("reader")->Call("$JS.API.STREAM.INFO.VIGIL-03", "");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(*info, HasSubstr("\"last_seq\":4")) << "one message of each source and no other";
}

TEST_F(PermissionsTest, KeysAreReadOnlyByThoseWhoNeedThemAndWrittenByIntake) {
  const std::string bucket = absl::StrCat("KV_", kKeyBucket);
  const std::string write = absl::StrCat("$KV.", kKeyBucket, ".person");
  const std::string erase = "$JS.API.STREAM.MSG.DELETE." + bucket;
  const auto all = Answered({{write, "wrapped"},
                             {erase, "{}"},
                             {"$JS.API.STREAM.MSG.GET." + bucket, absl::StrCat(R"({"last_by_subj":")", write, R"("})")},
                             {"$JS.API.CONSUMER.CREATE." + bucket, "{}"}});
  for (const auto& [made, answered] : all) {
    const bool reads = made.user == "intake" || made.user == "risk" || made.user == "notice" || made.user == "gateway";
    const bool writing = made.subject == write || made.subject == erase;
    EXPECT_EQ(answered, writing ? made.user == "intake" : reads) << made.user << " " << made.subject;
  }
}

TEST_F(PermissionsTest, NobodyChangesOrEmptiesAStream) {
  const std::string update = "$JS.API.STREAM.UPDATE.VIGIL-05";
  const std::string info = "$JS.API.STREAM.INFO.VIGIL-05";
  const auto all = Answered({{"$JS.API.STREAM.DELETE.VIGIL-05", ""},
                             {"$JS.API.STREAM.PURGE.VIGIL-05", ""},
                             {"$JS.API.STREAM.MSG.DELETE.VIGIL-05", "{}"},
                             {"$JS.API.STREAM.RESTORE.VIGIL-05", "{}"},
                             {"$JS.API.CONSUMER.DURABLE.CREATE.VIGIL-05.mine", "{}"},
                             {update, "{}"},
                             {info, ""}});
  for (const auto& [made, answered] : all) {
    const bool may = made.subject == info || (made.subject == update && made.user == "admin");
    EXPECT_EQ(answered, may) << made.user << " " << made.subject;
  }
}

TEST_F(PermissionsTest, TheReaderFollowsTheLog) {
  ASSERT_TRUE(Connect("timer")->Call(SubjectName(9, "timer"), "fact").ok());
  const std::unique_ptr<NatsClient> reader = Connect("reader");
  const NatsClient::Reply message = reader->Call("$JS.API.STREAM.MSG.GET.VIGIL-09", R"({"seq":1})");
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_THAT(*message, HasSubstr("vigil.09.timer"));
  EXPECT_TRUE(reader->Call("$JS.API.CONSUMER.CREATE.VIGIL-09", "{}").ok());
}

TEST(NatsPermissionsTest, AnswersAreSeenByTheirUserAlone) {
  for (const std::string user : kUsers) {
    EXPECT_THAT(PermissionsOf(user).subscribe, ElementsAre("_INBOX_" + user + ".>"));
  }
}

TEST(NatsPermissionsTest, AnUnknownUserMayNothing) {
  EXPECT_TRUE(PermissionsOf("stranger").publish.empty());
  EXPECT_TRUE(PermissionsOf("stranger").subscribe.empty());
}

}  // namespace
}  // namespace vigil::installation
