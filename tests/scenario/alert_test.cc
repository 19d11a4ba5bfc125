#include "notification/notification.h"
#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// REP-11, REP-12, NFR-04, NFR-05.
class AlertTest : public ::testing::Test {
 protected:
  void Severe() { case_ = scene_.Report("teacher", {.signals = {"W1a"}}); }
  bool SpokenOwed() { return scene_.ClockState(case_, "phone_report") != "met"; }

  Scene scene_;
  std::string case_;
};

TEST_F(AlertTest, ASevereReportRingsLeaderOfficeAndGradeHeadAtOnceWithMessagesBeside) {
  Severe();
  EXPECT_THAT(scene_.Rung("call"), UnorderedElementsAre("leader", "office", "grade_head"));
  EXPECT_THAT(scene_.Rung("sms"), UnorderedElementsAre("leader", "office", "grade_head"));
  scene_.Wait(notification::kSentGrid);
  EXPECT_EQ(scene_.ClockState(case_, "first_call"), "met");
}

TEST_F(AlertTest, NobodyAnswersItClimbsAndComesBackWithoutEnd) {
  Severe();
  scene_.Hush();
  scene_.Wait(absl::Seconds(61));
  EXPECT_THAT(scene_.Rung(), UnorderedElementsAre("deputy", "crisis"));
  scene_.Hush();
  scene_.Wait(absl::Seconds(60));
  EXPECT_THAT(scene_.Rung(), UnorderedElementsAre("leader", "office", "grade_head"));
  scene_.Wait(absl::Hours(3));
  EXPECT_TRUE(scene_.Rings(case_, "severe_ladder"));
}

TEST_F(AlertTest, AllBusyRingsTheNextStepAtOnce) {
  Severe();
  scene_.Hush();
  for (const char* person : {"leader", "office", "grade_head"}) scene_.Tell(person, "call", "busy");
  EXPECT_THAT(scene_.Rung(), UnorderedElementsAre("deputy", "crisis"));
  for (const char* person : {"deputy", "crisis"}) scene_.Tell(person, "call", "busy");
  scene_.Hush();
  scene_.Wait(absl::Seconds(50));
  EXPECT_THAT(scene_.Rung(), IsEmpty()) << "busy phones are not rung without pause";
}

TEST_F(AlertTest, TakingStopsPagingOnEveryChannelAndNoClock) {
  Severe();
  scene_.Press("office", "1");
  EXPECT_FALSE(scene_.Rings(case_, "severe_ladder"));
  EXPECT_EQ(scene_.Alert(case_, "severe_ladder")->taken_by(), "office");
  scene_.Hush();
  scene_.Wait(absl::Minutes(9));
  EXPECT_THAT(scene_.Rung("call"), IsEmpty());
  EXPECT_THAT(scene_.Rung("sms"), IsEmpty());
  for (const char* kind : {"phone_report", "written_report", "special_supervision", "guardian_contact", "assessment"}) {
    EXPECT_EQ(scene_.ClockState(case_, kind), "running") << kind;
  }
}

