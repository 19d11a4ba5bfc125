#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vigil/event_stream.h"
#include "vigil/play/live_events.h"

namespace vigil {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class EventLinesTest : public ::testing::Test {
 protected:
  std::vector<std::pair<std::string, std::string>> events_;
  bool more_ = true;
  EventLines lines_{[this](std::string_view id, std::string_view data) {
    events_.emplace_back(id, data);
    return more_;
  }};
};

TEST_F(EventLinesTest, PutsEventsTogether) {
  for (const char* line : {"retry: 1000", "", ": comment", "id: 03-7-0", "data: {\"a\":", "data:1}", "", "id: 03-8-0", "data: x", ""}) {
    EXPECT_TRUE(lines_.Take(line));
  }
  EXPECT_THAT(events_, ElementsAre(Pair("03-7-0", "{\"a\":\n1}"), Pair("03-8-0", "x")));
}

TEST_F(EventLinesTest, AnEventThatWasCutOffIsForgotten) {
  lines_.Take("id: 03-7-0");
  lines_.Take("data: half");
  lines_.Reset();
  lines_.Take("");
  EXPECT_TRUE(events_.empty());
}

TEST_F(EventLinesTest, TheHandlerEndsTheStream) {
  more_ = false;
  EXPECT_TRUE(lines_.Take("data: x"));
  EXPECT_FALSE(lines_.Take(""));
}

TEST(LiveEventTest, ReadsARow) {
  const std::optional<LiveEvent> event = ParseLiveEvent(
      "03-7-0", R"({"position":{"partition":3,"sequence":7,"index":0},"time":"2026-11-22T01:17:05Z","type":"alert_taken","actor":{"person":"p1","role":"r"},
                    "summary":"taken","school":"s1","case_id":"c1","void":false,"detail":{"person":"p1"}})");
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->type, "alert_taken");
  EXPECT_EQ(event->actor, "p1");
  EXPECT_EQ(event->Detail("person"), "p1");
  EXPECT_EQ(event->Detail("nothing"), "");
  EXPECT_TRUE(event->has_effect);
  EXPECT_EQ(event->time, absl::FromUnixSeconds(1'795'310'225));
}

TEST(LiveEventTest, AVoidRowHasNoEffect) {
  const std::optional<LiveEvent> event = ParseLiveEvent("1", R"({"time":"2026-11-22T01:17:05Z","type":"x","void":true})");
  ASSERT_TRUE(event.has_value());
  EXPECT_FALSE(event->has_effect);
}

TEST(LiveEventTest, RefusesWhatIsNoRow) {
  EXPECT_FALSE(ParseLiveEvent("1", "{").has_value());
  EXPECT_FALSE(ParseLiveEvent("1", R"({"type":"x"})").has_value());
  EXPECT_FALSE(ParseLiveEvent("1", R"({"time":"2026-11-22T01:17:05Z","type":7})").has_value());
}

}  // namespace
}  // namespace vigil
