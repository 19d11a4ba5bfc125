#include "platform/blob/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil {
namespace {

class BlobStoreTest : public testing::Test {
 protected:
  BlobStoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vigil-blob-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    store_ = Open();
  }
  ~BlobStoreTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<BlobStore> Open() const {
    absl::StatusOr<std::unique_ptr<BlobStore>> store = BlobStore::Open(folder_ + "/blobs");
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  std::string PathOf(const std::string& id) const { return folder_ + "/blobs/" + id.substr(0, 2) + "/" + id; }

  std::string folder_;
  std::unique_ptr<BlobStore> store_;
};

TEST_F(BlobStoreTest, GivesBackWhatWasPutUnderItsHash) {
  const std::string bytes("sealed \0\xff bytes", 15);
  const auto id = store_->Put(SealedBytes(bytes));
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, HexEncode(AsView(Sha256(bytes))));
  EXPECT_EQ(*store_->Get(*id), bytes);
  EXPECT_TRUE(store_->Has(*id));
  EXPECT_EQ(*Open()->Get(*id), bytes);
}

TEST_F(BlobStoreTest, TheSameBytesAreOneBlob) {
  ASSERT_TRUE(store_->Put(SealedBytes("x")).ok());
  ASSERT_TRUE(store_->Put(SealedBytes("x")).ok());
  int count = 0;
  ASSERT_TRUE(store_->ForEach([&](std::string_view, std::size_t bytes) { return count += static_cast<int>(bytes), true; }).ok());
  EXPECT_EQ(count, 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/blobs/.new"));
}

TEST_F(BlobStoreTest, RefusesNothingAndTooMuch) {
  EXPECT_EQ(store_->Put(SealedBytes("")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(store_->Put(SealedBytes(std::string(kMaxBlobBytes, 'x'))).ok());
  EXPECT_EQ(store_->Put(SealedBytes(std::string(kMaxBlobBytes + 1, 'x'))).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(BlobStoreTest, AnAlteredOrCutBlobIsDataLoss) {
  const std::string id = *store_->Put(SealedBytes("some sealed bytes"));
  std::ofstream(PathOf(id), std::ios::binary) << "other bytes there";
  EXPECT_EQ(store_->Get(id).status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::resize_file(PathOf(id), 3);
  EXPECT_EQ(store_->Get(id).status().code(), absl::StatusCode::kDataLoss);
  // The same bytes again mend one that was cut.
  EXPECT_EQ(*store_->Put(SealedBytes("some sealed bytes")), id);
  EXPECT_EQ(*store_->Get(id), "some sealed bytes");
}

TEST_F(BlobStoreTest, AnIdIsAnIdAndNotAPath) {
  for (const std::string& id : {std::string("../../etc/passwd"), std::string(63, 'a'), std::string(64, 'A'), std::string(62, 'a') + "/a"}) {
    EXPECT_EQ(store_->Get(id).status().code(), absl::StatusCode::kInvalidArgument) << id;
    EXPECT_EQ(store_->Remove(id).code(), absl::StatusCode::kInvalidArgument) << id;
    EXPECT_FALSE(store_->Has(id));
  }
  EXPECT_EQ(store_->Get(std::string(64, 'a')).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(BlobStoreTest, WhatIsRemovedIsGone) {
  const std::string id = *store_->Put(SealedBytes("x"));
  ASSERT_TRUE(store_->Remove(id).ok());
  EXPECT_EQ(store_->Get(id).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_->Remove(id).ok());
}

TEST_F(BlobStoreTest, WhatACrashLeftHalfWrittenIsClearedAway) {
  const std::string old_file = folder_ + "/blobs/.new/half";
  const std::string new_file = folder_ + "/blobs/.new/running";
  std::ofstream(old_file) << "half";
  std::ofstream(new_file) << "half";
  std::filesystem::last_write_time(old_file, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  const auto again = Open();
  EXPECT_FALSE(std::filesystem::exists(old_file));
  EXPECT_TRUE(std::filesystem::exists(new_file));
  int count = 0;
  ASSERT_TRUE(again->ForEach([&](std::string_view, std::size_t) { return ++count, true; }).ok());
  EXPECT_EQ(count, 0);
}

TEST_F(BlobStoreTest, ManyMayPutTheSameAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int j = 0; j < 10; ++j) {
        const auto id = store_->Put(SealedBytes("bytes" + std::to_string(j)));
        ASSERT_TRUE(id.ok()) << id.status();
        ASSERT_TRUE(store_->Get(*id).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int count = 0;
  ASSERT_TRUE(store_->ForEach([&](std::string_view, std::size_t) { return ++count, true; }).ok());
  EXPECT_EQ(count, 10);
}

}  // namespace
}  // namespace vigil
