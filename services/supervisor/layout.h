// What an installation on one machine consists of, and where each part lies: the names, ports and paths that everything
// else in this folder (and deploy/local, docs/operations.md) agrees on.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

namespace vigil::installation {

// Ports are counted from the installation's first one, the gateway's (VIGIL_PORT). All listen on 127.0.0.1 only.
inline constexpr int kNatsPortOffset = 20;
inline constexpr int kRedisPortOffset = 21;
inline constexpr int kSandboxPortOffset = 22;
inline constexpr int kLastPortOffset = kSandboxPortOffset;

struct Service {
  std::string_view name;    // process name; the executable is vigil-<name>
  std::string_view user;    // its user at the broker: the source it may write, or its own name if it writes nothing
  std::string_view source;  // empty: writes nothing
  int grpc_offset;
  int metrics_offset;
  bool reads_keys;   // may read the bucket of persons' keys
  bool writes_keys;  // may write it
  int niceness = 0;  // above 0: what it does can wait for the alert path
};

// In the order in which they are started.
inline constexpr std::array<Service, 6> kServices = {{
    {"intake", "intake", "intake", 1, 11, true, true},
    {"risk-rules", "risk", "risk", 2, 12, true, false},
    {"escalation-timer", "timer", "timer", 3, 13, false, false},
    {"notification", "notice", "notice", 4, 14, true, false},
    {"audit", "audit", "", 5, 15, false, false, 10},
    {"gateway", "gateway", "", 6, 16, true, false},
}};

// Users at the broker beside the services': one that may only read the log (VIGIL_NATS_SEED_FILE), one that creates
// streams.
inline constexpr std::string_view kReaderUser = "reader";
inline constexpr std::string_view kAdminUser = "admin";

// The certificate with which the command line (`vigil`) calls the services.
inline constexpr std::string_view kOperatorCertificate = "operator";

// Paths below one home. Immutable; safe to share.
class Layout {
 public:
  // `home` must be absolute.
  explicit Layout(std::filesystem::path home) : home_(std::move(home)) {}

  const std::filesystem::path& home() const { return home_; }
  std::filesystem::path environment() const { return home_ / "env"; }
  std::filesystem::path installation() const { return home_ / "installation.json"; }
  std::filesystem::path config(std::string_view name) const { return home_ / "config" / (std::string(name) + ".toml"); }
  std::filesystem::path secret(std::string_view file) const { return home_ / "secrets" / file; }
  std::filesystem::path trust(std::string_view file) const { return home_ / "trust" / file; }
  // What custodians take away, until they have; and what is sealed to them, for backups.
  std::filesystem::path custodians(std::string_view file) const { return home_ / "custodians" / file; }
  // There while `vigil restore` fills the home: nothing may be started in it.
  std::filesystem::path restoring() const { return home_ / "restoring"; }
  std::filesystem::path authority() const { return trust("ca.crt"); }
  std::filesystem::path nats_config() const { return home_ / "nats" / "nats.conf"; }
  std::filesystem::path nats_store() const { return home_ / "nats" / "store"; }
  std::filesystem::path redis() const { return home_ / "redis"; }
  std::filesystem::path redis_config() const { return redis() / "redis.conf"; }
  std::filesystem::path data(std::string_view service) const { return home_ / "data" / service; }
  std::filesystem::path log(std::string_view name) const { return home_ / "logs" / (std::string(name) + ".log"); }
  std::filesystem::path run(std::string_view file) const { return home_ / "run" / file; }

 private:
  std::filesystem::path home_;
};

}  // namespace vigil::installation
