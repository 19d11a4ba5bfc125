// The pack that we ship, against the numbers of the protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "domain/pack/loader.h"
#include "domain/pack/permissions.h"
#include "platform/pack_directory/pack_directory.h"

namespace vigil::domain {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::shared_ptr<const Pack> LoadPrimarySchool() {
  const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
  EXPECT_TRUE(files.ok()) << files.status();
  const auto pack = LoadPack(files.value_or(PackFiles{}), PackDigest);
  EXPECT_TRUE(pack.ok()) << pack.status().message();
  return pack.ok() ? *pack : nullptr;
}

class PrimarySchoolTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { pack_ = LoadPrimarySchool(); }
  static void TearDownTestSuite() { pack_.reset(); }
  void SetUp() override { ASSERT_NE(pack_, nullptr); }

  const Pack& pack() const { return *pack_; }
  const ClockRow& clock(std::string_view id) const {
    const ClockRow* row = pack_->FindClock(id);
    EXPECT_NE(row, nullptr) << id;
    static const ClockRow kNone;
    return row == nullptr ? kNone : *row;
  }

  static std::shared_ptr<const Pack> pack_;
};

std::shared_ptr<const Pack> PrimarySchoolTest::pack_;

bool Names(const std::vector<FactPattern>& patterns, Fact fact, std::string_view argument = "") {
  return std::any_of(patterns.begin(), patterns.end(), [&](const FactPattern& p) { return p.fact == fact && p.argument == argument; });
}

