#include "vigil/requirements/requirements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "domain/pack/loader.h"
#include "platform/pack_directory/pack_directory.h"
#include "vigil/embedded.h"

namespace vigil {
namespace {

using ::testing::IsEmpty;

std::string TextOf(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// "Suite.Test" of every TEST, TEST_F and TEST_P below tests/.
const std::set<std::string>& Tests() {
  static const auto& tests = *new std::set<std::string>([] {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(VIGIL_TESTS)) {
      if (entry.path().extension() != ".cc") continue;
      std::istringstream lines(TextOf(entry.path()));
      for (std::string line; std::getline(lines, line);) {
        const std::size_t open = line.find('(');
        const std::size_t comma = line.find(", ");
        const std::size_t close = line.find(')');
        if (!line.starts_with("TEST") || open == std::string::npos || comma == std::string::npos || close == std::string::npos || comma > close) continue;
        found.insert(line.substr(open + 1, comma - open - 1) + "." + line.substr(comma + 2, close - comma - 2));
      }
    }
    return found;
  }());
  return tests;
}

const std::vector<RequirementRow>& Rows() {
  static const auto& rows = *new std::vector<RequirementRow>([] {
    auto parsed = ParseRequirements(embedded::kRequirements);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return parsed.value_or(std::vector<RequirementRow>{});
  }());
  return rows;
}

std::shared_ptr<const domain::Pack> PackOnDisk() {
  const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
  EXPECT_TRUE(files.ok()) << files.status();
  auto pack = domain::LoadPack(files.value_or(domain::PackFiles{}), PackDigest);
  EXPECT_TRUE(pack.ok()) << pack.status().message();
  return pack.value_or(nullptr);
}

bool Says(const RequirementRow& row, const std::string& cover) { return std::find(row.cover.begin(), row.cover.end(), cover) != row.cover.end(); }

TEST(RequirementsTest, HasEveryRequirementOfTheDocumentsOnce) {
  const std::map<std::string, int> areas = {{"ORG", 24}, {"CRIT", 25}, {"INT", 10}, {"EDU", 13}, {"SCR", 12}, {"REP", 19}, {"ASM", 10}, {"REG", 8},  {"SUP", 9},  {"TRT", 8},
                                            {"BLK", 6},  {"GUA", 25},  {"FUP", 13}, {"PLAN", 12}, {"NET", 4}, {"TRN", 9}, {"INS", 13}, {"PRV", 9}, {"NFR", 12}};
  std::map<std::string, int> counted;
  for (const RequirementRow& row : Rows()) {
    const std::string area = row.id.substr(0, row.id.find('-'));
    // They count from one without a hole: no id is unknown.
    EXPECT_EQ(std::stoi(row.id.substr(row.id.find('-') + 1)), ++counted[area]) << row.id;
  }
  EXPECT_EQ(counted, areas);
  EXPECT_EQ(Rows().size(), 241U);
}

TEST(RequirementsTest, EveryTestThatItNamesExists) {
  ASSERT_GT(Tests().size(), 500U);
  std::set<std::string> unknown;
  for (const RequirementRow& row : Rows()) {
    for (const std::string& test : row.tests) {
      if (!Tests().contains(test)) unknown.insert(row.id + ": " + test);
    }
  }
  EXPECT_THAT(unknown, IsEmpty());
}

TEST(RequirementsTest, WhatHasNoTestSaysSo) {
  int open = 0;
  for (const RequirementRow& row : Rows()) {
    if (Says(row, "open")) {
      ++open;
      EXPECT_FALSE(row.note.empty()) << row.id << " says what is open";
    }
    if (row.tests.empty()) {
      EXPECT_TRUE(Says(row, "open") || Says(row, "document only") || Says(row, "later")) << row.id;
    }
  }
  std::cout << "requirements that are open: " << open << "\n";
  RecordProperty("open", open);
}

TEST(RequirementsTest, FewAreDocumentsOnlyAndOnlyWhatTheIssueAllowsIsForLater) {
  static const std::set<std::string> kMayBeLater = {"NFR-09", "NFR-10", "INT-01", "INT-03", "CRIT-24", "REG-07", "REG-08", "PRV-01", "PRV-02", "PRV-05", "PRV-07"};
  int documents = 0;
  for (const RequirementRow& row : Rows()) {
    if (Says(row, "document only")) ++documents;
    if (Says(row, "later")) {
      EXPECT_TRUE(kMayBeLater.contains(row.id) || row.id.starts_with("SCR-")) << row.id;
    }
  }
  EXPECT_LE(documents, 15);
}

TEST(RequirementsTest, AgreesWithThePack) {
  const auto pack = PackOnDisk();
  ASSERT_NE(pack, nullptr);
  std::set<std::string> ids;
  std::set<std::string> wrong;
  for (const RequirementRow& row : Rows()) {
    ids.insert(row.id);
    for (const std::string& name : row.rows) {
      const std::size_t dot = name.find('.');
      if (!pack->written.contains({name.substr(0, dot), name.substr(dot + 1)})) wrong.insert(row.id + ": no row " + name);
    }
  }
  const auto serves = [&](const auto& rows) {
    for (const auto& [id, row] : rows) {
      for (const std::string& requirement : row.serves) {
        if (!ids.contains(requirement)) wrong.insert(row.origin + ": " + id + " serves " + requirement + ", which is not in the page");
      }
    }
  };
  serves(pack->indicators);
  serves(pack->clocks);
  serves(pack->ladders);
  serves(pack->custody);
  serves(pack->records);
  serves(pack->roles);
  serves(pack->schedules);
  serves(pack->duties);
  serves(pack->texts);
  for (const auto& row : pack->rules) {
    for (const std::string& requirement : row.serves) {
      if (!ids.contains(requirement)) wrong.insert(row.origin + ": serves " + requirement);
    }
  }
  for (const auto& row : pack->levels) {
    for (const std::string& requirement : row.serves) {
      if (!ids.contains(requirement)) wrong.insert(row.origin + ": serves " + requirement);
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(RequirementsTest, APageWithAMistakeIsRefusedWithItsLine) {
  EXPECT_FALSE(ParseRequirements("| ORG-01 | enforced | - | A.B |").ok());
  EXPECT_FALSE(ParseRequirements("| ORG-01 | perhaps | - | A.B | |").ok());
  EXPECT_FALSE(ParseRequirements("| ORG-01 |  | - | A.B | |").ok());
  const auto twice = ParseRequirements("| ORG-01 | enforced | - | A.B | |\n| ORG-01 | enforced | - | A.B | |");
  EXPECT_EQ(std::string(twice.status().message()), "line 2: ORG-01 stands twice");
  const auto one = ParseRequirements("text\n| id | cover | rows | tests | note |\n|---|---|---|---|---|\n| ORG-01 | enforced, timed | clocks.a, - | A.B, C.D | why |\n");
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_EQ(one->size(), 1U);
  EXPECT_EQ(one->front().tests, (std::vector<std::string>{"A.B", "C.D"}));
  EXPECT_EQ(one->front().rows, (std::vector<std::string>{"clocks.a"}));
  EXPECT_EQ(CountRequirements(*one).at("timed"), 1);
  EXPECT_EQ(CountRequirements(*one).at("tested"), 1);
}

}  // namespace
}  // namespace vigil
