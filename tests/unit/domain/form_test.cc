#include "domain/form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matter.h"

namespace vigil::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using Type = FieldRow::Type;

FieldRow Field(const std::string& id, Type type, bool required = false) {
  FieldRow field;
  field.id = id;
  field.type = type;
  field.required = required;
  field.sealed = type == Type::kText || type == Type::kList;
  return field;
}

// A form with a field of every type.
RecordRow Form() {
  RecordRow row;
  row.id = "form";
  row.fields = {Field("ready", Type::kBoolean, true), Field("why", Type::kText), Field("count", Type::kNumber), Field("who", Type::kPerson),
                Field("group", Type::kPeople),        Field("kind", Type::kChoice), Field("end", Type::kTime),   Field("things", Type::kList)};
  row.fields[1].required_if = "ready";
  row.fields[1].required_if_value = false;
  row.fields[1].max_bytes = 10;
  row.fields[2].least = 1;
  row.fields[2].most = 5;
  row.fields[5].choices = {"one", "other"};
  row.fields[6].within = absl::Hours(14 * 24);
  return row;
}

std::vector<std::string> Wrong(const Fields& fields, bool lenient = false) {
  std::vector<std::string> ids;
  for (const FormError& error : CheckForm(Form(), fields, SmallSchool(), At("2026-03-10 10:00"), lenient)) ids.push_back(error.field);
  return ids;
}

TEST(FormTest, AcceptsWhatItsFieldsAskFor) {
  EXPECT_THAT(Wrong({{"ready", "true"},
                     {"count", "3"},
                     {"who", "leader"},
                     {"group", "[\"leader\",\"deputy\"]"},
                     {"kind", "one"},
                     {"end", "2026-03-20"},
                     {"things", "a, b"}}),
              IsEmpty());
}

TEST(FormTest, NamesEveryFieldThatIsWrong) {
  EXPECT_THAT(Wrong({{"ready", "perhaps"}, {"why", "x"}, {"count", "9"}, {"who", "nobody"}, {"group", "leader, nobody"}, {"kind", "third"}, {"end", "soon"}, {"things", " , "}}),
              UnorderedElementsAre("fields.ready", "fields.count", "fields.who", "fields.group", "fields.kind", "fields.end", "fields.things"));
  EXPECT_THAT(Wrong({{"ready", "true"}, {"colour", "red"}}), ElementsAre("fields.colour"));
  EXPECT_THAT(Wrong({{"ready", "true"}, {"why", "far too long"}}), ElementsAre("fields.why"));
}

TEST(FormTest, AsksForWhatIsRequiredAndForWhatAnotherAnswerRequires) {
  EXPECT_THAT(Wrong({}), ElementsAre("fields.ready"));
  EXPECT_THAT(Wrong({{"ready", "false"}}), ElementsAre("fields.why"));
  EXPECT_THAT(Wrong({{"ready", "true"}}), IsEmpty());
}

TEST(FormTest, AnEndMayLieNoFurtherThanItsSpan) {
  EXPECT_THAT(Wrong({{"ready", "true"}, {"end", "2026-03-24T01:00:00Z"}}), IsEmpty());
  EXPECT_THAT(Wrong({{"ready", "true"}, {"end", "2026-03-25"}}), ElementsAre("fields.end"));
}

TEST(FormTest, LeniencyLetsInWhatSaysAnythingButNothingTooLong) {
  EXPECT_THAT(Wrong({{"count", "many"}}, true), IsEmpty());
  EXPECT_THAT(Wrong({}, true), ElementsAre("fields.ready"));
  EXPECT_THAT(Wrong({{"why", "far too long"}}, true), ElementsAre("fields.why"));
}

TEST(FormTest, TextNeverStandsInTheLogAsItIs) {
  const SplitFields split = Split(Form(), {{"ready", "true"}, {"why", "words"}, {"group", "leader"}, {"things", "a"}, {"kind", ""}});
  EXPECT_THAT(split.plain, UnorderedElementsAre(std::pair("ready", "true"), std::pair("group", "leader")));
  EXPECT_THAT(split.sealed, UnorderedElementsAre(std::pair("why", "words"), std::pair("things", "a")));
}

TEST(FormTest, NoRecordOfThePackLeavesWordsUnsealed) {
  for (const auto& [id, row] : PrimarySchool().records) {
    for (const FieldRow& field : row.fields) {
      if (field.type == Type::kText || field.type == Type::kList) {
        EXPECT_TRUE(field.sealed) << id << "." << field.id;
      }
    }
  }
}

TEST(FormTest, ReadsListsWithCommasAndAsJson) {
  EXPECT_THAT(ListOf("a, b ,,c"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(ListOf(R"(["a","b, c", "d\"e"])"), ElementsAre("a", "b, c", "d\"e"));
  EXPECT_THAT(ListOf("  "), IsEmpty());
  EXPECT_THAT(ListOf("[]"), IsEmpty());
}

}  // namespace
}  // namespace vigil::domain
