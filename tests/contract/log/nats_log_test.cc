// What only the real broker has: stalls, space, users, a bench-like look at its delay.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "platform/crypto/nkey.h"
#include "platform/crypto/random.h"
#include "platform/log/nats_admin.h"
#include "platform/log/nats_log.h"
#include "support/nats_server.h"

namespace vigil {
namespace {

using testing::NatsServer;

AppendOutcome Append(Log& log, int partition, std::uint64_t expected, std::string body) {
  std::promise<AppendOutcome> promise;
  log.Append(partition, expected, std::move(body), [&](AppendOutcome outcome) { promise.set_value(std::move(outcome)); });
  return promise.get_future().get();
}

bool Within(std::chrono::milliseconds time, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TEST(NatsLogTest, AnIdleAppendIsReadBackWithinAMillisecondOrSo) {
  NatsServer server;
  server.CreateStreams();
  const auto log = *OpenNatsLog(server.Options("intake"), "intake");
  std::mutex mutex;
  std::condition_variable arrived;
  std::uint64_t last = 0;
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  for (int partition = 0; partition < kPartitions; ++partition) {
    subscriptions.push_back(*log->Follow(partition, 1, [&](const LogMessage& message) {
      std::lock_guard lock(mutex);
      if (message.partition == 0) last = message.sequence;
      arrived.notify_one();
    }));
  }
  std::vector<double> milliseconds;
  for (std::uint64_t i = 0; i < 300; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto before = std::chrono::steady_clock::now();
    log->Append(0, i, std::string(300, 'x'), [](const AppendOutcome&) {});
    std::unique_lock lock(mutex);
    ASSERT_TRUE(arrived.wait_for(lock, std::chrono::seconds(5), [&] { return last == i + 1; }));
    milliseconds.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  std::printf("append to own delivery: p50 %.3f ms, p99 %.3f ms\n", milliseconds[150], milliseconds[297]);
  EXPECT_LT(milliseconds[150], 5.0) << "something waits for a buffer or a timer";
}

TEST(NatsLogTest, AFrozenBrokerGivesAnUnknownOutcomeInTimeAndFollowersGoOnAfterwards) {
  NatsServer server;
  server.CreateStreams();
  NatsOptions options = server.Options("intake");
  options.request_timeout = absl::Milliseconds(300);
  const auto log = *OpenNatsLog(options, "intake");
  std::atomic<std::uint64_t> last = 0;
  const auto subscription = *log->Follow(0, 1, [&](const LogMessage& message) { last = message.sequence; });
  ASSERT_TRUE(Append(*log, 0, 0, "x").status.ok());
  server.Stop();
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(Append(*log, 0, 1, "y").status.code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  server.Continue();
  // It was stored after all: that is what "unknown" means, and why the same place is refused now.
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] { return last == 2; }));
  AppendOutcome again;
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] {
    again = Append(*log, 0, 1, "y");
    return !absl::IsUnavailable(again.status);
  }));
  EXPECT_EQ(again.status.code(), absl::StatusCode::kAborted) << again.status;
}

TEST(NatsLogTest, AFullStreamIsAFullStream) {
  NatsServer server;
  auto admin = *NatsClient::Open(server.Options("admin"));
  StreamSettings settings;
  settings.max_bytes = 10'000;
  ASSERT_TRUE(CreateStreams(*admin, settings).ok());
  const auto log = *OpenNatsLog(server.Options("intake"), "intake");
  ASSERT_TRUE(Append(*log, 0, 0, std::string(6000, 'x')).status.ok());
  const AppendOutcome full = Append(*log, 0, 1, std::string(6000, 'x'));
  EXPECT_EQ(full.status.code(), absl::StatusCode::kResourceExhausted) << full.status;
  EXPECT_EQ(log->Info(0)->last_sequence, 1U);
  settings.max_bytes = 100'000;
  ASSERT_TRUE(CreateStreams(*admin, settings).ok()) << "set-up may be repeated with other limits";
  EXPECT_TRUE(Append(*log, 0, 1, std::string(6000, 'x')).status.ok());
}

