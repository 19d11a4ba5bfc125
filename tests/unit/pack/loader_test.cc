#include "domain/pack/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace vigil::domain {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string TestDigest(std::string_view) { return "0123456789abcdef"; }

// The smallest pack that has a row of every kind.
PackFiles SmallPack() {
  PackFiles files;
  files["pack.yaml"] = R"(pack:
  id: small
  version: "7"
  languages: [zh-CN, en]
  time_zone: Asia/Shanghai
  night: {from: "22:00", to: "07:00"}
  school_begins: "08:00"
  dismissal: "16:00"
  clock_tolerance: 1m
  channels: [web]
  withheld_words: [自杀, suicid]
)";
  files["levels.yaml"] = R"(levels:
  none: {rank: 0, name: {zh-CN: 无, en: none}, for: [A], basis: protocol}
  high:
    rank: 1
    name: {zh-CN: 较高, en: high}
    starts: [ask]
    for: [A]
    basis: protocol
  severe:
    rank: 2
    name: {zh-CN: 严重, en: severe}
    supervised: true
    alerts: ring
    custody: close
    starts: [report]
    for: [A]
    basis: protocol
custody:
  close:
    name: {zh-CN: 看护, en: watch}
    cover: [{any_adult: 1}]
    for: [A]
    basis: school_setting
)";
  files["clocks.yaml"] = R"(clocks:
  report:
    name: {zh-CN: 报告, en: report}
    starts_from: discovered_time
    due_after: 24h
    one_per: trigger
    warn_before: [1h, 12h]
    warns: notice
    met_by: [record.filed: form]
    on_expiry: {alert: notice}
    for: [A]
    basis: protocol
  ask:
    name: {zh-CN: 问, en: ask}
    due_after: 2h
    one_per: report
    met_by: [child.asked]
    on_expiry: {propose: severe}
    for: [A]
    basis: protocol
)";
  files["ladders.yaml"] = R"(ladders:
  ring:
    name: {zh-CN: 呼叫, en: ring}
    steps:
      - {ring: [on_call.duty, boss], by: [call, sms], wait: 60s}
    then: again
    takeable: true
    priority: 100
    call_text: words
    sms_text: words
    for: [A]
    basis: protocol
  notice:
    name: {zh-CN: 提醒, en: notice}
    steps:
      - {ring: [case.author], by: [sms], wait: 0s}
    then: stop
    quiet_at_night: true
    sms_text: words
    for: [A]
    basis: protocol
)";
  files["people.yaml"] = R"(roles:
  boss:
    name: {zh-CN: 负责人, en: boss}
    may: [report, hold.place, alert.take]
    for: [A]
    basis: protocol
  parent:
    name: {zh-CN: 家长, en: parent}
    staff: false
    may: [report]
    for: [A]
    basis: protocol
schedules:
  duty: {name: {zh-CN: 值班, en: duty}, fallback_role: boss, for: [A], basis: protocol}
duties:
  weekly:
    name: {zh-CN: 周报, en: weekly}
    owner: [boss]
    every: school_week
    due: {weekday: friday, time: "17:00"}
    record: tally
    late: [{remind: true}, {after: 1d, tell: [boss]}]
    notice: notice
    for: [A]
    basis: protocol
records:
  form:
    name: {zh-CN: 表, en: form}
    written_by: [boss]
    fields:
      - {id: hurt, name: {zh-CN: 受伤, en: hurt}, type: boolean, required: true}
      - {id: how, name: {zh-CN: 如何, en: how}, type: text, required_if: {hurt: true}}
    for: [A]
    basis: protocol
  tally:
    name: {zh-CN: 周报, en: tally}
    attaches_to: school
    written_by: ["boss"]
    fields:
      - {id: nothing, name: {zh-CN: 无, en: nothing}, type: boolean, required: true}
      - {id: kind, name: {zh-CN: 类别, en: kind}, type: choice, choices: [one, other]}
    for: [A]
    basis: protocol
)";
  files["rules.yaml"] = R"(indicators:
  - id: W1
    kind: signal
    group: W
    name: {zh-CN: 讯号, en: signal}
    examples: {zh-CN: [例], en: [example]}
    text_cues: [例如]
    for: [A]
    basis: protocol
