#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "audit/ledger/entry.h"
#include "audit/ledger/merkle.h"
#include "audit/ledger/note.h"

// Checks a ledger against the stream it was made from, against what it serves, and against what outsiders kept of it
// (NFR-01). Pure: it reads through the functions it is given, so the same check runs over files, over gRPC and in
// tests.
namespace vigil {

// A commit as the stream has it. Messages that readers skip are not among them.
struct StreamCommit {
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  std::string bytes;
};

// Fill the next one, in order from the first; false at the end. A status means that it could not be read, not that it
// is wrong; but DataLoss from a ledger is a finding.
using NextStreamCommit = std::function<absl::StatusOr<bool>(StreamCommit&)>;
using NextLedgerEntry = std::function<absl::StatusOr<bool>(LedgerEntry&)>;
using StoredNode = std::function<absl::StatusOr<Digest>(merkle::NodeId)>;

// What a commit's bytes say of what the ledger keeps beside them.
struct CommitFacts {
  std::string file;
  std::string school;
  absl::Time recorded_time;
  bool operator==(const CommitFacts&) const = default;
};
using ReadCommitFacts = std::function<absl::StatusOr<CommitFacts>(std::string_view bytes)>;

struct PartitionToVerify {
  std::uint32_t partition = 0;
  std::string installation;
  NoteVerifier key;        // known from elsewhere, not asked of the ledger
  std::string checkpoint;  // as served now
  NextLedgerEntry ledger;
  // The rest makes the check sharper, where it is at hand.
  NextStreamCommit stream;           // without: the ledger by itself
  std::vector<std::string> earlier;  // checkpoints of this partition that somebody kept, in any order
  StoredNode stored_node;            // the interior nodes that proofs are made from
  ReadCommitFacts facts;             // checks file, school and time of each entry
  // Commits of the stream up to this sequence must be under the checkpoint; later ones may have come since.
  std::uint64_t required_sequence = std::numeric_limits<std::uint64_t>::max();
  bool compare_positions = true;  // false after `vigil repair`: a new stream numbers its messages anew
};

enum class DifferenceKind {
  kCheckpointText,       // what is served is not a checkpoint of this partition
  kCheckpointSignature,  // not signed by the key
  kCheckpointAhead,      // more leaves than the stream has commits
  kCheckpointBehind,     // fewer than it must have
  kEarlierCheckpoint,    // the ledger does not contain what it once signed
  kCommitDiffers,        // another commit than in the stream
  kEntryMissing,
  kEntryExtra,
  kEntryOrder,    // positions do not ascend
  kEntryColumns,  // leaf hash, file, school or time are not those of the bytes
  kRoot,          // the entries give another root than the checkpoint
  kStoredNode,    // a proof would be wrong
  kStoredRows,    // the file: rows are not those that were sealed, or there are others
  kStoredFile,    // the file: damaged
};

struct Difference {
  DifferenceKind kind;
  std::string text;  // for people: "partition 07: commit at sequence 123 index 0 differs: stream <hash>, ledger <hash>"
};

struct PartitionVerification {
  std::uint64_t leaves = 0;              // found equal
  Checkpoint checkpoint;                 // the served one, once its signature holds
  std::optional<Difference> difference;  // the first; none: all agree
};

// Errors are of reading only.
absl::StatusOr<PartitionVerification> VerifyPartition(const PartitionToVerify& what);

}  // namespace vigil
