// installation.json: what was decided when the home was made and holds for its whole life (the port apart).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "supervisor/layout.h"

namespace vigil::installation {

inline constexpr int kDefaultPort = 8080;

struct Installation {
  std::string id;  // 32 hex digits
  int port = kDefaultPort;
  bool rehearsal = false;
  double speed = 1;     // of the domain clock at its beginning; changed later only in the log (`vigil clock`)
  bool durable = true;  // false: --not-durable was accepted
  absl::Time created_time;
  std::int64_t stream_max_bytes = 0;  // of each of the log's streams and of the key bucket
};

// NotFound if `layout` has none.
absl::StatusOr<Installation> ReadInstallation(const Layout& layout);
absl::Status WriteInstallation(const Layout& layout, const Installation& installation);

struct InitOptions {
  int port = kDefaultPort;
  bool rehearsal = false;
  std::optional<double> speed;  // default 1
  bool durable = true;
  // The installation.json of a backup: the home is made for that installation, whose secrets lie in it already.
  std::string restored_from;
};

// Makes a new home: directories, the synchronous store, keys and certificates, installation.json last (so that a home
// without it is one that was never finished, and init may go on with it). If there is a finished one, gives it back
// with what may still change changed (to not durable), or FailedPrecondition if it was made otherwise than the options
// want.
absl::StatusOr<Installation> Init(const Layout& layout, const InitOptions& options, absl::Time now);

// Creates whatever key or certificate is missing or about to expire. Never replaces a key.
absl::Status EnsureSecrets(const Layout& layout, const Installation& installation, absl::Time now);

}  // namespace vigil::installation
