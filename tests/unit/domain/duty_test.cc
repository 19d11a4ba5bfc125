#include "domain/duty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/calendar.h"
#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Day = absl::CivilDay;

SchoolState WithCalendar() {
  SchoolState school = SmallSchool();
  CalendarState calendar;
  calendar.terms = {{.from_day = NumberOfDay(Day(2026, 2, 23)), .to_day = NumberOfDay(Day(2026, 7, 3))}, {.from_day = NumberOfDay(Day(2026, 9, 1)), .to_day = NumberOfDay(Day(2027, 1, 22))}};
  calendar.holidays = {{.from_day = NumberOfDay(Day(2026, 4, 6)), .to_day = NumberOfDay(Day(2026, 4, 6))}, {.from_day = NumberOfDay(Day(2026, 5, 1)), .to_day = NumberOfDay(Day(2026, 5, 5))}};
  calendar.school_days = {NumberOfDay(Day(2026, 5, 9))};
  school.calendar = calendar;
  return school;
}

DutyRow Weekly(int weekday) {
  DutyRow row;
  row.id = "weekly";
  row.every = DutyRow::Every::kSchoolWeek;
  row.due_weekday = weekday;
  return row;
}

TEST(CalendarTest, KnowsSchoolDays) {
  const Calendar calendar(PrimarySchool(), WithCalendar());
  EXPECT_TRUE(calendar.IsSchoolDay(Day(2026, 3, 10)));
  EXPECT_FALSE(calendar.IsSchoolDay(Day(2026, 3, 14))) << "a Saturday";
  EXPECT_FALSE(calendar.IsSchoolDay(Day(2026, 4, 6))) << "a holiday";
  EXPECT_TRUE(calendar.IsSchoolDay(Day(2026, 5, 9))) << "a Saturday of school";
  EXPECT_FALSE(calendar.IsSchoolDay(Day(2026, 7, 15))) << "between the terms";
}

TEST(CalendarTest, AWeekIsDueOnItsDayOrOnTheLastSchoolDayBefore) {
  const Calendar calendar(PrimarySchool(), WithCalendar());
  const auto week = PeriodAtOrAfter(calendar, Weekly(5), At("2026-03-11 12:00"));
  ASSERT_TRUE(week);
  EXPECT_EQ(week->from, At("2026-03-09 00:00"));
  EXPECT_EQ(week->to, At("2026-03-16 00:00"));
  EXPECT_EQ(week->due, At("2026-03-13 17:00"));
  const auto may_day = PeriodAtOrAfter(calendar, Weekly(5), At("2026-04-28 12:00"));
  EXPECT_EQ(may_day->due, At("2026-04-30 17:00")) << "Friday is a holiday";
  const auto after_the_holiday = PeriodAtOrAfter(calendar, Weekly(1), At("2026-04-07 12:00"));
  EXPECT_EQ(after_the_holiday->due, At("2026-04-07 17:00")) << "Monday is a holiday, and nothing comes before it in the week";
}

TEST(CalendarTest, WeeksWithoutSchoolArePassedOver) {
  const Calendar calendar(PrimarySchool(), WithCalendar());
  const auto week = PeriodAtOrAfter(calendar, Weekly(5), At("2026-07-08 12:00"));
  ASSERT_TRUE(week);
  EXPECT_EQ(week->from, At("2026-08-31 00:00")) << "summer owes nothing";
}

TEST(CalendarTest, ThePackHasAYearForSchoolsThatSetNone) {
  const Calendar calendar(PrimarySchool(), SmallSchool());
  EXPECT_TRUE(calendar.IsSchoolDay(Day(2026, 3, 10)));
  EXPECT_TRUE(calendar.IsSchoolDay(Day(2027, 1, 12))) << "the winter term passes the new year";
  EXPECT_FALSE(calendar.IsSchoolDay(Day(2026, 10, 5)));
  EXPECT_FALSE(calendar.IsSchoolDay(Day(2026, 8, 3)));
}

TEST(CalendarTest, TermsMonthsAndYearsEndOnASchoolDay) {
  const Calendar calendar(PrimarySchool(), WithCalendar());
  DutyRow row;
  row.every = DutyRow::Every::kTerm;
  row.due_before_end = absl::Hours(14 * 24);
  EXPECT_EQ(PeriodAtOrAfter(calendar, row, At("2026-03-10 10:00"))->due, At("2026-06-19 17:00"));
  row.every = DutyRow::Every::kMonth;
  row.due_before_end = absl::ZeroDuration();
  EXPECT_EQ(PeriodAtOrAfter(calendar, row, At("2026-05-10 10:00"))->due, At("2026-05-29 17:00")) << "the 31st is a Sunday";
  row.every = DutyRow::Every::kSchoolYear;
  row.due_before_end.reset();
  row.due_after = absl::Hours(24 * 100);
  const auto year = PeriodAtOrAfter(calendar, row, At("2026-09-20 10:00"));
  EXPECT_EQ(year->from, At("2026-09-01 00:00"));
  EXPECT_EQ(year->due, At("2026-12-10 17:00"));
}

