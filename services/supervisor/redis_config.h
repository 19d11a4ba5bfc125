// Redis holds only what can be computed again (snapshots, projections, rate limits): loopback, a password, no
// persistence.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace vigil::installation {

struct RedisSettings {
  int port = 0;
  std::filesystem::path directory;
  std::string service_password;   // user `vigil`: data commands only
  std::string operator_password;  // user `operator`: may look at everything and flush it
};

inline constexpr std::string_view kRedisServiceUser = "vigil";
inline constexpr std::string_view kRedisOperatorUser = "operator";

// The text of redis.conf. Passwords appear only as SHA-256.
std::string RedisConfig(const RedisSettings& settings);

// redis://user:password@127.0.0.1:port
std::string RedisUrl(std::string_view user, std::string_view password, int port);

}  // namespace vigil::installation
