#pragma once

#include <vector>

#include "vigil/command_runner.h"
#include "vigil/environment.h"

namespace vigil {

struct VerifyOptions {
  std::vector<int> partitions;  // empty: all
};

// `vigil verify`: reads the log itself, from its first message, and compares it with what the ledger serves and has signed (NFR-01). It
// trusts neither: signatures are checked with the keys of $VIGIL_HOME/trust. Needs VIGIL_NATS_URL, VIGIL_NATS_CA, VIGIL_NATS_SEED_FILE.
ExitCode RunVerify(const VerifyOptions& verify, const RunOptions& options, const Environment& environment);

// The same for others to call; the count of commits found equal, or what differs (DataLoss), or why it could not be found out.
struct Verified {
  std::uint64_t commits = 0;
  int partitions = 0;  // that hold any
};
absl::StatusOr<Verified> VerifyAll(const Connection& connection, const Environment& environment);

}  // namespace vigil