TEST_F(PrimarySchoolTest, HasADigestOfTwelveDigits) {
  EXPECT_EQ(pack().digest.size(), 12u);
  EXPECT_EQ(pack().digest.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST_F(PrimarySchoolTest, HasTheSixLevels) {
  std::vector<std::string> ids;
  for (const LevelRow& level : pack().levels) ids.push_back(level.id);
  EXPECT_THAT(ids, ElementsAre("none", "watch", "mild", "high", "severe", "extreme"));
  EXPECT_EQ(pack().SupervisedRank(), 4);
  EXPECT_TRUE(pack().Level(4).lowered_face_to_face);
  EXPECT_TRUE(pack().Level(5).lowered_face_to_face);
}

TEST_F(PrimarySchoolTest, HasEveryIndicatorOfTheDocuments) {
  std::set<std::string> ids;
  for (const auto& [id, row] : pack().indicators) ids.insert(id);
  EXPECT_THAT(ids, IsSupersetOf({"H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9", "H10", "W1a", "W1b", "W1m", "W1t", "W1i", "W2a", "W2b", "W2c",
                                 "W2d", "W3a", "W3b", "W3c"}));
  for (const auto& [id, row] : pack().indicators) {
    const bool signal = id.starts_with("W");
    EXPECT_EQ(row.kind == IndicatorRow::Kind::kSignal, signal) << id;
    EXPECT_EQ(row.deterioration, signal) << id << ": a new signal on a severe case is a trigger (REP-09)";
    EXPECT_EQ(row.group, signal ? id.substr(0, 2) : "") << id;
  }
  for (const char* id : {"W1a", "W1b", "W2d", "W3b"}) EXPECT_FALSE(pack().indicators.at(id).text_cues.empty()) << id;
}

TEST_F(PrimarySchoolTest, HasTheReportChannelsOfTheContract) {
  EXPECT_THAT(pack().channels, UnorderedElementsAre("web", "phone", "sms", "chat", "email", "in_person", "paper", "cli", "api", "screening"));
}

TEST_F(PrimarySchoolTest, HasEveryClockOfTheProtocol) {
  for (const char* id : {"first_call", "taken", "phone_report", "adult_beside", "written_report", "office_receipt", "special_supervision", "shift", "check_in",
                         "night_plan", "guardian_contact", "guardian_arrival", "assessment", "departure", "aftercare_first", "aftercare_morning",
                         "aftercare_doctor", "hold_decision", "ask_face_to_face", "in_sight", "report_read"}) {
    EXPECT_NE(pack().FindClock(id), nullptr) << id;
  }
}

struct DueAfter {
  const char* clock;
  absl::Duration due;
};

TEST_F(PrimarySchoolTest, ClocksRunAsLongAsTheProtocolSays) {
  for (const auto& [id, due] : std::vector<DueAfter>{{"first_call", absl::Seconds(5)},
                                                     {"taken", absl::Minutes(15)},
                                                     {"phone_report", absl::Minutes(30)},
                                                     {"adult_beside", absl::Minutes(10)},
                                                     {"written_report", absl::Hours(24)},
                                                     {"office_receipt", absl::Hours(4)},
                                                     {"check_in", absl::Minutes(30)},
                                                     {"shift", absl::Hours(8)},
                                                     {"guardian_contact", absl::Minutes(30)},
                                                     {"guardian_arrival", absl::Minutes(15)},
                                                     {"assessment", absl::Hours(4)},
                                                     {"departure", absl::Minutes(30)},
                                                     {"aftercare_first", absl::Hours(2)},
                                                     {"aftercare_doctor", absl::Hours(72)},
                                                     {"hold_decision", absl::Minutes(15)},
                                                     {"ask_face_to_face", absl::Hours(2)},
                                                     {"in_sight", absl::Minutes(10)},
                                                     {"report_read", absl::Minutes(30)}}) {
    EXPECT_EQ(clock(id).due_after, due) << id;
  }
  EXPECT_TRUE(clock("first_call").real_time);
  EXPECT_EQ(clock("shift").due_after_night, absl::Hours(4));
  EXPECT_EQ(clock("check_in").due_after_level.at("extreme"), absl::Minutes(15));
  EXPECT_EQ(clock("night_plan").due_at, absl::Hours(18));
  EXPECT_EQ(clock("night_plan").due_after, absl::Hours(2));
  EXPECT_TRUE(clock("night_plan").repeats_daily);
  EXPECT_EQ(clock("aftercare_morning").due_at, absl::Hours(8) + absl::Minutes(30));
  EXPECT_EQ(clock("aftercare_morning").due_after, std::nullopt) << "the next morning, however soon that is";
  EXPECT_EQ(clock("assessment_routine").due_school_days, 3);
  EXPECT_TRUE(clock("ask_face_to_face").before_dismissal);
  EXPECT_TRUE(clock("report_read").before_dismissal);
}

TEST_F(PrimarySchoolTest, WrittenReportCountsFromDiscoveryAndWarnsThreeTimes) {
  const ClockRow& row = clock("written_report");
  EXPECT_EQ(row.from, ClockRow::From::kDiscovered);
  EXPECT_EQ(row.one_per, ClockRow::OnePer::kTrigger);
  EXPECT_THAT(row.warn_before, ElementsAre(absl::Hours(12), absl::Hours(4), absl::Hours(1)));
  EXPECT_TRUE(row.warn_quiet_at_night);
  EXPECT_EQ(row.basis, Basis::kProtocol);
  ASSERT_EQ(row.met_by.size(), 1u);
  EXPECT_TRUE(Names(row.met_by, Fact::kRecordFiled, "written_report"));
}

// REP-18: neither duty stands for the other, and the end of supervision ends neither.
TEST_F(PrimarySchoolTest, NothingCancelsTheCallTheReportOrItsReceipt) {
  for (const char* id : {"first_call", "taken", "phone_report", "written_report", "office_receipt"}) EXPECT_TRUE(clock(id).cancelled_by.empty()) << id;
  EXPECT_FALSE(Names(clock("phone_report").met_by, Fact::kRecordFiled, "written_report"));
  ASSERT_EQ(clock("phone_report").met_by.size(), 1u) << "only spoken words; a keypress, an SMS or a voicemail never (REP-11)";
  EXPECT_EQ(clock("phone_report").met_by[0].fact, Fact::kSpoken);
}

// GUA-17
TEST_F(PrimarySchoolTest, SpecialSupervisionNeverExpires) {
  const ClockRow& row = clock("special_supervision");
  EXPECT_FALSE(row.due_after.has_value());
  EXPECT_FALSE(row.due_at.has_value());
  EXPECT_EQ(row.due_school_days, 0);
  EXPECT_TRUE(row.due_after_level.empty());
  EXPECT_EQ(row.review_every, absl::Hours(24));
  ASSERT_EQ(row.met_by.size(), 3u);
  EXPECT_TRUE(Names(row.met_by, Fact::kHandedToGuardian));
  EXPECT_TRUE(Names(row.met_by, Fact::kHandedToAuthority));
  EXPECT_TRUE(Names(row.met_by, Fact::kNotSevereDecided));
  EXPECT_TRUE(row.cancelled_by.empty()) << "hospital, a new report or a closed screen end nothing";
}

TEST_F(PrimarySchoolTest, WhatStandsWithSupervisionFallsWithIt) {
  for (const char* id : {"night_plan", "guardian_contact", "adult_beside", "check_in", "shift"}) {
    EXPECT_TRUE(Names(clock(id).cancelled_by, Fact::kSupervisionEnded)) << id;
  }
}

TEST_F(PrimarySchoolTest, MissedCheckInOpensAGapAndRings) {
  const ClockRow& row = clock("check_in");
  EXPECT_TRUE(row.expiry_opens_gap);
  const LadderRow& ladder = *pack().FindLadder(row.expiry_ladder);
  EXPECT_THAT(ladder.steps.at(0).ring, ElementsAre("case.holders"));
  EXPECT_EQ(ladder.steps.at(0).wait, absl::Minutes(2));
  EXPECT_TRUE(ladder.endless);
}

TEST_F(PrimarySchoolTest, UnansweredQuestionBecomesSevere) { EXPECT_EQ(clock("ask_face_to_face").expiry_proposes, "severe"); }

TEST_F(PrimarySchoolTest, TakenWithoutAnAdultBesideComesBack) {
  const ClockRow& row = clock("adult_beside");
  EXPECT_TRUE(Names(row.starts_on, Fact::kAlertTaken, "severe_ladder"));
  EXPECT_TRUE(row.expiry_reopens_alert);
}

TEST_F(PrimarySchoolTest, SevereAndExtremeStartTheWholePackage) {
  for (const int rank : {4, 5}) {
    const LevelRow& level = pack().Level(rank);
    EXPECT_THAT(level.starts, UnorderedElementsAre("first_call", "taken", "phone_report", "written_report", "special_supervision", "night_plan",
                                                   "guardian_contact", "assessment"));
    EXPECT_EQ(level.ladder, "severe_ladder");
    EXPECT_EQ(level.custody, level.id);
  }
  // REP-19: no false 24 hours.
  for (const int rank : {0, 1, 2, 3}) {
    EXPECT_THAT(pack().Level(rank).starts, Not(Contains("written_report")));
    EXPECT_EQ(pack().Level(rank).ladder, "");
  }
}

// The engine keeps a running clock of `one_per: case` when its level is reached again, and starts one of `one_per: trigger` only at
// a trigger; a level that is no trigger must therefore start none of the latter.
TEST_F(PrimarySchoolTest, LevelsBelowSevereStartNothingThatWaitsForATrigger) {
  for (const LevelRow& level : pack().levels) {
    if (level.supervised) continue;
    for (const std::string& id : level.starts) EXPECT_EQ(clock(id).one_per, ClockRow::OnePer::kCase) << level.id << " " << id;
  }
}

TEST_F(PrimarySchoolTest, SevereLadderRingsThreeTogetherAndNeverEnds) {
  const LadderRow& ladder = *pack().FindLadder("severe_ladder");
  ASSERT_EQ(ladder.steps.size(), 2u);
  EXPECT_THAT(ladder.steps[0].ring, ElementsAre("on_call.leader", "counselling_office", "grade_head"));
  EXPECT_THAT(ladder.steps[1].ring, ElementsAre("on_call.deputy", "on_call.crisis_team"));
  for (const LadderStep& step : ladder.steps) {
    EXPECT_TRUE(step.call);
    EXPECT_TRUE(step.sms);
    EXPECT_EQ(step.wait, absl::Seconds(60));
  }
  EXPECT_TRUE(ladder.endless);
  EXPECT_TRUE(ladder.takeable);
  EXPECT_TRUE(ladder.bridges);
  EXPECT_EQ(ladder.empty_round_wait, absl::Seconds(60));
}

// INT-02
TEST_F(PrimarySchoolTest, UnreadReportClimbsInTheOrderOfTheDocuments) {
  const LadderRow& ladder = *pack().FindLadder(clock("report_read").expiry_ladder);
  std::vector<std::string> order;
  for (const LadderStep& step : ladder.steps) order.insert(order.end(), step.ring.begin(), step.ring.end());
  EXPECT_THAT(order, ElementsAre("counselling_office", "on_call.deputy", "grade_head", "on_call.leader"));
  EXPECT_TRUE(ladder.endless);
  EXPECT_FALSE(ladder.quiet_at_night) << "at night the duty phone rings";
}

// Only severe, a child not located, a gap, an unread report and what belongs to a running supervision ring; the rest are notices.
TEST_F(PrimarySchoolTest, NoticesNeverCall) {
  for (const auto& [id, ladder] : pack().ladders) {
    const bool calls = std::any_of(ladder.steps.begin(), ladder.steps.end(), [](const LadderStep& step) { return step.call; });
    EXPECT_EQ(calls, ladder.endless) << id;
    EXPECT_EQ(calls, ladder.takeable) << id;
  }
}

// GUA-22
TEST_F(PrimarySchoolTest, ExtremeShiftsNeedAGuardAndASchoolAdult) {
  const CustodyRow& row = pack().custody.at("extreme");
  for (const auto& cover : {row.cover, row.night_cover}) {
    ASSERT_EQ(cover.size(), 2u);
    EXPECT_TRUE(pack().roles.at(cover[0].role).security);
    EXPECT_EQ(cover[1].role, "school_adult");
  }
  EXPECT_EQ(row.check_in_every, absl::Minutes(15));
  EXPECT_EQ(pack().custody.at("severe").night_cover.at(0).count, 2);
}

// ORG-09, PRV-06: whatever the role.
TEST_F(PrimarySchoolTest, EveryMemberOfStaffMayReportHoldAndRecuse) {
  for (const auto& [id, role] : pack().roles) {
    EXPECT_THAT(role.may, Contains("report")) << id;
    if (role.staff) {
      EXPECT_THAT(role.may, IsSupersetOf({"hold.place", "recuse"})) << id;
    } else {
      EXPECT_THAT(role.may, ElementsAre("report")) << id;
    }
  }
  EXPECT_EQ(pack().roles.at("administrator").may.size(), kPermissions.size());
}

// PRV-06: counsellor and leader lift a hold together, nobody else does; the leader sets no level (AMB-05).
TEST_F(PrimarySchoolTest, SensitivePermissionsAreFew) {
  const auto having = [&](const std::string& permission) {
    std::vector<std::string> ids;
    for (const auto& [id, role] : pack().roles) {
      if (id != "administrator" && std::find(role.may.begin(), role.may.end(), permission) != role.may.end()) ids.push_back(id);
    }
    return ids;
  };
  EXPECT_THAT(having("hold.lift"), UnorderedElementsAre("leader", "deputy", "counselling_office"));
  EXPECT_THAT(having("assess"), UnorderedElementsAre("counselling_office", "assessment_group", "mental_health_expert"));  // ASM-05
  EXPECT_THAT(having("directory.write"), ElementsAre());
}

TEST_F(PrimarySchoolTest, OutsideMethodsFileTheirRecords) {
  EXPECT_EQ(pack().records.at("written_report").filed_by, "fileWrittenReport");
  EXPECT_EQ(pack().records.at("written_report").acknowledged_by, "counselling_office");
  EXPECT_EQ(pack().records.at("handover").filed_by, "handOverToGuardian");
  EXPECT_EQ(pack().records.at("return_to_school").filed_by, "approveReturn");
}

// Rows of the table "Default rows (provisional)": each sentence of it is a row.
TEST_F(PrimarySchoolTest, HasARowForEverySentenceOfTheDefaults) {
  std::map<std::string, std::string> proposed;
  for (const RuleRow& rule : pack().rules) proposed[rule.id] = rule.propose;
  EXPECT_EQ(proposed.size(), 27u);
  EXPECT_EQ(proposed.at("first-person-wish-is-severe"), "severe");
  EXPECT_EQ(proposed.at("means-attempt-or-injury-is-extreme"), "extreme");
  EXPECT_EQ(proposed.at("other-death-content-is-high"), "high");
  EXPECT_EQ(proposed.at("gifts-treating-apologies-are-watched"), "watch");
  EXPECT_EQ(proposed.at("farewell-is-high"), "high");
  EXPECT_EQ(proposed.at("farewell-with-history-is-severe"), "severe");
  EXPECT_EQ(proposed.at("sudden-change-is-watched"), "watch");
  EXPECT_EQ(proposed.at("sudden-change-with-history-is-high"), "high");
  EXPECT_EQ(proposed.at("sudden-change-seen-by-two-is-high"), "high");
  EXPECT_EQ(proposed.at("calm-after-low-is-high"), "high");
  EXPECT_EQ(proposed.at("calm-after-high-is-severe"), "severe");
  EXPECT_EQ(proposed.at("two-kinds-of-signals-are-high"), "high");
  EXPECT_EQ(proposed.at("two-kinds-with-a-grave-one-are-severe"), "severe");
  EXPECT_EQ(proposed.at("one-factor-is-watched"), "watch");
  EXPECT_EQ(proposed.at("low-mood-is-watched-until-day-sixteen"), "watch");
  EXPECT_EQ(proposed.at("danger-to-others-starts-protection"), "") << "never alone a ground for a level";
  EXPECT_EQ(proposed.at("concrete-danger-to-others-is-high"), "high");
  EXPECT_EQ(proposed.at("returned-student-is-high"), "high");
  EXPECT_EQ(proposed.at("deteriorating-is-severe"), "severe");
  for (const char* level : {"watch", "mild", "high", "severe", "extreme"}) EXPECT_EQ(proposed.at(std::string("claimed-") + level), level);
}

TEST_F(PrimarySchoolTest, HighByASignalPutsTheChildInSight) {
  for (const RuleRow& rule : pack().rules) {
    const bool circumstance = rule.id == "returned-student-is-high" || rule.id == "claimed-high" || rule.id == "concrete-danger-to-others-is-high";
    if (rule.propose != "high" || circumstance) continue;
    EXPECT_THAT(rule.starts, Contains("in_sight")) << rule.id;
  }
}

// What is printed is signed: no word of a form may be missing from it, nor stand there as a code.
TEST_F(PrimarySchoolTest, EveryChoiceOfEveryFormHasAName) {
  for (const auto& [id, record] : pack().records) {
    for (const FieldRow& field : record.fields) {
      for (const std::string& choice : field.choices) {
        for (const char* language : {"zh-CN", "en"}) EXPECT_NE(pack().ChoiceName(field.id, choice, language), "") << id << "." << field.id << "=" << choice;
      }
    }
  }
  EXPECT_EQ(pack().ChoiceName("guardians_informed", "held", "zh-CN"), "暂缓联系，待决定");
  EXPECT_EQ(pack().ChoiceName("outcome", "held", "zh-CN"), "已进行");
}

TEST_F(PrimarySchoolTest, DocumentsSayEveryFieldOfTheirForms) {
  EXPECT_THAT(pack().documents, IsSupersetOf({::testing::Key("written_report"), ::testing::Key("handover"), ::testing::Key("agreement")}));
  for (const auto& [id, document] : pack().documents) {
    std::vector<std::string> said;
    for (const DocumentRow::Part& part : document.parts) said.insert(said.end(), part.says.begin(), part.says.end());
    for (const DocumentRow::Signature& signature : document.signatures) said.push_back(signature.field);
    for (const FieldRow& field : pack().records.at(id).fields) EXPECT_THAT(said, Contains(field.id)) << id;
  }
  EXPECT_FALSE(pack().documents.at("written_report").copy.has_value()) << "inside the school only";
}

TEST_F(PrimarySchoolTest, HasTheTextsOfTheMessagesPage) {
  for (const char* id : {"severe_call", "severe_sms", "connecting_call", "call_back_call", "taken_already", "guardian_script", "guardian_call_back_sms", "shift_sms",
                         "written_report_overdue_sms", "handover_sms", "receipt", "drill", "drill_broken_off", "break_glass_call", "break_glass_access", "gap_call"}) {
    EXPECT_TRUE(pack().texts.contains(id)) << id;
  }
  EXPECT_NE(pack().texts.at("severe_call").text.at("zh-CN").find("只接听、不按键，不算确认"), std::string::npos);
}

}  // namespace
}  // namespace vigil::domain
