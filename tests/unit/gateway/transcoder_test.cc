#include "gateway/transcoder/transcoder.h"

#include <google/protobuf/util/message_differencer.h>

#include <nlohmann/json.hpp>
#include <random>

#include "unit/gateway/library.h"

namespace vigil {
namespace {

using test::library::v1::Book;
using test::library::v1::CreateBookRequest;
using test::library::v1::GetBookRequest;
using test::library::v1::GetPageRequest;
using test::library::v1::LendBookRequest;
using test::library::v1::ListBooksRequest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What a book needs at least; `more` is put into the object.
std::string BookBody(std::string_view more) {
  return R"({"title":"t")" + (more.empty() ? "" : "," + std::string(more)) + "}";
}

class ReadTest : public LibraryTest {
 protected:
  std::vector<FieldError> Create(std::string_view body) {
    request_.Clear();
    return Read("POST", "/api/v1/shelves/s1/books", body, request_);
  }
  // With a title, which is required.
  std::vector<FieldError> CreateWith(std::string_view more) { return Create(BookBody(more)); }

  CreateBookRequest request_;
};

TEST_F(ReadTest, ReadsEveryKindOfField) {
  EXPECT_THAT(
      Create(R"({"title":"红楼梦","binding":"hard_cover","pages":-3,"copies":-9223372036854775808,"edition":4294967295,
      "barcode":18446744073709551615,"weight":1.5,"price":2.25,"lendable":true,"cover":"AQID","bought_time":"2026-03-02T08:30:00+08:00",
      "loan_length":"3.5s","subjects":["a","b"],"notes":{"k":"v"},"authors":{"first":{"id":"1","name":"n"}},"keeper":{"staff_id":"p1"},
      "loans":[{"reader_ids":["r"]},{}],"isbn":"x","rating":0,"isbn_kind":"thirteen","author":{"name":"曹雪芹"},"marks":[1,2],
      "bindings":["paperback"],"contents":{"title":"c","chapters":[{"title":"d"}]},"room":"r","counts":{"x":7}})"),
      IsEmpty());
  EXPECT_EQ(request_.shelf(), "s1");
  EXPECT_EQ(request_.title(), "红楼梦");
  EXPECT_EQ(request_.binding(), test::library::v1::BINDING_HARD_COVER);
  EXPECT_EQ(request_.pages(), -3);
  EXPECT_EQ(request_.copies(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(request_.edition(), 4294967295u);
  EXPECT_EQ(request_.barcode(), 18446744073709551615u);
  EXPECT_EQ(request_.weight(), 1.5f);
  EXPECT_EQ(request_.price(), 2.25);
  EXPECT_TRUE(request_.lendable());
  EXPECT_EQ(request_.cover(), "\x01\x02\x03");
  EXPECT_EQ(request_.bought_time().seconds(), 1772411400);
  EXPECT_EQ(request_.loan_length().seconds(), 3);
  EXPECT_EQ(request_.loan_length().nanos(), 500000000);
  EXPECT_THAT(request_.subjects(), ElementsAre("a", "b"));
  EXPECT_EQ(request_.notes().at("k"), "v");
  EXPECT_EQ(request_.authors().at("first").name(), "n");
  EXPECT_EQ(request_.keeper().staff_id(), "p1");
  EXPECT_EQ(request_.loans_size(), 2);
  EXPECT_EQ(request_.isbn(), "x");
  EXPECT_TRUE(request_.has_rating());
  EXPECT_EQ(request_.isbn_kind(), test::library::v1::THIRTEEN);
  EXPECT_EQ(request_.author().name(), "曹雪芹");
  EXPECT_THAT(request_.marks(), ElementsAre(1, 2));
  EXPECT_EQ(request_.bindings(0), test::library::v1::BINDING_PAPERBACK);
  EXPECT_EQ(request_.contents().chapters(0).title(), "d");
  EXPECT_EQ(request_.room(), "r");
  EXPECT_EQ(request_.counts().at("x"), 7);
}

TEST_F(ReadTest, AnEmptyBodyIsAnEmptyObject) {
  EXPECT_THAT(Create(""), ElementsAre(IsError("title", "is required")));
  EXPECT_THAT(Create("{}"), ElementsAre(IsError("title", "is required")));
}

TEST_F(ReadTest, ABodyThatIsNoObjectIsRefused) {
  for (const char* body : {"[]", "1", "\"x\"", "null", "true"})
    EXPECT_THAT(Create(body), ElementsAre(IsError("", "must be a JSON object"))) << body;
}

TEST_F(ReadTest, ABodyThatIsNoJsonIsRefused) {
  EXPECT_THAT(Create(R"({"title":)"), ElementsAre(IsError("", "not well-formed JSON")));
}

TEST_F(ReadTest, AnUnknownFieldIsNamedWithItsPath) {
  EXPECT_THAT(CreateWith(R"("nmae":1)"), ElementsAre(IsError("nmae", "unknown field")));
  EXPECT_THAT(CreateWith(R"("author":{"name":"n","nmae":1})"), ElementsAre(IsError("author.nmae", "unknown field")));
  EXPECT_THAT(CreateWith(R"("loans":[{},{},{"from":1}])"), ElementsAre(IsError("loans[2].from", "unknown field")));
  EXPECT_THAT(CreateWith(R"("authors":{"a":{"name":"n","x":1}})"),
              ElementsAre(IsError("authors.a.x", "unknown field")));
}

TEST_F(ReadTest, CamelCaseIsUnknown) {
  EXPECT_THAT(CreateWith(R"("boughtTime":"2026-03-02T08:30:00Z")"),
              ElementsAre(IsError("boughtTime", "unknown field")));
}

TEST_F(ReadTest, AWrongTypeSaysWhatIsWanted) {
  EXPECT_THAT(CreateWith(R"("binding":1)"), ElementsAre(IsError("binding", "must be a string")));
  EXPECT_THAT(CreateWith(R"("pages":"3")"), ElementsAre(IsError("pages", "must be an integer")));
  EXPECT_THAT(CreateWith(R"("pages":3.5)"), ElementsAre(IsError("pages", "must be an integer")));
  EXPECT_THAT(CreateWith(R"("price":"3")"), ElementsAre(IsError("price", "must be a number")));
  EXPECT_THAT(CreateWith(R"("lendable":"yes")"), ElementsAre(IsError("lendable", "must be true or false")));
  EXPECT_THAT(CreateWith(R"("author":[])"), ElementsAre(IsError("author", "must be an object")));
  EXPECT_THAT(CreateWith(R"("subjects":"a")"), ElementsAre(IsError("subjects", "must be a list")));
  EXPECT_THAT(CreateWith(R"("subjects":["a",1])"), ElementsAre(IsError("subjects[1]", "must be a string")));
  EXPECT_THAT(CreateWith(R"("notes":[])"), ElementsAre(IsError("notes", "must be an object")));
  EXPECT_THAT(CreateWith(R"("cover":1)"), ElementsAre(IsError("cover", "must be a string")));
  EXPECT_THAT(CreateWith(R"("bought_time":1772440200)"), ElementsAre(IsError("bought_time", "must be a string")));
}

TEST_F(ReadTest, ANumberOutOfItsRangeIsRefused) {
  EXPECT_THAT(CreateWith(R"("pages":2147483648)"), ElementsAre(IsError("pages", "between -2147483648 and 2147483647")));
  EXPECT_THAT(CreateWith(R"("pages":-2147483649)"), ElementsAre(IsError("pages", "between")));
  EXPECT_THAT(CreateWith(R"("copies":9223372036854775808)"), ElementsAre(IsError("copies", "between")));
  EXPECT_THAT(CreateWith(R"("edition":-1)"), ElementsAre(IsError("edition", "between 0")));
  EXPECT_THAT(CreateWith(R"("barcode":-1)"), ElementsAre(IsError("barcode", "between 0")));
  EXPECT_THAT(CreateWith(R"("weight":1e300)"), ElementsAre(IsError("weight", "out of range")));
}

TEST_F(ReadTest, TheEndsOfRangesAreTaken) {
  EXPECT_THAT(CreateWith(R"("pages":2147483647,"copies":9223372036854775807,"edition":0,"price":-7)"), IsEmpty());
  EXPECT_EQ(request_.pages(), 2147483647);
  EXPECT_EQ(request_.copies(), 9223372036854775807);
  EXPECT_EQ(request_.price(), -7);
}

TEST_F(ReadTest, AnUnknownEnumValueListsTheKnownOnes) {
  EXPECT_THAT(CreateWith(R"("binding":"BINDING_PAPERBACK")"),
              ElementsAre(IsError("binding", "must be one of: hard_cover, paperback")));
  EXPECT_THAT(CreateWith(R"("isbn_kind":"x")"), ElementsAre(IsError("isbn_kind", "must be one of: ten, thirteen")));
}

TEST_F(ReadTest, ATimeThatIsNoneIsRefused) {
  EXPECT_THAT(CreateWith(R"("bought_time":"yesterday")"), ElementsAre(IsError("bought_time", "must be a time")));
  EXPECT_THAT(CreateWith(R"("loan_length":"3 days")"), ElementsAre(IsError("loan_length", "must be a duration")));
}

TEST_F(ReadTest, BytesAreStrictBase64) {
  for (const char* text : {"A", "AQ", "AQI", "AQ I=", "-_==", "AQID\\n", "!!!!"}) {
    EXPECT_THAT(CreateWith(R"("cover":")" + std::string(text) + "\""), ElementsAre(IsError("cover", "base64"))) << text;
  }
}

TEST_F(ReadTest, LengthsAreLimitedInBytes) {
  EXPECT_THAT(Create(R"({"title":")" + std::string(64, 'x') + "\"}"), IsEmpty());
  EXPECT_THAT(Create(R"({"title":")" + std::string(65, 'x') + "\"}"),
              ElementsAre(IsError("title", "longer than 64 bytes")));
  EXPECT_THAT(CreateWith(R"("cover":"AQIDBAUGBwgJ")"), ElementsAre(IsError("cover", "longer than 8 bytes")));
  EXPECT_THAT(CreateWith(R"("subjects":["ok","ninebytes"])"),
              ElementsAre(IsError("subjects[1]", "longer than 8 bytes")));
}

