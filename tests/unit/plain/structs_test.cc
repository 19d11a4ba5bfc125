// This file includes only the structs, as services/domain does.
#include <gtest/gtest.h>

#include <type_traits>

#include "unit/plain/every_mapping.plain.h"

#ifdef GOOGLE_PROTOBUF_VERSION
#error "a plain header includes protobuf"
#endif

namespace vigil::domain {
namespace {

TEST(PlainStructs, BeginEmpty) {
  const EveryMapping every;
  EXPECT_EQ(every.text, "");
  EXPECT_FALSE(every.yes);
  EXPECT_EQ(every.signed_large, 0);
  EXPECT_EQ(every.double_precision, 0.0);
  EXPECT_EQ(every.volume, Volume::kUnspecified);
  EXPECT_EQ(every.start_time, absl::InfinitePast());
  EXPECT_EQ(every.span, absl::ZeroDuration());
  EXPECT_FALSE(every.contained.has_value());
  EXPECT_FALSE(every.maybe_number.has_value());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(every.body));
}

TEST(PlainStructs, HaveTheTypesOfTheMapping) {
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::octets), std::string>));
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::single_precision), float>));
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::unsigned_small), std::uint32_t>));
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::contained), std::optional<Contained>>));
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::maybe_volume), std::optional<Volume>>));
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::times), std::vector<absl::Time>>));
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::contained_of), std::map<std::uint64_t, Contained>>));
  EXPECT_TRUE((std::is_same_v<decltype(EveryMapping::body), std::variant<std::monostate, Contained, Person, Empty>>));
  EXPECT_TRUE((std::is_same_v<std::underlying_type_t<Volume>, std::uint8_t>));
}

TEST(PlainStructs, NumberEnumeratorsAsTheProtoDoes) {
  EXPECT_EQ(static_cast<int>(Volume::kLow), 1);
  EXPECT_EQ(static_cast<int>(Volume::kVeryLoud), 200);
  EXPECT_EQ(static_cast<int>(HTTPStatus::k200Ok), 1);
}

TEST(PlainStructs, CompareByValue) {
  EveryMapping one;
  EveryMapping other;
  EXPECT_EQ(one, other);
  other.contained = Contained{.number = 1, .deeper = Deeper{.text = "x"}};
  EXPECT_NE(one, other);
  one.contained = Contained{.number = 1, .deeper = Deeper{.text = "x"}};
  EXPECT_EQ(one, other);
}

TEST(PlainStructs, NameTheMemberThatAOneofHolds) {
  EveryMapping every;
  EXPECT_EQ(BodyName(every), "");
  every.body = Contained{};
  EXPECT_EQ(BodyName(every), "first_thing");
  every.body = Person{};
  EXPECT_EQ(BodyName(every), "class");
  every.body = Empty{};
  EXPECT_EQ(BodyName(every), "nothing2do");
  EXPECT_EQ(OtherChoiceName(every), "");
  every.other_choice = Empty{};
  EXPECT_EQ(OtherChoiceName(every), "other");
}

}  // namespace
}  // namespace vigil::domain
