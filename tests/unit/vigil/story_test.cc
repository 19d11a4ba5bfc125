#include "vigil/play/story.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "vigil/command_table.h"
#include "vigil/embedded.h"
#include "vigil/request_builder.h"

namespace vigil {
namespace {

using nlohmann::json;

// Saturday, 2026-11-21 12:00 at the school.
absl::Time Saturday() { return *TimeFromText("2026-11-21 12:00", absl::UnixEpoch()); }

TEST(StoryTimeTest, CountsDaysFromTheFirst) {
  EXPECT_EQ(TimeText(*StoryTime("1 10:05", Saturday())), "2026-11-21T02:05:00Z");
  EXPECT_EQ(TimeText(*StoryTime("3 00:30", Saturday())), "2026-11-22T16:30:00Z");
  EXPECT_FALSE(StoryTime("10:05", Saturday()).ok());
  EXPECT_FALSE(StoryTime("1 25:00", Saturday()).ok());
}

TEST(StoryTimeTest, BeginsOnTheNextWantedWeekdayThatIsNotPast) {
  EXPECT_EQ(TimeText(StoryBegins(Saturday(), "10:05", {1, 2, 3})), "2026-11-23T02:05:00Z");
  const absl::Time monday = *TimeFromText("2026-11-23 10:03", absl::UnixEpoch());
  EXPECT_EQ(TimeText(StoryBegins(monday, "10:05", {1, 2, 3})), "2026-11-24T02:05:00Z");
  EXPECT_EQ(TimeText(StoryBegins(monday - absl::Minutes(10), "10:05", {1, 2, 3})), "2026-11-23T02:05:00Z");
}

class TheStoryTest : public ::testing::Test {
 protected:
  const json story_ = json::parse(embedded::kStory);
  const SampleSchool school_ = MakeSampleSchool(1, 1, story_.at("students").get<int>());

  const SamplePerson* Person(const std::string& name) const { return school_.Find(school_.id + "-" + name); }
  void CheckReferences(const json& value) const {
    if (value.is_string()) {
      const std::string text = value.get<std::string>();
      if (text.starts_with('$')) {
        EXPECT_NE(Person(text.substr(1)), nullptr) << text;
      }
      if (text.starts_with('@')) {
        EXPECT_TRUE(StoryTime(text.substr(1), Saturday()).ok()) << text;
      }
    }
    if (value.is_structured()) {
      for (const json& item : value) CheckReferences(item);
    }
  }
};

TEST_F(TheStoryTest, NamesOnlyPeopleOfTheSchoolAndTimesThatAre) {
  CheckReferences(story_.at("steps"));
  for (const json& step : story_.at("steps")) {
    if (step.contains("as")) {
      EXPECT_NE(Person(step["as"].get<std::string>()), nullptr) << step["as"];
    }
    if (step.contains("phone")) {
      EXPECT_NE(Person(step["phone"].get<std::string>()), nullptr) << step["phone"];
    }
    for (const json& name : step.value("hand_over_to", json::array())) EXPECT_NE(Person(name.get<std::string>()), nullptr) << name;
    if (step.contains("case")) {
      EXPECT_TRUE(story_["cases"].contains(step["case"].get<std::string>())) << step["case"];
    }
  }
}

TEST_F(TheStoryTest, DoesOnlyWhatTheCommandLineCan) {
  for (const json& step : story_.at("steps")) {
    if (!step.contains("do")) continue;
    const auto rows = CommandTable();
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [&](const CommandRow& row) { return row.command == step["do"].get<std::string>(); })) << step["do"];
    EXPECT_TRUE(step.contains("await")) << "nothing shows that it happened: " << step.dump();
  }
}

TEST_F(TheStoryTest, GoesForwardInTime) {
  absl::Time last = absl::InfinitePast();
  for (const json& step : story_.at("steps")) {
    if (!step.contains("advance")) continue;
    const absl::StatusOr<absl::Time> time = StoryTime(step["advance"].get<std::string>(), Saturday());
    ASSERT_TRUE(time.ok()) << step.dump();
    EXPECT_GT(*time, last) << step.dump();
    last = *time;
  }
}

}  // namespace
}  // namespace vigil
