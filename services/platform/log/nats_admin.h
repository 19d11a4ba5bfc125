#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "platform/log/nats_client.h"

namespace vigil {

// What only the program that sets an installation up may do, with its own user (all of `$JS.API.>`). Both calls may be repeated: what is
// there already is left, or brought to these settings.
struct StreamSettings {
  std::int64_t max_bytes = 0;  // of each stream; 0: no limit but the disk
  int replicas = 1;
};

// VIGIL-00 … VIGIL-15: subjects vigil.<pp>.*, file storage, limits retention, no age limit, DiscardNew, DenyDelete, DenyPurge.
absl::Status CreateStreams(NatsClient& admin, const StreamSettings& settings);

// The bucket of people's keys: one revision a key, file storage. Unlike the usual bucket it allows a message to be deleted, because only that
// (and not a purge) overwrites its bytes on disk.
inline constexpr char kKeyBucket[] = "vigil-keys";
absl::Status CreateKeyBucket(NatsClient& admin, const StreamSettings& settings);

}  // namespace vigil
