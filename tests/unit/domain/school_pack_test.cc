// Which pack is in force in a school, folded by hand.
#include "domain/classify.h"
#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class SchoolPacksTest : public testing::Test {
 protected:
  absl::Status Do(std::vector<Event> events, const std::string& person) {
    now_ += absl::Hours(1);
    const Commit commit{.recorded_time = now_, .actor = Actor{.person = person, .role = "leader"}, .events = std::move(events)};
    const absl::Status guard = CheckSchool(school_, commit);
    if (!guard.ok()) return guard;
    for (const Event& event : commit.events) ApplyToSchool(school_, commit, event);
    return guard;
  }
  static Event Proposed(const std::string& digest, std::vector<std::string> asks_less = {}) {
    return Event{PackProposed{.digest = digest, .overlay = "# " + digest, .common = "common", .asks_less = std::move(asks_less)}};
  }
  static Event Adopted(const std::string& digest, std::vector<std::string> forgotten = {}) {
    return Event{PackAdopted{.digest = digest, .forgotten = std::move(forgotten)}};
  }
  std::vector<std::string> Kept() const {
    std::vector<std::string> digests;
    for (const PackVersion& version : school_.packs) digests.push_back(version.digest);
    return digests;
  }

  absl::Time now_ = At("2026-03-10 10:00");
  SchoolState school_ = SmallSchool();
};

TEST_F(SchoolPacksTest, WhatAsksNowhereLessIsInForceAtOnce) {
  ASSERT_TRUE(Do({Proposed("v1"), Adopted("v1")}, "leader").ok());
  EXPECT_EQ(school_.pack, "v1");
  EXPECT_EQ(school_.proposed_pack, "");
  const PackVersion* version = FindPackVersion(school_, "v1");
  ASSERT_NE(version, nullptr);
  EXPECT_EQ(version->overlay, "# v1");
  EXPECT_EQ(version->proposed_by, "leader");
  EXPECT_EQ(version->adopted_by, "leader");
  EXPECT_EQ(version->adopted_time, now_);
}

TEST_F(SchoolPacksTest, WhatAsksLessWaitsForAnotherPerson) {
  EXPECT_FALSE(Do({Proposed("v1", {"clocks assessment: runs longer"}), Adopted("v1")}, "leader").ok()) << "not at once";
  ASSERT_TRUE(Do({Proposed("v1", {"clocks assessment: runs longer"})}, "leader").ok());
  EXPECT_EQ(school_.pack, "");
  EXPECT_EQ(school_.proposed_pack, "v1");
  EXPECT_FALSE(Do({Adopted("v1")}, "leader").ok());
  EXPECT_FALSE(Do({Adopted("v1")}, "").ok()) << "nobody is no second person";
  EXPECT_FALSE(Do({Adopted("v2")}, "deputy").ok()) << "nor is another version";
  ASSERT_TRUE(Do({Adopted("v1")}, "deputy").ok());
  EXPECT_EQ(school_.pack, "v1");
  EXPECT_EQ(FindPackVersion(school_, "v1")->adopted_by, "deputy");
  EXPECT_FALSE(Do({Adopted("v1")}, "deputy").ok()) << "it waits no more";
}

TEST_F(SchoolPacksTest, ANewProposalTakesThePlaceOfWhatWaits) {
  ASSERT_TRUE(Do({Proposed("v1", {"less"})}, "leader").ok());
  ASSERT_TRUE(Do({Proposed("v2", {"less"})}, "leader").ok());
  EXPECT_THAT(Kept(), ElementsAre("v2"));
  EXPECT_FALSE(Do({Adopted("v1")}, "deputy").ok());
  EXPECT_FALSE(Do({Event{PackRejected{.digest = "v1"}}}, "deputy").ok());
  ASSERT_TRUE(Do({Event{PackRejected{.digest = "v2"}}}, "deputy").ok());
  EXPECT_THAT(school_.packs, SizeIs(0));
  EXPECT_EQ(school_.proposed_pack, "");
}

TEST_F(SchoolPacksTest, EarlierVersionsStayUntilTheyAreForgotten) {
  ASSERT_TRUE(Do({Proposed("v1"), Adopted("v1")}, "leader").ok());
  ASSERT_TRUE(Do({Proposed("v2"), Adopted("v2")}, "leader").ok());
  EXPECT_THAT(Kept(), ElementsAre("v1", "v2"));
  // Proposed again and rejected, it still decides the cases that have it.
  ASSERT_TRUE(Do({Proposed("v1", {"less"})}, "leader").ok());
  ASSERT_TRUE(Do({Event{PackRejected{.digest = "v1"}}}, "leader").ok());
  EXPECT_THAT(Kept(), ElementsAre("v1", "v2"));
  ASSERT_TRUE(Do({Proposed("v3"), Adopted("v3", {"v1", "v3"})}, "leader").ok());
  EXPECT_THAT(Kept(), ElementsAre("v2", "v3")) << "what is in force is never forgotten";
}

TEST_F(SchoolPacksTest, TheNameOfAVersionStandsForOneText) {
  ASSERT_TRUE(Do({Proposed("v1"), Adopted("v1")}, "leader").ok());
  EXPECT_FALSE(Do({Event{PackProposed{.digest = "v1", .overlay = "another text"}}}, "leader").ok());
}

TEST_F(SchoolPacksTest, ACaseIsOpenedUnderWhatIsInForceThen) {
  Matter matter;
  matter.school.pack = "v1";
  matter.Report({.indicators = {"W1a"}});
  EXPECT_EQ(matter.current().pack, "v1");
  matter.school.pack = "v2";
  matter.Wait(absl::Minutes(1));
  matter.Report({.indicators = {"W1a"}, .deteriorating = true});
  EXPECT_EQ(matter.current().pack, "v1");
}

// ------------------------------------------------------------------------------------------------ reports

class BothVersionsTest : public testing::Test {
 protected:
  BothVersionsTest() {
    RuleRow rule;
    rule.id = "own";
    rule.when = {.kind = Condition::Kind::kHas, .argument = "S1"};
    rule.propose = "severe";
    rule.starts = {"assessment", "only_in_the_newer"};
    newer_.rules.push_back(rule);
  }
  Pack newer_ = PrimarySchool();
};

TEST_F(BothVersionsTest, TheHigherProposalCounts) {
  const ReportFacts facts{.indicators = {"S1"}, .recorded_time = At("2026-03-10 10:00")};
  EXPECT_EQ(Classify(PrimarySchool(), facts, nullptr).level, "");
  const Classification both = Classify(PrimarySchool(), newer_, facts, nullptr);
  EXPECT_EQ(both.level, "severe");
  EXPECT_THAT(both.starts, ElementsAre("assessment")) << "in the case's own clocks";
  ASSERT_THAT(both.fired, SizeIs(1));
  EXPECT_EQ(both.fired.front().rule, "own");
}

TEST_F(BothVersionsTest, WhatWasLoosenedSinceDoesNotChangeTheCase) {
  const ReportFacts facts{.indicators = {"S1"}, .recorded_time = At("2026-03-10 10:00")};
  const Classification both = Classify(newer_, PrimarySchool(), facts, nullptr);
  EXPECT_EQ(both.level, "severe");
  EXPECT_THAT(both.fired, SizeIs(1));
}

}  // namespace
}  // namespace vigil::domain
