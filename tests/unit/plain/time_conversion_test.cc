#include "contract/time_conversion.h"

#include <gtest/gtest.h>

namespace vigil::contract {
namespace {

absl::Time Back(absl::Time time) {
  google::protobuf::Timestamp proto;
  TimeToProto(time, &proto);
  EXPECT_GE(proto.nanos(), 0);
  EXPECT_LT(proto.nanos(), 1'000'000'000);
  return TimeFromProto(proto);
}

absl::Duration Back(absl::Duration span) {
  google::protobuf::Duration proto;
  DurationToProto(span, &proto);
  EXPECT_TRUE(proto.seconds() == 0 || proto.nanos() == 0 || (proto.seconds() < 0) == (proto.nanos() < 0));
  return DurationFromProto(proto);
}

TEST(TimeConversion, KeepsNanoseconds) {
  for (const absl::Time time :
       {absl::UnixEpoch(), absl::UnixEpoch() - absl::Nanoseconds(1), absl::UnixEpoch() + absl::Nanoseconds(1),
        absl::FromUnixMicros(-1'500'000), absl::FromUnixNanos(1'700'000'000'999'999'999)}) {
    EXPECT_EQ(Back(time), time);
  }
}

TEST(TimeConversion, CutsWhatIsBelowANanosecond) {
  EXPECT_EQ(Back(absl::UnixEpoch() + absl::Nanoseconds(1.5)), absl::UnixEpoch() + absl::Nanoseconds(1));
}

TEST(TimeConversion, KeepsTheInfinite) {
  EXPECT_EQ(Back(absl::InfinitePast()), absl::InfinitePast());
  EXPECT_EQ(Back(absl::InfiniteFuture()), absl::InfiniteFuture());
  EXPECT_EQ(Back(absl::InfiniteDuration()), absl::InfiniteDuration());
  EXPECT_EQ(Back(-absl::InfiniteDuration()), -absl::InfiniteDuration());
}

TEST(TimeConversion, WritesTheInfiniteAsTheEndOfTheRange) {
  google::protobuf::Timestamp time;
  TimeToProto(absl::InfiniteFuture(), &time);
  EXPECT_EQ(time.seconds(), 253402300799);
  google::protobuf::Duration span;
  DurationToProto(absl::InfiniteDuration(), &span);
  EXPECT_EQ(span.seconds(), 315576000000);
}

TEST(TimeConversion, StaysInRangeBeyondIt) {
  EXPECT_EQ(Back(absl::FromUnixSeconds(253402300800)), absl::InfiniteFuture());
  EXPECT_EQ(Back(absl::FromUnixSeconds(-62135596801)), absl::InfinitePast());
  EXPECT_EQ(Back(absl::FromUnixSeconds(253402300798)), absl::FromUnixSeconds(253402300798));
  EXPECT_EQ(Back(absl::Seconds(315576000001)), absl::InfiniteDuration());
}

TEST(TimeConversion, KeepsSpansOfBothSigns) {
  for (const absl::Duration span : {absl::ZeroDuration(), absl::Nanoseconds(1), -absl::Nanoseconds(1),
                                    absl::Milliseconds(1500), -absl::Milliseconds(1500), absl::Hours(24 * 366)}) {
    EXPECT_EQ(Back(span), span);
  }
}

}  // namespace
}  // namespace vigil::contract
