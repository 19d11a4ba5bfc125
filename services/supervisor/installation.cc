#include "supervisor/installation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/nkey.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"
#include "supervisor/certificates.h"
#include "supervisor/custodians.h"
#include "supervisor/files.h"
#include "supervisor/synchronous_store.h"

namespace vigil::installation {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kIdBytes = 16;
constexpr std::uint64_t kMinFreeBytes = 512ull * 1024 * 1024;
constexpr std::int64_t kMaxStreamBytes = 8ll * 1024 * 1024 * 1024;
// The key bucket is reserved as one more stream.
constexpr std::int64_t kStoresReserved = kPartitions + 1;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

bool Exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// A symmetric key or a password: hex, without a newline, so that a reader need not trim.
absl::Status EnsureRandomHex(const std::filesystem::path& path, Random& random) {
  if (Exists(path)) return absl::OkStatus();
  return WriteFile(path, HexEncode(random.Bytes(kKeyBytes)));
}

// A signing seed in hex; gives back its public key in hex.
absl::StatusOr<std::string> EnsureSigningKey(const std::filesystem::path& path, Random& random) {
  if (!Exists(path)) {
    if (absl::Status status = WriteFile(path, HexEncode(SigningKey::Generate(random).seed().reveal())); !status.ok())
      return status;
  }
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  const std::optional<std::string> seed = HexDecode(*text);
  if (!seed.has_value()) return absl::DataLossError(absl::StrCat(path.string(), " is not a key in hex"));
  absl::StatusOr<SigningKey> key = SigningKey::FromSeed(*seed);
  if (!key.ok()) return absl::DataLossError(absl::StrCat(path.string(), ": ", key.status().message()));
  return HexEncode(key->verify_key().bytes());
}

absl::Status EnsureNatsUser(const Layout& layout, std::string_view user, Random& random) {
  const std::filesystem::path path = layout.secret(absl::StrCat(View(user), ".nkey"));
  if (Exists(path)) return absl::OkStatus();
  return WriteFile(path, EncodeNkeySeed(SigningKey::Generate(random)).reveal());
}

// A path goes into configuration files of three syntaxes; what would need escaping in one of them is refused.
absl::Status CheckHome(const std::filesystem::path& home) {
  const std::string text = home.string();
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && c != '"' && c != '\'' && c != '\\' && c != '$' && c != '`' && c != '#';
  });
  if (!plain)
    return absl::InvalidArgumentError(
        "VIGIL_HOME has a character (quote, backslash, $, ` or #) that configuration files cannot hold");
  return absl::OkStatus();
}