TEST_F(ReadTest, WithoutARuleAStringHasOneKibibyte) {
  EXPECT_THAT(CreateWith(R"("room":")" + std::string(kDefaultMaxBytes, 'x') + "\""), IsEmpty());
  EXPECT_THAT(CreateWith(R"("room":")" + std::string(kDefaultMaxBytes + 1, 'x') + "\""),
              ElementsAre(IsError("room", "longer than 1024 bytes")));
}

TEST_F(ReadTest, ListsAndMapsAreLimited) {
  EXPECT_THAT(CreateWith(R"("subjects":["a","b","c"])"), IsEmpty());
  EXPECT_THAT(CreateWith(R"("subjects":["a","b","c","d"])"), ElementsAre(IsError("subjects", "more than 3 items")));
  EXPECT_THAT(CreateWith(R"("notes":{"a":1,"b":2,"c":3,"d":4})"), ElementsAre(IsError("notes", "more than 3 items")));
  std::string marks = "1";
  for (size_t i = 0; i < kDefaultMaxItems; ++i) marks += ",1";
  EXPECT_THAT(CreateWith("\"marks\":[" + marks + "]"), ElementsAre(IsError("marks", "more than 100 items")));
}

TEST_F(ReadTest, AMapsKeyIsLimited) {
  EXPECT_THAT(CreateWith("\"counts\":{\"" + std::string(kMaxMapKeyBytes, 'k') + "\":1}"), IsEmpty());
  EXPECT_EQ(CreateWith("\"counts\":{\"" + std::string(kMaxMapKeyBytes + 1, 'k') + "\":1}").size(), 1u);
}

