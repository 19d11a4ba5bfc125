#include "supervisor/redis_config.h"

#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil::installation {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::string RedisConfig(const RedisSettings& settings) {
  return absl::StrCat(
      "# Written by vigil-installation at every start; changes here are lost.\n"
      "bind 127.0.0.1\n"
      "protected-mode yes\n"
      "port ",
      settings.port,
      "\n"
      "daemonize no\n"
      "dir \"",
      settings.directory.string(),
      "\"\n"
      "save \"\"\n"
      "appendonly no\n"
      "maxmemory 1gb\n"
      "maxmemory-policy noeviction\n"
      "user default off\n"
      "user ",
      View(kRedisServiceUser), " on #", HexEncode(AsView(Sha256(settings.service_password))),
      " ~* &* -@all +@read +@write +@keyspace +@connection +@transaction -@admin -@dangerous\n"
      "user ",
      View(kRedisOperatorUser), " on #", HexEncode(AsView(Sha256(settings.operator_password))),
      " ~* &* +@all -@admin -@dangerous +flushall +flushdb +keys +info +client +slowlog +sort +acl|whoami\n");
}

std::string RedisUrl(std::string_view user, std::string_view password, int port) {
  return absl::StrCat("redis://", View(user), ":", View(password), "@127.0.0.1:", port);
}

}  // namespace vigil::installation
