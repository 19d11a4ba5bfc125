#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "platform/crypto/random.h"
#include "platform/keys/fake_key_store.h"
#include "platform/keys/nats_key_store.h"
#include "platform/keys/stored_keys.h"
#include "platform/log/nats_admin.h"
#include "support/nats_server.h"

namespace vigil {
namespace {

using testing::NatsServer;

class KeyHarness {
 public:
  virtual ~KeyHarness() = default;
  virtual std::unique_ptr<KeyStore> Connect() = 0;
  virtual void Lose() = 0;
  virtual void Restore() = 0;
};

class FakeKeyHarness final : public KeyHarness {
 public:
  std::unique_ptr<KeyStore> Connect() override { return bucket_.Connect(); }
  void Lose() override { bucket_.SetAvailable(false); }
  void Restore() override { bucket_.SetAvailable(true); }

 private:
  SystemRandom random_;
  FakeKeyBucket bucket_{random_};
};

class NatsKeyHarness final : public KeyHarness {
 public:
  NatsKeyHarness() { server_.CreateStreams(); }
  std::unique_ptr<KeyStore> Connect() override {
    NatsOptions options = server_.Options("keys");
    options.request_timeout = absl::Milliseconds(1500);
    auto store = OpenNatsKeyStore(options, installation_key_, random_);
    if (!store.ok()) throw std::runtime_error(store.status().ToString());
    return *std::move(store);
  }
  void Lose() override { server_.Kill(); }
  void Restore() override { server_.Start(); }
  NatsServer& server() { return server_; }
  Random& random() { return random_; }