TEST_F(ReadTest, ARequiredStringMustNotBeEmpty) {
  EXPECT_THAT(Create(R"({"title":""})"), ElementsAre(IsError("title", "must not be empty")));
  EXPECT_THAT(Create(R"({"title":null})"), ElementsAre(IsError("title", "is required")));
  EXPECT_THAT(CreateWith(R"("author":{"id":"1"})"), ElementsAre(IsError("author.name", "is required")));
}

TEST_F(ReadTest, ARefusedRequiredFieldIsReportedOnce) {
  EXPECT_THAT(Create(R"({"title":7})"), ElementsAre(IsError("title", "must be a string")));
}

TEST_F(ReadTest, NullIsAsGoodAsAbsent) {
  EXPECT_THAT(
      CreateWith(
          R"("author":null,"rating":null,"subjects":null,"notes":{"a":null},"room":null,"floor":3,"keeper":null)"),
      IsEmpty());
  EXPECT_FALSE(request_.has_author());
  EXPECT_FALSE(request_.has_rating());
  EXPECT_FALSE(request_.has_keeper());
  EXPECT_TRUE(request_.notes().empty());
  EXPECT_EQ(request_.floor(), 3);
}

TEST_F(ReadTest, NullInAListIsRefused) {
  EXPECT_THAT(CreateWith(R"("subjects":["a",null])"), ElementsAre(IsError("subjects[1]", "null")));
}