rules:
  - id: first
    name: {zh-CN: 规则, en: rule}
    when: {all: [{has: W1}, {not: {returned: true}}, {groups_within: {count: 2, days: 30}}]}
    propose: severe
    starts: [ask]
    advice: inside_words
    for: [A]
    basis: protocol
)";
  files["texts.yaml"] = R"(texts:
  words:
    answers_report: true
    text:
      zh-CN: 请回电{phone}，编号{code}
      en: call {phone}, number {code}
    for: [A]
    basis: protocol
  inside_words:
    disclosure: inside
    text:
      zh-CN: 请陪着{student}
      en: stay with {student}
    for: [A]
    basis: protocol
)";
  return files;
}

std::vector<std::string> ProblemsOf(const PackFiles& files) {
  const auto pack = LoadPack(files, TestDigest);
  if (pack.ok()) return {};
  EXPECT_EQ(pack.status().code(), absl::StatusCode::kInvalidArgument);
  return absl::StrSplit(pack.status().message(), '\n');
}

TEST(LoaderTest, SmallPackLoads) {
  const auto loaded = LoadPack(SmallPack(), TestDigest);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Pack& pack = **loaded;
  EXPECT_EQ(pack.id, "small");
  EXPECT_EQ(pack.version, "7");
  EXPECT_EQ(pack.digest, "0123456789ab");
  EXPECT_EQ(pack.dismissal, absl::Hours(16));
  EXPECT_EQ(pack.clock_tolerance, absl::Minutes(1));
  EXPECT_EQ(pack.Rank("severe"), 2);
  EXPECT_EQ(pack.Rank(""), 0);
  EXPECT_EQ(pack.Rank("unheard-of"), -1);
  EXPECT_EQ(pack.Level(9).id, "severe");
  EXPECT_EQ(pack.SupervisedRank(), 2);

  const ClockRow& report = *pack.FindClock("report");
  EXPECT_EQ(report.from, ClockRow::From::kDiscovered);
  EXPECT_EQ(report.due_after, absl::Hours(24));
  EXPECT_EQ(report.origin, "clocks.yaml:2");
  EXPECT_THAT(report.warn_before, ElementsAre(absl::Hours(12), absl::Hours(1)));
  ASSERT_EQ(report.met_by.size(), 1u);
  EXPECT_EQ(report.met_by[0].fact, Fact::kRecordFiled);
  EXPECT_EQ(report.met_by[0].argument, "form");
  EXPECT_EQ(pack.FindClock("ask")->expiry_proposes, "severe");

  const Condition& when = pack.rules.at(0).when;
  ASSERT_EQ(when.kind, Condition::Kind::kAll);
  ASSERT_EQ(when.children.size(), 3u);
  EXPECT_EQ(when.children[0].kind, Condition::Kind::kHas);
  EXPECT_EQ(when.children[0].argument, "W1");
  ASSERT_EQ(when.children[1].kind, Condition::Kind::kNot);
  EXPECT_EQ(when.children[1].children.at(0).kind, Condition::Kind::kReturned);
  EXPECT_EQ(when.children[2].count, 2);
  EXPECT_EQ(when.children[2].span, absl::Hours(24 * 30));

  const RecordRow& form = pack.records.at("form");
  EXPECT_EQ(form.fields.at(1).required_if, "hurt");
  EXPECT_TRUE(form.fields.at(1).required_if_value);
}

TEST(LoaderTest, DigestCoversNamesAndTexts) {
  std::vector<std::string> seen;
  const auto digest = [&](std::string_view resolved) {
    seen.emplace_back(resolved);
    return std::string("0123456789abcdef");
  };
  ASSERT_TRUE(LoadPack(SmallPack(), digest).ok());
  PackFiles changed = SmallPack();
  changed["texts.yaml"] += "# a comment\n";
  ASSERT_TRUE(LoadPack(changed, digest).ok());
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_NE(seen[0], seen[1]);
}

