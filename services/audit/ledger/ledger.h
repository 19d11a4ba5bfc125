#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "audit/ledger/entry.h"
#include "audit/ledger/merkle.h"
#include "audit/ledger/note.h"
#include "platform/crypto/random.h"

namespace vigil {

namespace format {
struct StoredHead;
}

class EntryLists;
class SqliteDatabase;

// The ledger: every commit of every partition, in the order of the log, under a Merkle tree a partition whose
// checkpoints are signed (NFR-01). It is a function of the log alone: deleted, it can be built again with the same
// roots.
//
// One process has it open at a time; others ask that process. Thread-safe: one lock, held during each call, a Commit
// included. What has been appended can be read, and is signed for, only after Commit: all that is served is on disk.
//
// Errors besides those named: DataLoss: the ledger on disk is damaged or altered. ResourceExhausted, Unavailable: the
// disk is full or fails; nothing was committed, try again later.
class Ledger {
 public:
  static constexpr std::size_t kMaxEntriesPerRead = 1000;
  static constexpr std::size_t kMaxBytesPerRead = 4 << 20;

  struct Options {
    std::string directory;     // made if it is not there
    std::string installation;  // part of the checkpoints' origin; one for the life of the ledger
    // How many entries gather in memory before the lists by file and school are written. More: less work each, longer
    // stalls (20,000: some 100 ms), a slower start.
    std::size_t list_after = 20'000;
  };

  // Opens or creates. A ledger that was there is checked against its own last checkpoints: signatures, and roots
  // rebuilt from the stored nodes. FailedPrecondition: another process has it open, its key is missing, or it is
  // another installation's.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const Options& options, Random& random);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Adds the stream's next message. FailedPrecondition: it is not the next (a gap, an old one); nothing changed. On any
  // other error everything since the last Commit is gone: follow again from Position.
  absl::Status Append(const LedgerBatch& batch);
  // Makes what was appended durable, with one sync of the disk. On an error everything since the last Commit is gone,
  // as above.
  absl::Status Commit();
  // After `vigil repair` made the stream anew: the next message is the one after `sequence`. Durable on return, with
  // what was appended.
  absl::Status ContinueAfter(std::uint32_t partition, std::uint64_t sequence);

  // The stream sequence of the last message that is durable here; 0 before the first.
  std::uint64_t Position(std::uint32_t partition) const;
  // The sequence that Append expects next is one more than this.
  std::uint64_t AppendedPosition(std::uint32_t partition) const;

  // The number of leaves.
  std::uint64_t Size(std::uint32_t partition) const;
  // OutOfRange: more than there are leaves.
  absl::StatusOr<Digest> Root(std::uint32_t partition, std::uint64_t size) const;
  absl::StatusOr<std::vector<Digest>> InclusionProof(std::uint32_t partition, std::uint64_t leaf,
                                                     std::uint64_t size) const;
  absl::StatusOr<std::vector<Digest>> ConsistencyProof(std::uint32_t partition, std::uint64_t from,
                                                       std::uint64_t to) const;
  // A signed note (note.h) of size and root. The same size always gives the same text.
  std::string SignedCheckpoint(std::uint32_t partition) const;
  // The key that outsiders check checkpoints with.
  const NoteVerifier& key() const { return signer_.verifier(); }

  // NotFound: no such leaf.
  absl::StatusOr<LedgerEntry> Entry(EntryId id) const;
  // At most `count`, kMaxEntriesPerRead and kMaxBytesPerRead (but one, if there is one), from leaf `from` on.
  absl::StatusOr<std::vector<LedgerEntry>> Entries(std::uint32_t partition, std::uint64_t from,
                                                   std::size_t count) const;

  struct Page {
    std::optional<EntryId> after;  // the last entry of the page before
    std::size_t limit = kMaxEntriesPerRead;
    bool newest_first = false;
  };
  // Ordered by (partition, leaf), or the reverse. An empty result is the end.
  absl::StatusOr<std::vector<LedgerEntry>> EntriesOfFile(std::string_view file, const Page& page) const;
  absl::StatusOr<std::vector<LedgerEntry>> EntriesOfSchool(std::string_view school, const Page& page) const;

 private:
  struct Statements;
  struct Head {
    merkle::Frontier tree;
    std::uint64_t followed = 0;
    std::uint64_t listed = 0;  // leaves whose entries are in the stored lists
    Digest seal{};
    std::string checkpoint;
    bool changed = false;  // since the last Commit
  };

  Ledger(const Options& options, NoteSigner signer, std::unique_ptr<SqliteDatabase> database);
  absl::Status Prepare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckMeta() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LoadHead(const format::StoredHead& stored) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LoadEnd(std::uint32_t partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Write(const LedgerBatch& batch, Head& head) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CommitLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteHeads() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Rollback() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Digest> Node(std::uint32_t partition, merkle::NodeId node) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckSize(std::uint32_t partition, std::uint64_t size) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::vector<LedgerEntry>> EntriesOf(bool file, std::string_view name, const Page& page) const;
  absl::StatusOr<bool> ReadOne(EntryId id, LedgerEntry& entry) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteLists() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string installation_;
  const std::size_t list_after_;
  const NoteSigner signer_;
  mutable absl::Mutex mutex_;
  std::unique_ptr<SqliteDatabase> database_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Statements> statements_
      ABSL_GUARDED_BY(mutex_);                                 // declared after database_: finalized before it closes
  std::unique_ptr<EntryLists> lists_ ABSL_GUARDED_BY(mutex_);  // as well
  std::size_t durable_gathered_ ABSL_GUARDED_BY(mutex_) = 0;   // of what lists_ has gathered
  bool open_transaction_ ABSL_GUARDED_BY(mutex_) = false;
  std::array<Head, kLedgerPartitions> durable_ ABSL_GUARDED_BY(mutex_);
  std::array<Head, kLedgerPartitions> appended_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<merkle::NodeId, Digest>> completed_ ABSL_GUARDED_BY(mutex_);  // reused by Write
};

}  // namespace vigil