TEST_F(ReadTest, TwoMembersOfAOneofAreRefusedByBothNames) {
  EXPECT_THAT(CreateWith(R"("room":"r","floor":1)"), ElementsAre(IsError("floor", "together with room")));
  EXPECT_THAT(CreateWith(R"("keeper":{"staff_id":"a","name":"b"})"),
              ElementsAre(IsError("keeper.name", "together with staff_id")));
}

TEST_F(ReadTest, OptionalsAreNoOneof) {
  EXPECT_THAT(CreateWith(R"("isbn":"","rating":1)"), IsEmpty());
  EXPECT_TRUE(request_.has_isbn());
}

TEST_F(ReadTest, FalseStandsForTheMemberThatTheRuleNames) {
  EXPECT_THAT(CreateWith(R"("keeper":false)"), IsEmpty());
  EXPECT_TRUE(request_.keeper().nobody());
}

TEST_F(ReadTest, ThatMemberIsSaidByFalseAlone) {
  EXPECT_THAT(CreateWith(R"("keeper":{"nobody":true})"), ElementsAre(IsError("keeper.nobody", "unknown field")));
  EXPECT_THAT(CreateWith(R"("keeper":true)"), ElementsAre(IsError("keeper", "an object or false")));
  EXPECT_THAT(CreateWith(R"("author":false)"), ElementsAre(IsError("author", "must be an object")));
}

TEST_F(ReadTest, AnyScalarKeepsStringsAndWritesTheRestCompactly) {
  EXPECT_THAT(CreateWith(R"("notes":{"text":"a \"b\"","number":1.50,"list":[ 1, {"x" : true} ]})"), IsEmpty());
  EXPECT_EQ(request_.notes().at("text"), "a \"b\"");
  EXPECT_EQ(request_.notes().at("number"), "1.50");
  EXPECT_EQ(request_.notes().at("list"), R"([1,{"x":true}])");
}

TEST_F(ReadTest, AnyScalarIsLimitedToo) {
  EXPECT_THAT(CreateWith(R"("notes":{"a":")" + std::string(41, 'x') + "\"}"),
              ElementsAre(IsError("notes.a", "longer than 40 bytes")));
  EXPECT_THAT(CreateWith(R"("notes":{"a":[")" + std::string(41, 'x') + "\"]}"),
              ElementsAre(IsError("notes.a", "longer than 40 bytes")));
}

TEST_F(ReadTest, AMapWithoutTheRuleKeepsItsType) {
  EXPECT_THAT(CreateWith(R"("counts":{"a":"1"})"), ElementsAre(IsError("counts.a", "must be an integer")));
}

