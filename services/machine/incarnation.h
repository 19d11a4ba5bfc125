// Whether a partition's stream is still the one that was known. A stream that lost its end, or was made anew, is a disaster and not a
// routine: sequences are reused, and an append that expects an old one can be accepted. So before anything is appended, at start and after each
// lost connection, what is there is held against what was read before.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"

namespace vigil {

// The last message of a partition that was read, and the stream that it stood in.
struct KnownPosition {
  absl::Time created_time = absl::InfinitePast();  // of the stream; InfinitePast: nothing is known
  std::uint64_t sequence = 0;                      // 0: nothing was read yet
  std::string hash;                                // BatchHash of that message
  std::string incarnation;                         // of the last `vigil repair` that was read of; empty: none

  bool operator==(const KnownPosition&) const = default;
};
using KnownPositions = std::array<KnownPosition, kPartitions>;

// OK: the stream goes on from what is known (or nothing is). DataLoss: it is another stream, it has lost messages, or
// another one stands where the known one stood; unless `vigil repair` has made it whole and said so in the log. Unavailable: the broker
// does not answer. Blocks; not from a callback.
//
// What was read and is lost for good (the ledger had not had it either) a repair says by where the stream was whole until: a service that has
// folded none of it, `fresh`, may go on from there; one that has must be started again.
struct CheckedStream {
  absl::Time created_time;
  std::uint64_t last_sequence = 0;
  bool forget = false;  // what was known is no longer so
};
absl::StatusOr<CheckedStream> CheckStream(Log& log, int partition, const KnownPosition& known,
                                          const std::vector<std::pair<std::string, VerifyKey>>& trusted, bool fresh);

// Kept in a small file of the service's own: JSON {"<partition>": {"created": unix nanoseconds, "sequence": n, "hash": hex, "incarnation": text}}.
// NotFound: there is none yet. DataLoss: it cannot be read; nothing is known then, and that should be said.
absl::StatusOr<KnownPositions> LoadPositions(const std::string& path);
absl::Status SavePositions(const std::string& path, const KnownPositions& positions);

}  // namespace vigil
