// Erasing what is written about a person (PRV-05, REG-08): all of it, for good, and nothing that is still needed.
#include "scenario/scene.h"

namespace vigil::scenario {
namespace {

constexpr absl::StatusCode kRefused = absl::StatusCode::kFailedPrecondition;

class ErasureTest : public ::testing::Test {
 protected:
  // Two reports of one child, one of them by name, with words and a photo.
  ErasureTest() {
    const auto photo = scene_.TryAttach(Scene::As("teacher"), "\xFF\xD8\xFF a photo");
    EXPECT_TRUE(photo.ok()) << photo.status();
    auto request = Scene::RequestOf({.signals = {}, .factors = {"H1"}, .student = "twin"});
    request.set_narrative("what was seen");
    request.add_attachments(photo->id());
    const auto by_id = scene_.TryReport(Scene::As("teacher"), request);
    EXPECT_TRUE(by_id.ok()) << by_id.status();
    case_ = by_id->case_id();
    auto unknown = Scene::RequestOf({.signals = {}, .factors = {"H1"}, .name = "小红", .in_class = "3-2"});
    unknown.set_narrative("what was heard");
    const auto by_name = scene_.TryReport(Scene::As("doctor"), unknown);
    EXPECT_TRUE(by_name.ok()) << by_name.status();
    EXPECT_TRUE(scene_.TryIdentify("office", by_name->case_id(), "twin").ok());
    subjects_ = {"school.twin", by_name->file_id(), "school." + photo->id()};
  }

  bool Closed() {
    api::CloseRequest close;
    close.set_case_(case_);
    close.set_reason("well again");
    return scene_.Try(Scene::As("leader"), close).ok();
  }
  int KeysLeft() {
    int left = 0;
    for (const std::string& subject : subjects_) left += scene_.HasKey(subject) ? 1 : 0;
    return left;
  }

  Scene scene_;
  std::string case_;
  std::vector<std::string> subjects_;
};

TEST_F(ErasureTest, TakesEveryKeyUnderWhichTheChildsWordsWereSealed) {
  ASSERT_EQ(KeysLeft(), 3) << "of the child, of the file from before the child was known, of the photo";
  ASSERT_TRUE(Closed());
  ASSERT_TRUE(scene_.RemovePeople({"twin"}).ok());
  EXPECT_EQ(scene_.TryErase("leader", "twin").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(KeysLeft(), 3);
  ASSERT_TRUE(scene_.TryErase("administrator", "twin").ok());
  EXPECT_EQ(KeysLeft(), 0);
  for (const char* other : {"school.other_twin", "school.leader", "school.twins_mother"}) EXPECT_TRUE(scene_.HasKey(other)) << other;
  EXPECT_TRUE(scene_.TryErase("administrator", "twin").ok()) << "again: the same answer";
  EXPECT_EQ(scene_.TryErase("administrator", "nobody").code(), absl::StatusCode::kNotFound);
}

TEST_F(ErasureTest, IsRefusedWhileThePersonIsHereOrTheCaseIsOpen) {
  EXPECT_EQ(scene_.TryErase("administrator", "twin").code(), kRefused) << "in the directory";
  EXPECT_EQ(scene_.TryErase("administrator", "leader").code(), kRefused) << "a number that must be rung";
  EXPECT_EQ(scene_.RemovePeople({"twin"}).code(), kRefused) << "with an open case nobody leaves";
  EXPECT_EQ(KeysLeft(), 3);
}

TEST_F(ErasureTest, IsCheckedAgainWhereItLands) {
  // Decided elsewhere, on what was so a moment ago.
  const std::string file = scene_.See(case_).file_id();
  const domain::PersonErased erased{.person_id = "twin", .keys = {{.person = "school.twin", .key_hash = scene_.KeyHash("school.twin")}}};
  EXPECT_EQ(scene_.intake->Do("school", file, erased, "administrator", "administrator").code(), kRefused);
  ASSERT_TRUE(Closed());
  EXPECT_EQ(scene_.intake->Do("school", file, erased, "administrator", "administrator").code(), kRefused) << "still in the directory";
  EXPECT_EQ(KeysLeft(), 3);
}

TEST_F(ErasureTest, WhoComesAgainKeepsWhatIsNew) {
  ASSERT_TRUE(Closed());
  ASSERT_TRUE(scene_.RemovePeople({"twin"}).ok());
  ASSERT_TRUE(scene_.TryErase("administrator", "twin").ok());
  scene_.RestartIntake();
  EXPECT_EQ(KeysLeft(), 0);
  ASSERT_TRUE(scene_.PutPeople({Scene::Person("twin", "student", "")}).ok());
  const std::string key = scene_.KeyHash("school.twin");
  ASSERT_FALSE(key.empty());
  // The erasure is read again at every start; it names the old key.
  scene_.RestartIntake();
  EXPECT_EQ(scene_.KeyHash("school.twin"), key);
}

TEST_F(ErasureTest, AKeyThatCameBackFromACopyIsErasedAgain) {
  const std::string wrapped_hash = scene_.KeyHash("school.twin");
  ASSERT_TRUE(Closed());
  ASSERT_TRUE(scene_.RemovePeople({"twin"}).ok());
  const FakeKeyBucket::Copy copy = scene_.world.keys().CopyAll();
  ASSERT_TRUE(scene_.TryErase("administrator", "twin").ok());
  ASSERT_EQ(KeysLeft(), 0);
  scene_.world.keys().PutBack(copy);
  ASSERT_EQ(scene_.KeyHash("school.twin"), wrapped_hash) << "the copy is of before";
  scene_.RestartIntake();
  EXPECT_EQ(KeysLeft(), 0);
}

}  // namespace
}  // namespace vigil::scenario
