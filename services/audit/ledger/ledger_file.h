#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "audit/ledger/verify.h"

namespace vigil {

struct LedgerFileToVerify {
  std::string directory;  // of a ledger that no process has open; read only
  std::string installation;
  NoteVerifier key;                                                 // known from elsewhere, not read from the directory
  std::map<std::uint32_t, std::vector<std::string>> earlier;        // by partition, as PartitionToVerify::earlier
  std::function<NextStreamCommit(std::uint32_t partition)> stream;  // may be empty
  ReadCommitFacts facts;                                            // may be empty
  bool compare_positions = true;                                    // as PartitionToVerify
};

struct LedgerFileVerification {
  std::uint64_t leaves = 0;
  std::vector<Difference> differences;  // at most one a partition, and those of the file as a whole; empty: all agree
};

// Checks a ledger's directory offline: every row of every partition as VerifyPartition does, the stored nodes, the
// sealed columns, the lists by file and school, that nothing else is there, and SQLite's own structure.
//
// Without the stream, what came after the newest of the `earlier` checkpoints is only as good as the key: who holds it
// can sign anything that begins with what was seen. NotFound: no ledger there. FailedPrecondition: a process has it
// open.
absl::StatusOr<LedgerFileVerification> VerifyLedgerFile(const LedgerFileToVerify& what);

}  // namespace vigil
