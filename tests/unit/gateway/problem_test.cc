#include "gateway/transcoder/problem.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "platform/rpc/problem.h"

namespace vigil {
namespace {

using nlohmann::json;

TEST(ProblemTest, EachStatusHasItsHttpStatus) {
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kInvalidArgument), 400);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kUnauthenticated), 401);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kPermissionDenied), 403);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kNotFound), 404);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kFailedPrecondition), 409);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kAborted), 409);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kAlreadyExists), 409);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kResourceExhausted), 429);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kUnavailable), 503);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kDeadlineExceeded), 503);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kInternal), 500);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kUnknown), 500);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kDataLoss), 500);
}

TEST(ProblemTest, ListsTheFieldsThatAreWrong) {
  Problem problem;
  problem.status = 400;
  problem.errors = {{"student.nmae", "unknown field"}, {"channel", "must be one of: web, \"sms\""}};
  EXPECT_EQ(json::parse(ProblemJson(problem)), json::parse(R"({"type":"about:blank","title":"Bad Request","status":400,
      "errors":[{"field":"student.nmae","reason":"unknown field"},{"field":"channel","reason":"must be one of: web, \"sms\""}]})"));
}

TEST(ProblemTest, AConflictSaysWhereThingsStand) {
  Problem problem;
  problem.status = 409;
  problem.detail = "the case is closed";
  problem.state = "closed";
  problem.allowed = {"file_record"};
  const json body = json::parse(ProblemJson(problem));
  EXPECT_EQ(body["state"], "closed");
  EXPECT_EQ(body["allowed"], json::array({"file_record"}));
  EXPECT_EQ(body["detail"], "the case is closed");
}

TEST(ProblemTest, AConflictWithoutPayloadStillHasBothFields) {
  const json body = json::parse(ProblemJson(ProblemFromStatus(absl::AbortedError("read again"))));
  EXPECT_TRUE(body.contains("state"));
  EXPECT_EQ(body["allowed"], json::array());
}

TEST(ProblemTest, WhatAServiceAttachedIsTold) {
  const json refused = json::parse(ProblemJson(ProblemFromStatus(rpc::InvalidField("student.id", "unknown student"))));
  EXPECT_EQ(refused["errors"][0], json::parse(R"({"field":"student.id","reason":"unknown student"})"));
  const json conflict =
      json::parse(ProblemJson(ProblemFromStatus(rpc::NotInState("it is closed", "closed", {"file_record"}))));
  EXPECT_EQ(conflict["status"], 409);
  EXPECT_EQ(conflict["state"], "closed");
  EXPECT_EQ(conflict["allowed"], json::array({"file_record"}));
  EXPECT_EQ(ProblemFromStatus(rpc::TooMany("slower", absl::Seconds(7))).retry_after, absl::Seconds(7));
}

TEST(ProblemTest, AnInternalErrorSaysNothingOfTheInside) {
  EXPECT_EQ(ProblemJson(ProblemFromStatus(absl::InternalError("SELECT name FROM children"))),
            R"({"type":"about:blank","title":"Internal Server Error","status":500})");
}

TEST(ProblemTest, ATextThatIsNoUtf8IsStillAnswered) {
  EXPECT_TRUE(json::accept(ProblemJson(ProblemFromStatus(absl::NotFoundError("\xff\xfe")))));
}

TEST(ProblemTest, WhatMayBeTriedAgainSaysWhen) {
  const HttpResponse busy = ToResponse(ProblemFromStatus(absl::UnavailableError("starting")));
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.headers.Find("Retry-After"), "1");
  Problem problem;
  problem.status = 429;
  problem.retry_after = absl::Milliseconds(2001);
  EXPECT_EQ(ToResponse(problem).headers.Find("Retry-After"), "3");
  EXPECT_EQ(ToResponse(ProblemFromStatus(absl::NotFoundError("no"))).headers.Find("Retry-After"), std::nullopt);
}

TEST(ProblemTest, IsSentAsAProblem) {
  const HttpResponse response = ToResponse(ProblemFromStatus(absl::UnauthenticatedError("no token")));
  EXPECT_EQ(response.headers.Find("Content-Type"), "application/problem+json");
  EXPECT_EQ(response.headers.Find("WWW-Authenticate"), "Bearer");
}

}  // namespace
}  // namespace vigil
