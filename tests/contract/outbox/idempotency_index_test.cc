#include "platform/outbox/idempotency_index.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace vigil {
namespace {

class IdempotencyIndexTest : public testing::Test {
 protected:
  IdempotencyIndexTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vigil-index-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~IdempotencyIndexTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<IdempotencyIndex> Open(const IdempotencyIndexOptions& options = {}) {
    absl::StatusOr<std::unique_ptr<IdempotencyIndex>> index = IdempotencyIndex::Open(folder_ + "/index.db", options);
    EXPECT_TRUE(index.ok()) << index.status();
    return *std::move(index);
  }

  static IndexEntry Entry(std::uint64_t sequence) {
    return {.body_hash = "hash" + std::to_string(sequence), .partition = 3, .position = {sequence, 2}, .response = "answer"};
  }

  std::string folder_;
};

TEST_F(IdempotencyIndexTest, FindsWhatWasAddedAtOnce) {
  const auto index = Open({.write_interval = absl::Hours(1)});
  index->Add("id", Entry(5));
  EXPECT_EQ(**index->Find("id"), Entry(5));
  EXPECT_EQ(*index->Find("other"), std::nullopt);
  EXPECT_EQ(index->backlog(), 1U);
}

TEST_F(IdempotencyIndexTest, FindsItAfterItWasWrittenAndForgottenInMemory) {
  const auto index = Open({.cached_entries = 1});
  for (std::uint64_t i = 0; i < 3'000; ++i) index->Add("id" + std::to_string(i), Entry(i));
  ASSERT_TRUE(index->Flush().ok());
  EXPECT_EQ(index->backlog(), 0U);
  for (std::uint64_t i = 0; i < 3'000; ++i) ASSERT_EQ(**index->Find("id" + std::to_string(i)), Entry(i));
  for (std::uint64_t i = 3'000; i < 6'000; ++i) ASSERT_EQ(*index->Find("id" + std::to_string(i)), std::nullopt);
}

TEST_F(IdempotencyIndexTest, AnotherAnswerReplacesTheFirst) {
  const auto index = Open({.cached_entries = 0});
  index->Add("id", Entry(1));
  ASSERT_TRUE(index->Flush().ok());
  index->Add("id", Entry(2));
  EXPECT_EQ(**index->Find("id"), Entry(2));
  ASSERT_TRUE(index->Flush().ok());
  EXPECT_EQ(**index->Find("id"), Entry(2));
}

TEST_F(IdempotencyIndexTest, KeepsEntriesAndPositionsWhenItIsOpenedAgain) {
  {
    const auto index = Open();
    index->Add("id", Entry(9));
    index->SetPosition(3, {9, 2});
  }
  const auto index = Open();
  EXPECT_EQ(**index->Find("id"), Entry(9));
  EXPECT_EQ(index->StoredPosition(3), (IndexPosition{9, 2}));
  EXPECT_EQ(index->StoredPosition(4), (IndexPosition{0, 0}));
}

TEST_F(IdempotencyIndexTest, APositionIsStoredOnlyOnceItIsWrittenAndNeverGoesBack) {
  const auto index = Open({.write_interval = absl::Hours(1)});
  index->SetPosition(0, {10, 1});
  EXPECT_EQ(index->StoredPosition(0), (IndexPosition{0, 0}));
  ASSERT_TRUE(index->Flush().ok());
  index->SetPosition(0, {10, 0});
  ASSERT_TRUE(index->Flush().ok());
  EXPECT_EQ(index->StoredPosition(0), (IndexPosition{10, 1}));
}

// A copy of the files at any moment is what a kill leaves: wherever its position stands, no entry up to there may be missing.
TEST_F(IdempotencyIndexTest, ACopyOfItsFilesHasEveryEntryUpToItsPosition) {
  const auto index = Open({.write_interval = absl::Milliseconds(1)});
  std::uint64_t last = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 500; ++i) {
      ++last;
      index->Add("id" + std::to_string(last), Entry(last));
      index->SetPosition(3, {last, 0});
    }
    const std::string copy = folder_ + "/copy" + std::to_string(round) + ".db";
    // The database first and the journal after it could miss a checkpoint between them; there is none in so few pages.
    std::filesystem::copy_file(folder_ + "/index.db", copy);
    std::filesystem::copy_file(folder_ + "/index.db-wal", copy + "-wal");
    absl::StatusOr<std::unique_ptr<IdempotencyIndex>> opened = IdempotencyIndex::Open(copy);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const std::uint64_t stored = (*opened)->StoredPosition(3).sequence;
    ASSERT_LE(stored, last);
    for (std::uint64_t i = 1; i <= stored; ++i) ASSERT_NE(*(*opened)->Find("id" + std::to_string(i)), std::nullopt) << i;
  }
}

TEST_F(IdempotencyIndexTest, FindsWhatIsInRunsAlsoWhenItIsOpenedAgain) {
  const IdempotencyIndexOptions small = {.cached_entries = 0, .write_interval = absl::Microseconds(1), .run_entries = 100};
  std::uint64_t last = 0;
  for (int opened = 0; opened < 3; ++opened) {
    const auto index = Open(small);
    for (std::uint64_t i = 1; i <= last; ++i) ASSERT_EQ(**index->Find("id" + std::to_string(i)), Entry(i)) << i;
    for (int batch = 0; batch < 5; ++batch) {
      for (int i = 0; i < 75; ++i) {
        ++last;
        index->Add("id" + std::to_string(last), Entry(last));
      }
      ASSERT_TRUE(index->Flush().ok());
    }
    for (std::uint64_t i = 1; i <= last; ++i) ASSERT_EQ(**index->Find("id" + std::to_string(i)), Entry(i)) << i;
    for (std::uint64_t i = 1; i <= last; ++i) ASSERT_EQ(*index->Find("no" + std::to_string(i)), std::nullopt) << i;
  }
}

TEST_F(IdempotencyIndexTest, TheLaterAnswerHoldsInWhicheverRunItIs) {
  const IdempotencyIndexOptions small = {.cached_entries = 0, .run_entries = 10};
  {
    const auto index = Open(small);
    for (std::uint64_t round = 1; round <= 5; ++round) {
      index->Add("id", Entry(round));
      for (int i = 0; i < 7; ++i) index->Add(std::to_string(round) + "-" + std::to_string(i), Entry(0));
      ASSERT_TRUE(index->Flush().ok());
      ASSERT_EQ(**index->Find("id"), Entry(round));
    }
  }
  EXPECT_EQ(**Open(small)->Find("id"), Entry(5));
}

TEST_F(IdempotencyIndexTest, IsReadAndWrittenByManyThreads) {
  const auto index = Open({.cached_entries = 10, .write_interval = absl::Microseconds(1), .run_entries = 1'000});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 2'000; ++i) {
        const std::string id = std::to_string(t) + "-" + std::to_string(i);
        index->Add(id, Entry(i));
        const auto found = index->Find(id);
        ASSERT_TRUE(found.ok());
        ASSERT_EQ(**found, Entry(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(index->Flush().ok());
}

TEST_F(IdempotencyIndexTest, ASecondOwnerIsRefused) {
  const auto index = Open();
  EXPECT_EQ(IdempotencyIndex::Open(folder_ + "/index.db").status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace vigil