TEST(LoaderTest, AllMistakesAreReportedAtOnce) {
  PackFiles files = SmallPack();
  files["clocks.yaml"].replace(files["clocks.yaml"].find("24h"), 3, "24 hours");
  files["texts.yaml"].replace(files["texts.yaml"].find("{phone}，"), 7, "{student}");
  EXPECT_EQ(ProblemsOf(files).size(), 3u) << "the span, the placeholder, and placeholders that differ by language";
}

struct Mistake {
  std::string name;
  std::string file;
  // The one place of the file that changes, and into what.
  std::string from;
  std::string to;
  // What stands on the line that the message must name, after the change.
  std::string at;
  std::string message;
};

std::string NameOfMistake(const ::testing::TestParamInfo<Mistake>& mistake) { return mistake.param.name; }

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

class MistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsRefusedWithItsLine) {
  const Mistake& mistake = GetParam();
  PackFiles files = SmallPack();
  std::string& text = files.at(mistake.file);
  const std::size_t found = text.find(mistake.from);
  ASSERT_NE(found, std::string::npos) << mistake.from;
  ASSERT_EQ(text.find(mistake.from, found + 1), std::string::npos) << "stands more than once: " << mistake.from;
  text.replace(found, mistake.from.size(), mistake.to);

  const std::size_t at = text.find(mistake.at);
  ASSERT_NE(at, std::string::npos) << mistake.at;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  const std::vector<std::string> problems = ProblemsOf(files);
  const std::string place = absl::StrCat(mistake.file, ":", line, ": ");
  EXPECT_THAT(problems, Contains(::testing::AllOf(::testing::StartsWith(place), HasSubstr(mistake.message))));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, MistakeTest,
    ::testing::Values(
        Mistake{"UnknownKey", "clocks.yaml", "    due_after: 24h\n", "    due_after: 24h\n    due_afer: 24h\n", "due_afer", "unknown key 'due_afer'"},
        Mistake{"UnknownSection", "clocks.yaml", "clocks:\n", "clock:\n", "clock:\n", "unknown section 'clock'"},
        Mistake{"NotYaml", "clocks.yaml", "    due_after: 24h\n", "    due_after: [24h\n", "one_per: trigger", "is no YAML"},
        Mistake{"MissingFor", "people.yaml", "    may: [report]\n    for: [A]\n", "    may: [report]\n", "  parent:", "'for' is missing"},
        Mistake{"EmptyFor", "people.yaml", "    may: [report]\n    for: [A]\n", "    may: [report]\n    for: []\n", "  parent:", "'for' must name"},
        Mistake{"MissingBasis", "texts.yaml", "      en: stay with {student}\n    for: [A]\n    basis: protocol\n",
                "      en: stay with {student}\n    for: [A]\n", "  inside_words:", "'basis' is missing"},
        Mistake{"WrongBasis", "levels.yaml", "basis: school_setting", "basis: habit", "basis: habit", "'habit' is none of protocol, school_setting"},
        Mistake{"MissingOwner", "people.yaml", "    owner: [boss]\n", "", "  weekly:", "'owner' is missing"},
        Mistake{"DutyWithoutDue", "people.yaml", "    due: {weekday: friday, time: \"17:00\"}\n", "", "  weekly:", "'due' is missing"},
        Mistake{"DutyOfNobodyWhoMayWrite", "people.yaml", "owner: [boss]", "owner: [parent]", "  weekly:", "who owes it may not write its record"},
        Mistake{"DutyWithTheRecordOfACase", "people.yaml", "record: tally", "record: form", "  weekly:", "does not attach to what owes it"},
        Mistake{"DutyTellsBackwards", "people.yaml", "after: 1d, tell", "after: 0d, tell", "after: 0d", "a step comes later than the one before"},
        Mistake{"DutyLateWithoutNotice", "people.yaml", "    notice: notice\n", "", "  weekly:", "'late' and its 'notice' stand together"},
        Mistake{"TextCannotBeUnsealed", "people.yaml", "type: text, required_if", "type: text, private: false, required_if", "private: false", "text is always private"},
        Mistake{"SignedByAFieldThatIsNoPeople", "people.yaml", "    attaches_to: school\n", "    attaches_to: school\n    signed: {field: kind, roles: [boss]}\n", "signed: {field", "is of another type"},
        Mistake{"SaidOfNoField", "clocks.yaml", "met_by: [child.asked]", "met_by: [record.said: tally.colour=red]", "tally.colour", "there is no record 'tally' with a field 'colour'"},
        Mistake{"SaidWhatItCannotSay", "clocks.yaml", "met_by: [child.asked]", "met_by: [record.said: tally.kind=third]", "tally.kind", "the field 'kind' cannot be 'third'"},
        Mistake{"RecordWithoutWriter", "people.yaml", "    written_by: [boss]\n", "", "  form:", "a record needs an owner"},
        Mistake{"WrongType", "levels.yaml", "supervised: true", "supervised: 1", "supervised: 1", "must be true or false"},
        Mistake{"ListWanted", "levels.yaml", "starts: [report]", "starts: report", "starts: report", "must be a list"},
        Mistake{"MapWanted", "levels.yaml", "name: {zh-CN: 严重, en: severe}", "name: severe", "name: severe", "must be a map"},
        Mistake{"DuplicateId", "clocks.yaml", "  ask:\n", "  report:\n", "  report:\n    name: {zh-CN: 问", "'report' is written twice"},
        Mistake{"DuplicateKey", "clocks.yaml", "    due_after: 24h\n", "    due_after: 24h\n    due_after: 25h\n", "due_after: 25h", "'due_after' is written twice"},
        Mistake{"DuplicateIdInList", "rules.yaml", "rules:\n", "rules:\n  - {id: first, name: {zh-CN: 一, en: one}, when: {has: W1}, propose: high, for: [A], basis: protocol}\n",
                "- id: first", "stands already at rules.yaml:11"},
        Mistake{"IdWithADot", "ladders.yaml", "  notice:\n", "  no.tice:\n", "  no.tice:", "an id is of letters"},
        Mistake{"MissingLanguage", "levels.yaml", "name: {zh-CN: 严重, en: severe}", "name: {zh-CN: 严重}", "name: {zh-CN: 严重}", "the language en is missing"},
        Mistake{"TextMissingLanguage", "texts.yaml", "      en: stay with {student}\n", "", "    text:\n      zh-CN: 请陪着", "the language en is missing"},
        Mistake{"ExamplesMissingLanguage", "rules.yaml", "examples: {zh-CN: [例], en: [example]}", "examples: {en: [example]}", "examples:", "the language zh-CN is missing"}),
    NameOfMistake);

