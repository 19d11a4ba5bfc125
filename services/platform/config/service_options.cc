#include "platform/config/service_options.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "platform/clock/clock.h"

namespace vigil::config {
namespace {

struct Declaration {
  const char* name;
  ServiceSetting member;
  Text kind;
  const char* help;
};

using O = ServiceOptions;

const std::vector<Declaration>& Declarations() {
  static const std::vector<Declaration>& all = *new std::vector<Declaration>{
      {"installation", &O::installation, Text::kPlain, "name of the installation"},
      {"home", &O::home, Text::kDirectory, "directory of the installation"},
      {"grpc_listen", &O::grpc_listen, Text::kAddress, "where gRPC listens; port 0 takes a free one"},
      {"metrics_listen", &O::metrics_listen, Text::kAddress, "where /metrics listens; port 0 takes a free one"},
      {"tls_ca", &O::tls_ca, Text::kFile, "PEM: the authority that peers' certificates come from"},
      {"tls_certificate", &O::tls_certificate, Text::kFile, "PEM: this service's certificate"},
      {"tls_key", &O::tls_key, Text::kFile, "PEM: this service's key"},
      {"nats_url", &O::nats_url, Text::kUrl, "the log's broker"},
      {"nats_ca", &O::nats_ca, Text::kFile, "PEM: the authority of the broker's certificate"},
      {"nats_seed_file", &O::nats_seed_file, Text::kFile, "this service's nkey seed"},
      {"redis_url_file", &O::redis_url_file, Text::kFile, "file with the URL of Redis; absent: no Redis"},
      {"pack", &O::pack, Text::kDirectory, "directory of the protocol pack"},
      {"data_directory", &O::data_directory, Text::kNewPath, "this service's own files"},
      {"trusted_sources", &O::trusted_sources, Text::kFile, "the sources' public signing keys"},
      {"signing_key_file", &O::signing_key_file, Text::kFile, "this source's signing key"},
      {"installation_key_file", &O::installation_key_file, Text::kFile, "the key that wraps persons' keys"},
      {"token_public_key_file", &O::token_public_key_file, Text::kFile, "public key that signs session tokens"},
      {"check_in_key_file", &O::check_in_key_file, Text::kFile, "key of the places' rotating codes"},
      {"checkpoint_key_file", &O::checkpoint_key_file, Text::kFile, "key that signs the ledger's checkpoints"},
      {"not_durable", &O::not_durable, Text::kPlain, "accept a log store without synchronous writes"},
      {"log_store_directory", &O::log_store_directory, Text::kDirectory, "the broker's store, checked to be synchronous"},
      {"rehearsal", &O::rehearsal, Text::kPlain, "the installation's clock may run faster than real time"},
      {"speed", &O::speed, Text::kPlain, "domain seconds a real second, in a new rehearsal"},
      {"http_listen", &O::http_listen, Text::kAddress, "where HTTP listens; port 0 takes a free one"},
      {"intake_address", &O::intake_address, Text::kAddress, "gRPC of intake"},
      {"audit_address", &O::audit_address, Text::kAddress, "gRPC of audit"},
      {"notification_address", &O::notification_address, Text::kAddress, "gRPC of notification"},
      {"sandbox_secret_file", &O::sandbox_secret_file, Text::kFile, "secret that signs the sandbox's callbacks"},
      {"provider_url", &O::provider_url, Text::kUrl, "the phone network"},
      {"provider_url_2", &O::provider_url_2, Text::kUrl, "a second phone network; absent: none"},
      {"callback_base_url", &O::callback_base_url, Text::kUrl, "where providers reach the gateway"},
      {"public_url", &O::public_url, Text::kUrl, "where people outside reach the gateway; absent: documents carry no code"},
      {"log_level", &O::log_level, Text::kPlain, "least level that is logged"},
  };
  return all;
}

void AddOne(Settings& settings, ServiceOptions& options, const ServiceSetting& member, bool required) {
  for (const Declaration& declaration : Declarations()) {
    if (declaration.member != member) continue;
    if (const auto* text = std::get_if<std::string O::*>(&member)) {
      TextRule rule{.help = declaration.help, .kind = declaration.kind, .required = required};
      if (*text == &O::log_level) rule.choices = {"debug", "info", "warn", "error"};
      settings.Add(declaration.name, &(options.**text), std::move(rule));
    } else if (const auto* flag = std::get_if<bool O::*>(&member)) {
      settings.Add(declaration.name, &(options.**flag), declaration.help);
    } else if (const auto* number = std::get_if<double O::*>(&member)) {
      settings.Add(declaration.name, &(options.**number),
                   NumberRule{declaration.help, "ratio", kMinRehearsalSpeed, kMaxRehearsalSpeed});
    }
    return;
  }
  std::fputs("a service option has no declaration\n", stderr);
  std::abort();
}

}  // namespace

AcceptedOptions CommonOptions() {
  return {.required = {&O::installation, &O::home, &O::grpc_listen, &O::metrics_listen, &O::tls_ca, &O::tls_certificate, &O::tls_key,
                       &O::nats_url, &O::nats_ca, &O::nats_seed_file, &O::data_directory, &O::trusted_sources, &O::log_store_directory},
          .optional = {&O::redis_url_file, &O::pack, &O::not_durable, &O::log_level}};
}

void AddServiceOptions(Settings& settings, ServiceOptions& options, AcceptedOptions accepted) {
  for (const ServiceSetting& member : accepted.required) AddOne(settings, options, member, true);
  for (const ServiceSetting& member : accepted.optional) AddOne(settings, options, member, false);
}

}  // namespace vigil::config
