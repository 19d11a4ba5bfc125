#include "gateway/transcoder/json_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "unit/gateway/library.h"

namespace vigil {
namespace {

std::string Compact(std::string_view text) {
  JsonDocument document;
  if (const auto error = document.Parse(text)) return "refused: " + error->field + ": " + error->reason;
  std::string out;
  document.AppendCompact(0, out);
  return out;
}

TEST(JsonDocumentTest, WritesBackWhatItRead) {
  EXPECT_EQ(Compact(R"( { "a" : [ 1 , -2, 2.50, true, false, null, "x" ], "b" : { } , "c":[] } )"),
            R"({"a":[1,-2,2.50,true,false,null,"x"],"b":{},"c":[]})");
}

TEST(JsonDocumentTest, NumbersKeepTheirDigits) {
  EXPECT_EQ(Compact("[18446744073709551615,-9223372036854775808,123456789012345678901234567890,1e5]"),
            "[18446744073709551615,-9223372036854775808,123456789012345678901234567890,1e5]");
}

TEST(JsonDocumentTest, EscapesComeBackAsText) {
  EXPECT_EQ(Compact(R"(["\u5f20\n\"\\\/\ud83d\ude00"])"), "[\"张\\n\\\"\\\\/😀\"]");
}

TEST(JsonDocumentTest, ControlCharactersAreEscaped) {
  std::string out;
  AppendJsonString(std::string_view("\x01\x1f\t\r\n\x7f", 6), out);
  EXPECT_EQ(out, "\"\\u0001\\u001f\\t\\r\\n\x7f\"");
}

TEST(JsonDocumentTest, WhatIsNoJsonIsRefusedWithItsPlace) {
  EXPECT_EQ(Compact(R"({"a":1,})"), "refused: : the body is not well-formed JSON near byte 8");
  for (const char* text : {" ", "{", "[1", "nul", "{'a':1}", "{\"a\" 1}", "[1]x", "01", "+1", "NaN", "\"a", "\"\\x\"",
                           "[1,]", "// c\n1", "\"\\ud800\"", "\"a\nb\""}) {
    EXPECT_THAT(Compact(text), ::testing::StartsWith("refused")) << text;
  }
}

TEST(JsonDocumentTest, ANumberBeyondAllRangesIsRefused) {
  EXPECT_EQ(Compact(R"({"a":{"b":1e999}})"), "refused: a.b: is a number out of range");
}

TEST(JsonDocumentTest, BrokenUtf8IsRefusedAtItsField) {
  EXPECT_EQ(Compact("{\"student\":{\"name\":\"\xff\"}}"), "refused: student.name: is not valid UTF-8");
  EXPECT_EQ(Compact("{\"list\":[\"a\",{\"b\":\"\xc0\xaf\"}]}"), "refused: list[1].b: is not valid UTF-8");
}

TEST(JsonDocumentTest, ABrokenNameIsNotEchoed) { EXPECT_EQ(Compact("{\"a\xff\":1}"), "refused: : is not valid UTF-8"); }

TEST(JsonDocumentTest, TheNulCharacterIsRefused) {
  EXPECT_EQ(Compact(R"({"a":"x\u0000y"})"), "refused: a: must not contain U+0000");
  EXPECT_THAT(Compact(R"({"a\u0000":1})"), ::testing::StartsWith("refused"));
}

TEST(JsonDocumentTest, SixteenLevelsAreRead) {
  EXPECT_EQ(Compact(std::string(16, '[') + std::string(16, ']')), std::string(16, '[') + std::string(16, ']'));
}

TEST(JsonDocumentTest, SeventeenLevelsAreTooDeep) {
  EXPECT_THAT(Compact(std::string(17, '[') + std::string(17, ']')), ::testing::HasSubstr("is nested too deep"));
  EXPECT_THAT(Compact(std::string(1000000, '[')), ::testing::HasSubstr("is nested too deep"));
}

TEST(JsonDocumentTest, ADuplicateNameIsMarkedOnItsObject) {
  JsonDocument document;
  ASSERT_FALSE(document.Parse(R"({"x":{"a":1,"b":2,"a":3},"y":{"a":1}})").has_value());
  const JsonDocument::Node* duplicate = document.FindDuplicate(0);
  ASSERT_NE(duplicate, nullptr);
  EXPECT_EQ(duplicate->key, "x");
  EXPECT_EQ(duplicate->text, "a");
}

TEST(JsonDocumentTest, ADuplicateAmongManyNamesIsFound) {
  std::string text = "{";
  for (int i = 0; i < 1000; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  JsonDocument document;
  ASSERT_FALSE(document.Parse(text + "\"last\":0}").has_value());
  EXPECT_EQ(document.FindDuplicate(0), nullptr);
  ASSERT_FALSE(document.Parse(text + "\"k500\":0}").has_value());
  EXPECT_NE(document.FindDuplicate(0), nullptr);
}

TEST(JsonDocumentTest, CanBeUsedAgainAfterARefusal) {
  JsonDocument document;
  ASSERT_TRUE(document.Parse("[1,").has_value());
  EXPECT_TRUE(document.nodes().empty());
  ASSERT_FALSE(document.Parse("[1]").has_value());
  EXPECT_EQ(document.nodes().size(), 2u);
}

// Whatever the bytes, it agrees with the library on what is JSON, and survives.
TEST(JsonDocumentTest, AgreesWithTheLibraryOnMutatedTexts) {
  const std::string seed = R"({"a":[1,-2.5e3,"x\u5f20\n",{"b":null,"c":[true,false]}],"学":"校","d":{"e":""}})";
  std::mt19937 random(7);
  int read = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = seed;
    const int edits = static_cast<int>(random() % 3) + 1;
    for (int i = 0; i < edits; ++i) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 4 + 1);
          if (text.empty()) text = "1";
          break;
        default:
          text.insert(at, 1, "{}[]\",:0\\u"[random() % 10]);
      }
    }
    const bool expected = nlohmann::json::accept(text);
    JsonDocument document;
    const auto error = document.Parse(text);
    if (error.has_value() && error->reason == "must not contain U+0000") continue;
    ASSERT_EQ(!error.has_value(), expected) << text;
    if (expected) {
      ++read;
      std::string out;
      document.AppendCompact(0, out);
      ASSERT_TRUE(nlohmann::json::accept(out)) << out;
    }
  }
  EXPECT_GT(read, 500);
}

TEST(Utf8Test, TakesAllOfUnicodeAndNothingElse) {
  for (const char* text : {"", "abc", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(IsUtf8(text)) << text;
  for (const char* text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe4\xbd", "a\xff"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

TEST(FieldPathTest, IsWrittenAsTheCallerWouldSayIt) {
  const FieldPath root;
  const FieldPath shifts{&root, "shifts"};
  const FieldPath second{&shifts, {}, 2};
  const FieldPath time{&second, "from_time"};
  EXPECT_EQ(root.ToString(), "");
  EXPECT_EQ(time.ToString(), "shifts[2].from_time");
}

TEST(FieldPathTest, ALongNameIsCutBetweenCharacters) {
  const FieldPath root;
  std::string name;
  for (int i = 0; i < 100; ++i) name += "张";
  const std::string shown = FieldPath{&root, name}.ToString();
  EXPECT_LE(shown.size(), kMaxEchoedNameBytes);
  EXPECT_TRUE(IsUtf8(shown));
}

}  // namespace
}  // namespace vigil