// ------------------------------------------------------------------------------------------------ the book

// A small pack of two duties over the shipped one's rows: a weekly one of each class, one after an event.
class DutyBookTest : public ::testing::Test {
 protected:
  DutyBookTest() : pack_(PrimarySchool()) {
    pack_.duties.clear();
    DutyRow weekly = Weekly(5);
    weekly.scope = DutyRow::Scope::kClass;
    weekly.owner = {"class_teacher", "substitute_teacher"};
    weekly.record = "class_report";
    weekly.late = {{}, {.after = absl::Hours(24), .tell = {"grade_head"}}};
    weekly.notice = "duty_notice";
    pack_.duties["weekly"] = weekly;
    school_.calendar = WithCalendar().calendar;
    school_.people.erase("another_child");  // of another class
    Do({Event{SchoolFileOpened{}}});
    Run();
  }

  Applied Do(std::vector<Event> events) {
    Commit commit{.id = std::to_string(++next_), .school = "school", .file = "own", .recorded_time = now_, .actor = Actor{.person = "class_teacher", .role = "class_teacher"}};
    commit.events = std::move(events);
    const FoldContext context{pack_, school_, {}};
    for (Event& alert : AlertsToRaise(file_, commit, context, [&](std::string_view purpose) { return commit.id + std::string(purpose); })) {
      alerts_.push_back(std::get<AlertRaised>(alert.body));
      commit.events.push_back(std::move(alert));
    }
    return Apply(file_, commit, context);
  }
  // What is due is committed, one after the other.
  void Run() {
    for (int i = 0; i < 100; ++i) {
      DutiesDue due = NextDuties(pack_, school_, file_, now_);
      if (due.events.empty()) return;
      const Applied applied = Do({due.events.front()});
      ASSERT_TRUE(applied.guard.ok()) << applied.guard;
    }
    FAIL() << "it would not end";
  }
  void WaitUntil(absl::Time until) {
    while (true) {
      const absl::Time wake = NextDuties(pack_, school_, file_, now_).wake;
      if (wake > until) break;
      now_ = wake;
      Run();
    }
    now_ = until;
  }
  Applied File(const std::string& class_name, const std::string& nothing = "true") {
    RecordFiled filed{.record_id = "r" + std::to_string(next_ + 1), .kind = "class_report"};
    filed.class_name = class_name;
    filed.plain["nothing_to_report"] = nothing;
    return Do({Event{filed}});
  }
  std::vector<DutyState> Open() const {
    std::vector<DutyState> open;
    for (const DutyState& duty : file_.duties->duties) {
      if (!IsDone(duty)) open.push_back(duty);
    }
    return open;
  }

  Pack pack_;
  SchoolState school_ = SmallSchool();
  absl::Time now_ = At("2026-03-10 10:00");
  FileState file_;
  std::vector<AlertRaised> alerts_;
  int next_ = 0;
};

TEST_F(DutyBookTest, IsOwedByEachClassForItsWeek) {
  ASSERT_THAT(Open(), SizeIs(1));
  EXPECT_EQ(Open()[0].subject, "3-2");
  EXPECT_EQ(Open()[0].due_time, At("2026-03-13 17:00"));
}

TEST_F(DutyBookTest, ARecordOfTheClassDoesIt) {
  ASSERT_TRUE(File("3-2").guard.ok());
  EXPECT_THAT(Open(), IsEmpty());
  ASSERT_THAT(file_.duties->duties, SizeIs(1));
  EXPECT_FALSE(file_.duties->duties[0].late);
  EXPECT_EQ(file_.duties->duties[0].record_id, file_.current->records.back().record_id);
  WaitUntil(At("2026-03-15 12:00"));
  EXPECT_THAT(alerts_, IsEmpty());
}

TEST_F(DutyBookTest, ARecordOfAnotherClassDoesNot) {
  ASSERT_TRUE(File("3-1").guard.ok());
  EXPECT_THAT(Open(), SizeIs(1));
}

TEST_F(DutyBookTest, LateRemindsTheOwnerThenTellsTheHeadOfGrade) {
  WaitUntil(At("2026-03-13 16:59"));
  EXPECT_THAT(alerts_, IsEmpty());
  WaitUntil(At("2026-03-13 17:00"));
  ASSERT_THAT(alerts_, SizeIs(1));
  EXPECT_EQ(alerts_[0].ladder, "duty_notice");
  EXPECT_THAT(DutyTold(pack_, school_, file_, alerts_[0].clock_id), ElementsAre("class_teacher"));
  WaitUntil(At("2026-03-14 17:00"));
  ASSERT_THAT(alerts_, SizeIs(2));
  EXPECT_THAT(DutyTold(pack_, school_, file_, alerts_[1].clock_id), ElementsAre("grade_head"));
  WaitUntil(At("2026-03-15 20:00"));
  EXPECT_THAT(alerts_, SizeIs(2)) << "told once a step";
}

