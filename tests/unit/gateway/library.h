#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "gateway/transcoder/route_table.h"
#include "gateway/transcoder/transcoder.h"
#include "unit/gateway/library.pb.h"

namespace vigil {

inline const google::protobuf::ServiceDescriptor* LibraryServiceNamed(std::string_view name) {
  return test::library::v1::Book::descriptor()->file()->FindServiceByName(std::string(name));
}

// The table and the transcoder of the test's service.
class LibraryTest : public ::testing::Test {
 protected:
  LibraryTest() : table_(RouteTable::Create({LibraryServiceNamed("LibraryService")}).value()) {
    const absl::Status status = transcoder_.Create(table_);
    EXPECT_TRUE(status.ok()) << status;
  }

  // Reads into `request` what a call would hold; the path must be one of the table.
  template <typename Request>
  std::vector<FieldError> Read(std::string_view verb, std::string path, std::string_view body, Request& request) {
    std::string query;
    if (const size_t mark = path.find('?'); mark != std::string::npos) {
      query = path.substr(mark + 1);
      path.resize(mark);
    }
    const RouteTable::Match match = table_.Find(verb, path);
    if (match.route == nullptr) {
      ADD_FAILURE() << "no route for " << verb << " " << path;
      return {};
    }
    return transcoder_.Read(match, query, body, request);
  }

  RouteTable table_;
  Transcoder transcoder_;
};

// A FieldError with this field and a reason that contains this text.
inline auto IsError(const std::string& field, const std::string& reason) {
  return ::testing::AllOf(::testing::Field("field", &FieldError::field, field),
                          ::testing::Field("reason", &FieldError::reason, ::testing::HasSubstr(reason)));
}

}  // namespace vigil