 private:
  SystemRandom random_;
  SealingKey installation_key_ = SealingKey::Generate(random_);
  NatsServer server_;
};

bool Within(std::chrono::seconds time, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

absl::Status EnsureKeys(KeyStore& store, std::vector<std::string> person_ids) {
  std::mutex mutex;
  std::condition_variable told;
  std::vector<absl::Status> statuses;
  store.EnsureKeys(std::move(person_ids), [&](absl::Status status) {
    std::lock_guard lock(mutex);
    statuses.push_back(std::move(status));
    told.notify_one();
  });
  std::unique_lock lock(mutex);
  if (!told.wait_for(lock, std::chrono::seconds(20), [&] { return !statuses.empty(); })) return absl::DeadlineExceededError("never told");
  return statuses.front();
}

bool Same(const SealingKey& a, const SealingKey& b) { return a.bytes().reveal() == b.bytes().reveal(); }

class KeyStoreContract : public ::testing::TestWithParam<bool> {
 protected:
  KeyStoreContract() {
    if (GetParam()) {
      harness_ = std::make_unique<NatsKeyHarness>();
    } else {
      harness_ = std::make_unique<FakeKeyHarness>();
    }
  }
  std::unique_ptr<KeyStore> Ready() {
    auto store = harness_->Connect();
    EXPECT_TRUE(Within(std::chrono::seconds(10), [&] { return store->ready(); }));
    return store;
  }
  std::unique_ptr<KeyHarness> harness_;
};

TEST_P(KeyStoreContract, APersonHasOneKeyForEver) {
  const auto store = Ready();
  const auto first = store->EnsureKey("p1");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->created);
  const auto again = store->EnsureKey("p1");
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->created);
  EXPECT_TRUE(Same(first->key, again->key));
  EXPECT_TRUE(Same(first->key, *store->Find("p1")));
  EXPECT_FALSE(Same(first->key, store->EnsureKey("学生 二 .*>")->key));
}

TEST_P(KeyStoreContract, AnotherServiceFindsItAtOnce) {
  const auto one = Ready();
  const auto two = Ready();
  const auto made = one->EnsureKey("p1");
  ASSERT_TRUE(made.ok());
  const auto found = two->Find("p1");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(Same(made->key, *found));
  const auto later = harness_->Connect();  // perhaps not ready yet
  EXPECT_TRUE(Same(made->key, *later->Find("p1")));
}

TEST_P(KeyStoreContract, APersonWithoutAKeyIsNotFound) {
  EXPECT_EQ(Ready()->Find("nobody").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(KeyStoreContract, TwoThatRaceGetTheSameKey) {
  const auto one = Ready();
  const auto two = Ready();
  for (int round = 0; round < 20; ++round) {
    const std::string person = "p" + std::to_string(round);
    absl::StatusOr<KeyRef> a = absl::InternalError("none");
    std::thread other([&] { a = one->EnsureKey(person); });
    const auto b = two->EnsureKey(person);
    other.join();
    ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
    EXPECT_TRUE(Same(a->key, b->key));
    EXPECT_NE(a->created, b->created);
  }
}

TEST_P(KeyStoreContract, AThousandAreMadeWithinASecondOrSo) {
  const auto store = Ready();
  ASSERT_TRUE(store->EnsureKey("p7").ok());
  const auto known = store->Find("p7");
  std::vector<std::string> people;
  for (int i = 0; i < 1000; ++i) people.push_back("p" + std::to_string(i));
  people.push_back("p5");  // twice
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(EnsureKeys(*store, people).ok());
  const auto took = std::chrono::steady_clock::now() - before;
  RecordProperty("milliseconds", static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_LT(took, std::chrono::seconds(3)) << "not pipelined?";
  EXPECT_TRUE(Same(*known, *store->Find("p7")));
  harness_->Lose();
  for (const std::string& person : people) ASSERT_TRUE(store->Find(person).ok()) << person;
  EXPECT_TRUE(EnsureKeys(*store, people).ok()) << "all are known: nothing needs the store";
  EXPECT_TRUE(EnsureKeys(*store, {}).ok());
  EXPECT_EQ(EnsureKeys(*store, {"p1", "new"}).code(), absl::StatusCode::kUnavailable);
}

TEST_P(KeyStoreContract, KnownKeysOutliveTheLossOfTheStore) {
  const auto store = Ready();
  const auto reader = Ready();
  const auto key = store->EnsureKey("p1");
  ASSERT_TRUE(Within(std::chrono::seconds(5), [&] { return reader->Find("p1").ok(); }));
  harness_->Lose();
  EXPECT_TRUE(Same(key->key, *reader->Find("p1")));
  EXPECT_TRUE(reader->EnsureKey("p1").ok());
  EXPECT_EQ(reader->EnsureKey("p2").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(reader->Find("p2").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(reader->Erase("p1").code(), absl::StatusCode::kUnavailable);
  const auto cold = harness_->Connect();
  EXPECT_EQ(cold->Find("p1").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(cold->ready());
  harness_->Restore();
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] { return cold->ready() && cold->Find("p1").ok(); }));
  EXPECT_TRUE(Same(key->key, *cold->Find("p1")));
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] { return reader->EnsureKey("p2").ok(); }));
}

TEST_P(KeyStoreContract, AnErasedKeyIsForgottenEverywhere) {
  const auto store = Ready();
  const auto reader = Ready();
  const auto key = store->EnsureKey("p1");
  ASSERT_TRUE(reader->Find("p1").ok());
  ASSERT_TRUE(store->Erase("p1").ok());
  EXPECT_EQ(store->Find("p1").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Within(std::chrono::seconds(5), [&] { return absl::IsNotFound(reader->Find("p1").status()); }));
  EXPECT_TRUE(store->Erase("p1").ok()) << "again is no error";
  EXPECT_TRUE(store->Erase("nobody").ok());
  EXPECT_EQ(Ready()->Find("p1").status().code(), absl::StatusCode::kNotFound);
  const auto anew = reader->EnsureKey("p1");
  ASSERT_TRUE(anew.ok()) << anew.status();
  EXPECT_TRUE(anew->created);
  EXPECT_FALSE(Same(key->key, anew->key));
  ASSERT_TRUE(store->Erase("p1").ok());
  EXPECT_EQ(store->Find("p1").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(KeyStoreContract, AKeyPreparedInAnOutageIsAdoptedAfterwards) {
  const auto store = Ready();
  const auto other = Ready();
  harness_->Lose();
  const PreparedKey prepared = store->Prepare("p1");
  harness_->Restore();
  EXPECT_TRUE(Same(prepared.key, *other->Unwrap("p1", prepared.wrapped)));
  EXPECT_EQ(other->Unwrap("p2", prepared.wrapped).status().code(), absl::StatusCode::kDataLoss);
  absl::StatusOr<KeyRef> adopted = absl::InternalError("none");
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] { return (adopted = other->Adopt("p1", prepared.wrapped)).ok(); }));
  EXPECT_TRUE(Same(prepared.key, adopted->key));
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] {
    const auto found = store->Find("p1");
    return found.ok() && Same(prepared.key, *found);
  }));
  const PreparedKey second = store->Prepare("p1");
  const auto kept = store->Adopt("p1", second.wrapped);
  ASSERT_TRUE(kept.ok());
  EXPECT_FALSE(kept->created);
  EXPECT_TRUE(Same(prepared.key, kept->key)) << "what the second sealed must be sealed again";
  EXPECT_EQ(store->Adopt("p3", second.wrapped).status().code(), absl::StatusCode::kDataLoss);
}

