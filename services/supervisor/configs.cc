#include "supervisor/configs.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/nkey.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sign.h"
#include "platform/crypto/token.h"
#include "platform/log/log.h"
#include "supervisor/files.h"
#include "supervisor/nats_config.h"
#include "supervisor/redis_config.h"

namespace vigil::installation {
namespace {

constexpr absl::Duration kAdministratorTokenLifetime = absl::Hours(24 * 365);
constexpr std::size_t kTokenIdBytes = 16;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string Address(int port) { return absl::StrCat("127.0.0.1:", port); }
std::string Quoted(std::string_view text) { return absl::StrCat("\"", View(text), "\""); }
std::string QuotedPath(const std::filesystem::path& path) { return Quoted(path.string()); }
std::string Bool(bool value) { return value ? "true" : "false"; }

std::string NatsUrl(const Installation& installation) {
  return absl::StrCat("tls://", Address(installation.port + kNatsPortOffset));
}

std::string Text(const Settings& settings) {
  std::string text = "# Written by vigil-installation at every start; changes here are lost.\n";
  for (const auto& [key, value] : settings) absl::StrAppend(&text, key, " = ", value, "\n");
  return text;
}

const Service& ServiceNamed(std::string_view name) {
  for (const Service& service : kServices) {
    if (service.name == name) return service;
  }
  return kServices.front();
}

std::string GrpcAddress(const Installation& installation, std::string_view name) {
  return Address(installation.port + ServiceNamed(name).grpc_offset);
}

// RISK_RULES for risk-rules.
std::string Upper(std::string_view name) {
  return absl::StrReplaceAll(absl::AsciiStrToUpper(View(name)), {{"-", "_"}});
}

// A word of a POSIX shell. Plain text stays plain, so that a reader that only splits at '=' also understands the file.
std::string ShellWord(const std::string& text) {
  const auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("/:.,_-@+=%").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

absl::StatusOr<std::string> PublicNkey(const Layout& layout, std::string_view user) {
  absl::StatusOr<std::string> seed = ReadFile(layout.secret(absl::StrCat(View(user), ".nkey")));
  if (!seed.ok()) return seed.status();
  absl::StatusOr<SigningKey> key = DecodeNkeySeed(*seed);
  if (!key.ok()) return key.status();
  return EncodeNkeyPublic(key->verify_key());
}

absl::Status WriteBrokerConfigs(const Layout& layout, const Installation& installation) {
  NatsSettings nats;
  nats.server_name = absl::StrCat("vigil-", installation.id.substr(0, 8));
  nats.port = installation.port + kNatsPortOffset;
  nats.certificate = layout.secret("nats.crt");
  nats.key = layout.secret("nats.key");
  nats.authority = layout.authority();
  nats.store = layout.nats_store();
  // The streams, the key bucket, and room for one more: the server counts a stream that exists again when it is asked
  // to create it.
  constexpr std::int64_t kStores = kPartitions + 2;
  nats.max_store_bytes = installation.stream_max_bytes * kStores;
  std::vector<std::string_view> users;
  for (const Service& service : kServices) users.push_back(service.user);
  users.push_back(kReaderUser);
  users.push_back(kAdminUser);
  for (const std::string_view user : users) {
    absl::StatusOr<std::string> key = PublicNkey(layout, user);
    if (!key.ok()) return key.status();
    nats.users.push_back({std::string(user), *std::move(key)});
  }
  if (absl::Status status = WriteFile(layout.nats_config(), NatsConfig(nats)); !status.ok()) return status;

  RedisSettings redis;
  redis.port = installation.port + kRedisPortOffset;
  redis.directory = layout.redis();
  absl::StatusOr<std::string> password = ReadFile(layout.secret("redis.password"));
  if (!password.ok()) return password.status();
  absl::StatusOr<std::string> operator_password = ReadFile(layout.secret("redis-operator.password"));
  if (!operator_password.ok()) return operator_password.status();
  redis.service_password = *password;
  redis.operator_password = *operator_password;
  if (absl::Status status = WriteFile(layout.redis_config(), RedisConfig(redis)); !status.ok()) return status;
  return WriteFile(layout.secret("redis.url"), RedisUrl(kRedisServiceUser, *password, redis.port));
}

}  // namespace

std::string GatewayUrl(const Installation& installation) {
  return absl::StrCat("https://", Address(installation.port));
}

std::string SandboxUrl(const Installation& installation, const Providers& providers) {
  return providers.url.empty() ? absl::StrCat("http://", Address(installation.port + kSandboxPortOffset))
                               : providers.url;
}

Settings ServiceSettings(const Layout& layout, const Installation& installation, const Surroundings& surroundings,
                         const Service& service) {
  const std::string name(service.name);
  const auto is = [&](auto... names) { return ((service.name == names) || ...); };
  Settings settings = {
      {"installation", Quoted(installation.id)},
      {"home", QuotedPath(layout.home())},
      {"grpc_listen", Quoted(Address(installation.port + service.grpc_offset))},
      {"metrics_listen", Quoted(Address(installation.port + service.metrics_offset))},
      {"tls_ca", QuotedPath(layout.authority())},
      {"tls_certificate", QuotedPath(layout.secret(name + ".crt"))},
      {"tls_key", QuotedPath(layout.secret(name + ".key"))},
      {"nats_url", Quoted(NatsUrl(installation))},
      {"nats_ca", QuotedPath(layout.authority())},
      {"nats_seed_file", QuotedPath(layout.secret(absl::StrCat(View(service.user), ".nkey")))},
      {"redis_url_file", QuotedPath(layout.secret("redis.url"))},
      {"pack", QuotedPath(surroundings.pack)},
      {"data_directory", QuotedPath(layout.data(service.name))},
      {"trusted_sources", QuotedPath(layout.trust("sources"))},
      {"log_store_directory", QuotedPath(layout.nats_store())},
      {"not_durable", Bool(!installation.durable)},
  };
  const auto add = [&](std::string key, std::string value) { settings.emplace_back(std::move(key), std::move(value)); };
  if (!service.source.empty())
    add("signing_key_file", QuotedPath(layout.secret(absl::StrCat(View(service.source), ".sign"))));
  if (service.reads_keys) add("installation_key_file", QuotedPath(layout.secret("installation.key")));
  if (is("gateway", "intake")) add("token_public_key_file", QuotedPath(layout.trust("token.pub")));
  if (is("intake")) {
    add("check_in_key_file", QuotedPath(layout.secret("check-in.key")));
    add("notification_address", Quoted(GrpcAddress(installation, "notification")));  // break-glass
    add("rehearsal", Bool(installation.rehearsal));
    add("speed", absl::StrCat(installation.speed));
  }
  if (is("audit")) add("checkpoint_key_file", QuotedPath(layout.secret("checkpoint.sign")));
  if (is("gateway")) {
    add("http_listen", Quoted(Address(installation.port)));
    add("public_url", Quoted(surroundings.public_url.empty() ? GatewayUrl(installation) : surroundings.public_url));
    add("intake_address", Quoted(GrpcAddress(installation, "intake")));
    add("audit_address", Quoted(GrpcAddress(installation, "audit")));
    add("notification_address", Quoted(GrpcAddress(installation, "notification")));
  }
  if (is("intake", "notification")) {
    add("provider_url", Quoted(SandboxUrl(installation, surroundings.providers)));
    if (!surroundings.providers.second_url.empty()) add("provider_url_2", Quoted(surroundings.providers.second_url));
    add("callback_base_url", Quoted(absl::StrCat(GatewayUrl(installation), "/callbacks")));
  }
  if (is("gateway", "notification")) add("sandbox_secret_file", QuotedPath(layout.secret("sandbox.secret")));
  return settings;
}

Settings SandboxSettings(const Layout& layout, const Installation& installation) {
  return {
      {"listen", Quoted(Address(installation.port + kSandboxPortOffset))},
      {"secret_file", QuotedPath(layout.secret("sandbox.secret"))},
      {"callback_ca", QuotedPath(layout.authority())},
  };
}

absl::Status WriteConfigs(const Layout& layout, const Installation& installation, const Surroundings& surroundings) {
  if (!surroundings.providers.secret.empty()) {
    if (absl::Status status = WriteFile(layout.secret("sandbox.secret"), surroundings.providers.secret); !status.ok())
      return status;
  }
  if (absl::Status status = WriteBrokerConfigs(layout, installation); !status.ok()) return status;
  for (const Service& service : kServices) {
    const std::string text = Text(ServiceSettings(layout, installation, surroundings, service));
    if (absl::Status status = WriteFile(layout.config(service.name), text); !status.ok()) return status;
  }
  return WriteFile(layout.config("sandbox"), Text(SandboxSettings(layout, installation)));
}

absl::StatusOr<std::string> AdministratorToken(const Layout& layout, absl::Time now) {
  absl::StatusOr<std::string> text = ReadFile(layout.secret("token.sign"));
  if (!text.ok()) return text.status();
  absl::StatusOr<SigningKey> key = SigningKey::FromSeed(HexDecode(*text).value_or(""));
  if (!key.ok()) return key.status();
  SystemRandom random;
  TokenClaims claims;
  claims.id = HexEncode(random.Bytes(kTokenIdBytes));
  claims.school = std::string(kEverySchool);
  claims.person = "administrator";
  claims.role = "administrator";
  claims.expires_time = now + kAdministratorTokenLifetime;
  return MintToken(*key, claims);
}

absl::Status WriteEnvironment(const Layout& layout, const Installation& installation, const Surroundings& surroundings,
                              std::string_view token, const std::function<pid_t(std::string_view)>& pid_of) {
  absl::StatusOr<std::string> sandbox_secret = ReadFile(layout.secret("sandbox.secret"));
  if (!sandbox_secret.ok()) return sandbox_secret.status();
  absl::StatusOr<std::string> redis_password = ReadFile(layout.secret("redis-operator.password"));
  if (!redis_password.ok()) return redis_password.status();

  Settings variables = {
      {"VIGIL_HOME", layout.home().string()},
      {"VIGIL_URL", GatewayUrl(installation)},
      {"VIGIL_CA", layout.authority().string()},
      {"VIGIL_ADMIN_TOKEN", std::string(token)},
      {"VIGIL_NATS_URL", NatsUrl(installation)},
      {"VIGIL_NATS_CA", layout.authority().string()},
      {"VIGIL_NATS_SEED_FILE", layout.secret(absl::StrCat(View(kReaderUser), ".nkey")).string()},
      {"VIGIL_REDIS_URL", RedisUrl(kRedisOperatorUser, *redis_password, installation.port + kRedisPortOffset)},
      {"VIGIL_SANDBOX_URL", SandboxUrl(installation, surroundings.providers)},
      {"VIGIL_SANDBOX_SECRET", *sandbox_secret},
  };
  if (!surroundings.providers.second_url.empty())
    variables.emplace_back("VIGIL_SANDBOX_URL_2", surroundings.providers.second_url);
  const auto add_pid = [&](std::string_view name) {
    const pid_t pid = pid_of(name);
    variables.emplace_back(absl::StrCat("VIGIL_PID_", Upper(name)), pid > 0 ? absl::StrCat(pid) : "");
  };
  for (const Service& service : kServices) {
    add_pid(service.name);
    variables.emplace_back(absl::StrCat("VIGIL_GRPC_", Upper(service.name)),
                           Address(installation.port + service.grpc_offset));
    variables.emplace_back(absl::StrCat("VIGIL_METRICS_", Upper(service.name)),
                           absl::StrCat("http://", Address(installation.port + service.metrics_offset), "/metrics"));
  }
  for (const std::string_view name : {"nats", "redis", "sandbox"}) add_pid(name);

  std::string text = "# Vigil's addresses and keys for a shell: `. " + layout.environment().string() +
                     "`. Written anew whenever a process starts; for this user's eyes only.\n";
  std::vector<std::string> names;
  for (const auto& [name, value] : variables) {
    absl::StrAppend(&text, name, "=", ShellWord(value), "\n");
    names.push_back(name);
  }
  const std::string programs = surroundings.programs.string();
  absl::StrAppend(&text, "case \":$PATH:\" in *:", ShellWord(programs), ":*) ;; *) PATH=", ShellWord(programs),
                  ":$PATH ;; esac\n");
  absl::StrAppend(&text, "export PATH ", absl::StrJoin(names, " "), "\n");
  return WriteFile(layout.environment(), text);
}

}  // namespace vigil::installation
