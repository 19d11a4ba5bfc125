// The broker's configuration: TLS, JetStream's store, and a user per service with no more permissions than its job
// needs. Permissions are the first fence; the second is that every batch is signed (platform/log).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vigil::installation {

inline constexpr std::int64_t kMaxPayloadBytes = 1024 * 1024;

struct NatsPermissions {
  std::vector<std::string> publish;
  std::vector<std::string> subscribe;
};

// What the user may do; `user` is one of kServices' or kReaderUser or kAdminUser. Nothing for any other name.
NatsPermissions PermissionsOf(std::string_view user);

struct NatsUser {
  std::string name;
  std::string public_key;  // U…
};

struct NatsSettings {
  std::string server_name;
  int port = 0;
  std::filesystem::path certificate;
  std::filesystem::path key;
  std::filesystem::path authority;
  std::filesystem::path store;
  std::int64_t max_store_bytes = 0;
  std::vector<NatsUser> users;
};

// The text of nats.conf.
std::string NatsConfig(const NatsSettings& settings);

}  // namespace vigil::installation
