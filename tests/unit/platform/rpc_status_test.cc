#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <string>

#include "platform/rpc/problem.h"
#include "platform/rpc/status.h"

namespace vigil::rpc {
namespace {

TEST(RpcStatusTest, EveryCodeComesBackAsItWas) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "text");
    const grpc::Status over = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(over.error_code()), code);
    EXPECT_EQ(FromGrpcStatus(over).code(), status.code());
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(RpcStatusTest, SaysToHttpCallersWhatToDo) {
  EXPECT_EQ(HttpStatus(absl::StatusCode::kOk), 200);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kInvalidArgument), 400);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kUnauthenticated), 401);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kPermissionDenied), 403);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kNotFound), 404);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kAlreadyExists), 409);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kFailedPrecondition), 409);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kAborted), 409);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kResourceExhausted), 429);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kInternal), 500);
  EXPECT_EQ(HttpStatus(absl::StatusCode::kUnavailable), 503);
  EXPECT_EQ(HttpStatus(static_cast<absl::StatusCode>(77)), 500);
}

TEST(RpcStatusTest, DoesNotTellCallersHowItIsBuilt) {
  EXPECT_EQ(ToGrpcStatus(absl::InternalError("SELECT secret")).error_message(), "internal error");
  EXPECT_EQ(ToGrpcStatus(absl::DataLossError("/var/x")).error_message(), "internal error");
  EXPECT_EQ(ToGrpcStatus(absl::NotFoundError("no such case")).error_message(), "no such case");
}

TEST(RpcStatusTest, AProblemComesBackWhole) {
  absl::Status status = absl::FailedPreconditionError("not now");
  AttachProblem(status, {.errors = {{"a", "b"}, {"c", "d"}},
                         .state = "closed",
                         .allowed = {"open", "read"},
                         .retry_after = absl::Milliseconds(1'500)});
  const std::optional<Problem> problem = ReadProblem(FromGrpcStatus(ToGrpcStatus(status)));
  ASSERT_TRUE(problem.has_value());
  ASSERT_EQ(problem->errors.size(), 2U);
  EXPECT_EQ(problem->errors[1].field, "c");
  EXPECT_EQ(problem->errors[1].reason, "d");
  EXPECT_EQ(problem->state, "closed");
  EXPECT_EQ(problem->allowed, (std::vector<std::string>{"open", "read"}));
  EXPECT_EQ(problem->retry_after, absl::Milliseconds(1'500));
}

TEST(RpcStatusTest, WithoutAProblemThereIsNone) {
  EXPECT_FALSE(ReadProblem(absl::NotFoundError("x")).has_value());
  EXPECT_FALSE(ReadProblem(FromGrpcStatus({grpc::StatusCode::NOT_FOUND, "x", "broken \xff details"})).has_value());
  absl::Status ok;
  AttachProblem(ok, {.state = "x"});
  EXPECT_TRUE(ok.ok());
}

TEST(RpcStatusTest, WhatIsTooLongIsCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "危";
  const std::string message = ToGrpcStatus(absl::NotFoundError(text)).error_message();
  EXPECT_LE(message.size(), 512U);
  EXPECT_GT(message.size(), 500U);
  EXPECT_EQ(message.size() % 3, 0U);
  const std::optional<Problem> problem = ReadProblem(InvalidFields(std::vector<FieldError>(1'000, FieldError{text, text})));
  EXPECT_EQ(problem->errors.size(), static_cast<std::size_t>(kMaxFieldErrors));
  EXPECT_LE(problem->errors[0].field.size(), kMaxProblemTextBytes);
}

}  // namespace
}  // namespace vigil::rpc
