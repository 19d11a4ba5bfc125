#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vigil {

inline constexpr std::size_t kMaxSnapshotChunkBytes = 4 * 1024 * 1024;
inline constexpr std::size_t kMaxSnapshotChunks = 65'536;

struct Snapshot {
  std::uint64_t position = 0;       // the last sequence that the state contains
  std::vector<std::string> chunks;  // as they were put
};

// Where states are kept for a warm start. Never the truth: whatever it answers or loses, everything can be read from the log again; so no
// error of it may stop anything. Thread-safe.
class SnapshotStore {
 public:
  virtual ~SnapshotStore() = default;

  // Replaces what is under `name`, all or nothing: whoever gets it meanwhile has the whole of the old or of the new one. kUnavailable: the
  // store does not answer, and the old one is still there. kInvalidArgument: over the limits above.
  virtual absl::Status Put(std::string_view name, const Snapshot& snapshot) = 0;

  // kNotFound: there is none (any more). kDataLoss: there is one, but not as it was put. kUnavailable: the store does not answer.
  virtual absl::StatusOr<Snapshot> Get(std::string_view name) = 0;

  // OK also if there is none.
  virtual absl::Status Remove(std::string_view name) = 0;
};

// kInvalidArgument unless `snapshot` is within the limits; for implementations.
absl::Status CheckLimits(const Snapshot& snapshot);

}  // namespace vigil
