#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

// What an emergency would show, shown before it (ORG-03, ORG-17, NFR-05).
TEST(ReadinessTest, NamesEmptyRostersDeadNumbersAndASingleCounsellor) {
  Scene scene;
  api::PersonInput deputy = Scene::Person("deputy", "staff", "deputy");
  deputy.clear_phone();
  ASSERT_TRUE(scene.PutPeople({deputy}).ok());
  const api::Readiness readiness = scene.SeeReadiness();
  EXPECT_FALSE(readiness.ready());
  const auto has = [&](const std::string& kind, const std::string& subject) {
    return std::any_of(readiness.findings().begin(), readiness.findings().end(), [&](const api::ReadinessFinding& f) { return f.kind() == kind && f.subject() == subject; });
  };
  EXPECT_TRUE(has("too_few", "counselling_office")) << "a single counsellor";
  EXPECT_TRUE(has("too_few", "academic_affairs")) << "a unit without anybody";
  EXPECT_FALSE(has("too_few", "leader"));
  EXPECT_TRUE(has("unreachable", "deputy")) << "a dead number";
  EXPECT_TRUE(has("schedule_empty", "deputy"));
  EXPECT_TRUE(has("no_calendar", "school"));
  EXPECT_FALSE(has("class_without", "3-2"));
}

TEST(ReadinessTest, StatisticsTellNoSmallNumbers) {
  Scene scene;
  scene.Report("teacher", {.signals = {"W2d"}, .in_sight = "teacher"});
  const api::Statistics statistics = scene.SeeStatistics();
  EXPECT_EQ(statistics.students(), 3);
  bool suppressed = false;
  for (const api::Cell& cell : statistics.cases_by_level()) {
    EXPECT_TRUE(cell.count() == 0 || cell.count() >= 5) << cell.name();
    suppressed = suppressed || cell.suppressed();
  }
  EXPECT_TRUE(suppressed) << "one case is not told as one";
  ASSERT_FALSE(statistics.clocks().empty());
  for (const api::ClockStatistics& row : statistics.clocks()) {
    EXPECT_TRUE(row.started().suppressed()) << row.kind();
    EXPECT_EQ(row.median_seconds(), 0) << row.kind();
  }
}

}  // namespace
}  // namespace vigil::scenario
