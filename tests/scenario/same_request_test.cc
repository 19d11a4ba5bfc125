#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

// The same Idempotency-Key: the same answer, one effect; with another body it is a conflict. For ever.
TEST(SameRequestTest, AgainGivesTheFirstAnswerAndOneReport) {
  Scene scene;
  const auto request = Scene::RequestOf({.signals = {"W1a"}});
  const auto first = scene.TryReport(Scene::As("teacher", "key", "body"), request);
  ASSERT_TRUE(first.ok()) << first.status();
  scene.Wait(absl::Hours(1));
  const auto again = scene.TryReport(Scene::As("teacher", "key", "body"), request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(scene.See(first->case_id()).reports_size(), 1);
}

TEST(SameRequestTest, WithAnotherBodyIsAConflict) {
  Scene scene;
  ASSERT_TRUE(scene.TryReport(Scene::As("teacher", "key", "body"), Scene::RequestOf({.signals = {"W1a"}})).ok());
  EXPECT_EQ(scene.TryReport(Scene::As("teacher", "key", "another body"), Scene::RequestOf({.signals = {"W2a"}})).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST(SameRequestTest, OfAnotherPersonIsAnotherRequest) {
  Scene scene;
  const auto first = scene.TryReport(Scene::As("teacher", "key", "body"), Scene::RequestOf({.signals = {"W1a"}}));
  const auto second = scene.TryReport(Scene::As("doctor", "key", "another body"), Scene::RequestOf({.signals = {"W2a"}}));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->report_id(), first->report_id());
}

TEST(SameRequestTest, HoldsAfterARestartOfIntake) {
  Scene scene;
  const auto request = Scene::RequestOf({.signals = {"W1a"}});
  const auto first = scene.TryReport(Scene::As("teacher", "key", "body"), request);
  ASSERT_TRUE(first.ok());
  scene.RestartIntake();
  const auto again = scene.TryReport(Scene::As("teacher", "key", "body"), request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(scene.TryReport(Scene::As("teacher", "key", "another body"), request).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(scene.See(first->case_id()).reports_size(), 1);
}

TEST(SameRequestTest, HoldsForCommandsToo) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}});
  api::FileWrittenReportRequest request;
  request.set_case_(c);
  (*request.mutable_fields())["facts"] = "what happened";
  const auto first = scene.Try(Scene::As("teacher", "key", "body"), request);
  ASSERT_TRUE(first.ok()) << first.status();
  scene.Wait(absl::Minutes(5));
  scene.RestartIntake();
  const auto again = scene.Try(Scene::As("teacher", "key", "body"), request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(scene.See(c).records_size(), 1);
}

TEST(SameRequestTest, ARefusalIsNotRemembered) {
  Scene scene;
  const std::string c = scene.Report("teacher", {.signals = {"W1a"}});
  api::AcceptShiftRequest request;
  request.set_case_(c);
  EXPECT_FALSE(scene.Try(Scene::As("crisis", "key", "body"), request).ok());
  ASSERT_TRUE(scene.Confirm("teacher", c).ok());
  ASSERT_TRUE(scene.Offer("teacher", c, {"crisis"}).ok());
  EXPECT_TRUE(scene.Try(Scene::As("crisis", "key", "body"), request).ok());
}

}  // namespace
}  // namespace vigil::scenario