INSTANTIATE_TEST_SUITE_P(
    References, MistakeTest,
    ::testing::Values(
        Mistake{"LevelStartsNoClock", "levels.yaml", "starts: [report]", "starts: [rapport]", "rapport", "there is no clock 'rapport'"},
        Mistake{"LevelAlertsNoLadder", "levels.yaml", "alerts: ring", "alerts: rung", "rung", "there is no ladder 'rung'"},
        Mistake{"LevelHasNoCustody", "levels.yaml", "custody: close\n", "custody: open\n", "custody: open", "there is no custody row 'open'"},
        Mistake{"ClockWarnsNobody", "clocks.yaml", "warns: notice", "warns: notes", "notes", "there is no ladder 'notes'"},
        Mistake{"ClockProposesNoLevel", "clocks.yaml", "propose: severe", "propose: sever", "propose: sever}", "there is no level 'sever'"},
        Mistake{"ClockMetByNoRecord", "clocks.yaml", "record.filed: form", "record.filed: from", "from]", "there is no record 'from'"},
        Mistake{"ClockMetByNoFact", "clocks.yaml", "child.asked", "child.was_asked", "child.was_asked", "there is no fact 'child.was_asked'"},
        Mistake{"FactTakesNoArgument", "clocks.yaml", "[child.asked]", "[child.asked: W1]", "child.asked", "takes no argument"},
        Mistake{"FactArgumentUnknown", "clocks.yaml", "[child.asked]", "[custody.departure: moon]", "moon", "'moon' is none of hospital, left"},
        Mistake{"LadderRingsNoRole", "ladders.yaml", "boss]", "bos]", "bos]", "there is no role 'bos'"},
        Mistake{"LadderRingsNoSchedule", "ladders.yaml", "on_call.duty", "on_call.dusk", "on_call.dusk", "there is no schedule 'dusk'"},
        Mistake{"LadderRingsParents", "ladders.yaml", "boss]", "parent]", "  ring:\n", "rings 'parent', who are not staff"},
        Mistake{"LadderHasNoSuchText", "ladders.yaml", "call_text: words", "call_text: wards", "wards", "there is no text 'wards'"},
        Mistake{"RuleHasNoIndicator", "rules.yaml", "{has: W1}", "{has: W9}", "W9", "there is no indicator 'W9'"},
        Mistake{"RuleHasNoAdvice", "rules.yaml", "advice: inside_words", "advice: outside_words", "outside_words", "there is no text 'outside_words'"},
        Mistake{"RuleProposesNoLevel", "rules.yaml", "propose: severe", "propose: sever", "propose: sever\n", "there is no level 'sever'"},
        Mistake{"ScheduleFallsBackOnNobody", "people.yaml", "fallback_role: boss", "fallback_role: bass", "bass", "there is no role 'bass'"},
        Mistake{"DutyFilesNoRecord", "people.yaml", "record: tally", "record: farm", "farm", "there is no record 'farm'"},
        Mistake{"CustodyNeedsNoRole", "levels.yaml", "{any_adult: 1}", "{any_child: 1}", "any_child", "there is no role 'any_child'"},
        Mistake{"FieldAsksNoField", "people.yaml", "required_if: {hurt: true}", "required_if: {hart: true}", "    fields:", "names no boolean field 'hart'"},
        Mistake{"NoSuchPermission", "people.yaml", "alert.take", "alert.tale", "alert.tale", "there is no permission 'alert.tale'"}),
    NameOfMistake);

