#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "unit/plain/every_mapping.convert.h"
#include "unit/plain/imported.convert.h"

#ifndef GOOGLE_PROTOBUF_VERSION
#error "structs_test.cc tells by this macro whether protobuf is included"
#endif

namespace vigil::contract {
namespace {

namespace proto = ::vigil::test::plain::v1;

domain::EveryMapping Full() {
  domain::EveryMapping every;
  every.text = "孩子";
  every.octets = std::string("\0\xff", 2);
  every.yes = true;
  every.signed_small = -1;
  every.signed_large = std::numeric_limits<std::int64_t>::min();
  every.unsigned_small = std::numeric_limits<std::uint32_t>::max();
  every.unsigned_large = std::numeric_limits<std::uint64_t>::max();
  every.single_precision = 0.5F;
  every.double_precision = 0.1;
  every.volume = domain::Volume::kVeryLoud;
  every.status = domain::HTTPStatus::k200Ok;
  every.start_time = absl::FromUnixNanos(1'700'000'000'123'456'789);
  every.span = absl::Hours(24) + absl::Nanoseconds(1);
  every.contained = domain::Contained{.number = 7, .deeper = domain::Deeper{.text = "deep"}};
  every.person = domain::Person{.name = "an"};
  every.maybe_text = "";
  every.maybe_yes = false;
  every.maybe_number = 0;
  every.maybe_volume = domain::Volume::kUnspecified;
  every.texts = {"a", "", "b"};
  every.flags = {true, false, true};
  every.numbers = {1, 0, -1};
  every.reals = {0.25, 0.0};
  every.volumes = {domain::Volume::kVeryLoud, domain::Volume::kUnspecified};
  every.times = {absl::InfinitePast(), absl::UnixEpoch(), absl::InfiniteFuture()};
  every.spans = {absl::ZeroDuration(), -absl::Milliseconds(1500), absl::InfiniteDuration()};
  every.containeds = {{.number = 1}, {}, {.number = 2, .deeper = domain::Deeper{}}};
  every.text_of = {{"k", "v"}, {"", ""}};
  every.volume_of = {{-1, domain::Volume::kLow}, {0, domain::Volume::kUnspecified}};
  every.time_of = {{"past", absl::InfinitePast()}, {"epoch", absl::UnixEpoch()}};
  every.span_of = {{"none", absl::ZeroDuration()}, {"day", absl::Hours(24)}};
  every.contained_of = {{0, {}}, {9, {.number = 9, .deeper = domain::Deeper{.text = "nine"}}}};
  every.real_of = {{true, 1.0}, {false, 0.0}};
  every.body = domain::Person{.name = "class"};
  every.other_choice = domain::Empty{};
  every.operator_ = "+";
  every.default_ = 3;
  every.namespace_ = domain::Contained{.number = 4};
  return every;
}

domain::EveryMapping ThroughTheWire(const domain::EveryMapping& from) {
  proto::EveryMapping message;
  ToProto(from, &message);
  proto::EveryMapping read;
  EXPECT_TRUE(read.ParseFromString(message.SerializeAsString()));
  return FromProto(read);
}

TEST(PlainConversion, KeepsEveryField) { EXPECT_EQ(ThroughTheWire(Full()), Full()); }

// Else KeepsEveryField proves nothing of the field it forgot.
TEST(PlainConversion, IsTestedOnEveryField) {
  proto::EveryMapping message;
  ToProto(Full(), &message);
  std::vector<const google::protobuf::FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  constexpr int kOneofMembersNotHeld = 2;
  EXPECT_EQ(static_cast<int>(set.size()), message.GetDescriptor()->field_count() - kOneofMembersNotHeld);
}

TEST(PlainConversion, PutsFieldsWhereTheProtoHasThem) {
  proto::EveryMapping message;
  ToProto(Full(), &message);
  EXPECT_EQ(message.text(), "孩子");
  EXPECT_EQ(message.signed_small(), -1);
  EXPECT_EQ(message.volume(), proto::VOLUME_VERY_LOUD);
  EXPECT_EQ(message.start_time().seconds(), 1'700'000'000);
  EXPECT_EQ(message.start_time().nanos(), 123'456'789);
  EXPECT_EQ(message.span().seconds(), 86'400);
  EXPECT_EQ(message.contained().deeper().text(), "deep");
  EXPECT_EQ(message.volumes(0), proto::VOLUME_VERY_LOUD);
  EXPECT_EQ(message.contained_of().at(9).number(), 9);
  EXPECT_EQ(message.body_case(), proto::EveryMapping::kClass);
  EXPECT_EQ(message.class_().name(), "class");
}

TEST(PlainConversion, KeepsEachMemberOfAOneof) {
  domain::EveryMapping every;
  every.body = domain::Contained{.number = 5};
  EXPECT_EQ(ThroughTheWire(every), every);
  every.body = domain::Empty{};
  EXPECT_EQ(ThroughTheWire(every), every);
  EXPECT_EQ(domain::BodyName(ThroughTheWire(every)), "nothing2do");
}

TEST(PlainConversion, OfNothingSaysNothing) {
  proto::EveryMapping message;
  ToProto(domain::EveryMapping{}, &message);
  EXPECT_EQ(message.ByteSizeLong(), 0U) << message.DebugString();
  EXPECT_EQ(FromProto(message), domain::EveryMapping{});
}

TEST(PlainConversion, TellsNotSetFromZero) {
  proto::EveryMapping message;
  message.mutable_start_time();
  message.mutable_contained();
  const domain::EveryMapping every = FromProto(message);
  EXPECT_EQ(every.start_time, absl::UnixEpoch());
  EXPECT_EQ(every.contained, domain::Contained{});
  EXPECT_FALSE(every.person.has_value());
  EXPECT_FALSE(every.maybe_number.has_value());
}

TEST(PlainConversion, ReplacesWhatWasThere) {
  domain::EveryMapping every = Full();
  FromProto(proto::EveryMapping(), &every);
  EXPECT_EQ(every, domain::EveryMapping{});

  proto::EveryMapping message;
  ToProto(Full(), &message);
  ToProto(domain::EveryMapping{}, &message);
  EXPECT_EQ(message.ByteSizeLong(), 0U) << message.DebugString();

  every.containeds = {{.number = 1, .deeper = domain::Deeper{.text = "old"}}, {.number = 2}};
  message.add_containeds()->set_number(3);
  FromProto(message, &every);
  EXPECT_EQ(every.containeds, std::vector<domain::Contained>{{.number = 3}});
}

TEST(PlainConversion, TakesAnUndeclaredEnumValueAsTheFirst) {
  proto::EveryMapping message;
  message.set_volume(static_cast<proto::Volume>(2));
  message.set_maybe_volume(static_cast<proto::Volume>(257));  // would be kLow if cut to a byte
  const domain::EveryMapping every = FromProto(message);
  EXPECT_EQ(every.volume, domain::Volume::kUnspecified);
  EXPECT_EQ(every.maybe_volume, domain::Volume::kUnspecified);
}

}  // namespace
}  // namespace vigil::contract
