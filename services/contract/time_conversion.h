#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"

// Instants and spans as protos carry them, to the nanosecond.
namespace vigil::contract {

// The ends of Timestamp's range (years 0001 and 9999) stand for InfinitePast and InfiniteFuture, and what is beyond
// them is taken as them.
void TimeToProto(absl::Time from, google::protobuf::Timestamp* to);
absl::Time TimeFromProto(const google::protobuf::Timestamp& from);

// The ends of Duration's range (10,000 years) stand for infinite spans, and what is beyond them is taken as them.
void DurationToProto(absl::Duration from, google::protobuf::Duration* to);
absl::Duration DurationFromProto(const google::protobuf::Duration& from);

}  // namespace vigil::contract
