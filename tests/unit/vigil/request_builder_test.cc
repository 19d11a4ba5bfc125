#include "vigil/request_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace vigil {
namespace {

using nlohmann::json;

const CommandRow& Row(std::string_view command) {
  for (const CommandRow& row : CommandTable()) {
    if (row.command == command) return row;
  }
  ADD_FAILURE() << "no row " << command;
  return CommandTable().front();
}

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

TEST(CommandTableTest, HasEveryNameOnceAndEveryTextInBothLanguages) {
  std::set<std::string_view> names;
  for (const CommandRow& row : CommandTable()) {
    EXPECT_TRUE(names.insert(row.command).second) << row.command;
    EXPECT_FALSE(row.help.zh.empty() || row.help.en.empty()) << row.command;
    std::set<std::string_view> options;
    for (const OptionRow& option : row.options) {
      EXPECT_TRUE(options.insert(option.option).second) << row.command << " " << option.option;
      EXPECT_FALSE(option.help.zh.empty() || option.help.en.empty()) << row.command << " " << option.option;
    }
  }
}

TEST(RequestBuilderTest, PutsPositionalArgumentsIntoThePathEscaped) {
  const absl::StatusOr<ApiRequest> request = BuildRequest(Row("receipt"), {.positional = {"s 1", "r/2"}}, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->method, "GET");
  EXPECT_EQ(request->path, "/api/v1/schools/s%201/reports/r%2F2");
}

TEST(RequestBuilderTest, NestsTheFieldsOfAReport) {
  CommandInput input{.positional = {"s1"}};
  input.values = {{"--student", {"p1"}}, {"--signal", {"W1a", "W2d"}}, {"--deteriorating", {""}}, {"--in-sight", {"t1"}}, {"--narrative", {"看到了"}}};
  const absl::StatusOr<ApiRequest> request = BuildRequest(Row("report"), input, kNow);
  ASSERT_TRUE(request.ok());
  const json expected{{"student", {{"id", "p1"}}}, {"signals", {"W1a", "W2d"}}, {"deteriorating", true}, {"in_sight", {{"staff_id", "t1"}}}, {"narrative", "看到了"}};
  EXPECT_EQ(json::parse(request->body), expected);
}

TEST(RequestBuilderTest, NobodySeesTheChildIsTheLiteralFalse) {
  CommandInput input{.positional = {"s1"}};
  input.values = {{"--student", {"p1"}}, {"--not-in-sight", {""}}};
  const absl::StatusOr<ApiRequest> request = BuildRequest(Row("report"), input, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(json::parse(request->body)["in_sight"], json(false));
}

TEST(RequestBuilderTest, FieldsBecomeAnObjectAndMayHoldEqualsSigns) {
  CommandInput input{.positional = {"c1"}};
  input.values = {{"--kind", {"talk"}}, {"--field", {"a=1=2", "b="}}};
  const absl::StatusOr<ApiRequest> request = BuildRequest(Row("record"), input, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(json::parse(request->body), (json{{"kind", "talk"}, {"fields", {{"a", "1=2"}, {"b", ""}}}}));
  input.values["--field"] = {"no equals sign"};
  EXPECT_EQ(BuildRequest(Row("record"), input, kNow).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RequestBuilderTest, ReadsShiftsInSchoolTime) {
  CommandInput input{.positional = {"c1"}};
  input.values = {{"--shift", {"a,b/2026-11-22 22:00/2026-11-23 02:00/二楼/东"}}};
  const absl::StatusOr<ApiRequest> request = BuildRequest(Row("plan-shifts"), input, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(json::parse(request->body), (json{{"shifts",
                                               {{{"staff_ids", {"a", "b"}},
                                                 {"from_time", "2026-11-22T14:00:00Z"},
                                                 {"to_time", "2026-11-22T18:00:00Z"},
                                                 {"place", "二楼/东"}}}}}));
}

TEST(RequestBuilderTest, QueriesCarryTheOptionsOfAGet) {
  CommandInput input{.positional = {"s1"}};
  input.values = {{"--state", {"open"}}, {"--page-size", {"7"}}};
  const absl::StatusOr<ApiRequest> request = BuildRequest(Row("cases"), input, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->path, "/api/v1/schools/s1/cases?page_size=7&state=open");
  EXPECT_TRUE(request->body.empty());
  input.values["--page-size"] = {"many"};
  EXPECT_EQ(BuildRequest(Row("cases"), input, kNow).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RequestBuilderTest, TimesAreRfc3339SchoolTimeOrNow) {
  EXPECT_EQ(*TimeFromText("now", kNow), kNow);
  EXPECT_EQ(TimeText(*TimeFromText("2026-11-22 09:17", kNow)), "2026-11-22T01:17:00Z");
  EXPECT_EQ(TimeText(*TimeFromText("2026-11-22T09:17:05+08:00", kNow)), "2026-11-22T01:17:05Z");
  EXPECT_FALSE(TimeFromText("yesterday", kNow).ok());
}

TEST(RequestBuilderTest, ABodyFromAFileMustBeAJsonObject) {
  EXPECT_TRUE(BuildRequest(Row("directory"), {.positional = {"s1"}, .body = R"({"people":[]})"}, kNow).ok());
  EXPECT_FALSE(BuildRequest(Row("directory"), {.positional = {"s1"}, .body = "people"}, kNow).ok());
}

}  // namespace
}  // namespace vigil
