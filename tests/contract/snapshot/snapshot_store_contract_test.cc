#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "platform/crypto/random.h"
#include "platform/snapshot/fake_snapshot_store.h"
#include "platform/snapshot/redis_snapshot_store.h"
#include "support/redis_server.h"

namespace vigil {
namespace {

using testing::RedisServer;

enum class Kind { kFake, kRedis, kRedisSocket };

class SnapshotHarness {
 public:
  virtual ~SnapshotHarness() = default;
  virtual SnapshotStore& store() = 0;
  virtual void Lose() = 0;
  virtual void Restore() = 0;  // with what it had, or empty
  virtual void Flush() = 0;
  virtual void Corrupt(const std::string& name) = 0;
};

class FakeHarness final : public SnapshotHarness {
 public:
  SnapshotStore& store() override { return store_; }
  void Lose() override { store_.SetAvailable(false); }
  void Restore() override { store_.SetAvailable(true); }
  void Flush() override { store_.Flush(); }
  void Corrupt(const std::string& name) override { store_.Corrupt(name); }

 private:
  FakeSnapshotStore store_;
};

class RedisHarness final : public SnapshotHarness {
 public:
  explicit RedisHarness(bool socket) {
    RedisOptions options;
    options.url = socket ? server_.socket_url() : server_.url();
    auto store = OpenRedisSnapshotStore(options, random_);
    if (!store.ok()) throw std::runtime_error(store.status().ToString());
    store_ = *std::move(store);
  }
  SnapshotStore& store() override { return *store_; }
  void Lose() override { server_.Kill(); }
  void Restore() override { server_.Start(); }
  void Flush() override { server_.Command({"FLUSHALL"}); }
  void Corrupt(const std::string& name) override {
    const std::string keys = server_.Command({"--raw", "KEYS", "vigil:snapshot:" + name + ":*"});
    const std::string key = keys.substr(0, keys.find('\n'));
    if (key.empty()) throw std::runtime_error("no chunk to corrupt");
    server_.Command({"SETRANGE", key, "0", "!"});
  }
  RedisServer& server() { return server_; }