TEST_F(ReadTest, ANameThatStandsTwiceIsRefusedWhereverItStands) {
  EXPECT_THAT(CreateWith(R"("pages":1,"pages":2)"), ElementsAre(IsError("pages", "more than once")));
  EXPECT_THAT(CreateWith(R"("author":{"name":"a","name":"b"})"), ElementsAre(IsError("author.name", "more than once")));
  EXPECT_THAT(CreateWith(R"("notes":{"a":1,"a":2})"), ElementsAre(IsError("notes.a", "more than once")));
  EXPECT_THAT(CreateWith(R"("notes":{"a":{"b":1,"b":2}})"), ElementsAre(IsError("notes.a.b", "more than once")));
}

TEST_F(ReadTest, WhatIsNotOfTheBodyIsRefusedThere) {
  EXPECT_THAT(CreateWith(R"("shelf":"s2")"), ElementsAre(IsError("shelf", "not taken from the body")));
  EXPECT_THAT(CreateWith(R"("request_id":"x")"), ElementsAre(IsError("request_id", "not taken from the body")));
}

TEST_F(ReadTest, BrokenUtf8IsNamed) {
  EXPECT_THAT(CreateWith("\"author\":{\"name\":\"\xc3\x28\"}"), ElementsAre(IsError("author.name", "UTF-8")));
}

TEST_F(ReadTest, NestingIsLimited) {
  std::string body = R"("contents":)";
  for (int i = 0; i < 40; ++i) body += R"({"chapters":[)";
  EXPECT_THAT(CreateWith(body),
              ElementsAre(::testing::Field("reason", &FieldError::reason, ::testing::HasSubstr("too deep"))));
}

TEST_F(ReadTest, AllErrorsAreToldTogether) {
  EXPECT_THAT(Create(R"({"pages":"x","nmae":1,"author":{}})"),
              ElementsAre(IsError("pages", "integer"), IsError("nmae", "unknown"), IsError("author.name", "required"),
                          IsError("title", "required")));
}

TEST_F(ReadTest, NoMoreThanTenErrorsAreTold) {
  std::string body = "{";
  for (int i = 0; i < 50; ++i) body += "\"x" + std::to_string(i) + "\":1,";
  body.back() = '}';
  EXPECT_EQ(Create(body).size(), kMaxFieldErrors);
}

TEST_F(ReadTest, AnErrorNeverRepeatsTheValue) {
  for (const char* more :
       {R"("binding":"Xiaoming")", R"("bought_time":"Xiaoming")", R"("pages":"Xiaoming")", R"("cover":"Xiaoming")"}) {
    for (const FieldError& error : CreateWith(more))
      EXPECT_THAT(error.reason, ::testing::Not(::testing::HasSubstr("Xiaoming")));
  }
}

TEST_F(ReadTest, APathsSegmentIsDecoded) {
  GetBookRequest request;
  EXPECT_THAT(Read("GET", "/api/v1/books/%E7%BA%A2%3Aa+b", "", request), IsEmpty());
  EXPECT_EQ(request.book(), "红:a+b");
}

TEST_F(ReadTest, APathsSegmentHoldsNoSlashAndOnlyText) {
  for (const char* segment : {"a%2Fb", "%FF", "%00", "%", "%4", "%zz"}) {
    GetBookRequest request;
    EXPECT_EQ(Read("GET", "/api/v1/books/" + std::string(segment), "", request).size(), 1u) << segment;
  }
}

TEST_F(ReadTest, ANumberInThePathIsChecked) {
  GetPageRequest request;
  EXPECT_THAT(Read("GET", "/api/v1/pages/b/17", "", request), IsEmpty());
  EXPECT_EQ(request.page(), 17u);
  EXPECT_THAT(Read("GET", "/api/v1/pages/b/x", "", request), ElementsAre(IsError("page", "integer")));
  EXPECT_THAT(Read("GET", "/api/v1/pages/b/-1", "", request), ElementsAre(IsError("page", "between 0")));
  EXPECT_THAT(Read("GET", "/api/v1/pages/b/99999999999999999999", "", request),
              ElementsAre(IsError("page", "integer")));
}

