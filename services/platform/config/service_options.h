// The settings that services share, named alike everywhere. A service says which of them it takes; any other is an error at start.
//
//   config::ServiceOptions options;
//   config::Settings settings("vigil-intake", "The one door for what people do.");
//   config::AddServiceOptions(settings, options, config::CommonOptions());
//   config::AddServiceOptions(settings, options, {.required = {&config::ServiceOptions::signing_key_file}, .optional = {…}});
//   if (auto code = settings.ParseOrExit(argc, argv)) return *code;
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "platform/config/settings.h"

namespace vigil::config {

struct ServiceOptions {
  std::string installation;            // the installation's name
  std::string home;                    // directory of the installation
  std::string grpc_listen = "127.0.0.1:0";
  std::string metrics_listen = "127.0.0.1:0";
  std::string tls_ca;                  // PEM file: who may speak to us, and whom we believe
  std::string tls_certificate;         // PEM file; its common name is the service's name
  std::string tls_key;                 // PEM file
  std::string nats_url;                // tls://host:port
  std::string nats_ca;                 // PEM file
  std::string nats_seed_file;          // nkey seed
  std::string redis_url_file;          // a file, as the URL carries a password; absent: no Redis
  std::string pack;                    // directory of the protocol pack
  std::string data_directory;          // this service's own files
  std::string trusted_sources;         // file: a source's name and its public signing key a line
  std::string signing_key_file;        // this source's own signing key
  std::string installation_key_file;
  std::string token_public_key_file;
  std::string check_in_key_file;
  std::string checkpoint_key_file;
  bool not_durable = false;            // accept a log store without synchronous writes
  std::string log_store_directory;     // NATS's store, checked to be synchronous
  bool rehearsal = false;              // this installation's clock may run faster
  double speed = 1;                    // of a new rehearsal's clock
  std::string http_listen = "127.0.0.1:8080";
  std::string intake_address;          // host:port of the service's gRPC
  std::string audit_address;
  std::string notification_address;
  std::string sandbox_secret_file;
  std::string provider_url;
  std::string provider_url_2;          // a second provider; absent: none
  std::string callback_base_url;       // where providers reach the gateway's /callbacks
  std::string public_url;              // where people outside reach the gateway, in the codes of printed documents
  std::string log_level = "info";      // debug, info, warn, error
};

using ServiceSetting = std::variant<std::string ServiceOptions::*, bool ServiceOptions::*, double ServiceOptions::*>;

struct AcceptedOptions {
  std::vector<ServiceSetting> required;
  std::vector<ServiceSetting> optional = {};
};

// What every service takes; each adds its own to it.
AcceptedOptions CommonOptions();

// `options` outlives `settings`' parsing.
void AddServiceOptions(Settings& settings, ServiceOptions& options, AcceptedOptions accepted);

}  // namespace vigil::config
