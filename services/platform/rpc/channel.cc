#include "platform/rpc/channel.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "platform/rpc/generic_caller.h"

namespace vigil::rpc {
namespace {

constexpr absl::Duration kMaxHandshake = absl::Seconds(2);

int Milliseconds(absl::Duration duration) { return static_cast<int>(absl::ToInt64Milliseconds(duration)); }

// The longest matching name wins, so an endless method's row (without a timeout) stands before the one for all.
std::string ServiceConfig(const ChannelOptions& options) {
  std::vector<std::string> rows;
  for (const std::string& method : options.endless_methods) {
    const std::vector<std::string> parts = absl::StrSplit(method, absl::MaxSplits('/', 1));
    if (parts.size() == 2) rows.push_back(absl::StrCat(R"({"name":[{"service":")", parts[0], R"(","method":")", parts[1], R"("}]})"));
  }
  if (options.longest_call < absl::InfiniteDuration()) {
    rows.push_back(absl::StrCat(R"({"name":[{}],"timeout":")", absl::ToDoubleSeconds(options.longest_call), R"(s"})"));
  }
  return absl::StrCat(R"({"methodConfig":[)", absl::StrJoin(rows, ","), "]}");
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options) {
  absl::StatusOr<TlsMaterial> tls = ReadTls(options.tls);
  if (!tls.ok()) return tls.status();
  grpc::SslCredentialsOptions credentials;
  credentials.pem_root_certs = tls->ca;
  credentials.pem_cert_chain = tls->certificate;
  credentials.pem_private_key = tls->key;

  grpc::ChannelArguments arguments;
  if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  arguments.SetServiceConfigJSON(ServiceConfig(options));
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
  arguments.SetMaxSendMessageSize(options.max_message_bytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveInterval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(kMaxReconnectBackoff / 4));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(kMaxReconnectBackoff));
  // In spite of its name: how long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(kMaxHandshake));
  return grpc::CreateCustomChannel(options.address, grpc::SslCredentials(credentials), arguments);
}

absl::StatusOr<bool> ReadHealth(const std::shared_ptr<grpc::Channel>& channel, std::string_view component, absl::Duration deadline) {
  if (component.size() > 127) return absl::InvalidArgumentError("a component's name has at most 127 bytes");
  // HealthCheckRequest{string service = 1} and HealthCheckResponse{ServingStatus status = 1}, by hand: two fields are not worth a proto.
  std::string request;
  if (!component.empty()) {
    request = {'\x0a', static_cast<char>(component.size())};
    request.append(component);
  }
  GenericCaller caller(channel);
  absl::Notification done;
  absl::StatusOr<std::string> answer;
  caller.Call("/grpc.health.v1.Health/Check", request, {}, deadline, [&](absl::StatusOr<std::string> response) {
    answer = std::move(response);
    done.Notify();
  });
  done.WaitForNotification();
  if (!answer.ok()) return answer.status();
  constexpr char kServing = 1;
  return *answer == std::string({'\x08', kServing});
}

}  // namespace vigil::rpc
