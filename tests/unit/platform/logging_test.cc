#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "platform/crypto/secret.h"
#include "platform/logging/log.h"

namespace vigil::log {
namespace {

// What could hold a name or a narrative is no value.
static_assert(!std::is_constructible_v<Value, std::string>);
static_assert(!std::is_constructible_v<Value, std::string_view>);
static_assert(!std::is_constructible_v<Value, const char*>);
static_assert(!std::is_constructible_v<Value, Secret<std::string>>);
static_assert(!std::is_constructible_v<Value, Secret<int>>);
static_assert(!std::is_constructible_v<Literal, std::string>);
static_assert(!std::is_constructible_v<Literal, const char*>);
static_assert(std::is_constructible_v<Value, int> && std::is_constructible_v<Value, absl::Duration> && std::is_constructible_v<Value, Id>);

const absl::Time kTime = absl::FromUnixMillis(1'750'000'000'123);

TEST(LoggingTest, ALineIsOneJsonObject) {
  const absl::Status status = absl::NotFoundError("no \"such\"\ncase");
  const std::string line = FormatLine(kTime, Level::kWarn, "intake", "report accepted",
                                      {{"partition", 3},
                                       {"sequence", std::uint64_t{18'000'000'000'000'000'000U}},
                                       {"negative", -5},
                                       {"ready", true},
                                       {"took", absl::Milliseconds(1'500)},
                                       {"due", kTime},
                                       {"file", Id("f-1/2:3")},
                                       {"kind", "alert"},
                                       {"ratio", 0.25},
                                       {"error", status}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const nlohmann::json json = nlohmann::json::parse(line);
  EXPECT_EQ(json["time"], "2025-06-15T15:06:40.123000Z");
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["service"], "intake");
  EXPECT_EQ(json["message"], "report accepted");
  EXPECT_EQ(json["partition"], 3);
  EXPECT_EQ(json["sequence"], 18'000'000'000'000'000'000U);
  EXPECT_EQ(json["negative"], -5);
  EXPECT_EQ(json["ready"], true);
  EXPECT_EQ(json["took"], 1.5);
  EXPECT_EQ(json["due"], "2025-06-15T15:06:40.123000Z");
  EXPECT_EQ(json["file"], "f-1/2:3");
  EXPECT_EQ(json["kind"], "alert");
  EXPECT_EQ(json["ratio"], 0.25);
  EXPECT_EQ(json["error"], "NOT_FOUND: no \"such\"\ncase");
}

TEST(LoggingTest, WhatIsNotAnIdIsNotWritten) {
  for (const std::string& text : {std::string("张三"), std::string("two words"), std::string("line\nbreak"), std::string(kMaxIdBytes + 1, 'x')}) {
    const nlohmann::json json = nlohmann::json::parse(FormatLine(kTime, Level::kInfo, "x", "m", {{"id", Id(text)}}));
    EXPECT_EQ(json["id"], "(not an id)");
  }
}

TEST(LoggingTest, AnInfiniteNumberIsStillJson) {
  const std::string line = FormatLine(kTime, Level::kInfo, "x", "m", {{"span", absl::InfiniteDuration()}});
  EXPECT_TRUE(nlohmann::json::parse(line)["span"].is_null());
}

TEST(LoggingTest, WritesOnlyFromItsLevelUp) {
  std::vector<std::string> lines;
  const CaptureForTest capture([&](std::string_view line) { lines.emplace_back(line); });
  Configure("audit", Level::kWarn);
  Debug("a");
  Info("b");
  Warn("c");
  Error("d", {{"partition", 1}});
  Configure("", Level::kInfo);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(lines[0])["message"], "c");
  EXPECT_EQ(nlohmann::json::parse(lines[1])["service"], "audit");
  EXPECT_EQ(nlohmann::json::parse(lines[1])["partition"], 1);
}

TEST(LoggingTest, KnowsItsLevelsByName) {
  Level level = Level::kInfo;
  EXPECT_TRUE(ParseLevel("error", &level).ok());
  EXPECT_EQ(level, Level::kError);
  EXPECT_EQ(ParseLevel("loud", &level).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace vigil::log
