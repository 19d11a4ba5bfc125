#include "gateway/app.h"

#include <google/protobuf/descriptor.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "domain/pack/loader.h"
#include "gateway/embedded.h"
#include "gateway/transcoder/openapi.h"
#include "platform/crypto/encoding.h"
#include "platform/logging/log.h"
#include "platform/pack_directory/pack_directory.h"
#include "platform/rpc/channel.h"
#include "platform/rpc/generic_caller.h"
#include "vigil/audit/v1/audit.pb.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/notification/v1/notification.pb.h"

namespace vigil::gateway {

namespace {

constexpr char kVersion[] = "0.1.0";
constexpr int kHttpThreads = 2;
constexpr char kPrinterProgram[] = "vigil-document";
constexpr char kIntake[] = "vigil.intake.v1";
constexpr char kAudit[] = "vigil.audit.v1";
constexpr char kNotification[] = "vigil.notification.v1";
constexpr char kStreamMethod[] = "vigil.audit.v1.AuditService/StreamEvents";

// The page takes nothing from elsewhere and is shown nowhere else; its link holds a token, which no other site is to
// see.
HttpHeaders PageHeaders(std::string content_type) {
  return {{"Content-Type", std::move(content_type)},
          {"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
           "form-action 'none'; "
           "frame-ancestors 'none'"},
          {"Referrer-Policy", "no-referrer"}};
}

class RpcUpstream final : public Upstream {
 public:
  explicit RpcUpstream(std::shared_ptr<grpc::Channel> channel) : caller_(std::move(channel)) {}

  void Call(std::string_view method_path, std::string_view request, const Metadata& metadata, absl::Duration deadline,
            Callback callback) override {
    caller_.Call(method_path, request, metadata, deadline, std::move(callback));
  }
  Cancel Stream(std::string_view method_path, std::string_view request, const Metadata& metadata, OnMessage on_message,
                OnEnd on_end) override {
    return caller_.Stream(method_path, request, metadata, std::move(on_message), std::move(on_end));
  }

