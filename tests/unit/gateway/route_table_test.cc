#include "gateway/transcoder/route_table.h"

#include "absl/status/status.h"
#include "unit/gateway/library.h"

namespace vigil {
namespace {

using Outcome = RouteTable::Match::Outcome;
using ::testing::ElementsAre;

class RouteTableTest : public LibraryTest {
 protected:
  std::string MethodAt(std::string_view verb, std::string_view path) {
    const RouteTable::Match match = table_.Find(verb, path);
    return match.route == nullptr ? "" : match.route->method->name();
  }
};

TEST_F(RouteTableTest, FindsTheMethodByVerbAndPath) {
  EXPECT_EQ(MethodAt("POST", "/api/v1/shelves/s1/books"), "CreateBook");
  EXPECT_EQ(MethodAt("GET", "/api/v1/shelves/s1/books"), "ListBooks");
  EXPECT_EQ(MethodAt("GET", "/api/v1/books/b1"), "GetBook");
  EXPECT_EQ(MethodAt("PUT", "/api/v1/books/b1/plan"), "PutPlan");
  EXPECT_EQ(MethodAt("DELETE", "/api/v1/books/b1"), "DeleteBook");
}

TEST_F(RouteTableTest, FindsACustomVerbAfterACapture) {
  const RouteTable::Match match = table_.Find("POST", "/api/v1/books/b1:lend");
  ASSERT_EQ(match.outcome, Outcome::kFound);
  EXPECT_EQ(match.route->method->name(), "LendBook");
  EXPECT_THAT(match.captured, ElementsAre("b1"));
}

TEST_F(RouteTableTest, GivesCapturesInThePathsOrderAndStillEncoded) {
  const RouteTable::Match match = table_.Find("GET", "/api/v1/pages/b%201/17");
  ASSERT_EQ(match.outcome, Outcome::kFound);
  EXPECT_THAT(match.captured, ElementsAre("b%201", "17"));
  EXPECT_EQ(match.route->captures[1]->name(), "page");
}

TEST_F(RouteTableTest, PrefersALiteralSegmentToACapture) {
  EXPECT_EQ(MethodAt("GET", "/api/v1/books/newest"), "GetNewest");
}

TEST_F(RouteTableTest, FallsBackToTheCaptureWhereTheLiteralHasNotTheVerb) {
  EXPECT_EQ(MethodAt("DELETE", "/api/v1/books/newest"), "DeleteBook");
}

TEST_F(RouteTableTest, KeepsWhatTheOptionSays) {
  const Route& route = *table_.Find("POST", "/api/v1/shelves/s1/books").route;
  EXPECT_EQ(route.success_status, 201);
  EXPECT_EQ(route.permission, "book.create");
  EXPECT_EQ(route.summary, "Add a book");
  EXPECT_EQ(table_.Find("GET", "/api/v1/books/b1").route->success_status, 200);
}

TEST_F(RouteTableTest, AnUnknownPathIsNoPath) {
  for (const char* path : {"", "/", "/api/v1", "/api/v1/books", "/api/v1/books/", "/api/v1/books//",
                           "/api/v1/books/b1/other", "api/v1/books/b1", "//api/v1/books/b1", "/api/v1/books/b1:burn",
                           "/api/v1/books/b1:", "/api/v1/books/:lend", "/API/v1/books/b1", "/api/v1/books/b1/plan/"}) {
    EXPECT_EQ(table_.Find("GET", path).outcome, Outcome::kNoSuchPath) << path;
  }
}

TEST_F(RouteTableTest, APathOfAHundredThousandSegmentsIsNoPath) {
  std::string path;
  for (int i = 0; i < 100000; ++i) path += "/a";
  EXPECT_EQ(table_.Find("GET", path).outcome, Outcome::kNoSuchPath);
}

TEST_F(RouteTableTest, AKnownPathWithAnotherVerbSaysWhatIsAllowed) {
  const RouteTable::Match match = table_.Find("PUT", "/api/v1/shelves/s1/books");
  EXPECT_EQ(match.outcome, Outcome::kNoSuchVerb);
  EXPECT_EQ(match.allow, "GET, POST");
  EXPECT_EQ(table_.Find("GET", "/api/v1/books/b1:lend").allow, "POST");
}

TEST_F(RouteTableTest, AVerbThatHttpDoesNotHaveIsNotAllowed) {
  EXPECT_EQ(table_.Find("FETCH", "/api/v1/books/b1").outcome, Outcome::kNoSuchVerb);
  EXPECT_EQ(table_.Find("get", "/api/v1/books/b1").outcome, Outcome::kNoSuchVerb);
}

TEST_F(RouteTableTest, AMethodWithoutTheOptionHasNoRoute) {
  for (const auto& route : table_.routes()) EXPECT_NE(route->method->name(), "Reindex");
  EXPECT_EQ(table_.routes().size(), 9u);
}

TEST_F(RouteTableTest, WorksAfterItWasMoved) {
  const RouteTable moved = std::move(table_);
  EXPECT_EQ(moved.Find("GET", "/api/v1/books/b1").outcome, Outcome::kFound);
}

TEST(RouteTableCreateTest, RefusesATemplateThatDoesNotFit) {
  for (const char* name :
       {"UnknownCaptureService", "MessageCaptureService", "PartialCaptureService", "SamePathService"}) {
    const auto table = RouteTable::Create({LibraryServiceNamed(name)});
    EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(table.status().message()), ::testing::HasSubstr(name));
  }
}

TEST(RouteTableCreateTest, RefusesAFieldOrRuleThatJsonCannotSay) {
  for (const char* name : {"BadMapService", "BadFalseService", "BadAnyService"}) {
    const auto table = RouteTable::Create({LibraryServiceNamed(name)});
    ASSERT_TRUE(table.ok()) << name;
    Transcoder transcoder;
    EXPECT_EQ(transcoder.Create(*table).code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

}  // namespace
}  // namespace vigil
