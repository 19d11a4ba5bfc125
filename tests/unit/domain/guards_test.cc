// A commit whose guard fails where it landed is void: nothing changes, byte for byte.
#include "matter.h"

namespace vigil::domain {
namespace {

template <typename Body>
void ExpectVoid(Matter& matter, Body body, absl::StatusCode code, const std::string& person = "leader", const std::string& role = "leader",
                std::uint64_t expected_version = 0) {
  const std::string before = matter.Bytes();
  Commit commit{.id = "void", .school = "school", .file = "file", .recorded_time = matter.now, .actor = Actor{.person = person, .role = role}};
  commit.expected_version = expected_version;
  commit.events.push_back(Event{std::move(body)});
  // Companions of a void decision are void with it.
  commit.events.push_back(Event{AlertRaised{.alert_id = "with-it", .ladder = "severe_ladder"}});
  commit.events.push_back(Event{RecordFiled{.record_id = "with-it", .kind = "written_report"}});
  const Applied applied = Apply(matter.file, commit, matter.context());
  EXPECT_EQ(applied.guard.code(), code) << applied.guard;
  EXPECT_EQ(matter.Bytes(), before);
  EXPECT_TRUE(applied.facts.empty());
  EXPECT_TRUE(applied.clocks.empty());
}

constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
constexpr auto kAborted = absl::StatusCode::kAborted;
constexpr auto kNotFound = absl::StatusCode::kNotFound;

Matter Severe() {
  Matter matter;
  matter.Report({.indicators = {"W1a"}, .reporter = "teacher", .sight = SightClaim::kSeen, .sight_person = "teacher"});
  return matter;
}

TEST(GuardTest, NothingHappensToACaseThatIsNotThere) {
  Matter matter;
  ExpectVoid(matter, SightConfirmed{.person = "teacher"}, kNotFound);
  ExpectVoid(matter, AlertTaken{.alert_id = "a", .person = "leader"}, kNotFound);
  ExpectVoid(matter, CaseClosed{}, kNotFound);
}

TEST(GuardTest, AnAlertIsTakenOnce) {
  Matter matter = Severe();
  const std::string alert = matter.Alert("severe_ladder")->alert_id;
  ASSERT_TRUE(matter.Take("severe_ladder"));
  ExpectVoid(matter, AlertTaken{.alert_id = alert, .person = "deputy"}, kRefused);
  ExpectVoid(matter, AlertTaken{.alert_id = "no such", .person = "deputy"}, kNotFound);
  ExpectVoid(matter, LadderClimbed{.alert_id = alert, .step = 1, .round = 1}, kRefused);
  ExpectVoid(matter, AttemptIntended{.attempt_id = "t", .alert_id = alert, .person = "deputy", .channel = "call", .round = 1}, kRefused);
}

TEST(GuardTest, ALadderOnlyGoesForward) {
  Matter matter = Severe();
  const std::string alert = matter.Alert("severe_ladder")->alert_id;
  matter.Wait(absl::Seconds(60));
  ExpectVoid(matter, LadderClimbed{.alert_id = alert, .step = 1, .round = 1}, kRefused);
  ExpectVoid(matter, LadderClimbed{.alert_id = alert, .step = 0, .round = 1}, kRefused);
  ExpectVoid(matter, LadderClimbed{.alert_id = alert, .step = 0, .round = 4}, kRefused);
  ExpectVoid(matter, AttemptIntended{.attempt_id = "t", .alert_id = alert, .person = "leader", .channel = "call", .step = 0, .round = 1}, kRefused);
}

TEST(GuardTest, AClockFiresWhenItIsDueAndOnce) {
  Matter matter = Severe();
  const ClockState clock = *matter.Clock("phone_report");
  ExpectVoid(matter, ClockExpired{.clock_id = clock.clock_id, .due_time = clock.due_time}, kRefused);
  ExpectVoid(matter, ClockExpired{.clock_id = clock.clock_id, .due_time = matter.now}, kRefused);
  matter.Wait(absl::Minutes(31));
  ExpectVoid(matter, ClockExpired{.clock_id = clock.clock_id, .due_time = clock.due_time}, kRefused);
  const ClockState written = *matter.Clock("written_report");
  ExpectVoid(matter, ClockWarned{.clock_id = written.clock_id, .warning = 0}, kRefused);
  ExpectVoid(matter, ClockWarned{.clock_id = written.clock_id, .warning = 7}, kRefused);
  matter.WaitUntil(At("2026-03-11 09:00"));
  ExpectVoid(matter, ClockWarned{.clock_id = written.clock_id, .warning = 1}, kRefused);
  ExpectVoid(matter, ClockWarned{.clock_id = written.clock_id, .warning = 2}, kRefused);
}

TEST(GuardTest, AMetClockDoesNotExpire) {
  Matter matter = Severe();
  const ClockState clock = *matter.Clock("phone_report");
  matter.Do(Spoken{.superior = "leader", .spoken_time = matter.now, .how = "recorded"});
  matter.now = clock.due_time;
  ExpectVoid(matter, ClockExpired{.clock_id = clock.clock_id, .due_time = clock.due_time}, kRefused);
}

TEST(GuardTest, AReportIsClassifiedOnce) {
  Matter matter = Severe();
  const std::string report = matter.current().reports.back().report_id;
  ExpectVoid(matter, Classified{.report_id = report, .level = "extreme", .trigger = true}, kRefused, "risk", "");
  ExpectVoid(matter, Classified{.report_id = "no such", .level = "extreme", .trigger = true}, kNotFound, "risk", "");
}

TEST(GuardTest, ATriggerDecidedOnAnOlderStateIsDecidedAgain) {
  Matter matter = Severe();
  ReportReceived received{.report_id = "r2", .case_id = matter.current().case_id, .student = "child"};
  received.discovered_time = matter.now;
  matter.Do(received);
  ExpectVoid(matter, Classified{.report_id = "r2", .level = "severe", .trigger = true}, kAborted, "risk", "");
  EXPECT_TRUE(matter.Do(Classified{.report_id = "r2", .level = "severe", .trigger = false}, "risk", "").guard.ok());
}

TEST(GuardTest, AReportAndTheLevelThatItBringsAreVoidTogetherWhereTheLevelMoved) {
  Matter matter = Severe();
  const std::size_t reports = matter.current().reports.size();
  ReportReceived received{.report_id = "r2", .case_id = matter.current().case_id, .student = "child"};
  received.discovered_time = matter.now;
  const auto with = [&](bool trigger) {
    return std::vector<Event>{Event{received}, Event{Classified{.report_id = "r2", .level = "severe", .trigger = trigger}}};
  };
  // Decided when the case was not yet severe.
  EXPECT_EQ(matter.Do(with(true), "teacher", "teacher").guard.code(), kAborted);
  EXPECT_EQ(matter.current().reports.size(), reports);
  EXPECT_TRUE(matter.Do(with(false), "teacher", "teacher").guard.ok());
  EXPECT_TRUE(matter.current().reports.back().classified);
  // Alone it is never void.
  received.report_id = "r3";
  EXPECT_TRUE(matter.Do(received).guard.ok());
}

TEST(GuardTest, ASignalFoundInTheTextCountsForTheTrigger) {
  Matter matter = Severe();
  ReportReceived received{.report_id = "r2", .case_id = matter.current().case_id, .student = "child"};
  received.discovered_time = matter.now;
  matter.Do(received);
  EXPECT_TRUE(matter.Do(Classified{.report_id = "r2", .level = "high", .found_in_text = {"W2d"}, .trigger = true}, "risk", "").guard.ok());
  EXPECT_EQ(matter.current().triggers.size(), 2u);
}

TEST(GuardTest, AStaleVersionIsRefused) {
  Matter matter = Severe();
  const std::uint64_t seen = matter.file.version;
  matter.Do(SightConfirmed{.person = "teacher"}, "teacher", "teacher");
  ExpectVoid(matter, CaseClosed{}, kAborted, "leader", "leader", seen);
}

TEST(GuardTest, SevereIsLoweredOnlyByTheGroupFaceToFace) {
  Matter matter = Severe();
  ExpectVoid(matter, Assessed{.level = "high", .kind = "expert", .members = {"assessor", "office"}, .face_to_face = true}, kRefused);
  ExpectVoid(matter, Assessed{.level = "high", .kind = "group", .members = {"assessor", "office"}, .face_to_face = false}, kRefused);
  ExpectVoid(matter, Assessed{.level = "high", .kind = "group", .members = {"assessor"}, .face_to_face = true}, kRefused);
  ExpectVoid(matter, Assessed{.level = "no such", .kind = "group"}, absl::StatusCode::kInvalidArgument);
}

TEST(GuardTest, TheChildIsNotGivenToTheWrongPerson) {
  Matter matter = Severe();
  ExpectVoid(matter, HandedOverToGuardian{.guardian = "mother", .identity_checked = false}, kRefused);
  ExpectVoid(matter, HandedOverToGuardian{.guardian = "uncle", .identity_checked = true}, kRefused);
  ExpectVoid(matter, HandedOverToGuardian{.guardian = "another_mother", .identity_checked = true}, kRefused);
  ExpectVoid(matter, HandedOverToGuardian{.guardian = "teacher", .identity_checked = true}, kNotFound);
  ExpectVoid(matter, HandedOverToGuardian{.guardian = "nobody", .identity_checked = true}, kNotFound);
  matter.Do(Recused{.person = "father"});
  ExpectVoid(matter, HandedOverToGuardian{.guardian = "father", .identity_checked = true}, kRefused);
  matter.Do(HoldPlaced{.kind = "guardians"});
  ExpectVoid(matter, HandedOverToGuardian{.guardian = "mother", .identity_checked = true}, kRefused);
}

TEST(GuardTest, ACaseUnderSupervisionOrWithThingsOwedIsNotClosed) {
  Matter matter = Severe();
  ExpectVoid(matter, CaseClosed{}, kRefused);
  matter.Do(NotSevereDecided{.assessors = {"assessor", "office"}});
  ExpectVoid(matter, CaseClosed{}, kRefused);
}

TEST(GuardTest, WhoIsOffTheMatterDoesNothingInIt) {
  Matter matter = Severe();
  matter.Do(Recused{.person = "deputy"});
  matter.Do(HoldPlaced{.kind = "guardians"});
  ExpectVoid(matter, AlertTaken{.alert_id = matter.Alert("severe_ladder")->alert_id, .person = "deputy"}, kRefused);
  ExpectVoid(matter, SightConfirmed{.person = "deputy"}, kRefused);
  ExpectVoid(matter, HoldLifted{.kind = "guardians"}, kRefused, "deputy", "deputy");
  ExpectVoid(matter, ShiftOffered{.to = {"deputy"}}, kRefused);
  ExpectVoid(matter, Recused{.person = "deputy"}, kRefused);
}

TEST(GuardTest, AClosedCaseStaysClosed) {
  Matter matter;
  matter.Report({.indicators = {"H7"}});
  ASSERT_TRUE(matter.Do(CaseClosed{}).guard.ok());
  ExpectVoid(matter, SightConfirmed{.person = "teacher"}, kRefused);
  ExpectVoid(matter, Assessed{.level = "high", .kind = "group", .members = {"assessor", "office"}}, kRefused);
  ExpectVoid(matter, CaseClosed{}, kRefused);
}

TEST(GuardTest, AReportIsNeverRefused) {
  Matter matter;
  matter.Report({.indicators = {"H7"}});
  const std::string first = matter.current().case_id;
  ASSERT_TRUE(matter.Do(CaseClosed{}).guard.ok());
  matter.Report({.indicators = {"H1"}});
  EXPECT_NE(matter.current().case_id, first);
  ASSERT_EQ(matter.file.past.size(), 1u);
  EXPECT_EQ(matter.file.past[0].case_id, first);
}

TEST(GuardTest, ACommitWithoutActorOrEventsCrashesNobody) {
  Matter matter = Severe();
  Commit commit{.id = "x", .school = "school", .file = "file", .recorded_time = matter.now};
  EXPECT_FALSE(Apply(matter.file, commit, matter.context()).guard.ok());
  commit.events.push_back(Event{ShiftOffered{.to = {"crisis"}}});
  EXPECT_FALSE(Apply(matter.file, commit, matter.context()).guard.ok());
  commit.events = {Event{HoldLifted{.kind = "guardians"}}};
  EXPECT_FALSE(Apply(matter.file, commit, matter.context()).guard.ok());
  commit.events = {Event{}};
  Apply(matter.file, commit, matter.context());
}

}  // namespace
}  // namespace vigil::domain