INSTANTIATE_TEST_SUITE_P(
    Meaning, MistakeTest,
    ::testing::Values(
        Mistake{"MalformedSpan", "clocks.yaml", "24h", "24 h", "24 h", "'24 h' is no span"},
        Mistake{"NegativeSpan", "clocks.yaml", "24h", "-24h", "-24h", "'-24h' is no span"},
        Mistake{"SpanWithoutUnit", "clocks.yaml", "due_after: 2h", "due_after: 2", "due_after: 2\n", "'2' is no span"},
        Mistake{"MalformedTimeOfDay", "pack.yaml", "\"16:00\"", "\"4 pm\"", "4 pm", "'4 pm' is no time of day"},
        Mistake{"DismissalBeforeSchool", "pack.yaml", "\"16:00\"", "\"07:00\"", "pack:", "dismissal is not after school_begins"},
        Mistake{"WarningLongerThanTheClock", "clocks.yaml", "[1h, 12h]", "[1h, 25h]", "25h", "warn_before 25h is longer than the clock runs (24h)"},
        Mistake{"WarnsNobody", "clocks.yaml", "    warns: notice\n", "", "  report:", "'warn_before' and 'warns' stand together"},
        Mistake{"NoWayToMeet", "clocks.yaml", "    met_by: [child.asked]\n", "", "  ask:", "there is no way to meet it"},
        Mistake{"NoExpiry", "clocks.yaml", "    on_expiry: {alert: notice}\n", "", "  report:", "'on_expiry' is missing"},
        Mistake{"ExpiryDoesNothing", "clocks.yaml", "{alert: notice}", "{gap: false}", "{gap: false}", "does nothing"},
        Mistake{"ExpiryOfWhatIsNeverDue", "clocks.yaml", "due_after: 2h", "due_after: never", "propose: severe", "never due"},
        Mistake{"NoDueTime", "clocks.yaml", "    due_after: 2h\n", "", "  ask:", "'due_after' or 'due_at' is missing"},
        Mistake{"SevereLadderEnds", "ladders.yaml", "then: again", "then: stop", "  ring:\n", "has an end"},
        Mistake{"SevereLadderIsQuiet", "ladders.yaml", "    priority: 100\n", "    priority: 100\n    quiet_at_night: true\n", "  ring:\n", "is quiet at night"},
        Mistake{"SevereLadderCannotBeTaken", "ladders.yaml", "    takeable: true\n", "", "  ring:\n", "nobody can take it"},
        Mistake{"SevereLadderCallsNobody", "ladders.yaml", "by: [call, sms]", "by: [sms]", "  ring:\n", "has no step that calls"},
        Mistake{"LadderAsUrgentAsSevereEnds", "ladders.yaml", "    quiet_at_night: true\n", "    takeable: true\n    priority: 100\n", "  notice:\n", "has an end"},
        Mistake{"EndlessLadderDoesNotWait", "ladders.yaml", "wait: 60s", "wait: 0s", "  ring:\n", "does not wait"},
        Mistake{"StepRingsNobody", "ladders.yaml", "ring: [case.author]", "ring: []", "ring: []", "a step rings somebody"},
        Mistake{"StepRingsByPigeon", "ladders.yaml", "by: [sms]", "by: [pigeon]", "pigeon", "'pigeon' is none of call, sms"},
        Mistake{"CallsWithoutWords", "ladders.yaml", "    call_text: words\n", "", "  ring:\n", "calls and has no 'call_text'"},
        Mistake{"SupervisedLevelRingsNobody", "levels.yaml", "    alerts: ring\n", "", "  severe:", "rings nobody"},
        Mistake{"SupervisedLevelHasNoCustody", "levels.yaml", "    custody: close\n", "", "  severe:", "has no 'custody'"},
        Mistake{"RanksLeaveAHole", "levels.yaml", "rank: 2", "rank: 3", "  severe:", "leaves a hole"},
        Mistake{"StaffMayNotReport", "people.yaml", "[report, hold.place, alert.take]", "[hold.place, alert.take]", "  boss:", "must have the permission 'report'"},
        Mistake{"TwoConditionsInOne", "rules.yaml", "{has: W1}", "{has: W1, returned: true}", "when:", "exactly one key"},
        Mistake{"RuleDoesNothing", "rules.yaml", "    propose: severe\n    starts: [ask]\n", "", "- id: first", "neither proposes"},
        Mistake{"SignalWithoutGroup", "rules.yaml", "    group: W\n", "", "- id: W1", "a signal needs its 'group'"}),
    NameOfMistake);