TEST_F(ReadTest, TheQueryFillsFieldsByTheSameChecks) {
  ListBooksRequest request;
  EXPECT_THAT(Read("GET",
                   "/api/v1/shelves/s1/"
                   "books?binding=paperback&page_size=20&page_token=a%2Bb+c&bought_after_time=2026-03-02T08:30:00%2B08:"
                   "00&subject=x&"
                   "subject=y&lendable=true&price=1.5&barcode=18446744073709551615",
                   "", request),
              IsEmpty());
  EXPECT_EQ(request.shelf(), "s1");
  EXPECT_EQ(request.binding(), test::library::v1::BINDING_PAPERBACK);
  EXPECT_EQ(request.page_size(), 20);
  EXPECT_EQ(request.page_token(), "a+b c");
  EXPECT_EQ(request.bought_after_time().seconds(), 1772411400);
  EXPECT_THAT(request.subject(), ElementsAre("x", "y"));
  EXPECT_TRUE(request.lendable());
  EXPECT_EQ(request.price(), 1.5);
  EXPECT_EQ(request.barcode(), 18446744073709551615u);
}

TEST_F(ReadTest, AnOffsetWhosePlusWasNotEncodedIsUnderstood) {
  ListBooksRequest request;
  EXPECT_THAT(Read("GET", "/api/v1/shelves/s1/books?bought_after_time=2026-03-02T08:30:00+08:00", "", request),
              IsEmpty());
  EXPECT_EQ(request.bought_after_time().seconds(), 1772411400);
}

TEST_F(ReadTest, AWrongQueryIsRefusedByName) {
  const auto errors = [&](const std::string& query) {
    ListBooksRequest request;
    return Read("GET", "/api/v1/shelves/s1/books?" + query, "", request);
  };
  EXPECT_THAT(errors("sort=title"), ElementsAre(IsError("sort", "unknown query parameter")));
  EXPECT_THAT(errors("author=x"), ElementsAre(IsError("author", "unknown query parameter")));
  EXPECT_THAT(errors("page_size=many"), ElementsAre(IsError("page_size", "integer")));
  EXPECT_THAT(errors("page_size="), ElementsAre(IsError("page_size", "integer")));
  EXPECT_THAT(errors("page_size=1&page_size=2"), ElementsAre(IsError("page_size", "more than once")));
  EXPECT_THAT(errors("subject=a&subject=b&subject=c"), ElementsAre(IsError("subject", "more than 2 items")));
  EXPECT_THAT(errors("binding=x"), ElementsAre(IsError("binding", "must be one of")));
  EXPECT_THAT(errors("lendable=1"), ElementsAre(IsError("lendable", "true or false")));
  EXPECT_THAT(errors("price=inf"), ElementsAre(IsError("price", "number")));
  EXPECT_THAT(errors("page_token=%FF"), ElementsAre(IsError("page_token", "UTF-8")));
  EXPECT_THAT(errors("shelf=s2"), ElementsAre(IsError("shelf", "more than once")));
  EXPECT_THAT(errors("&&"), IsEmpty());
}

TEST_F(ReadTest, AGetTakesNoBodyAndAPostNoQuery) {
  GetBookRequest get;
  EXPECT_THAT(Read("GET", "/api/v1/books/b1", "{}", get), ElementsAre(IsError("", "a body is not taken here")));
  LendBookRequest post;
  EXPECT_THAT(Read("POST", "/api/v1/books/b1:lend?x=1", R"({"reader_id":"r"})", post),
              ElementsAre(IsError("", "a query is not taken here")));
}

// Random bytes and mutated bodies neither crash nor leave more than ten errors.
TEST_F(ReadTest, SurvivesAnyBytes) {
  const std::string seed = BookBody(
      R"("author":{"name":"n"},"notes":{"a":[1]},"keeper":false,"loans":[{"reader_ids":["r"]}],"cover":"AQID","pages":3)");
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string body = seed;
    for (int i = 0; i < 3; ++i) {
      const size_t at = random() % body.size();
      if (random() % 2 == 0) {
        body[at] = static_cast<char>(random());
      } else {
        body.insert(at, body.substr(random() % body.size(), random() % 20));
      }
    }
    ASSERT_LE(Create(body).size(), kMaxFieldErrors);
  }
}

class PrintTest : public LibraryTest {
 protected:
  std::string Print(const google::protobuf::Message& message) {
    std::string out;
    transcoder_.Print(message, out);
    return out;
  }
};