absl::Status MakeDirectories(const Layout& layout) {
  for (const char* name : {"config", "secrets", "trust", "nats", "nats/store", "redis", "data", "logs", "run", "custodians"}) {
    if (absl::Status status = MakeDirectory(layout.home() / name); !status.ok()) return status;
  }
  for (const Service& service : kServices) {
    if (absl::Status status = MakeDirectory(layout.data(service.name)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<Installation> Keep(const Layout& layout, const InitOptions& options) {
  absl::StatusOr<Installation> installation = ReadInstallation(layout);
  if (!installation.ok()) return installation.status();
  const std::string home = layout.home().string();
  if (options.rehearsal && !installation->rehearsal) {
    return absl::FailedPreconditionError(absl::StrCat(
        home,
        " is an installation for use: its clock runs at speed 1 for ever. Choose another VIGIL_HOME for a rehearsal"));
  }
  if (options.speed.has_value() && *options.speed != installation->speed) {
    return absl::FailedPreconditionError(absl::StrCat(home, " was made with speed ", installation->speed,
                                                      "; `vigil clock --speed ", *options.speed,
                                                      "` changes a rehearsal's speed"));
  }
  if (!options.durable && installation->durable) {
    installation->durable = false;
    if (absl::Status status = WriteInstallation(layout, *installation); !status.ok()) return status;
  }
  return installation;
}

}  // namespace

namespace {

absl::StatusOr<Installation> ReadInstallationFile(const std::filesystem::path& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  const nlohmann::json json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const absl::Status broken = absl::DataLossError(absl::StrCat(path.string(), " is not what init wrote"));
  if (!json.is_object()) return broken;
  Installation installation;
  try {
    installation.id = json.at("id").get<std::string>();
    installation.port = json.at("port").get<int>();
    installation.rehearsal = json.at("rehearsal").get<bool>();
    installation.speed = json.at("speed").get<double>();
    installation.durable = json.at("durable").get<bool>();
    installation.stream_max_bytes = json.at("stream_max_bytes").get<std::int64_t>();
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, json.at("created").get<std::string>(), &installation.created_time, &error))
      return broken;
  } catch (const nlohmann::json::exception&) {
    return broken;
  }
  return installation;
}

}  // namespace

absl::StatusOr<Installation> ReadInstallation(const Layout& layout) { return ReadInstallationFile(layout.installation()); }

absl::Status WriteInstallation(const Layout& layout, const Installation& installation) {
  const nlohmann::ordered_json json = {
      {"id", installation.id},
      {"port", installation.port},
      {"rehearsal", installation.rehearsal},
      {"speed", installation.speed},
      {"durable", installation.durable},
      {"created", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", installation.created_time, absl::UTCTimeZone())},
      {"stream_max_bytes", installation.stream_max_bytes},
  };
  return WriteFile(layout.installation(), json.dump(2) + "\n");
}

absl::Status EnsureSecrets(const Layout& layout, const Installation& installation, absl::Time now) {
  SystemRandom random;
  if (absl::Status status =
          EnsureAuthority(layout.secret("ca.key"), layout.authority(), installation.id.substr(0, 8), now);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<std::string> authority = ReadFile(layout.authority());
  if (!authority.ok()) return authority.status();
  if (absl::Status status = WriteFile(layout.secret("ca.crt"), *authority); !status.ok()) return status;
  std::vector<std::string_view> leaves = {"nats", kOperatorCertificate};
  for (const Service& service : kServices) leaves.push_back(service.name);
  for (const std::string_view name : leaves) {
    if (absl::Status status =
            EnsureLeaf(layout.secret("ca.key"), layout.authority(), layout.secret(absl::StrCat(View(name), ".key")),
                       layout.secret(absl::StrCat(View(name), ".crt")), name, now);
        !status.ok()) {
      return status;
    }
  }

  std::string sources;
  for (const Service& service : kServices) {
    if (absl::Status status = EnsureNatsUser(layout, service.user, random); !status.ok()) return status;
    if (service.source.empty()) continue;
    absl::StatusOr<std::string> key =
        EnsureSigningKey(layout.secret(absl::StrCat(View(service.source), ".sign")), random);
    if (!key.ok()) return key.status();
    absl::StrAppend(&sources, View(service.source), " ", *key, "\n");
  }
  if (absl::Status status = WriteFile(layout.trust("sources"), sources); !status.ok()) return status;
  for (const std::string_view user : {kReaderUser, kAdminUser}) {
    if (absl::Status status = EnsureNatsUser(layout, user, random); !status.ok()) return status;
  }

  for (const char* name : {"token", "checkpoint"}) {
    absl::StatusOr<std::string> key = EnsureSigningKey(layout.secret(absl::StrCat(name, ".sign")), random);
    if (!key.ok()) return key.status();
    if (absl::Status status = WriteFile(layout.trust(absl::StrCat(name, ".pub")), *key); !status.ok()) return status;
  }
  for (const char* name :
       {"installation.key", "check-in.key", "sandbox.secret", "redis.password", "redis-operator.password"}) {
    if (absl::Status status = EnsureRandomHex(layout.secret(name), random); !status.ok()) return status;
  }
  if (absl::Status status = EnsureCustodians(layout, installation); !status.ok()) return status;
  return SealToCustodians(layout);
}

absl::StatusOr<Installation> Init(const Layout& layout, const InitOptions& options, absl::Time now) {
  if (Exists(layout.installation())) return Keep(layout, options);
  if (absl::Status status = CheckHome(layout.home()); !status.ok()) return status;
  absl::StatusOr<std::uint64_t> free_bytes = FreeBytes(layout.home());
  if (!free_bytes.ok()) return free_bytes.status();
  if (*free_bytes < kMinFreeBytes) {
    return absl::ResourceExhaustedError(absl::StrCat("only ", *free_bytes / (1024 * 1024), " MiB free for ",
                                                     layout.home().string(), "; at least ",
                                                     kMinFreeBytes / (1024 * 1024), " MiB are needed"));
  }
  if (absl::Status status = MakeDirectories(layout); !status.ok()) return status;
  if (absl::Status status = MakeSynchronous(layout.nats_store()); !status.ok() && options.durable) return status;

  Installation installation;
  SystemRandom random;
  installation.id = HexEncode(random.Bytes(kIdBytes));
  installation.port = options.port;
  installation.rehearsal = options.rehearsal;
  installation.speed = options.speed.value_or(1);
  installation.durable = options.durable;
  installation.created_time = now;
  if (!options.restored_from.empty()) {
    absl::StatusOr<Installation> restored = ReadInstallationFile(options.restored_from);
    if (!restored.ok()) return restored.status();
    installation.id = restored->id;
    installation.rehearsal = restored->rehearsal;
    installation.speed = restored->speed;
    installation.created_time = restored->created_time;
  }
  // 10 % of the disk stays free when every stream is full.
  installation.stream_max_bytes =
      std::min(kMaxStreamBytes, static_cast<std::int64_t>(static_cast<double>(*free_bytes) * 0.9) / kStoresReserved);
  if (absl::Status status = EnsureSecrets(layout, installation, now); !status.ok()) return status;
  if (absl::Status status = WriteInstallation(layout, installation); !status.ok()) return status;
  return installation;
}

}  // namespace vigil::installation