INSTANTIATE_TEST_SUITE_P(
    Disclosure, MistakeTest,
    ::testing::Values(
        Mistake{"NamesTheChild", "texts.yaml", "en: call {phone}, number {code}", "en: call {phone} about {student}, number {code}", "about {student}", "{student} may not leave"},
        Mistake{"NamesTheLevelByPlaceholder", "texts.yaml", "zh-CN: 请回电{phone}", "zh-CN: 请回电{phone}{level}", "{level}", "{level} may not leave"},
        Mistake{"SaysAWithheldWord", "texts.yaml", "zh-CN: 请回电", "zh-CN: 有学生自杀，请回电", "自杀", "must not say '自杀'"},
        Mistake{"SaysAWithheldWordInAnotherForm", "texts.yaml", "en: call", "en: a Suicidal child, call", "Suicidal", "must not say 'suicid'"},
        Mistake{"SaysALevel", "texts.yaml", "zh-CN: 请回电", "zh-CN: 严重，请回电", "严重", "must not say '严重'"},
        Mistake{"SaysALevelInEnglish", "texts.yaml", "en: call", "en: a severe matter, call", "a severe", "must not say 'severe'"},
        Mistake{"HoldsALink", "texts.yaml", "en: call", "en: see https://example.org or call", "https", "must not say 'https:'"},
        Mistake{"UnknownPlaceholder", "texts.yaml", "en: stay with {student}", "en: stay with {pupil}", "{pupil}", "{pupil} is no placeholder"},
        Mistake{"BraceNotClosed", "texts.yaml", "en: stay with {student}", "en: stay with {student", "en: stay", "a brace is not closed"},
        Mistake{"LanguagesSayDifferentThings", "texts.yaml", "en: call {phone}, number {code}", "en: call {phone}", "en: call", "differ from the other language's"},
        Mistake{"LadderSendsAnInsideText", "ladders.yaml", "call_text: words", "call_text: inside_words", "  ring:\n", "for signed-in people only"}),
    NameOfMistake);