TEST_F(DutyBookTest, WhoDidItMeanwhileIsNotTold) {
  WaitUntil(At("2026-03-13 17:00"));
  ASSERT_THAT(alerts_, SizeIs(1));
  now_ += absl::Minutes(1);
  ASSERT_TRUE(File("3-2").guard.ok());
  EXPECT_TRUE(file_.duties->duties[0].late);
  EXPECT_THAT(DutyTold(pack_, school_, file_, alerts_[0].clock_id), IsEmpty());
}

TEST_F(DutyBookTest, TheSubstituteOwesItWhileTheTeacherIsOnLeave) {
  school_.people["class_teacher"].on_leave = true;
  PutPerson(school_, {.person_id = "stand_in", .kind = PersonKind::kStaff, .roles = {"substitute_teacher"}, .class_name = "3-2"});
  EXPECT_THAT(DutyOwners(pack_, school_, pack_.duties.at("weekly"), "3-2"), ElementsAre("stand_in"));
}

TEST_F(DutyBookTest, NextWeekOwesAnotherAndTheOldestIsDoneFirst) {
  WaitUntil(At("2026-03-16 09:00"));
  ASSERT_THAT(Open(), SizeIs(2));
  ASSERT_TRUE(File("3-2").guard.ok());
  ASSERT_THAT(Open(), SizeIs(1));
  EXPECT_EQ(Open()[0].from_time, At("2026-03-16 00:00"));
}

TEST_F(DutyBookTest, HolidaysOweNothing) {
  WaitUntil(At("2026-07-04 12:00"));
  const std::size_t before = alerts_.size();
  const auto last = Open().back().from_time;
  WaitUntil(At("2026-08-30 12:00"));
  EXPECT_EQ(Open().back().from_time, last);
  EXPECT_LE(alerts_.size(), before + 2) << "no more than the last week's steps";
}

TEST_F(DutyBookTest, WhatIsNeverDoneDoesNotGrowWithoutEnd) {
  WaitUntil(At("2026-06-30 12:00"));
  EXPECT_LE(Open().size(), 8U);
}

TEST_F(DutyBookTest, AnOpeningOrALatenessThatHasPassedIsVoid) {
  const Event again{DutyOpened{.duty = "weekly", .from_time = At("2026-03-09 00:00"), .due_time = At("2026-03-13 17:00"), .subjects = {"3-2"}}};
  EXPECT_FALSE(Do({again}).guard.ok());
  const Event early{DutyLate{.duty = "weekly", .from_time = At("2026-03-09 00:00"), .step = 0, .subjects = {"3-2"}}};
  EXPECT_FALSE(Do({early}).guard.ok());
}

TEST_F(DutyBookTest, WhatFollowsAnEventIsOwedByTheDayThatItNames) {
  DutyRow row;
  row.id = "after";
  row.every = DutyRow::Every::kEvent;
  row.event = "finding";
  row.event_due = "due";
  row.answers = "finding";
  row.due_after = absl::Hours(24 * 14);
  row.owner = {"leader"};
  row.record = "rectification";
  pack_.duties = {{"after", row}};
  Do({Event{RecordFiled{.record_id = "i1", .kind = "inspection"}}});
  RecordFiled finding{.record_id = "f1", .kind = "finding"};
  finding.plain = {{"inspection", "i1"}, {"due", "2026-03-20"}};
  ASSERT_TRUE(Do({Event{finding}}).guard.ok());
  ASSERT_THAT(file_.duties->duties, SizeIs(2)) << "the week's, and this";
  EXPECT_EQ(file_.duties->duties[1].due_time, At("2026-03-20 17:00"));
  RecordFiled done{.record_id = "d1", .kind = "rectification"};
  done.plain = {{"finding", "nothing"}};
  EXPECT_FALSE(Do({Event{done}}).guard.ok()) << "it answers nothing that there is";
  done.plain = {{"finding", "f1"}};
  ASSERT_TRUE(Do({Event{done}}).guard.ok());
  EXPECT_TRUE(IsDone(file_.duties->duties[1]));
}

TEST_F(DutyBookTest, CannotCloseWhileSomebodyIsUnaccountedFor) {
  DutyRow row;
  row.id = "screening";
  row.every = DutyRow::Every::kSchoolYear;
  row.due_after = absl::Hours(24 * 300);
  row.owner = {"counselling_office"};
  row.record = "annual_screening";
  row.accounts = DutyRow::Accounts{.people = DutyRow::Accounts::People::kStudents, .record = "screening_result"};
  pack_.duties = {{"screening", row}};
  Run();
  const auto close = [&] { return Do({Event{RecordFiled{.record_id = "c" + std::to_string(next_), .kind = "annual_screening"}}}).guard; };
  EXPECT_EQ(close().code(), absl::StatusCode::kFailedPrecondition);
  int result = 0;
  for (const auto& [id, person] : school_.people) {
    if (person.kind != PersonKind::kStudent) continue;
    EXPECT_FALSE(close().ok()) << id << " has no result yet";
    RecordFiled filed{.record_id = "s" + std::to_string(++result), .kind = "screening_result"};
    filed.student = id;
    ASSERT_TRUE(Do({Event{filed}}).guard.ok());
  }
  EXPECT_TRUE(close().ok());
}

}  // namespace
}  // namespace vigil::domain
