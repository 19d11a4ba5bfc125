#include "contract/time_conversion.h"

#include <cstdint>

namespace vigil::contract {
namespace {

constexpr std::int64_t kFirstSecond = -62135596800;  // 0001-01-01T00:00:00Z
constexpr std::int64_t kLastSecond = 253402300799;   // 9999-12-31T23:59:59Z
constexpr std::int64_t kLongestSeconds = 315576000000;

}  // namespace

void TimeToProto(absl::Time from, google::protobuf::Timestamp* to) {
  const std::int64_t seconds = absl::ToUnixSeconds(from);  // rounds down; saturates for the infinite
  if (seconds >= kLastSecond || seconds < kFirstSecond) {
    to->set_seconds(seconds >= kLastSecond ? kLastSecond : kFirstSecond);
    to->set_nanos(0);
    return;
  }
  to->set_seconds(seconds);
  to->set_nanos(static_cast<std::int32_t>((from - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
}

absl::Time TimeFromProto(const google::protobuf::Timestamp& from) {
  if (from.seconds() >= kLastSecond) return absl::InfiniteFuture();
  if (from.seconds() < kFirstSecond || (from.seconds() == kFirstSecond && from.nanos() == 0)) {
    return absl::InfinitePast();
  }
  return absl::FromUnixSeconds(from.seconds()) + absl::Nanoseconds(from.nanos());
}

void DurationToProto(absl::Duration from, google::protobuf::Duration* to) {
  absl::Duration rest;
  const std::int64_t seconds = absl::IDivDuration(from, absl::Seconds(1), &rest);  // towards zero; saturates
  if (seconds >= kLongestSeconds || seconds <= -kLongestSeconds) {
    to->set_seconds(seconds > 0 ? kLongestSeconds : -kLongestSeconds);
    to->set_nanos(0);
    return;
  }
  to->set_seconds(seconds);
  to->set_nanos(static_cast<std::int32_t>(rest / absl::Nanoseconds(1)));
}

absl::Duration DurationFromProto(const google::protobuf::Duration& from) {
  if (from.seconds() >= kLongestSeconds) return absl::InfiniteDuration();
  if (from.seconds() <= -kLongestSeconds) return -absl::InfiniteDuration();
  return absl::Seconds(from.seconds()) + absl::Nanoseconds(from.nanos());
}

}  // namespace vigil::contract