 private:
  rpc::GenericCaller caller_;
};

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("cannot read " + path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

absl::StatusOr<VerifyKey> ReadTokenKey(const std::string& path) {
  absl::StatusOr<std::string> text = ReadText(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<VerifyKey> key = VerifyKey::FromBytes(HexDecode(*text).value_or(""));
  if (!key.ok()) return absl::InvalidArgumentError(path + " holds no public key in hex");
  return key;
}

absl::StatusOr<Permissions> ReadPermissions(const std::string& directory) {
  const auto files = ReadPackDirectory(directory);
  if (!files.ok()) return files.status();
  const auto pack = domain::LoadPack(*files, PackDigest);
  if (!pack.ok()) return pack.status();
  std::map<std::string, std::vector<std::string>> roles;
  std::map<std::string, std::vector<std::string>> choices;
  for (const auto& [id, role] : (*pack)->roles) (role.basis == domain::Basis::kProtocol ? roles : choices)[id] = role.may;
  return Permissions(roles, choices);
}

// "127.0.0.1:8080" or "[::1]:8080".
absl::Status SplitAddress(const std::string& text, std::string& address, std::uint16_t& port) {
  const size_t colon = text.rfind(':');
  int number = -1;
  if (colon != std::string::npos && colon + 1 < text.size() && text.size() - colon <= 6 &&
      text.find_first_not_of("0123456789", colon + 1) == std::string::npos) {
    number = std::stoi(text.substr(colon + 1));
  }
  if (number < 0 || number > 65535) return absl::InvalidArgumentError(text + " is not address:port");
  address = text.substr(0, colon);
  if (address.size() > 2 && address.front() == '[') address = address.substr(1, address.size() - 2);
  port = static_cast<std::uint16_t>(number);
  return absl::OkStatus();
}

}  // namespace

config::AcceptedOptions AcceptedOptions() {
  using O = config::ServiceOptions;
  return {.required = {&O::http_listen, &O::intake_address, &O::audit_address, &O::notification_address, &O::tls_ca,
                       &O::tls_certificate, &O::tls_key, &O::token_public_key_file, &O::pack},
          .optional = {&O::grpc_listen, &O::metrics_listen, &O::sandbox_secret_file, &O::public_url, &O::log_level,
                       // In every service's file; the gateway has no use for them.
                       &O::installation, &O::home, &O::nats_url, &O::nats_ca, &O::nats_seed_file, &O::redis_url_file,
                       &O::data_directory, &O::trusted_sources, &O::installation_key_file, &O::log_store_directory,
                       &O::not_durable}};
}

App::App(const Clock& clock) : clock_(clock), registry_("gateway", kVersion) {}

App::~App() {
  // First nothing new comes in, then what is under way behind us ends; what both use goes last.
  http_.reset();
  metrics_http_.reset();
  grpc_.reset();
  callers_.clear();
  printer_.reset();
}

absl::StatusOr<std::unique_ptr<App>> App::Start(const config::ServiceOptions& options, const Clock& clock) {
  std::unique_ptr<App> app(new App(clock));
  if (absl::Status status = app->Open(options); !status.ok()) return status;
  return app;
}

absl::Status App::Open(const config::ServiceOptions& options) {
  absl::StatusOr<VerifyKey> token_key = ReadTokenKey(options.token_public_key_file);
  if (!token_key.ok()) return token_key.status();
  sessions_ = std::make_unique<Sessions>(*std::move(token_key), clock_);
  absl::StatusOr<Permissions> permissions = ReadPermissions(options.pack);
  if (!permissions.ok()) return permissions.status();
  permissions_ = std::make_unique<Permissions>(*std::move(permissions));
  std::string sandbox_secret;
  if (!options.sandbox_secret_file.empty()) {
    absl::StatusOr<std::string> text = ReadText(options.sandbox_secret_file);
    if (!text.ok()) return text.status();
    sandbox_secret = *std::move(text);
  }
  if (absl::Status status = OpenRoutes(); !status.ok()) return status;
  if (absl::Status status = OpenUpstreams(options); !status.ok()) return status;
  absl::StatusOr<std::string> openapi =
      OpenApiJson(*table_, transcoder_.plans(), embedded::kServiceDescriptors, kVersion, embedded::kOtherPaths);
  if (!openapi.ok()) return openapi.status();

  EdgeParts parts;
  parts.table = table_.get();
  parts.transcoder = &transcoder_;
  parts.sessions = sessions_.get();
  parts.permissions = permissions_.get();
  parts.clock = &clock_;
  parts.metrics = metrics_.get();
  parts.events = events_.get();
  parts.upstreams = {{kIntake, callers_[0].get()}, {kAudit, callers_[1].get()}, {kNotification, callers_[2].get()}};
  parts.notification = callers_[2].get();
  parts.intake = callers_[0].get();
  parts.sandbox_secret = Secret<std::string>(std::move(sandbox_secret));
  parts.pages = {{"/", {PageHeaders("text/html; charset=utf-8"), std::string(embedded::kPageHtml)}},
                 {"/page.js", {PageHeaders("text/javascript; charset=utf-8"), std::string(embedded::kPageScript)}},
                 {"/openapi.json", {{{"Content-Type", "application/json"}}, *std::move(openapi)}}};
  printer_ = std::make_unique<document::ProcessPrinter>(
      document::PrinterOptions{.program = document::ProgramBeside(kPrinterProgram)});
  parts.printer = printer_.get();
  parts.public_url = options.public_url;
  while (!parts.public_url.empty() && parts.public_url.back() == '/') parts.public_url.pop_back();
  parts.metrics_text = [this] { return registry_.Text(); };
  absl::StatusOr<std::unique_ptr<Edge>> edge = Edge::Create(std::move(parts));
  if (!edge.ok()) return edge.status();
  edge_ = *std::move(edge);
  return OpenSockets(options);
}

absl::Status App::OpenRoutes() {
  // Naming a message of each file keeps the linker from leaving the file out.
  const std::vector<const google::protobuf::FileDescriptor*> files = {
      intake::v1::Case::descriptor()->file(), audit::v1::TimelineRow::descriptor()->file(),
      notification::v1::ReceiveCallbackRequest::descriptor()->file()};
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  for (const google::protobuf::FileDescriptor* file : files) {
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  absl::StatusOr<RouteTable> table = RouteTable::Create(services);
  if (!table.ok()) return table.status();
  table_ = std::make_unique<RouteTable>(*std::move(table));
  metrics_ = std::make_unique<EdgeMetrics>(registry_, *table_);
  return transcoder_.Create(*table_, {audit::v1::TimelineRow::descriptor()});
}

absl::Status App::OpenUpstreams(const config::ServiceOptions& options) {
  for (const std::string& address : {options.intake_address, options.audit_address, options.notification_address}) {
    rpc::ChannelOptions channel_options;
    channel_options.address = address;
    channel_options.tls = {options.tls_ca, options.tls_certificate, options.tls_key};
    channel_options.endless_methods = {kStreamMethod};
    auto channel = rpc::MakeChannel(channel_options);
    if (!channel.ok()) return channel.status();
    callers_.push_back(std::make_unique<RpcUpstream>(*std::move(channel)));
  }
  events_ = std::make_unique<EventStreams>(*callers_[1], transcoder_, metrics_->event_streams());
  return absl::OkStatus();
}

absl::Status App::OpenSockets(const config::ServiceOptions& options) {
  rpc::ServerOptions grpc_options;
  grpc_options.listen = options.grpc_listen;
  grpc_options.tls = {options.tls_ca, options.tls_certificate, options.tls_key};
  auto grpc = rpc::Server::Start(grpc_options, {});
  if (!grpc.ok()) return grpc.status();
  grpc_ = *std::move(grpc);
  HttpServerOptions metrics_options;
  if (absl::Status status = SplitAddress(options.metrics_listen, metrics_options.address, metrics_options.port);
      !status.ok()) {
    return status;
  }
  auto metrics_http = HttpServer::Start(std::move(metrics_options), [this](HttpRequest request, auto responder) {
    if (request.method == "GET" && request.path == "/metrics") return responder->Send(edge_->Metrics());
    responder->Send(ToResponse(Problem{.status = 404}));
  });
  if (!metrics_http.ok()) return metrics_http.status();
  metrics_http_ = *std::move(metrics_http);

  HttpServerOptions http_options;
  if (absl::Status status = SplitAddress(options.http_listen, http_options.address, http_options.port); !status.ok())
    return status;
  http_options.tls_certificate_file = options.tls_certificate;
  http_options.tls_key_file = options.tls_key;
  http_options.threads = kHttpThreads;
  http_options.max_body_bytes = kMaxBodyBytes;
  http_options.max_body_bytes_for = [this](std::string_view method, std::string_view path) {
    return edge_->MaxBodyBytes(method, path);
  };
  auto http =
      HttpServer::Start(std::move(http_options), [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
        edge_->Handle(std::move(request), std::move(responder));
      });
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  return absl::OkStatus();
}

}  // namespace vigil::gateway