TEST(NatsLogTest, NobodyMayDeleteFromTheLog) {
  NatsServer server;
  server.CreateStreams();
  auto admin = *NatsClient::Open(server.Options("admin"));
  const auto log = *OpenNatsLog(server.Options("intake"), "intake");
  ASSERT_TRUE(Append(*log, 0, 0, "x").status.ok());
  for (const auto& [subject, body] : std::vector<std::pair<std::string, std::string>>{
           {"$JS.API.STREAM.MSG.DELETE.VIGIL-00", R"({"seq":1})"}, {"$JS.API.STREAM.PURGE.VIGIL-00", ""}}) {
    const NatsClient::Reply reply = admin->Call(subject, body);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_NE(reply->find("\"error\""), std::string::npos) << *reply;
  }
  EXPECT_EQ(log->Info(0)->last_sequence, 1U);
}

TEST(NatsLogTest, WithoutStreamsAnAppendIsUnknownAndInfoSaysWhy) {
  NatsServer server;
  const auto log = *OpenNatsLog(server.Options("intake"), "intake");
  EXPECT_EQ(Append(*log, 0, 0, "x").status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(log->Info(0).status().code(), absl::StatusCode::kNotFound);
}

TEST(NatsLogTest, AFollowerIsThereBeforeItsStream) {
  NatsServer server;
  const auto log = *OpenNatsLog(server.Options("intake"), "intake");
  std::atomic<std::uint64_t> last = 0;
  const auto subscription = *log->Follow(0, 1, [&](const LogMessage& message) { last = message.sequence; });
  server.CreateStreams();
  ASSERT_TRUE(Append(*log, 0, 0, "x").status.ok());
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] { return last == 1; }));
}

class NatsUserTest : public ::testing::Test {
 protected:
  NatsUserTest() {
    testing::WriteFile(directory_.path() + "/seed", EncodeNkeySeed(key_).reveal() + "\n");
  }
  std::string Authorization(const VerifyKey& intake) {
    return "authorization { users = [\n"
           "{ nkey: " + EncodeNkeyPublic(intake) + ", permissions: {\n"
           "  publish: [\"vigil.*.intake\", \"$JS.API.STREAM.INFO.*\", \"$JS.API.CONSUMER.CREATE.*\", \"$JS.FC.>\"]\n"
           "  subscribe: [\"_INBOX_intake.>\"] } }\n"
           "{ user: admin, password: admin } ] }\n";
  }
  void MakeStreams(const NatsServer& server) {
    NatsOptions options = server.Options("admin");
    options.url = "nats://admin:admin@127.0.0.1:" + std::to_string(server.port());
    auto admin = *NatsClient::Open(options);
    ASSERT_TRUE(CreateStreams(*admin, {}).ok());
  }

  SystemRandom random_;
  SigningKey key_ = SigningKey::Generate(random_);
  testing::TemporaryDirectory directory_;
};

TEST_F(NatsUserTest, ThePermissionsThatAreDocumentedAreEnough) {
  NatsServer server({.extra = Authorization(key_.verify_key())});
  MakeStreams(server);
  NatsOptions options = server.Options("intake");
  options.nkey_seed_file = directory_.path() + "/seed";
  const auto log = *OpenNatsLog(options, "intake");
  std::atomic<std::uint64_t> last = 0;
  const auto subscription = *log->Follow(0, 1, [&](const LogMessage& message) { last = message.sequence; });
  ASSERT_TRUE(Append(*log, 0, 0, "x").status.ok());
  EXPECT_TRUE(log->Info(0).ok());
  EXPECT_TRUE(Within(std::chrono::seconds(5), [&] { return last == 1; }));
}

