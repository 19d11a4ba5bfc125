#include "gateway/transcoder/openapi.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "unit/gateway/library.h"

namespace vigil {
namespace {

using nlohmann::json;

class OpenApiTest : public LibraryTest {
 protected:
  OpenApiTest() {
    std::ifstream file(LIBRARY_DESCRIPTORS, std::ios::binary);
    const std::string set((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_FALSE(set.empty());
    const auto text = OpenApiJson(table_, transcoder_.plans(), set, "1.2.3");
    EXPECT_TRUE(text.ok()) << text.status();
    document_ = json::parse(text.value());
  }

  json document_;
};

TEST_F(OpenApiTest, NamesItsVersionAndTheBearerToken) {
  EXPECT_EQ(document_["openapi"], "3.1.0");
  EXPECT_EQ(document_["info"]["version"], "1.2.3");
  EXPECT_EQ(document_["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
  EXPECT_EQ(document_["security"], json::parse(R"([{"bearer":[]}])"));
}

TEST_F(OpenApiTest, HasEveryRoute) {
  size_t operations = 0;
  for (const auto& [path, item] : document_["paths"].items()) operations += item.size();
  EXPECT_EQ(operations, table_.routes().size());
  EXPECT_TRUE(document_["paths"]["/api/v1/books/{book}:lend"].contains("post"));
}

TEST_F(OpenApiTest, ProtoCommentsAreDescriptions) {
  const json& create = document_["paths"]["/api/v1/shelves/{shelf}/books"]["post"];
  EXPECT_EQ(create["description"], "Adds a book to a shelf.");
  EXPECT_EQ(create["summary"], "Add a book");
  EXPECT_EQ(create["parameters"][0]["description"], "The shelf.");
}

TEST_F(OpenApiTest, APathsFieldIsAParameterAndNotInTheBody) {
  const json& create = document_["paths"]["/api/v1/shelves/{shelf}/books"]["post"];
  EXPECT_EQ(create["parameters"][0]["name"], "shelf");
  EXPECT_EQ(create["parameters"][0]["in"], "path");
  EXPECT_EQ(create["parameters"][0]["required"], true);
  const json& body = create["requestBody"]["content"]["application/json"]["schema"];
  EXPECT_FALSE(body["properties"].contains("shelf"));
  EXPECT_FALSE(body["properties"].contains("request_id"));
  EXPECT_EQ(body["required"], json::array({"title"}));
  EXPECT_EQ(body["additionalProperties"], false);
}

TEST_F(OpenApiTest, APostTakesAnIdempotencyKey) {
  std::vector<std::string> names;
  for (const json& parameter : document_["paths"]["/api/v1/books/{book}:lend"]["post"]["parameters"])
    names.push_back(parameter["name"]);
  EXPECT_THAT(names, ::testing::Contains("Idempotency-Key"));
}

TEST_F(OpenApiTest, AListsQueryParametersAreItsScalarFields) {
  std::vector<std::string> names;
  for (const json& parameter : document_["paths"]["/api/v1/shelves/{shelf}/books"]["get"]["parameters"])
    names.push_back(parameter["name"]);
  EXPECT_THAT(names, ::testing::ElementsAre("shelf", "binding", "page_size", "page_token", "bought_after_time",
                                            "subject", "lendable", "price", "barcode"));
}

TEST_F(OpenApiTest, RulesAreInTheSchema) {
  const json& properties = document_["paths"]["/api/v1/shelves/{shelf}/books"]["post"]["requestBody"]["content"]
                                    ["application/json"]["schema"]["properties"];
  EXPECT_EQ(properties["title"]["maxLength"], 64);
  EXPECT_EQ(properties["subjects"]["maxItems"], 3);
  EXPECT_EQ(properties["binding"]["enum"], json::array({"unspecified", "hard_cover", "paperback"}));
  EXPECT_EQ(properties["bought_time"]["format"], "date-time");
  EXPECT_EQ(properties["keeper"]["oneOf"][1]["const"], false);
  EXPECT_EQ(properties["notes"]["additionalProperties"], true);
}

TEST_F(OpenApiTest, EveryReferenceHasItsSchema) {
  const std::string text = document_.dump();
  const std::string mark = "\"$ref\":\"#/components/schemas/";
  size_t found = 0;
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    const size_t start = at + mark.size();
    const std::string name = text.substr(start, text.find('"', start) - start);
    EXPECT_TRUE(document_["components"]["schemas"].contains(name)) << name;
    EXPECT_FALSE(document_["components"]["schemas"][name].empty()) << name;
    ++found;
  }
  EXPECT_GT(found, 5u);
}

TEST_F(OpenApiTest, ASuccessHasItsStatusAndEveryErrorIsAProblem) {
  const json& responses = document_["paths"]["/api/v1/shelves/{shelf}/books"]["post"]["responses"];
  EXPECT_EQ(responses["201"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Book");
  EXPECT_EQ(responses["default"]["$ref"], "#/components/responses/Problem");
}

TEST_F(OpenApiTest, AnAnswerThatIsOneTextIsPlain) {
  const json& answer = document_["paths"]["/api/v1/pages/{book}/{page}"]["get"]["responses"]["200"];
  EXPECT_EQ(answer["content"], json::parse(R"({"text/plain":{"schema":{"type":"string"}}})"));
}

TEST_F(OpenApiTest, ABodyThatIsTakenAsItIsMayBeOfAnyType) {
  EXPECT_TRUE(document_["paths"]["/api/v1/books/{book}/scans"]["post"]["requestBody"]["content"].contains("*/*"));
}

TEST_F(OpenApiTest, OtherPathsStandBesideTheMethods) {
  const auto text = OpenApiJson(table_, transcoder_.plans(), "", "1", R"({"/healthz":{"get":{}}})");
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(json::parse(*text)["paths"].contains("/healthz"));
  EXPECT_FALSE(OpenApiJson(table_, transcoder_.plans(), "", "1", "[").ok());
}

TEST_F(OpenApiTest, WithoutADescriptorSetThereAreSummariesOnly) {
  const auto text = OpenApiJson(table_, transcoder_.plans(), "", "1");
  ASSERT_TRUE(text.ok());
  const json document = json::parse(*text);
  EXPECT_FALSE(document["paths"]["/api/v1/shelves/{shelf}/books"]["post"].contains("description"));
  EXPECT_EQ(document["paths"]["/api/v1/shelves/{shelf}/books"]["post"]["summary"], "Add a book");
}

TEST_F(OpenApiTest, BytesThatAreNoDescriptorSetAreRefused) {
  EXPECT_EQ(OpenApiJson(table_, transcoder_.plans(), "\xff\xff\xff", "1").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace vigil
