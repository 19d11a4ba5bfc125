#include "gateway/transcoder/time_text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace vigil {
namespace {

// The time as we would write it, or "refused".
std::string Timestamp(std::string_view text) {
  SecondsAndNanos value;
  if (!ParseTimestamp(text, value)) return "refused";
  std::string out;
  AppendTimestamp(value, out);
  return out;
}

std::string Duration(std::string_view text) {
  SecondsAndNanos value;
  if (!ParseDuration(text, value)) return "refused";
  std::string out;
  AppendDuration(value, out);
  return out;
}

TEST(TimestampTextTest, IsWrittenAsReadInUtc) { EXPECT_EQ(Timestamp("2026-03-02T08:30:00Z"), "2026-03-02T08:30:00Z"); }

TEST(TimestampTextTest, AnyOffsetBecomesUtc) {
  EXPECT_EQ(Timestamp("2026-03-02T08:30:00+08:00"), "2026-03-02T00:30:00Z");
  EXPECT_EQ(Timestamp("2026-03-02T08:30:00-00:30"), "2026-03-02T09:00:00Z");
  EXPECT_EQ(Timestamp("2026-01-01T00:00:00+05:45"), "2025-12-31T18:15:00Z");
}

TEST(TimestampTextTest, LowerCaseLettersAreAsGood) {
  EXPECT_EQ(Timestamp("2026-03-02t08:30:00z"), "2026-03-02T08:30:00Z");
}

TEST(TimestampTextTest, FractionsAreCutAtMicroseconds) {
  EXPECT_EQ(Timestamp("2026-03-02T08:30:00.5Z"), "2026-03-02T08:30:00.500Z");
  EXPECT_EQ(Timestamp("2026-03-02T08:30:00.123456Z"), "2026-03-02T08:30:00.123456Z");
  EXPECT_EQ(Timestamp("2026-03-02T08:30:00.123456789Z"), "2026-03-02T08:30:00.123456Z");
  EXPECT_EQ(Timestamp("2026-03-02T08:30:00.000000001Z"), "2026-03-02T08:30:00Z");
}

TEST(TimestampTextTest, HoldsTheFirstAndTheLastInstant) {
  EXPECT_EQ(Timestamp("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
  EXPECT_EQ(Timestamp("9999-12-31T23:59:59.999999Z"), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(Timestamp("0001-01-01T00:00:00+00:01"), "refused");
  EXPECT_EQ(Timestamp("9999-12-31T23:59:59-00:01"), "refused");
}

TEST(TimestampTextTest, KnowsLeapYears) {
  EXPECT_EQ(Timestamp("2024-02-29T00:00:00Z"), "2024-02-29T00:00:00Z");
  EXPECT_EQ(Timestamp("2026-02-29T00:00:00Z"), "refused");
}

TEST(TimestampTextTest, AllElseIsRefused) {
  for (const char* text : {"",
                           "now",
                           "infinite-future",
                           "2026-03-02",
                           "2026-03-02T08:30Z",
                           "2026-03-02T08:30:00",
                           "2026-03-02 08:30:00Z",
                           " 2026-03-02T08:30:00Z",
                           "2026-03-02T08:30:00Z ",
                           "2026-03-02T08:30:00.Z",
                           "2026-03-02T08:30:00.1234567890Z",
                           "2026-13-02T08:30:00Z",
                           "2026-00-02T08:30:00Z",
                           "2026-03-32T08:30:00Z",
                           "2026-03-02T24:00:00Z",
                           "2026-03-02T08:60:00Z",
                           "2026-03-02T08:30:60Z",
                           "2026-03-02T08:30:00+24:00",
                           "2026-03-02T08:30:00+0800",
                           "2026-03-02T08:30:00+08",
                           "0000-01-01T00:00:00Z",
                           "-026-03-02T08:30:00Z",
                           "1772440200"}) {
    EXPECT_EQ(Timestamp(text), "refused") << text;
  }
}

TEST(TimestampTextTest, NonsenseFromInsideIsStillWrittenInForm) {
  std::string out;
  AppendTimestamp({std::numeric_limits<int64_t>::max(), -5}, out);
  EXPECT_EQ(out, "9999-12-31T23:59:59Z");
}

TEST(DurationTextTest, IsWrittenAsRead) {
  EXPECT_EQ(Duration("3.5s"), "3.500s");
  EXPECT_EQ(Duration("0s"), "0s");
  EXPECT_EQ(Duration("-0.25s"), "-0.250s");
  EXPECT_EQ(Duration("86400s"), "86400s");
  EXPECT_EQ(Duration("0.000001s"), "0.000001s");
  EXPECT_EQ(Duration("315576000000s"), "315576000000s");
}

TEST(DurationTextTest, AllElseIsRefused) {
  for (const char* text : {"", "s", "3", "3.s", ".5s", "3.5", "--3s", "+3s", "3m", "3s ", "1e3s", "315576000001s",
                           "99999999999999999999s", "0.1234567890s"}) {
    EXPECT_EQ(Duration(text), "refused") << text;
  }
}

TEST(DurationTextTest, TheLeastNumberDoesNotOverflow) {
  std::string out;
  AppendDuration({std::numeric_limits<int64_t>::min(), std::numeric_limits<int32_t>::min()}, out);
  EXPECT_EQ(out, "-9223372036854775808s");
}

}  // namespace
}  // namespace vigil