// These change one file and are wrong in another.
TEST(LoaderTest, ClockThatNothingStartsIsRefused) {
  PackFiles files = SmallPack();
  std::string& text = files["levels.yaml"];
  text.replace(text.find("starts: [report]"), 16, "starts: []");
  EXPECT_THAT(ProblemsOf(files), ElementsAre("clocks.yaml:2: clock report: no level, rule or fact starts it"));
}

TEST(LoaderTest, LadderThatNothingRaisesIsRefused) {
  PackFiles files = SmallPack();
  files["ladders.yaml"] += R"(  idle:
    name: {zh-CN: 闲, en: idle}
    steps:
      - {ring: [boss], by: [sms], wait: 0s}
    then: stop
    sms_text: words
    for: [A]
    basis: protocol
)";
  EXPECT_THAT(ProblemsOf(files), ElementsAre("ladders.yaml:22: ladder idle: no level, clock or fact raises it"));
}

// Unasked, severe is proposed; if severe asked again, an unanswered question would go round for ever.
TEST(LoaderTest, ClockThatStartsItselfByExpiringIsRefused) {
  PackFiles files = SmallPack();
  std::string& text = files["levels.yaml"];
  text.replace(text.find("starts: [report]"), 16, "starts: [report, ask]");
  EXPECT_THAT(ProblemsOf(files), ElementsAre("clocks.yaml:13: clock ask: starts itself by expiring: ask -> ask"));
}

TEST(LoaderTest, ClockThatStartsItselfByWayOfSupervisionIsRefused) {
  PackFiles files = SmallPack();
  std::string& text = files["clocks.yaml"];
  text.replace(text.find("    due_after: 2h"), 17, "    starts_on: [supervision.started]\n    due_after: 2h");
  EXPECT_THAT(ProblemsOf(files), ElementsAre("clocks.yaml:13: clock ask: starts itself by expiring: ask -> ask"));
}

// A word that is inside another ("highway") is no level.
TEST(LoaderTest, LevelNamesCountAsWholeWords) {
  PackFiles files = SmallPack();
  std::string& text = files["texts.yaml"];
  text.replace(text.find("en: call"), 8, "en: Highway school, call");
  EXPECT_THAT(ProblemsOf(files), ElementsAre());
}

// How a record is printed may name its fields, what the engine knows, and nothing else.
TEST(LoaderTest, ADocumentSaysOnlyWhatThereIs) {
  PackFiles files = SmallPack();
  files["documents.yaml"] = R"(documents:
  form:
    name: {zh-CN: 表, en: form}
    parts:
      - name: {zh-CN: 一, en: one}
        says: [case.student, case.colour, nothing]
    notes: [gone]
    guardian_copy: {valid: 1h}
    for: [A]
    basis: school_setting
  other:
    name: {zh-CN: 另, en: other}
    parts: []
    for: [A]
    basis: school_setting
choices:
  yes_please: {zh-CN: 是}
)";
  const std::vector<std::string> problems = ProblemsOf(files);
  for (const char* wrong : {"'case.colour' is no field of record form", "'nothing' is no field of record form", "there is no text 'gone'", "'text' names what stands beside the code",
                            "there is no record 'other'", "choice yes_please"}) {
    EXPECT_THAT(problems, Contains(HasSubstr(wrong)));
  }
  EXPECT_THAT(problems, Not(Contains(HasSubstr("case.student"))));
}

TEST(LoaderTest, PackWithoutHeadIsOneProblem) {
  PackFiles files = SmallPack();
  files.erase("pack.yaml");
  EXPECT_THAT(ProblemsOf(files), ElementsAre("pack:0: no file has the section 'pack'"));
}

}  // namespace
}  // namespace vigil::domain
