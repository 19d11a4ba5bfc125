#include "gateway/app.h"

#include <gmock/gmock.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "platform/crypto/encoding.h"
#include "platform/http/fetch.h"
#include "platform/rpc/server.h"
#include "unit/platform/certificates.h"
#include "vigil/audit/v1/audit.grpc.pb.h"
#include "vigil/intake/v1/intake.grpc.pb.h"
#include "vigil/notification/v1/notification.grpc.pb.h"

namespace vigil::gateway {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// An intake that takes every report.
class Intake final : public intake::v1::IntakeService::CallbackService {
 public:
  grpc::ServerUnaryReactor* CreateReport(grpc::CallbackServerContext* context,
                                         const intake::v1::CreateReportRequest* request,
                                         intake::v1::CreateReportResponse* response) override {
    response->set_report_id("r-" + request->student().id());
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

// An audit that streams one row and then waits for the reader to leave.
class Audit final : public audit::v1::AuditService::CallbackService {
 public:
  class Rows final : public grpc::ServerWriteReactor<audit::v1::TimelineRow> {
   public:
    Rows() {
      row_.mutable_position()->set_partition(7);
      row_.set_summary("reported");
      StartWrite(&row_);
    }
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    audit::v1::TimelineRow row_;
  };
  grpc::ServerWriteReactor<audit::v1::TimelineRow>* StreamEvents(
      grpc::CallbackServerContext* /*context*/, const audit::v1::StreamEventsRequest* /*request*/) override {
    return new Rows();
  }
};

class Notification final : public notification::v1::NotificationService::CallbackService {};

class AppTest : public ::testing::Test {
 protected:
  AppTest() : key_(SigningKey::FromSeed(std::string(kSigningSeedBytes, 'k')).value()) {
    std::string name = (std::filesystem::temp_directory_path() / "vigil-gateway-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    Write("token.pub", HexEncode(key_.verify_key().bytes()) + "\n");
    Write("sandbox.secret", "s3cret\n");
    const rpc::TlsFiles tls = certificates_.For("gateway");
    options_.tls_ca = tls.ca;
    options_.tls_certificate = tls.certificate;
    options_.tls_key = tls.key;
    options_.http_listen = "127.0.0.1:0";
    options_.token_public_key_file = folder_ + "/token.pub";
    options_.sandbox_secret_file = folder_ + "/sandbox.secret";
    options_.pack = PACK_DIRECTORY;
    intake_server_ = Serve("intake", &intake_);
    audit_server_ = Serve("audit", &audit_);
    notification_server_ = Serve("notification", &notification_);
    options_.intake_address = "127.0.0.1:" + std::to_string(intake_server_->port());
    options_.audit_address = "127.0.0.1:" + std::to_string(audit_server_->port());
    options_.notification_address = "127.0.0.1:" + std::to_string(notification_server_->port());
    auto app = App::Start(options_, clock_);
    EXPECT_TRUE(app.ok()) << app.status();
    app_ = *std::move(app);
  }
  ~AppTest() override {
    app_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Write(const std::string& name, const std::string& text) { std::ofstream(folder_ + "/" + name) << text; }
  std::unique_ptr<rpc::Server> Serve(const std::string& name, grpc::Service* service) {
    rpc::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.tls = certificates_.For(name);
    return rpc::Server::Start(options, {service}).value();
  }
  FetchRequest Request(std::string method, const std::string& path, std::string body = "") {
    TokenClaims claims;
    claims.id = "t1";
    claims.school = "s1";
    claims.person = "p1";
    claims.role = "leader";
    claims.expires_time = clock_.NowReal() + absl::Hours(1);
    FetchRequest request;
    request.method = std::move(method);
    request.url = "https://127.0.0.1:" + std::to_string(app_->http_port()) + path;
    request.ca_file = options_.tls_ca;
    request.bearer_token = MintToken(key_, claims);
    if (!body.empty()) request.headers.Add("Content-Type", "application/json");
    request.body = std::move(body);
    return request;
  }
  HttpResponse Send(std::string method, const std::string& path, std::string body = "") {
    auto response = Fetch(Request(std::move(method), path, std::move(body)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(HttpResponse{});
  }

  const SystemClock clock_;
  SigningKey key_;
  test::Certificates certificates_;
  std::string folder_;
  config::ServiceOptions options_;
  Intake intake_;
  Audit audit_;
  Notification notification_;
  std::unique_ptr<rpc::Server> intake_server_;
  std::unique_ptr<rpc::Server> audit_server_;
  std::unique_ptr<rpc::Server> notification_server_;
  std::unique_ptr<App> app_;
};

TEST_F(AppTest, AReportGoesThroughHttpsAndMutualTls) {
  const HttpResponse response = Send("POST", "/api/v1/schools/s1/reports", R"({"student":{"id":"st1"}})");
  EXPECT_EQ(response.status, 201) << response.body;
  EXPECT_EQ(json::parse(response.body)["report_id"], "r-st1");
}

TEST_F(AppTest, AMethodThatAServiceLacksIsAnInternalError) { EXPECT_EQ(Send("GET", "/api/v1/cases/c1").status, 500); }

TEST_F(AppTest, ABodyOverAMebibyteIsTooLarge) {
  EXPECT_EQ(Send("POST", "/api/v1/schools/s1/reports", std::string(kMaxBodyBytes + 1, ' ')).status, 413);
}

TEST_F(AppTest, IsReadyOnceAllServicesAre) {
  EXPECT_EQ(Send("GET", "/readyz").status, 200);
  notification_server_.reset();
  EXPECT_EQ(Send("GET", "/readyz").status, 503);
  EXPECT_EQ(Send("GET", "/healthz").status, 200);
}

TEST_F(AppTest, AServiceThatIsAwayIsWorthAnotherTry) {
  intake_server_.reset();
  const HttpResponse response = Send("POST", "/api/v1/schools/s1/reports", R"({"student":{"id":"st1"}})");
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(response.headers.Find("Retry-After").has_value());
}

TEST_F(AppTest, StreamsEventsUntilTheReaderLeaves) {
  std::string id, data;
  FetchRequest request = Request("GET", "/api/v1/events?school=s1");
  request.on_line = [&](std::string_view line) {
    if (line.substr(0, 4) == "id: ") id = line.substr(4);
    if (line.substr(0, 6) == "data: ") data = line.substr(6);
    return data.empty();
  };
  ASSERT_TRUE(Fetch(request).ok());
  EXPECT_EQ(id, "07-0-0");
  EXPECT_EQ(json::parse(data)["summary"], "reported");
}

TEST_F(AppTest, StopsWhileAStreamIsOpen) {
  std::atomic<bool> streaming = false;
  FetchRequest request = Request("GET", "/api/v1/events?school=s1");
  request.on_line = [&](std::string_view) {
    streaming = true;
    streaming.notify_all();
    return true;
  };
  std::thread reader([&] { (void)Fetch(request); });
  streaming.wait(false);
  app_.reset();
  reader.join();
}

TEST_F(AppTest, ThePageIsForItselfAlone) {
  const HttpResponse page = Send("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("/page.js"));
  EXPECT_THAT(std::string(page.headers.Find("Content-Security-Policy").value_or("")), HasSubstr("default-src 'none'"));
  EXPECT_THAT(Send("GET", "/page.js").body, HasSubstr("Last-Event-ID"));
}

TEST_F(AppTest, TheDocumentDescribesWhatThereIs) {
  const json document = json::parse(Send("GET", "/openapi.json").body);
  EXPECT_TRUE(document["paths"]["/api/v1/schools/{school}/reports"].contains("post"));
  EXPECT_TRUE(document["paths"]["/api/v1/events"].contains("get"));
  EXPECT_FALSE(document["components"]["schemas"]["Case"]["description"].empty());
}

TEST_F(AppTest, CountsWhatItServes) {
  Send("POST", "/api/v1/schools/s1/reports", R"({"student":{"id":"st1"}})");
  EXPECT_THAT(Send("GET", "/metrics").body, HasSubstr(R"(vigil_http_responses_total{status="201"} 1)"));
}

TEST_F(AppTest, MetricsStandOnAPortOfTheirOwnToo) {
  FetchRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(app_->metrics_port()) + "/metrics";
  const auto response = Fetch(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->body, HasSubstr("vigil_build_info"));
}

TEST_F(AppTest, SaysWhatIsWrongWithAFileAtStart) {
  Write("token.pub", "not hex");
  const auto app = App::Start(options_, clock_);
  EXPECT_EQ(app.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(app.status().message()), HasSubstr("token.pub"));
}

}  // namespace
}  // namespace vigil::gateway
