#include "vigil/play/narrator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vigil/sample/sample_school.h"

namespace vigil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NarratorTest : public ::testing::Test {
 protected:
  NarratorTest() {
    narrator_.SetFirstDay(kTen);
    narrator_.Follow("c1", "A ");
    narrator_.Follow("c2", "B ");
  }

  std::string Id(std::string_view name) const { return school_.id + "-" + std::string(name); }
  LiveEvent Event(std::string type, std::map<std::string, std::string, std::less<>> detail, std::string case_id = "c1",
                  absl::Duration after = absl::ZeroDuration()) const {
    return {.time = kTen + after, .type = std::move(type), .case_id = std::move(case_id), .actor = Id("leader"), .detail = std::move(detail)};
  }

  static inline const absl::Time kTen = absl::FromUnixSeconds(1'795'312'800);  // 10:00 at the school
  const SampleSchool school_ = MakeSampleSchool(1, 1, 12);
  std::vector<std::string> lines_;
  Narrator narrator_{school_, Language::kChinese, [this](const std::string& line) { lines_.push_back(line); }};
};

TEST_F(NarratorTest, CountsDaysAsTheSchoolDoes) {
  EXPECT_EQ(narrator_.SchoolClock(kTen), "第1天 10:00");
  EXPECT_EQ(narrator_.SchoolClock(kTen + absl::Hours(14)), "第2天 00:00");
}

TEST_F(NarratorTest, NamesPeopleByTheirRole) {
  narrator_.Tell(Event("sight_confirmed", {{"person", Id("counsellor-1")}}));
  EXPECT_THAT(lines_, ElementsAre("第1天 10:00   A 心理老师甲到孩子身边，确认看见本人"));
}

TEST_F(NarratorTest, WhatHasNoNameHereIsToldInTheServersWords) {
  LiveEvent expired = Event("clock_expired", {{"kind", "a-row-of-the-schools-own"}});
  expired.summary = "逾期：本校自定期限";
  narrator_.Tell(expired);
  EXPECT_THAT(lines_, ElementsAre("第1天 10:00   A 逾期：本校自定期限"));
}

TEST_F(NarratorTest, FoldsCheckInsOfEachCaseIntoOneLine) {
  for (int i = 0; i < 3; ++i) {
    narrator_.Tell(Event("checked_in", {{"person", Id("doctor")}}));
    narrator_.Tell(Event("checked_in", {{"person", Id("leader")}}, "c2"));
  }
  EXPECT_THAT(lines_, IsEmpty());
  narrator_.Tell(Event("case_closed", {}));
  EXPECT_THAT(lines_, ElementsAre("第1天 10:00   A 例行确认“孩子在视线内” ×3（校医）", "第1天 10:00   B 例行确认“孩子在视线内” ×3（校长）",
                                  "第1天 10:00   A 校长结案"));
}

TEST_F(NarratorTest, FoldsTheCallsOfOneStep) {
  narrator_.Tell(Event("attempt_intended", {{"attempt_id", "t1"}, {"person", Id("leader")}, {"channel", "call"}}));
  narrator_.Tell(Event("attempt_intended", {{"attempt_id", "t2"}, {"person", Id("deputy")}, {"channel", "call"}}));
  narrator_.Tell(Event("attempt_progressed", {{"attempt_id", "t1"}, {"event", "no_answer"}}));
  narrator_.Tell(Event("attempt_progressed", {{"attempt_id", "t2"}, {"event", "no_answer"}}));
  narrator_.Flush();
  EXPECT_THAT(lines_, ElementsAre("第1天 10:00   A 电话拨打：校长、副校长", "第1天 10:00   A 无人接听：校长、副校长"));
}

TEST_F(NarratorTest, APhoneThatRingsOnAfterSomebodyTookItTellsNothing) {
  narrator_.Tell(Event("attempt_intended", {{"attempt_id", "t1"}, {"person", Id("leader")}, {"channel", "call"}, {"alert_id", "a1"}}));
  narrator_.Tell(Event("alert_taken", {{"alert_id", "a1"}, {"person", Id("deputy")}, {"ladder", "severe_ladder"}}));
  narrator_.Tell(Event("attempt_progressed", {{"attempt_id", "t1"}, {"event", "no_answer"}}));
  narrator_.Flush();
  EXPECT_THAT(lines_, ElementsAre("第1天 10:00   A 电话拨打：校长", "第1天 10:00   A 副校长按键接手（紧急上报）"));
}

TEST_F(NarratorTest, SilenceEndsAFoldButNotARoutineOne) {
  narrator_.Tell(Event("checked_in", {{"person", Id("doctor")}}));
  narrator_.Flush(/*routine=*/false);
  EXPECT_THAT(lines_, IsEmpty());
  narrator_.Tell(Event("attempt_intended", {{"attempt_id", "t1"}, {"person", Id("leader")}, {"channel", "call"}}));
  narrator_.Flush(/*routine=*/false);
  EXPECT_THAT(lines_, ElementsAre("第1天 10:00   A 例行确认“孩子在视线内” ×1（校医）", "第1天 10:00   A 电话拨打：校长"));
}

TEST_F(NarratorTest, TellsNothingOfWhatHadNoEffectOrBelongsToNoCaseOfTheStory) {
  LiveEvent no_effect = Event("case_closed", {});
  no_effect.has_effect = false;
  narrator_.Tell(no_effect);
  narrator_.Tell(Event("case_closed", {}, "c3"));
  narrator_.Tell(Event("something_new", {}));
  narrator_.Flush();
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(NarratorTest, ALateReportIsToldAsLate) {
  narrator_.Tell(Event("record_filed", {{"kind", "written_report"}, {"late", "true"}}));
  narrator_.Tell(Event("record_filed", {{"kind", "night_plan"}}));
  EXPECT_THAT(lines_, ElementsAre("第1天 10:00   A 校长补交《24小时书面报告》，标记迟交", "第1天 10:00   A 校长提交《夜间安排》"));
}

}  // namespace
}  // namespace vigil
