#include "gateway/edge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gateway/callbacks.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/rpc/problem.h"
#include "unit/gateway/fake_upstream.h"
#include "vigil/audit/v1/audit.pb.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/notification/v1/notification.pb.h"

namespace vigil::gateway {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kReports[] = "/api/v1/schools/s1/reports";
constexpr char kReport[] = R"({"student":{"id":"st1"},"signals":["W1a"],"narrative":"n"})";

// Answers with what it is told, and keeps what it was given.
class FakePrinter final : public document::Printer {
 public:
  void Print(const document::Document& document, Done done) override {
    printed.push_back(document);
    done(answer);
  }
  absl::StatusOr<std::string> answer = "%PDF-pages";
  std::vector<document::Document> printed;
};

class EdgeTest : public ::testing::Test {
 protected:
  EdgeTest()
      : clock_(absl::FromUnixSeconds(1'780'000'000)),
        key_(SigningKey::FromSeed(std::string(kSigningSeedBytes, 'k')).value()),
        sessions_(key_.verify_key(), clock_),
        permissions_({{"leader",
                       {"report", "case.read", "case.list", "case.close", "record.file", "record.read", "audit.read", "events.read",
                        "directory.write"}},
                      {"integration", {"report"}}}),
        registry_("gateway", "test"),
        table_(RouteTable::Create({intake::v1::Case::descriptor()->file()->FindServiceByName("IntakeService"),
                                   audit::v1::Timeline::descriptor()->file()->FindServiceByName("AuditService")})
                   .value()),
        metrics_(registry_, table_) {
    EXPECT_TRUE(transcoder_.Create(table_, {audit::v1::TimelineRow::descriptor()}).ok());
    events_ = std::make_unique<EventStreams>(audit_, transcoder_, metrics_.event_streams(), absl::InfiniteDuration());
    EdgeParts parts;
    parts.table = &table_;
    parts.transcoder = &transcoder_;
    parts.sessions = &sessions_;
    parts.permissions = &permissions_;
    parts.clock = &clock_;
    parts.metrics = &metrics_;
    parts.events = events_.get();
    parts.upstreams = {{"vigil.intake.v1", &intake_}, {"vigil.audit.v1", &audit_}};
    parts.notification = &notification_;
    parts.intake = &intake_;
    parts.printer = &printer_;
    parts.public_url = "https://school.example";
    parts.sandbox_secret = Secret<std::string>("s3cret");
    parts.pages = {{"/", {{{"Content-Type", "text/html"}}, "<p>"}}};
    parts.metrics_text = [this] { return registry_.Text(); };
    edge_ = Edge::Create(std::move(parts)).value();
  }

  std::string Token(std::string role = "leader", std::string school = "s1", absl::Duration life = absl::Hours(1)) {
    TokenClaims claims;
    claims.id = "t-" + role + school;
    claims.school = std::move(school);
    claims.person = "p1";
    claims.role = std::move(role);
    claims.expires_time = clock_.NowReal() + life;
    return MintToken(key_, claims);
  }

  // A request as the server would hand it over, signed in as the school's leader and with a JSON body if there is one.
  HttpRequest Request(std::string method, std::string target, std::string body = "") {
    HttpRequest request;
    request.method = std::move(method);
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    request.peer_address = "10.0.0.1";
    request.headers.Add("Authorization", "Bearer " + Token());
    if (!body.empty()) request.headers.Add("Content-Type", "application/json");
    request.body = std::move(body);
    return request;
  }

  HttpResponse Handle(HttpRequest request) {
    auto responder = std::make_shared<FakeResponder>();
    edge_->Handle(std::move(request), responder);
    EXPECT_EQ(responder->answers, 1);
    return responder->response;
  }
  HttpResponse Get(const std::string& target) { return Handle(Request("GET", target)); }
  HttpResponse Post(const std::string& target, const std::string& body) {
    return Handle(Request("POST", target, body));
  }

  // The metadata of the last call.
  std::string Metadata(const std::string& key) {
    if (intake_.asked.empty()) return "(not called)";
    const auto found = intake_.asked.back().metadata.find(key);
    return found == intake_.asked.back().metadata.end() ? "(none)" : found->second;
  }

  ManualClock clock_;
  SigningKey key_;
  Sessions sessions_;
  Permissions permissions_;
  metrics::Registry registry_;
  RouteTable table_;
  EdgeMetrics metrics_;
  Transcoder transcoder_;
  FakeUpstream intake_;
  FakeUpstream audit_;
  FakeUpstream notification_;
  FakePrinter printer_;
  std::unique_ptr<EventStreams> events_;
  std::unique_ptr<Edge> edge_;
};

TEST_F(EdgeTest, AReportReachesIntakeAndItsReceiptTheReporter) {
  intake::v1::CreateReportResponse receipt;
  receipt.set_report_id("r1");
  receipt.set_case_id("c1");
  intake_.answer = receipt.SerializeAsString();
  const HttpResponse response = Post(kReports, kReport);
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.headers.Find("Content-Type"), "application/json");
  EXPECT_EQ(json::parse(response.body)["case_id"], "c1");
  ASSERT_EQ(intake_.asked.size(), 1u);
  EXPECT_EQ(intake_.asked[0].method, "/vigil.intake.v1.IntakeService/CreateReport");
  intake::v1::CreateReportRequest request;
  ASSERT_TRUE(request.ParseFromString(intake_.asked[0].request));
  EXPECT_EQ(request.school(), "s1");
  EXPECT_EQ(request.student().id(), "st1");
}

std::string ADocument() {
  document::v1::Document document;
  document.set_title("移交书");
  document.set_file_name("document-A1/../\"x");
  document.set_copy_path("/d/token");
  document.set_copy_words("扫码");
  document.add_head()->set_value("v");
  return document.SerializeAsString();
}

TEST_F(EdgeTest, ADocumentIsAnsweredAsItsPages) {
  intake_.answer = ADocument();
  const HttpResponse response = Get("/api/v1/cases/c1/records/d1/document");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "%PDF-pages");
  EXPECT_EQ(response.headers.Find("Content-Type"), "application/pdf");
  EXPECT_EQ(response.headers.Find("Content-Disposition"), "attachment; filename=\"document-A1-----x.pdf\"");
  EXPECT_EQ(response.headers.Find("Cache-Control"), "no-store");
  EXPECT_EQ(response.headers.Find("X-Content-Type-Options"), "nosniff");
  ASSERT_EQ(printer_.printed.size(), 1u);
  EXPECT_EQ(printer_.printed[0].copy_url, "https://school.example/d/token");
  EXPECT_EQ(printer_.printed[0].head[0].value, "v");
}

TEST_F(EdgeTest, WhatIntakeRefusesIsNotPrinted) {
  intake_.answer = absl::PermissionDeniedError("not yours");
  EXPECT_EQ(Get("/api/v1/cases/c1/records/d1/document").status, 403);
  EXPECT_TRUE(printer_.printed.empty());
}

TEST_F(EdgeTest, ABusyPrinterIsAskedAgainLater) {
  intake_.answer = ADocument();
  printer_.answer = absl::ResourceExhaustedError("too many");
  const HttpResponse busy = Get("/api/v1/cases/c1/records/d1/document");
  EXPECT_EQ(busy.status, 503);
  EXPECT_TRUE(busy.headers.Find("Retry-After").has_value());
  printer_.answer = absl::OutOfRangeError("too long");
  EXPECT_EQ(Get("/api/v1/cases/c1/records/d1/document").status, 413);
}

HttpRequest Scan(const std::string& path, const std::string& address = "10.9.9.9") {
  HttpRequest request;
  request.method = "GET";
  request.target = path;
  request.path = path;
  request.peer_address = address;
  return request;
}

TEST_F(EdgeTest, AGuardiansCopyNeedsNothingButItsAddress) {
  intake_.answer = ADocument();
  const HttpResponse response = Handle(Scan("/d/abc-_9"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "%PDF-pages");
  EXPECT_EQ(response.headers.Find("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(response.headers.Find("Cache-Control"), "no-store");
  EXPECT_THAT(std::string(*response.headers.Find("Content-Disposition")), HasSubstr("inline"));
  intake::v1::OpenCopyRequest asked;
  ASSERT_TRUE(asked.ParseFromString(intake_.asked.back().request));
  EXPECT_EQ(asked.token(), "abc-_9");
  EXPECT_EQ(Metadata("vigil-person"), "(none)") << "nobody's rights go with it";
}

TEST_F(EdgeTest, WhatIsNoAddressOfACopyIsNotAskedFor) {
  for (const char* path : {"/d/", "/d/a/b", "/d/a%20b", "/d/a.b"}) EXPECT_EQ(Handle(Scan(path)).status, 404) << path;
  EXPECT_EQ(Handle(Scan("/d/" + std::string(257, 'a'))).status, 404);
  EXPECT_TRUE(intake_.asked.empty());
  HttpRequest post = Scan("/d/abc");
  post.method = "POST";
  EXPECT_EQ(Handle(post).status, 405);
}

TEST_F(EdgeTest, RefusalsOfACopyReadAlikeAndGuessingIsSlow) {
  for (const absl::Status& status : {absl::NotFoundError("a"), absl::PermissionDeniedError("b"), absl::InternalError("c")}) {
    intake_.answer = status;
    EXPECT_EQ(Handle(Scan("/d/abc", "10.1.1.1")).status, 404);
  }
  intake_.answer = absl::UnavailableError("log");
  EXPECT_EQ(Handle(Scan("/d/abc", "10.1.1.1")).status, 503);
  int refused = 0;
  for (int i = 0; i < 100; ++i) refused += Handle(Scan("/d/abc", "10.2.2.2")).status == 429 ? 1 : 0;
  EXPECT_GE(refused, 75);
  EXPECT_EQ(Handle(Scan("/d/abc", "10.3.3.3")).status, 503) << "others are not held up";
}

TEST_F(EdgeTest, AnAttachmentIsAnsweredAsItsBytesToBeKeptAsAFile) {
  intake::v1::AttachmentContent content;
  content.set_content(std::string("\x89PNG\0<script>", 13));
  content.set_media_type("image/png");
  intake_.answer = content.SerializeAsString();
  const HttpResponse response = Get("/api/v1/schools/s1/attachments/a1");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, content.content());
  EXPECT_EQ(response.headers.Find("Content-Type"), "image/png");
  EXPECT_EQ(response.headers.Find("Content-Disposition"), "attachment");
  EXPECT_EQ(response.headers.Find("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(response.headers.Find("Cache-Control"), "no-store");
  EXPECT_EQ(Get("/api/v1/schools/s2/attachments/a1").status, 403);
}

TEST_F(EdgeTest, TheCallerGoesOnAsMetadata) {
  HttpRequest request = Request("POST", kReports, kReport);
  request.headers.Add("Idempotency-Key", "k1");
  request.headers.Add("If-Match", "\"7\"");
  request.headers.Add("Accept-Language", "en-GB,en;q=0.9");
  request.headers.Add("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  Handle(std::move(request));
  EXPECT_EQ(Metadata("vigil-person"), "p1");
  EXPECT_EQ(Metadata("vigil-role"), "leader");
  EXPECT_EQ(Metadata("vigil-school"), "s1");
  EXPECT_EQ(Metadata("vigil-idempotency-key"), "k1");
  EXPECT_EQ(Metadata("vigil-if-match"), "7");
  EXPECT_EQ(Metadata("accept-language"), "en-GB");
  EXPECT_EQ(Metadata("traceparent").size(), 55u);
}

TEST_F(EdgeTest, TheBodysHashIsOfItsMeaningNotOfItsSpelling) {
  Post(kReports, R"({"student":{"id":"st1"},"narrative":"n","channel":""})");
  const std::string first = Metadata("vigil-body-hash");
  EXPECT_EQ(first.size(), 64u);
  Post(kReports, R"({ "narrative": "\u006e", "student": {"id":"st1","name":null} })");
  EXPECT_EQ(Metadata("vigil-body-hash"), first);
  Post(kReports, R"({"student":{"id":"st1"},"narrative":"m"})");
  EXPECT_NE(Metadata("vigil-body-hash"), first);
}

TEST_F(EdgeTest, TheSameBodyToAnotherCommandHasAnotherHash) {
  Post("/api/v1/cases/c1:close", R"({"reason":"r"})");
  const std::string first = Metadata("vigil-body-hash");
  Post("/api/v1/cases/c2:close", R"({"reason":"r"})");
  EXPECT_NE(Metadata("vigil-body-hash"), first);
}

TEST_F(EdgeTest, MapsAreHashedAlikeInAnyOrder) {
  std::string forward = R"({"kind":"k","fields":{)", backward = forward;
  for (int i = 0; i < 30; ++i) {
    forward += (i > 0 ? ",\"f" : "\"f") + std::to_string(i) + "\":1";
    backward += (i > 0 ? ",\"f" : "\"f") + std::to_string(29 - i) + "\":1";
  }
  HttpRequest request = Request("POST", "/api/v1/cases/c1/records", forward + "}}");
  Handle(std::move(request));
  const std::string first = Metadata("vigil-body-hash");
  ASSERT_EQ(first.size(), 64u);
  Post("/api/v1/cases/c1/records", backward + "}}");
  EXPECT_EQ(Metadata("vigil-body-hash"), first);
}

TEST_F(EdgeTest, WithoutATokenNothingIsSaid) {
  for (const char* value : {"", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "Bearer a.b"}) {
    HttpRequest request = Request("GET", "/api/v1/cases/c1");
    request.headers.Set("Authorization", value);
    const HttpResponse response = Handle(std::move(request));
    EXPECT_EQ(response.status, 401) << value;
    EXPECT_EQ(response.headers.Find("Content-Type"), "application/problem+json");
  }
  EXPECT_TRUE(intake_.asked.empty());
}

TEST_F(EdgeTest, ATokenOfAnotherKeyIsRefused) {
  TokenClaims claims;
  claims.school = "s1";
  claims.role = "leader";
  claims.person = "p1";
  claims.expires_time = clock_.NowReal() + absl::Hours(1);
  HttpRequest request = Request("GET", "/api/v1/cases/c1");
  request.headers.Set("Authorization",
                      "Bearer " + MintToken(SigningKey::FromSeed(std::string(kSigningSeedBytes, 'x')).value(), claims));
  EXPECT_EQ(Handle(std::move(request)).status, 401);
}

TEST_F(EdgeTest, ATokenExpiresAlsoWhenItIsRemembered) {
  HttpRequest request = Request("GET", "/api/v1/cases/c1");
  request.headers.Set("Authorization", "Bearer " + Token("leader", "s1", absl::Minutes(5)));
  EXPECT_EQ(Handle(request).status, 200);
  EXPECT_EQ(Handle(request).status, 200);
  clock_.Advance(absl::Minutes(5));
  EXPECT_EQ(Handle(request).status, 401);
  EXPECT_EQ(Handle(request).status, 401);
}

TEST_F(EdgeTest, AnotherSchoolsTokenIsForbidden) {
  EXPECT_EQ(Post("/api/v1/schools/s2/reports", kReport).status, 403);
  EXPECT_EQ(Post("/api/v1/schools/s%31/reports", kReport).status, 201);
  EXPECT_EQ(intake_.asked.size(), 1u);
}

TEST_F(EdgeTest, ATokenOfTheDistrictIsGoodForEverySchool) {
  HttpRequest request = Request("POST", "/api/v1/schools/s2/reports", kReport);
  request.headers.Set("Authorization", "Bearer " + Token("leader", "*"));
  EXPECT_EQ(Handle(std::move(request)).status, 201);
}

TEST_F(EdgeTest, ARoleMayDoWhatThePackSays) {
  HttpRequest request = Request("GET", "/api/v1/cases/c1");
  request.headers.Set("Authorization", "Bearer " + Token("integration"));
  EXPECT_EQ(Handle(std::move(request)).status, 403);
  HttpRequest report = Request("POST", kReports, kReport);
  report.headers.Set("Authorization", "Bearer " + Token("integration"));
  EXPECT_EQ(Handle(std::move(report)).status, 201);
  // A role of a school's own: what it may do is known to who knows the school's pack.
  HttpRequest own = Request("POST", kReports, kReport);
  own.headers.Set("Authorization", "Bearer " + Token("canteen_staff"));
  EXPECT_EQ(Handle(std::move(own)).status, 201);
}

TEST_F(EdgeTest, TheClockIsEverybodys) {
  HttpRequest request = Request("GET", "/api/v1/clock");
  request.headers.Set("Authorization", "");
  EXPECT_EQ(Handle(std::move(request)).status, 200);
}

TEST_F(EdgeTest, ABodyMustBeJson) {
  HttpRequest request = Request("POST", kReports, kReport);
  request.headers.Set("Content-Type", "text/plain");
  EXPECT_EQ(Handle(request).status, 415);
  request.headers.Set("Content-Type", "");
  EXPECT_EQ(Handle(request).status, 415);
  request.headers.Set("Content-Type", "Application/JSON; charset=utf-8");
  EXPECT_EQ(Handle(request).status, 201);
}

TEST_F(EdgeTest, AnAttachmentIsWhatItsFirstBytesSay) {
  const std::string path = "/api/v1/schools/s1/attachments";
  intake::v1::Attachment stored;
  stored.set_id("a1");
  intake_.answer = stored.SerializeAsString();
  for (const std::string& body : {std::string("\xFF\xD8\xFF\xE0 jpeg"), std::string("\x89PNG\r\n\x1A\n png"), std::string("%PDF-1.7 pdf")}) {
    HttpRequest request = Request("POST", path, body);
    request.headers.Set("Content-Type", "text/html");
    const HttpResponse response = Handle(std::move(request));
    EXPECT_EQ(response.status, 201);
    EXPECT_EQ(json::parse(response.body), json::parse(R"({"id":"a1"})"));
    intake::v1::StoreAttachmentRequest passed;
    ASSERT_TRUE(passed.ParseFromString(intake_.asked.back().request));
    EXPECT_EQ(passed.content(), body);
  }
  const std::size_t asked = intake_.asked.size();
  for (const std::string& body : {std::string(), std::string("GIF89a"), std::string("\xFF\xD8"), std::string(R"({"id":1})")}) {
    HttpRequest request = Request("POST", path, body);
    request.headers.Set("Content-Type", "image/jpeg");
    EXPECT_EQ(Handle(std::move(request)).status, 415) << body;
  }
  EXPECT_EQ(intake_.asked.size(), asked);
  EXPECT_EQ(edge_->MaxBodyBytes("POST", path), std::size_t{10} << 20);
}

TEST_F(EdgeTest, AnEmptyBodyNeedsNoType) { EXPECT_EQ(Handle(Request("POST", "/api/v1/cases/c1:close")).status, 400); }

TEST_F(EdgeTest, AWrongBodySaysWhichFields) {
  const HttpResponse response = Post(kReports, R"({"student":{"id":"st1"},"nmae":1})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(json::parse(response.body)["errors"], json::parse(R"([{"field":"nmae","reason":"unknown field"}])"));
}

TEST_F(EdgeTest, AnIdempotencyKeyIsPlainText) {
  HttpRequest request = Request("POST", kReports, kReport);
  request.headers.Add("Idempotency-Key", "键");
  const HttpResponse response = Handle(std::move(request));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(json::parse(response.body)["errors"][0]["field"], "Idempotency-Key");
}

TEST_F(EdgeTest, NoSuchPathAndNoSuchVerb) {
  EXPECT_EQ(Get("/api/v1/nothing").status, 404);
  const HttpResponse response = Handle(Request("DELETE", kReports));
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.Find("Allow"), "POST");
}

TEST_F(EdgeTest, WhatAServiceRefusesIsAProblem) {
  intake_.answer = rpc::NotInState("the case is closed", "closed", {"file_record"});
  const HttpResponse response = Post("/api/v1/cases/c1:close", R"({"reason":"r"})");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(json::parse(response.body)["state"], "closed");
  intake_.answer = absl::UnavailableError("not connected");
  const HttpResponse unavailable = Get("/api/v1/cases/c1");
  EXPECT_EQ(unavailable.status, 503);
  EXPECT_TRUE(unavailable.headers.Find("Retry-After").has_value());
  intake_.answer = absl::NotFoundError("unknown case");
  EXPECT_EQ(Get("/api/v1/cases/c1").status, 404);
}

TEST_F(EdgeTest, AnAnswerThatCannotBeReadIsAnInternalError) {
  intake_.answer = std::string("\xff\xff\xff");
  EXPECT_EQ(Get("/api/v1/cases/c1").status, 500);
}

TEST_F(EdgeTest, ACaseCarriesItsEtag) {
  intake::v1::Case one;
  one.set_etag("12");
  intake_.answer = one.SerializeAsString();
  EXPECT_EQ(Get("/api/v1/cases/c1").headers.Find("ETag"), "\"12\"");
}

TEST_F(EdgeTest, ACheckpointIsItsText) {
  audit::v1::Checkpoint checkpoint;
  checkpoint.set_text("vigil/3\n7\nabc=\n\n— vigil xyz\n");
  audit_.answer = checkpoint.SerializeAsString();
  const HttpResponse response = Get("/api/v1/audit/checkpoint?partition=3");
  EXPECT_EQ(response.headers.Find("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(response.body, checkpoint.text());
}

TEST_F(EdgeTest, TheTimelinesLanguageIsTheCallers) {
  HttpRequest request = Request("GET", "/api/v1/cases/c1/timeline");
  request.headers.Add("Accept-Language", "zh-CN,zh;q=0.9");
  Handle(std::move(request));
  audit::v1::GetTimelineRequest asked;
  ASSERT_TRUE(asked.ParseFromString(audit_.asked.at(0).request));
  EXPECT_EQ(asked.language(), "zh-CN");
}

TEST_F(EdgeTest, ATokenGoneWildIsHeldAndSaysForHowLong) {
  HttpResponse response;
  for (int i = 0; i <= static_cast<int>(kRequestRate.burst); ++i) response = Get("/api/v1/cases/c1");
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.Find("Retry-After"), "1");
  // Its reports are not.
  EXPECT_EQ(Post(kReports, kReport).status, 201);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Get("/api/v1/cases/c1").status, 200);
}

TEST_F(EdgeTest, BadTokensFromOneAddressAreHeldAndGoodOnesAreNot) {
  HttpRequest request = Request("GET", "/api/v1/cases/c1");
  request.headers.Set("Authorization", "Bearer bad");
  HttpResponse response;
  for (int i = 0; i <= static_cast<int>(kFailedSignInRate.burst); ++i) response = Handle(request);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(Get("/api/v1/cases/c1").status, 200);
}

TEST_F(EdgeTest, PagesAndHealthNeedNoToken) {
  for (const char* path : {"/", "/healthz", "/metrics"}) {
    HttpRequest request = Request("GET", path);
    request.headers.Set("Authorization", "");
    EXPECT_EQ(Handle(std::move(request)).status, 200) << path;
  }
  EXPECT_EQ(Handle(Request("POST", "/healthz")).status, 404);
}

TEST_F(EdgeTest, IsReadyWhenAllServicesServe) {
  intake_.answer = std::string("\x08\x01");
  audit_.answer = std::string("\x08\x01");
  EXPECT_EQ(Get("/readyz").status, 200);
  audit_.answer = std::string("\x08\x02");
  const HttpResponse response = Get("/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(json::parse(response.body), json::parse(R"({"ready":{"vigil.audit.v1":false,"vigil.intake.v1":true}})"));
  audit_.answer = absl::UnavailableError("");
  EXPECT_EQ(Get("/readyz").status, 503);
}

TEST_F(EdgeTest, AnswersAreCounted) {
  Get("/api/v1/nothing");
  EXPECT_THAT(registry_.Text(), HasSubstr(R"(vigil_http_responses_total{status="404"} 1)"));
}

TEST_F(EdgeTest, ASignedCallbackReachesNotification) {
  HttpRequest request = Request("POST", "/callbacks/sandbox/call", R"({"id":"1","event":"digits","digits":"1"})");
  request.headers.Set("Authorization", "");
  request.headers.Add("X-Sandbox-Signature", "sha256=" + HexEncode(AsView(HmacSha256("s3cret", request.body))));
  EXPECT_EQ(Handle(request).status, 200);
  notification::v1::ReceiveCallbackRequest callback;
  ASSERT_TRUE(callback.ParseFromString(notification_.asked.at(0).request));
  EXPECT_EQ(callback.provider(), "sandbox");
  EXPECT_EQ(callback.kind(), "call");
  EXPECT_EQ(callback.body(), request.body);
  notification_.answer = absl::UnavailableError("");
  EXPECT_EQ(Handle(request).status, 503);
}

TEST_F(EdgeTest, AForgedCallbackGoesNowhere) {
  for (const char* signature : {"", "sha256=", "sha256=00", "00", "sha256=zz"}) {
    HttpRequest request = Request("POST", "/callbacks/sandbox/call", "{}");
    request.headers.Add("X-Sandbox-Signature", signature);
    EXPECT_EQ(Handle(std::move(request)).status, 401) << signature;
  }
  HttpRequest changed = Request("POST", "/callbacks/sandbox/call", R"({"digits":"2"})");
  changed.headers.Add("X-Sandbox-Signature", "sha256=" + HexEncode(AsView(HmacSha256("s3cret", R"({"digits":"1"})"))));
  EXPECT_EQ(Handle(std::move(changed)).status, 401);
  EXPECT_TRUE(notification_.asked.empty());
}

TEST_F(EdgeTest, ACallbackHasAProviderAndAKind) {
  for (const char* path : {"/callbacks/", "/callbacks/sandbox", "/callbacks/sandbox/", "/callbacks//call",
                           "/callbacks/sandbox/a/b", "/callbacks/Sandbox/call"}) {
    EXPECT_EQ(Handle(Request("POST", path, "{}")).status, 404) << path;
  }
  EXPECT_EQ(Get("/callbacks/sandbox/call").status, 405);
}

TEST(SandboxSignatureTest, AnEmptySecretSignsNothing) {
  EXPECT_FALSE(IsSandboxSignature(Secret<std::string>(), "x", "sha256=" + HexEncode(AsView(HmacSha256("", "x")))));
}

TEST_F(EdgeTest, BodiesAreLimitedByWhatTheyAre) {
  EXPECT_EQ(edge_->MaxBodyBytes("POST", kReports), kMaxBodyBytes);
  EXPECT_EQ(edge_->MaxBodyBytes("POST", "/nothing"), kMaxBodyBytes);
}

class EventsTest : public EdgeTest {
 protected:
  std::shared_ptr<FakeResponder> Open(const std::string& target, const std::string& last_event_id = "") {
    HttpRequest request = Request("GET", target);
    if (const size_t mark = target.find("school="); mark != std::string::npos)
      request.query = {{"school", target.substr(mark + 7)}};
    if (!last_event_id.empty()) request.headers.Add("Last-Event-ID", last_event_id);
    auto responder = std::make_shared<FakeResponder>();
    edge_->Handle(std::move(request), responder);
    return responder;
  }
  audit::v1::StreamEventsRequest Asked() {
    audit::v1::StreamEventsRequest request;
    EXPECT_TRUE(request.ParseFromString(audit_.asked.at(0).request));
    return request;
  }
  static std::string Row(uint32_t partition, uint64_t sequence, const std::string& summary) {
    audit::v1::TimelineRow row;
    row.mutable_position()->set_partition(partition);
    row.mutable_position()->set_sequence(sequence);
    row.set_summary(summary);
    return row.SerializeAsString();
  }
};

TEST_F(EventsTest, RowsComeAsEventsWithTheirPositions) {
  const auto client = Open("/api/v1/events?school=s1");
  EXPECT_EQ(client->response.headers.Find("Content-Type"), "text/event-stream");
  ASSERT_TRUE(audit_.message);
  EXPECT_TRUE(audit_.message(Row(3, 1208, "已接警\n")));
  EXPECT_THAT(client->response.body,
              HasSubstr("id: 03-1208-0\ndata: {\"position\":{\"partition\":3,\"sequence\":1208,\"index\":0}"));
  EXPECT_THAT(client->response.body, HasSubstr("已接警\\n"));
  EXPECT_THAT(client->response.body, ::testing::EndsWith("}\n\n"));
}

TEST_F(EventsTest, GoesOnAfterTheLastEvent) {
  Open("/api/v1/events?school=s1", "03-1208-0");
  EXPECT_EQ(Asked().after(), "03-1208-0");
}

TEST_F(EventsTest, ASchoolsTokenSeesItsSchoolOnly) {
  Open("/api/v1/events");
  EXPECT_EQ(Asked().school(), "s1");
  EXPECT_EQ(Open("/api/v1/events?school=s2")->response.status, 403);
}

TEST_F(EventsTest, AnUnknownParameterIsRefused) {
  HttpRequest request = Request("GET", "/api/v1/events?scholl=s1");
  request.query = {{"scholl", "s1"}};
  EXPECT_EQ(Handle(std::move(request)).status, 400);
}

TEST_F(EventsTest, AClientThatLeavesEndsTheStreamBehind) {
  const auto client = Open("/api/v1/events?school=s1");
  EXPECT_EQ(events_->size(), 1u);
  client->ClientLeaves();
  EXPECT_EQ(audit_.cancelled, 1);
  EXPECT_EQ(events_->size(), 0u);
}

TEST_F(EventsTest, TheStreamEndsWithAudit) {
  const auto client = Open("/api/v1/events?school=s1");
  audit_.End(absl::UnavailableError("restarting"));
  EXPECT_FALSE(client->open);
  EXPECT_EQ(events_->size(), 0u);
}

TEST_F(EventsTest, WhenAuditIsAwayTheClientIsSentBackAtOnce) {
  audit_.stream_answer = absl::UnavailableError("");
  const auto client = Open("/api/v1/events?school=s1");
  EXPECT_FALSE(client->open);
  EXPECT_THAT(client->response.body, HasSubstr("retry: 1000"));
  EXPECT_EQ(events_->size(), 0u);
}

TEST_F(EventsTest, ASilentStreamIsKeptAlive) {
  const auto client = Open("/api/v1/events?school=s1");
  events_->KeepAlive();
  EXPECT_THAT(client->response.body, ::testing::EndsWith("\n:\n\n"));
}

TEST_F(EventsTest, NeedsATokenThatMayReadEvents) {
  HttpRequest request = Request("GET", "/api/v1/events");
  request.headers.Set("Authorization", "Bearer " + Token("integration"));
  EXPECT_EQ(Handle(request).status, 403);
  request.headers.Set("Authorization", "");
  EXPECT_EQ(Handle(request).status, 401);
}

TEST(RateLimiterTest, LetsABurstThroughAndThenARate) {
  RateLimiter limiter({10, 2});
  absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(limiter.Take("a", now), std::nullopt);
  EXPECT_EQ(limiter.Take("a", now), std::nullopt);
  EXPECT_EQ(limiter.Take("a", now), absl::Milliseconds(100));
  EXPECT_EQ(limiter.Take("b", now), std::nullopt);
  now += absl::Milliseconds(100);
  EXPECT_EQ(limiter.Take("a", now), std::nullopt);
  EXPECT_NE(limiter.Take("a", now), std::nullopt);
}

TEST(RateLimiterTest, AClockSetBackHoldsNobodyForLong) {
  RateLimiter limiter({10, 1});
  EXPECT_EQ(limiter.Take("a", absl::FromUnixSeconds(1000)), std::nullopt);
  EXPECT_EQ(limiter.Take("a", absl::FromUnixSeconds(10)), absl::Milliseconds(100));
  EXPECT_EQ(limiter.Take("a", absl::FromUnixSeconds(11)), std::nullopt);
}

TEST(RateLimiterTest, RemembersNoMoreKeysThanItMay) {
  RateLimiter limiter({1, 1}, 2);
  const absl::Time now = absl::FromUnixSeconds(1000);
  limiter.Take("a", now);
  limiter.Take("b", now);
  limiter.Take("c", now);
  EXPECT_EQ(limiter.Take("a", now), std::nullopt);
}

}  // namespace
}  // namespace vigil::gateway