TEST_F(NatsUserTest, AnotherSourceMayNotBeWritten) {
  NatsServer server({.extra = Authorization(key_.verify_key())});
  MakeStreams(server);
  NatsOptions options = server.Options("intake");
  options.nkey_seed_file = directory_.path() + "/seed";
  options.request_timeout = absl::Milliseconds(200);
  std::atomic<int> problems = 0;
  options.on_problem = [&](const std::string&) { ++problems; };
  const auto log = *OpenNatsLog(options, "risk");
  EXPECT_EQ(Append(*log, 0, 0, "x").status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(log->Info(0)->last_sequence, 0U);
  EXPECT_TRUE(Within(std::chrono::seconds(5), [&] { return problems > 0; }));
}

// nats.c gives up for good after two authentication errors; a service must not.
TEST_F(NatsUserTest, ABrokerThatRefusesForAWhileIsReachedWhenItAcceptsAgain) {
  const std::string right = Authorization(key_.verify_key());
  const std::string wrong = Authorization(SigningKey::Generate(random_).verify_key());
  NatsServer server({.extra = wrong});
  MakeStreams(server);
  NatsOptions options = server.Options("intake");
  options.nkey_seed_file = directory_.path() + "/seed";
  auto opened = OpenNatsLog(options, "intake");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const auto log = *std::move(opened);
  std::atomic<std::uint64_t> last = 0;
  const auto subscription = *log->Follow(0, 1, [&](const LogMessage& message) { last = message.sequence; });
  EXPECT_FALSE(Within(std::chrono::milliseconds(1500), [&] { return log->connected(); }));
  for (int round = 0; round < 2; ++round) {
    server.Reconfigure(right);
    ASSERT_TRUE(Within(std::chrono::seconds(10), [&] { return log->connected(); })) << round;
    ASSERT_TRUE(Append(*log, 0, last, "x").status.ok());
    ASSERT_TRUE(Within(std::chrono::seconds(10), [&] { return last == static_cast<std::uint64_t>(round) + 1; })) << round;
    server.Reconfigure(wrong);
    EXPECT_TRUE(Within(std::chrono::seconds(5), [&] { return !log->connected(); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  }
}

TEST_F(NatsUserTest, AFileThatIsNotAKeyIsSaidAtOnce) {
  NatsServer server;
  NatsOptions options = server.Options("intake");
  options.nkey_seed_file = directory_.path() + "/none";
  EXPECT_EQ(OpenNatsLog(options, "intake").status().code(), absl::StatusCode::kInvalidArgument);
  testing::WriteFile(directory_.path() + "/bad", "SUAAAA\n");
  options.nkey_seed_file = directory_.path() + "/bad";
  EXPECT_EQ(OpenNatsLog(options, "intake").status().code(), absl::StatusCode::kInvalidArgument);
  options.nkey_seed_file.clear();
  options.ca_file = directory_.path() + "/none";
  EXPECT_EQ(OpenNatsLog(options, "intake").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(NatsTlsTest, ABrokerWithAnotherNameIsNotTrusted) {
  NatsServer server({.tls = true});
  NatsOptions options = server.Options("intake");
  options.server_name = "elsewhere";
  const auto log = *OpenNatsLog(options, "intake");
  EXPECT_FALSE(Within(std::chrono::milliseconds(1500), [&] { return log->connected(); }));
  const auto trusted = *OpenNatsLog(server.Options("intake"), "intake");
  EXPECT_TRUE(trusted->connected());
}

TEST(NatsLogTest, ABrokerThatIsNotThereYetIsWaitedFor) {
  NatsServer server;
  server.CreateStreams();
  server.Kill();
  const auto log = *OpenNatsLog(server.Options("intake"), "intake");
  EXPECT_FALSE(log->connected());
  EXPECT_EQ(Append(*log, 0, 0, "x").status.code(), absl::StatusCode::kUnavailable);
  server.Start();
  EXPECT_TRUE(Within(std::chrono::seconds(5), [&] { return log->connected(); }));
  EXPECT_TRUE(Append(*log, 0, 0, "x").status.ok());
}

}  // namespace
}  // namespace vigil