TEST_F(PrintTest, DefaultsArePrintedAndWhatIsUnsetIsNot) {
  EXPECT_EQ(
      Print(Book()),
      R"({"id":"","title":"","binding":"unspecified","barcode":0,"subjects":[],"notes":{},"cover":"","price":0,"loans":[]})");
}

TEST_F(PrintTest, PrintsEveryKindInDeclarationOrder) {
  Book book;
  book.set_id("b1");
  book.set_title("红\"楼\n梦");
  book.set_binding(test::library::v1::BINDING_HARD_COVER);
  book.set_barcode(18446744073709551615u);
  book.mutable_keeper()->set_staff_id("p1");
  book.mutable_bought_time()->set_seconds(1772440200);
  book.mutable_bought_time()->set_nanos(250000000);
  book.add_subjects("s");
  (*book.mutable_notes())["b"] = "2";
  (*book.mutable_notes())["a"] = "1";
  book.set_isbn("");
  book.mutable_author()->set_name("n");
  book.set_cover("\x01\x02\x03\x04");
  book.mutable_loan_length()->set_seconds(90);
  book.set_price(0.1);
  book.add_loans()->add_reader_ids("r");
  EXPECT_EQ(
      Print(book),
      R"({"id":"b1","title":"红\"楼\n梦","binding":"hard_cover","barcode":18446744073709551615,"keeper":{"staff_id":"p1"},)"
      R"("bought_time":"2026-03-02T08:30:00.250Z","subjects":["s"],"notes":{"a":"1","b":"2"},"isbn":"",)"
      R"("author":{"id":"","name":"n"},"cover":"AQIDBA==","loan_length":"90s","price":0.1,"loans":[{"reader_ids":["r"]}]})");
}

TEST_F(PrintTest, TheMemberThatTheRuleNamesIsPrintedAsFalse) {
  Book book;
  book.mutable_keeper()->set_nobody(true);
  EXPECT_THAT(Print(book), ::testing::HasSubstr(R"("keeper":false)"));
}

TEST_F(PrintTest, AnUnknownEnumNumberIsPrintedAsANumber) {
  Book book;
  book.set_binding(static_cast<test::library::v1::Binding>(77));
  EXPECT_THAT(Print(book), ::testing::HasSubstr(R"("binding":77)"));
}

TEST_F(PrintTest, ANumberThatJsonLacksIsAString) {
  Book book;
  book.set_price(std::numeric_limits<double>::infinity());
  EXPECT_TRUE(nlohmann::json::accept(Print(book)));
}

// What is printed is read back as the same message.
TEST_F(PrintTest, IsReadBack) {
  CreateBookRequest request;
  request.set_title("t");
  request.set_binding(test::library::v1::BINDING_PAPERBACK);
  request.set_copies(-5);
  request.set_weight(0.1f);
  request.set_price(1.0 / 3);
  request.set_cover("\xff\x00\x01", 3);
  request.mutable_keeper()->set_nobody(true);
  request.mutable_bought_time()->set_seconds(1);
  request.mutable_loan_length()->set_nanos(1);
  (*request.mutable_authors())["x"].set_name("n");
  request.add_bindings(test::library::v1::BINDING_UNSPECIFIED);
  request.add_marks(-1);
  request.set_floor(2);
  request.set_rating(0);
  // These come from elsewhere, never from a body.
  nlohmann::json body = nlohmann::json::parse(Print(request));
  body.erase("shelf");
  body.erase("request_id");
  CreateBookRequest back;
  EXPECT_THAT(transcoder_.ReadBody(body.dump(), back), ElementsAre(IsError("shelf", "required")));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(request, back)) << back.DebugString();
}

TEST(PercentDecodeTest, PlusIsASpaceOnlyInForms) {
  std::string out;
  EXPECT_TRUE(PercentDecode("a+b%2b", true, out));
  EXPECT_EQ(out, "a b+");
  EXPECT_TRUE(PercentDecode("a+b", false, out));
  EXPECT_EQ(out, "a+b");
}

}  // namespace
}  // namespace vigil
