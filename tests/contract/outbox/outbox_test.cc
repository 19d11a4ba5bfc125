// What every outbox owes.
#include "platform/outbox/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace vigil {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vigil-outbox-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Outbox>(const Folder&)> make;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::unique_ptr<Outbox> OpenReal(const Folder& folder) {
  absl::StatusOr<std::unique_ptr<Outbox>> outbox = OpenOutbox(folder.File("outbox.db"));
  EXPECT_TRUE(outbox.ok()) << outbox.status();
  return *std::move(outbox);
}

class OutboxContract : public testing::TestWithParam<Kind> {
 protected:
  std::vector<std::string> Ids() {
    std::vector<std::string> ids;
    EXPECT_TRUE(outbox_->ForEach([&](const OutboxRow& row) { return ids.push_back(row.id), true; }).ok());
    return ids;
  }

  Folder folder_;
  std::unique_ptr<Outbox> outbox_ = GetParam().make(folder_);
};

TEST_P(OutboxContract, GivesBackRowsInTheOrderTheyWerePut) {
  const std::string bytes("\0\xff binary \n", 12);
  ASSERT_TRUE(outbox_->Put({"zebra", 3, bytes}).ok());
  ASSERT_TRUE(outbox_->Put({"ant", 15, ""}).ok());
  std::vector<OutboxRow> rows;
  ASSERT_TRUE(outbox_->ForEach([&](const OutboxRow& row) { return rows.push_back(row), true; }).ok());
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].id, "zebra");
  EXPECT_EQ(rows[0].partition, 3U);
  EXPECT_EQ(rows[0].bytes, bytes);
  EXPECT_EQ(rows[1].id, "ant");
  EXPECT_EQ(rows[1].bytes, "");
}

TEST_P(OutboxContract, TheSameRowAgainIsOneRow) {
  ASSERT_TRUE(outbox_->Put({"a", 1, "x"}).ok());
  ASSERT_TRUE(outbox_->Put({"a", 1, "x"}).ok());
  EXPECT_EQ(*outbox_->Count(), 1U);
}