 private:
  SystemRandom random_;
  RedisServer server_;
  std::unique_ptr<SnapshotStore> store_;
};

bool Within(std::chrono::seconds time, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

class SnapshotStoreContract : public ::testing::TestWithParam<Kind> {
 protected:
  SnapshotStoreContract() {
    if (GetParam() == Kind::kFake) {
      harness_ = std::make_unique<FakeHarness>();
    } else {
      harness_ = std::make_unique<RedisHarness>(GetParam() == Kind::kRedisSocket);
    }
  }
  SnapshotStore& store() { return harness_->store(); }

  std::unique_ptr<SnapshotHarness> harness_;
};

TEST_P(SnapshotStoreContract, WhatWasPutComesBack) {
  const Snapshot snapshot{~std::uint64_t{0}, {std::string("\0\xff\r\n", 4), "", std::string(1'000'000, 'x')}};
  ASSERT_TRUE(store().Put("timer/07", snapshot).ok());
  const auto got = store().Get("timer/07");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->position, snapshot.position);
  EXPECT_EQ(got->chunks, snapshot.chunks);
  EXPECT_EQ(store().Get("timer/08").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(SnapshotStoreContract, AnEmptyStateIsAState) {
  ASSERT_TRUE(store().Put("a", {5, {}}).ok());
  EXPECT_EQ(store().Get("a")->position, 5U);
  EXPECT_TRUE(store().Get("a")->chunks.empty());
}

TEST_P(SnapshotStoreContract, ANewOneReplacesTheOld) {
  ASSERT_TRUE(store().Put("a", {1, {"one", "two", "three"}}).ok());
  ASSERT_TRUE(store().Put("a", {2, {"four"}}).ok());
  EXPECT_THAT(store().Get("a")->chunks, ::testing::ElementsAre("four"));
  EXPECT_EQ(store().Get("a")->position, 2U);
}

TEST_P(SnapshotStoreContract, WhatIsRemovedIsGone) {
  ASSERT_TRUE(store().Put("a", {1, {"x"}}).ok());
  ASSERT_TRUE(store().Put("b", {1, {"x"}}).ok());
  EXPECT_TRUE(store().Remove("a").ok());
  EXPECT_TRUE(store().Remove("a").ok());
  EXPECT_TRUE(absl::IsNotFound(store().Get("a").status()));
  EXPECT_TRUE(store().Get("b").ok());
}

TEST_P(SnapshotStoreContract, LimitsAreLimits) {
  EXPECT_EQ(store().Put("a", {1, {std::string(kMaxSnapshotChunkBytes + 1, 'x')}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store().Put("a", {1, std::vector<std::string>(kMaxSnapshotChunks + 1)}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::IsNotFound(store().Get("a").status()));
  EXPECT_TRUE(store().Put("a", {1, {std::string(kMaxSnapshotChunkBytes, 'x')}}).ok());
}

TEST_P(SnapshotStoreContract, AFlushedStoreHasNothing) {
  ASSERT_TRUE(store().Put("a", {1, {"x"}}).ok());
  harness_->Flush();
  EXPECT_TRUE(absl::IsNotFound(store().Get("a").status()));
  ASSERT_TRUE(store().Put("a", {2, {"y"}}).ok());
  EXPECT_EQ(store().Get("a")->position, 2U);
}

TEST_P(SnapshotStoreContract, AnAlteredOneIsNotTakenForTheState) {
  ASSERT_TRUE(store().Put("a", {1, {"some state"}}).ok());
  harness_->Corrupt("a");
  EXPECT_TRUE(absl::IsDataLoss(store().Get("a").status())) << store().Get("a").status();
  ASSERT_TRUE(store().Put("a", {2, {"fresh"}}).ok());
  EXPECT_TRUE(store().Get("a").ok());
}

TEST_P(SnapshotStoreContract, ItsLossIsAStatusAndSoonOver) {
  ASSERT_TRUE(store().Put("a", {1, {"x"}}).ok());
  harness_->Lose();
  const auto before = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(absl::IsUnavailable(store().Put("a", {2, {"y"}})));
    EXPECT_TRUE(absl::IsUnavailable(store().Get("a").status()));
    EXPECT_TRUE(absl::IsUnavailable(store().Remove("a")));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  harness_->Restore();
  EXPECT_TRUE(Within(std::chrono::seconds(5), [&] { return store().Put("a", {3, {"z"}}).ok(); }));
  EXPECT_EQ(store().Get("a")->position, 3U);
}

TEST_P(SnapshotStoreContract, AReaderSeesTheWholeOfOneOrOfTheOther) {
  std::atomic<bool> stop = false;
  ASSERT_TRUE(store().Put("a", {0, {"0", "0", "0"}}).ok());
  std::thread writer([&] {
    for (std::uint64_t i = 1; !stop; ++i) {
      EXPECT_TRUE(store().Put("a", {i, std::vector<std::string>(1 + i % 4, std::to_string(i))}).ok());
    }
  });
  int seen = 0;
  for (int i = 0; i < 300; ++i) {
    const auto got = store().Get("a");
    if (!got.ok()) continue;  // replaced twice while we read
    ++seen;
    for (const std::string& chunk : got->chunks) EXPECT_EQ(chunk, std::to_string(got->position));
  }
  stop = true;
  writer.join();
  EXPECT_GT(seen, 0);
}

INSTANTIATE_TEST_SUITE_P(SnapshotStores, SnapshotStoreContract, ::testing::Values(Kind::kFake, Kind::kRedis, Kind::kRedisSocket),
                         [](const auto& instance) {
                           switch (instance.param) {
                             case Kind::kFake:
                               return "Fake";
                             case Kind::kRedis:
                               return "Redis";
                             default:
                               return "RedisSocket";
                           }
                         });

TEST(RedisSnapshotStoreTest, AFrozenRedisHoldsNobodyLongerThanTheTimeout) {
  RedisHarness harness(false);
  ASSERT_TRUE(harness.store().Put("a", {1, {"x"}}).ok());
  harness.server().Stop();
  for (int i = 0; i < 4; ++i) {
    const auto before = std::chrono::steady_clock::now();
    EXPECT_TRUE(absl::IsUnavailable(harness.store().Get("a").status()));
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(900)) << i;
  }
  harness.server().Continue();
  EXPECT_TRUE(Within(std::chrono::seconds(5), [&] { return harness.store().Get("a").ok(); }));
}

TEST(RedisSnapshotStoreTest, ReplacedChunksDoNotStayBehind) {
  RedisHarness harness(false);
  for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(harness.store().Put("a", {i, {"one", "two"}}).ok());
  EXPECT_EQ(harness.server().Command({"--raw", "DBSIZE"}), "3\n");
  ASSERT_TRUE(harness.store().Remove("a").ok());
  EXPECT_EQ(harness.server().Command({"--raw", "DBSIZE"}), "0\n");
}

TEST(RedisSnapshotStoreTest, AWrongPasswordIsAnAbsentRedis) {
  RedisServer server;
  SystemRandom random;
  RedisOptions options;
  options.url = server.url();
  options.url.replace(options.url.find("p%40"), 4, "wrong");
  const auto store = *OpenRedisSnapshotStore(options, random);
  EXPECT_TRUE(absl::IsUnavailable(store->Get("a").status()));
}

TEST(RedisSnapshotStoreTest, AUrlThatIsNoneIsSaidWithoutItsPassword) {
  SystemRandom random;
  for (const char* url : {"", "http://x", "redis://", "redis://a:secret@h:99999", "redis://a:secret@h:6379/x", "redis://a:%zzsecret@h", "unix://x/y"}) {
    RedisOptions options;
    options.url = url;
    const auto store = OpenRedisSnapshotStore(options, random);
    EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_EQ(store.status().message().find("secret"), absl::string_view::npos);
  }
}

}  // namespace
}  // namespace vigil