TEST_P(KeyStoreContract, AnErasureThatNamesAKeyTakesThatKeyAndNoLaterOne) {
  const auto store = Ready();
  ASSERT_TRUE(store->EnsureKey("p1").ok());
  ASSERT_TRUE(store->EnsureKey("p2").ok());
  const auto hash = store->KeyHash("p1");
  ASSERT_TRUE(hash.ok()) << hash.status();
  EXPECT_EQ(hash->size(), 32U);
  EXPECT_NE(*hash, *store->KeyHash("p2"));
  EXPECT_EQ(*Ready()->KeyHash("p1"), *hash) << "the same in every service";
  EXPECT_EQ(store->KeyHash("nobody").status().code(), absl::StatusCode::kNotFound);

  ASSERT_TRUE(store->EraseKey("p2", *hash).ok());
  EXPECT_TRUE(store->Find("p2").ok()) << "another key is not touched";
  ASSERT_TRUE(store->EraseKey("p1", *hash).ok());
  EXPECT_EQ(store->Find("p1").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store->EraseKey("p1", *hash).ok()) << "may be repeated";
  EXPECT_EQ(store->KeyHash("p1").status().code(), absl::StatusCode::kNotFound);
  // Who comes again keeps what is new, however often the old erasure is read.
  const auto again = store->EnsureKey("p1");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->created);
  ASSERT_TRUE(store->EraseKey("p1", *hash).ok());
  EXPECT_TRUE(Same(again->key, *store->Find("p1")));
  EXPECT_TRUE(store->EraseKey("nobody", *hash).ok());
}

INSTANTIATE_TEST_SUITE_P(KeyStores, KeyStoreContract, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Nats" : "Fake"; });

bool StoreHolds(const NatsServer& server, const std::string& bytes) {
  for (const auto& file : std::filesystem::recursive_directory_iterator(server.store_directory())) {
    if (file.is_regular_file() && testing::ReadFile(file.path().string()).find(bytes) != std::string::npos) return true;
  }
  return false;
}

TEST(NatsKeyStoreTest, TheBytesOfAnErasedKeyAreOverwrittenOnDisk) {
  NatsKeyHarness harness;
  const auto store = harness.Connect();
  const PreparedKey prepared = store->Prepare("p1");
  ASSERT_TRUE(store->Adopt("p1", prepared.wrapped).ok());
  ASSERT_TRUE(store->EnsureKey("p2").ok());
  harness.Lose();
  EXPECT_TRUE(StoreHolds(harness.server(), prepared.wrapped)) << "this test looks in the wrong place";
  harness.Restore();
  ASSERT_TRUE(Within(std::chrono::seconds(10), [&] { return store->Erase("p1").ok(); }));
  harness.Lose();
  EXPECT_FALSE(StoreHolds(harness.server(), prepared.wrapped));
  harness.Restore();
  EXPECT_TRUE(Within(std::chrono::seconds(10), [&] { return harness.Connect()->Find("p2").ok(); }));
}

TEST(NatsKeyStoreTest, TheBucketIsReadAndWrittenAsItStands) {
  NatsKeyHarness harness;
  std::vector<NamedKey> all;
  {
    const auto store = harness.Connect();
    for (const char* person : {"p1", "p2", "p3"}) ASSERT_TRUE(store->EnsureKey(person).ok());
    ASSERT_TRUE(store->Erase("p2").ok());
    const auto read = ReadKeyBucket(harness.server().Options("backup"), absl::Seconds(10));
    ASSERT_TRUE(read.ok()) << read.status();
    all = *read;
    ASSERT_EQ(all.size(), 3U);
    for (const NamedKey& key : all) {
      EXPECT_EQ(key.erased, key.name == KeyNameOf("p2"));
      if (key.name != KeyNameOf("p1")) continue;
      EXPECT_EQ(HashOfWrapped(key.wrapped), *store->KeyHash("p1"));
    }
    EXPECT_TRUE(WriteKeyBucket(harness.server().Options("restore"), all).ok()) << "what is there already";
    std::vector<NamedKey> other = all;
    for (NamedKey& key : other) key.wrapped = key.erased ? "" : std::string(kWrappedKeyBytes, 'x');
    EXPECT_EQ(WriteKeyBucket(harness.server().Options("restore"), other).code(), absl::StatusCode::kAlreadyExists);
  }
  NatsServer empty;
  empty.CreateStreams();
  ASSERT_TRUE(WriteKeyBucket(empty.Options("restore"), all).ok());
  const auto copied = ReadKeyBucket(empty.Options("backup"), absl::Seconds(10));
  ASSERT_TRUE(copied.ok()) << copied.status();
  ASSERT_EQ(copied->size(), 3U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ((*copied)[i].name, all[i].name);
    EXPECT_EQ((*copied)[i].erased, all[i].erased);
    EXPECT_EQ((*copied)[i].wrapped, all[i].wrapped);
  }
}

TEST(NatsKeyStoreTest, AKeyOfAnotherInstallationIsNotTakenForOurs) {
  NatsKeyHarness harness;
  ASSERT_TRUE(harness.Connect()->EnsureKey("p1").ok());
  const auto stranger = OpenNatsKeyStore(harness.server().Options("stranger"), SealingKey::Generate(harness.random()), harness.random());
  ASSERT_TRUE(stranger.ok());
  EXPECT_EQ((*stranger)->Find("p1").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ((*stranger)->EnsureKey("p1").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace vigil
