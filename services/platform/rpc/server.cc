#include "platform/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace vigil::rpc {
namespace {

absl::StatusOr<std::string> ReadPem(const std::string& path, const char* what) {
  std::ifstream file(path, std::ios::binary);
  if (path.empty() || !file) return absl::NotFoundError(absl::StrCat("cannot read the ", what, " ", path));
  std::ostringstream text;
  text << file.rdbuf();
  if (text.str().find("-----BEGIN ") == std::string::npos) {
    return absl::FailedPreconditionError(absl::StrCat("the ", what, " is not in PEM form: ", path));
  }
  return text.str();
}

int Milliseconds(absl::Duration duration) { return static_cast<int>(absl::ToInt64Milliseconds(duration)); }

}  // namespace

absl::StatusOr<TlsMaterial> ReadTls(const TlsFiles& files) {
  TlsMaterial material;
  const std::pair<const std::string&, std::pair<std::string*, const char*>> parts[] = {
      {files.ca, {&material.ca, "authority's certificate"}},
      {files.certificate, {&material.certificate, "certificate"}},
      {files.key, {&material.key, "key"}}};
  for (const auto& [path, part] : parts) {
    absl::StatusOr<std::string> text = ReadPem(path, part.second);
    if (!text.ok()) return text.status();
    *part.first = *std::move(text);
  }
  return material;
}

class Server::Impl {
 public:
  ~Impl() { Stop(absl::Seconds(1)); }

  void Stop(absl::Duration grace) {
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return;
      stopped_ = true;
      health_->Shutdown();
    }
    server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
    server_->Wait();
  }

  void SetReady(std::string_view component, bool is_ready) {
    std::lock_guard lock(mutex_);
    const auto found = ready_.find(component);
    if (found == ready_.end()) {
      std::fprintf(stderr, "rpc::Server: %.*s is no component of this server\n", static_cast<int>(component.size()), component.data());
      std::abort();
    }
    found->second = is_ready;
    TellHealth();
  }

  std::vector<std::string> NotReady() {
    std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, is_ready] : ready_) {
      if (!is_ready) names.push_back(name);
    }
    return names;
  }

  void TellHealth() {
    if (stopped_) return;
    bool all = true;
    for (const auto& [name, is_ready] : ready_) {
      health_->SetServingStatus(name, is_ready);
      all = all && is_ready;
    }
    health_->SetServingStatus("", all);
  }

  std::mutex mutex_;
  bool stopped_ = false;
  std::map<std::string, bool, std::less<>> ready_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  grpc::HealthCheckServiceInterface* health_ = nullptr;  // the server's
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, const std::vector<grpc::Service*>& services) {
  const std::size_t colon = options.listen.rfind(':');
  if (colon == std::string::npos || colon == 0) return absl::InvalidArgumentError(absl::StrCat("not host:port: ", options.listen));
  absl::StatusOr<TlsMaterial> tls = ReadTls(options.tls);
  if (!tls.ok()) return tls.status();

  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });

  grpc::SslServerCredentialsOptions credentials(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  credentials.pem_root_certs = tls->ca;
  credentials.pem_key_cert_pairs.push_back({tls->key, tls->certificate});

  auto impl = std::make_unique<Impl>();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen, grpc::SslServerCredentials(credentials), &impl->port_);
  for (grpc::Service* service : services) builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.SetMaxSendMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Milliseconds(kKeepaliveInterval / 2));
  // A port that another process holds is an error, not shared with it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Reflection is the only synchronous service; two threads are enough for it.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);

  impl->server_ = builder.BuildAndStart();
  if (impl->server_ == nullptr || impl->port_ == 0) {
    impl->stopped_ = true;
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen));
  }
  impl->health_ = impl->server_->GetHealthCheckService();
  for (const std::string& component : options.components) impl->ready_.emplace(component, false);
  impl->TellHealth();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::port() const { return impl_->port_; }
void Server::SetReady(std::string_view component, bool is_ready) { impl_->SetReady(component, is_ready); }
bool Server::ready() const { return impl_->NotReady().empty(); }
std::vector<std::string> Server::NotReady() const { return impl_->NotReady(); }
void Server::Stop(absl::Duration grace) { impl_->Stop(grace); }

}  // namespace vigil::rpc