TEST_F(AlertTest, ATakenAlertIsNotTakenAgain) {
  Severe();
  const std::string alert = scene_.Alert(case_, "severe_ladder")->id();
  ASSERT_TRUE(scene_.TryTake("leader", alert).ok());
  EXPECT_EQ(scene_.TryTake("deputy", alert).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(scene_.Alert(case_, "severe_ladder")->taken_by(), "leader");
}

TEST_F(AlertTest, AMessageDeliveredOrAVoicemailOrAKeypressAloneIsNotThePhoneReport) {
  Severe();
  scene_.Tell("leader", "sms", "delivered");
  EXPECT_TRUE(SpokenOwed());
  scene_.Tell("grade_head", "call", "voicemail");
  EXPECT_TRUE(SpokenOwed());
  scene_.Press("office", "1");
  EXPECT_TRUE(SpokenOwed());
  EXPECT_FALSE(scene_.Rings(case_, "severe_ladder")) << "but it is taken";
}

TEST_F(AlertTest, ConnectedByTheProviderTheyHaveSpoken) {
  Severe();
  scene_.Press("office", "1");
  scene_.Tell("office", "call", "bridged");
  EXPECT_FALSE(SpokenOwed());
}

TEST_F(AlertTest, RecordedByEitherTheyHaveSpoken) {
  Severe();
  ASSERT_TRUE(scene_.Spoke("teacher", case_, "leader").ok());
  EXPECT_FALSE(SpokenOwed());
}

TEST_F(AlertTest, SpokenWithAColleagueIsNotThePhoneReport) {
  Severe();
  EXPECT_EQ(scene_.Spoke("teacher", case_, "class_teacher").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(SpokenOwed());
}

TEST_F(AlertTest, NotSpokenInHalfAnHourRingsTheTakerFirst) {
  Severe();
  scene_.Press("office", "1");
  ASSERT_TRUE(scene_.Confirm("class_teacher", case_).ok());
  scene_.CheckInUntil(scene_.now() + absl::Minutes(29), "class_teacher", case_);
  scene_.Hush();
  scene_.Wait(absl::Minutes(1));
  EXPECT_TRUE(scene_.Rings(case_, "phone_report_ladder"));
  EXPECT_THAT(scene_.Rung(), Contains("office"));
  EXPECT_THAT(scene_.Rung(), Not(Contains("leader")));
}

TEST_F(AlertTest, TakenWithoutAnAdultBesideTheChildItComesBack) {
  Severe();
  scene_.Press("office", "1");
  EXPECT_EQ(scene_.Due(case_, "adult_beside") - scene_.now(), absl::Minutes(10) - (scene_.now() - TimeOf(scene_.Clock(case_, "adult_beside")->start_time())));
  scene_.Hush();
  scene_.Wait(absl::Minutes(11));
  EXPECT_TRUE(scene_.Rings(case_, "severe_ladder"));
  EXPECT_TRUE(scene_.Rings(case_, "search_ladder"));
  EXPECT_THAT(scene_.Rung(), IsSupersetOf({"leader", "office", "grade_head"}));
}

TEST_F(AlertTest, AnAdultWhoAlreadyHoldsTheChildIsBesideIt) {
  case_ = scene_.Report("teacher", {.signals = {"W1a"}, .in_sight = "teacher"});
  scene_.Press("office", "1");
  EXPECT_EQ(scene_.ClockState(case_, "adult_beside"), "met");
  scene_.Wait(absl::Minutes(11));
  EXPECT_FALSE(scene_.Rings(case_, "severe_ladder"));
}

TEST_F(AlertTest, WithAnEmptyRosterThereIsARoundAndAnAlarmEachMinuteAndNoSpin) {
  std::vector<api::PersonInput> gone;
  for (const auto& [id, role] : std::initializer_list<std::pair<const char*, const char*>>{
           {"leader", "leader"}, {"deputy", "deputy"}, {"office", "counselling_office"}, {"grade_head", "grade_head"}, {"crisis", "crisis_team"}}) {
    gone.push_back(Scene::Person(id, "staff", role));
    gone.back().set_on_leave(true);
  }
  ASSERT_TRUE(scene_.PutPeople(gone).ok());
  Severe();
  scene_.Wait(absl::Seconds(10));  // the first call's own clock is over
  const std::uint64_t before = scene_.Commits();
  const int round = scene_.Alert(case_, "severe_ladder")->round();
  scene_.Wait(absl::Minutes(5));
  EXPECT_EQ(scene_.Alert(case_, "severe_ladder")->round(), round + 5);
  EXPECT_EQ(scene_.Commits() - before, 5u);
  // Somebody comes back and is rung within the minute.
  api::PersonInput leader = Scene::Person("leader", "staff", "leader");
  ASSERT_TRUE(scene_.PutPeople({leader}).ok());
  scene_.Wait(absl::Seconds(61));
  EXPECT_THAT(scene_.Rung(), Contains("leader"));
}

}  // namespace
}  // namespace vigil::scenario
