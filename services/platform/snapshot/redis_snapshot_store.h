#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/crypto/random.h"
#include "platform/snapshot/snapshot_store.h"

namespace vigil {

struct RedisOptions {
  // redis://[user[:password]@]host[:port][/database], or unix:///path/of/socket, with user and password as unix://user:password@/path.
  // Percent-encoding is understood in user and password.
  std::string url = "redis://127.0.0.1:6379";
  std::string key_prefix = "vigil:snapshot:";
  // Of a connection, and of each command. A Put or Get is one command a chunk and two more, and ends at the first that fails.
  absl::Duration timeout = absl::Milliseconds(200);
  // After a failed connection, everything fails at once for this long.
  absl::Duration reconnect_wait = absl::Milliseconds(250);
  // What nobody replaces is forgotten.
  absl::Duration time_to_live = absl::Hours(24 * 7);
};

// Snapshots in Redis. Works from the first moment, also while Redis is away. A snapshot is stored as chunks under
// <prefix><name>:<random id>:<n> and, last, a manifest under <prefix><name>: JSON {id, position, chunks, sha256}. `random` outlives the store.
// InvalidArgument: a URL that is not one.
absl::StatusOr<std::unique_ptr<SnapshotStore>> OpenRedisSnapshotStore(RedisOptions options, Random& random);

}  // namespace vigil