TEST_P(OutboxContract, AnotherRowUnderTheSameIdIsRefusedAndChangesNothing) {
  ASSERT_TRUE(outbox_->Put({"a", 1, "x"}).ok());
  EXPECT_EQ(outbox_->Put({"a", 1, "y"}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(outbox_->Put({"a", 2, "x"}).code(), absl::StatusCode::kAlreadyExists);
  const std::vector<OutboxRow> rows = {{"b", 1, "x"}, {"a", 1, "y"}};
  EXPECT_EQ(outbox_->PutMany(rows).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Ids(), testing::ElementsAre("a"));
}

TEST_P(OutboxContract, RefusesARowWithoutAnIdOrTooLarge) {
  EXPECT_EQ(outbox_->Put({"", 1, "x"}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(outbox_->Put({"a", 1, std::string(kMaxOutboxRowBytes + 1, 'x')}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*outbox_->Count(), 0U);
}

TEST_P(OutboxContract, ForgetsWhatIsRemovedAndOnlyThat) {
  const std::vector<OutboxRow> rows = {{"a", 1, "x"}, {"b", 1, "x"}, {"c", 1, "x"}};
  ASSERT_TRUE(outbox_->PutMany(rows).ok());
  const std::vector<std::string> ids = {"b", "unknown"};
  ASSERT_TRUE(outbox_->Remove(ids).ok());
  EXPECT_THAT(Ids(), testing::ElementsAre("a", "c"));
  ASSERT_TRUE(outbox_->Put({"b", 1, "x"}).ok());
  EXPECT_THAT(Ids(), testing::ElementsAre("a", "c", "b"));
}

TEST_P(OutboxContract, RowsMayBeRemovedWhileTheyAreVisited) {
  std::vector<OutboxRow> rows;
  for (int i = 0; i < 300; ++i) rows.push_back({"id" + std::to_string(i), 0, "x"});
  ASSERT_TRUE(outbox_->PutMany(rows).ok());
  int visited = 0;
  ASSERT_TRUE(outbox_
                  ->ForEach([&](const OutboxRow& row) {
                    ++visited;
                    EXPECT_TRUE(outbox_->Remove(std::vector<std::string>{row.id}).ok());
                    EXPECT_TRUE(outbox_->Put({"new-" + row.id, 0, "x"}).ok());
                    return true;
                  })
                  .ok());
  EXPECT_EQ(visited, 300);
  EXPECT_EQ(*outbox_->Count(), 300U);
}

TEST_P(OutboxContract, VisitingEndsWhenToldTo) {
  const std::vector<OutboxRow> rows = {{"a", 1, "x"}, {"b", 1, "x"}};
  ASSERT_TRUE(outbox_->PutMany(rows).ok());
  int visited = 0;
  ASSERT_TRUE(outbox_->ForEach([&](const OutboxRow&) { return ++visited, false; }).ok());
  EXPECT_EQ(visited, 1);
}

INSTANTIATE_TEST_SUITE_P(All, OutboxContract,
                         testing::Values(Kind{"Sqlite", OpenReal},
                                         Kind{"Fake", [](const Folder&) { return std::make_unique<FakeOutbox>(); }}),
                         [](const auto& kind) { return kind.param.name; });

TEST(FakeOutboxTest, FailsAsToldUntilToldOtherwise) {
  FakeOutbox outbox;
  outbox.FailWith(absl::ResourceExhaustedError("full"));
  EXPECT_EQ(outbox.Put({"a", 1, "x"}).code(), absl::StatusCode::kResourceExhausted);
  outbox.FailWith(absl::OkStatus());
  EXPECT_EQ(*outbox.Count(), 0U);
  EXPECT_TRUE(outbox.Put({"a", 1, "x"}).ok());
}

TEST(SqliteOutboxTest, KeepsItsRowsWhenItIsOpenedAgain) {
  const Folder folder;
  ASSERT_TRUE(OpenReal(folder)->Put({"a", 7, "bytes"}).ok());
  std::vector<OutboxRow> rows;
  ASSERT_TRUE(OpenReal(folder)->ForEach([&](const OutboxRow& row) { return rows.push_back(row), true; }).ok());
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].partition, 7U);
}

// The state of the files after each Put is what a kill or a power cut leaves: a copy of them must hold every row that was accepted.
TEST(SqliteOutboxTest, ACopyOfItsFilesAtAnyMomentHoldsWhatWasAccepted) {
  const Folder folder;
  const Folder copy;
  std::unique_ptr<Outbox> outbox = OpenReal(folder);
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(outbox->Put({"id" + std::to_string(i), 0, std::string(5'000, 'x')}).ok());
    for (const char* name : {"outbox.db", "outbox.db-wal"}) {
      std::filesystem::copy_file(folder.File(name), copy.File(name), std::filesystem::copy_options::overwrite_existing);
    }
    EXPECT_EQ(*OpenReal(copy)->Count(), static_cast<std::size_t>(i));
    std::filesystem::remove(copy.File("outbox.db-wal"));
  }
}

TEST(SqliteOutboxTest, ATornTailLosesOnlyTheRowThatWasBeingWritten) {
  const Folder folder;
  const Folder copy;
  std::unique_ptr<Outbox> outbox = OpenReal(folder);
  ASSERT_TRUE(outbox->Put({"whole", 0, std::string(9'000, 'x')}).ok());
  ASSERT_TRUE(outbox->Put({"torn", 0, std::string(9'000, 'y')}).ok());
  for (const char* name : {"outbox.db", "outbox.db-wal"}) std::filesystem::copy_file(folder.File(name), copy.File(name));
  std::filesystem::resize_file(copy.File("outbox.db-wal"), std::filesystem::file_size(copy.File("outbox.db-wal")) - 512);
  std::vector<std::string> ids;
  ASSERT_TRUE(OpenReal(copy)->ForEach([&](const OutboxRow& row) { return ids.push_back(row.id), true; }).ok());
  EXPECT_THAT(ids, testing::ElementsAre("whole"));
}

TEST(SqliteOutboxTest, ASecondOwnerIsRefused) {
  const Folder folder;
  const std::unique_ptr<Outbox> outbox = OpenReal(folder);
  ASSERT_TRUE(outbox->Put({"a", 0, "x"}).ok());
  EXPECT_EQ(OpenOutbox(folder.File("outbox.db")).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(SqliteOutboxTest, AFileThatIsNoDatabaseIsDataLoss) {
  const Folder folder;
  std::ofstream(folder.File("outbox.db")) << std::string(10'000, '?');
  EXPECT_EQ(OpenOutbox(folder.File("outbox.db")).status().code(), absl::StatusCode::kDataLoss);
}

TEST(SqliteOutboxTest, WhatIsRemovedIsNotLeftInItsFiles) {
  const Folder folder;
  std::unique_ptr<Outbox> outbox = OpenReal(folder);
  ASSERT_TRUE(outbox->Put({"a", 0, "canary-of-a-wrapped-key"}).ok());
  ASSERT_TRUE(outbox->Remove(std::vector<std::string>{"a"}).ok());
  for (const char* name : {"outbox.db", "outbox.db-wal"}) {
    std::ifstream file(folder.File(name), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_EQ(text.find("canary"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace vigil
