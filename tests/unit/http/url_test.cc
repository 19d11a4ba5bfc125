#include "platform/http/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vigil {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(UrlTest, TakesATargetApart) {
  const auto parsed = ParseTarget("/v1/phones/%2B86139/reply?text=a+b%20c&empty&=x&text=%E4%BD%A0");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->path, "/v1/phones/%2B86139/reply");
  EXPECT_THAT(parsed->path_segments, ElementsAre("v1", "phones", "+86139", "reply"));
  EXPECT_THAT(parsed->query, ElementsAre(Pair("text", "a b c"), Pair("empty", ""), Pair("", "x"), Pair("text", "你")));
}

TEST(UrlTest, AnEscapedSlashStaysInItsSegment) {
  EXPECT_THAT(ParseTarget("/a%2Fb/c/")->path_segments, ElementsAre("a/b", "c"));
}

TEST(UrlTest, PlusInAPathIsAPlus) { EXPECT_THAT(ParseTarget("/+86")->path_segments, ElementsAre("+86")); }

TEST(UrlTest, DropsTheAuthorityOfAnAbsoluteTarget) {
  EXPECT_EQ(ParseTarget("http://host:80/a?b=c")->path, "/a");
  EXPECT_EQ(ParseTarget("https://host")->path, "/");
}

TEST(UrlTest, RefusesWhatIsNotATarget) {
  for (const char* target : {"", "*", "a", "/%", "/%4", "/%zz", "/?a=%1", "/?%=1", "/a%00b", "/a#b"}) {
    EXPECT_FALSE(ParseTarget(target).ok()) << target;
  }
}

TEST(UrlTest, EncodingIsUndoneByDecoding) {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  EXPECT_EQ(*PercentDecode(PercentEncode(every_byte), true), every_byte);
}

}  // namespace
}  // namespace vigil
