#include "audit/ledger/verify.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "platform/crypto/encoding.h"

namespace vigil {
namespace {

std::string Hex(const Digest& hash) { return HexEncode(AsView(hash)); }

// One run over one partition. Each step answers whether to go on; a step that does not has set the difference.
class Run {
 public:
  explicit Run(const PartitionToVerify& what) : what_(what) {}

  absl::StatusOr<PartitionVerification> Verify() {
    if (OpenServed() && OpenEarlier()) {
      if (absl::Status s = Compare(); !s.ok()) return s;
    }
    return std::move(result_);
  }

 private:
  template <typename... Args>
  bool Differs(DifferenceKind kind, const absl::FormatSpec<Args...>& format, const Args&... args) {
    result_.difference = {kind,
                          absl::StrFormat("partition %02d: ", what_.partition) + absl::StrFormat(format, args...)};
    return false;
  }

  std::string Origin() const { return LedgerOrigin(what_.installation, what_.partition); }

  bool OpenServed() {
    absl::StatusOr<Checkpoint> served = OpenCheckpoint(what_.checkpoint, what_.key, Origin());
    if (absl::IsUnauthenticated(served.status())) {
      return Differs(DifferenceKind::kCheckpointSignature, "bad signature on the checkpoint: %s",
                     std::string(served.status().message()));
    }
    if (!served.ok()) {
      return Differs(DifferenceKind::kCheckpointText, "bad checkpoint: %s", std::string(served.status().message()));
    }
    result_.checkpoint = *std::move(served);
    return true;
  }

  bool OpenEarlier() {
    for (const std::string& text : what_.earlier) {
      absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(text, what_.key, Origin());
      if (!checkpoint.ok()) {
        return Differs(DifferenceKind::kEarlierCheckpoint, "an earlier checkpoint cannot be used: %s",
                       std::string(checkpoint.status().message()));
      }
      if (checkpoint->size > result_.checkpoint.size) {
        return Differs(DifferenceKind::kEarlierCheckpoint, "cut off: it once signed %d leaves, and now %d",
                       checkpoint->size, result_.checkpoint.size);
      }
      earlier_.push_back(*std::move(checkpoint));
    }
    std::sort(earlier_.begin(), earlier_.end(),
              [](const Checkpoint& a, const Checkpoint& b) { return a.size < b.size; });
    return CheckEarlier();
  }

  // Every earlier checkpoint of the size that has been reached.
  bool CheckEarlier() {
    for (; next_earlier_ < earlier_.size() && earlier_[next_earlier_].size == tree_.size(); ++next_earlier_) {
      const Digest root = tree_.Root();
      if (earlier_[next_earlier_].root == root) continue;
      return Differs(DifferenceKind::kEarlierCheckpoint,
                     "it no longer contains what it signed at %d leaves: root then %s, now %s", tree_.size(),
                     Hex(earlier_[next_earlier_].root), Hex(root));
    }
    return true;
  }

  absl::Status Compare() {
    LedgerEntry entry;
    StreamCommit commit;
    const std::uint64_t size = result_.checkpoint.size;
    for (; result_.leaves < size; ++result_.leaves) {
      absl::StatusOr<bool> have_commit = what_.stream ? what_.stream(commit) : false;
      if (!have_commit.ok()) return have_commit.status();
      if (what_.stream && !*have_commit) {
        Differs(DifferenceKind::kCheckpointAhead, "the checkpoint is larger than the stream: %d leaves, %d commits",
                size, result_.leaves);
        return absl::OkStatus();
      }
      absl::StatusOr<bool> have_entry = what_.ledger(entry);
      if (IsFinding(have_entry.status())) return absl::OkStatus();
      if (!have_entry.ok()) return have_entry.status();
      if (!*have_entry) {
        Differs(DifferenceKind::kEntryMissing, "the ledger ends before leaf %d; its checkpoint says %d leaves",
                result_.leaves, size);
        return absl::OkStatus();
      }
      if (!CheckOrder(entry) || (what_.stream && !CheckAgainstStream(entry, commit)) || !CheckColumns(entry)) {
        return absl::OkStatus();
      }
      absl::StatusOr<bool> nodes = AddLeaf(entry.leaf_hash);
      if (!nodes.ok()) return nodes.status();
      if (!*nodes || !CheckEarlier()) return absl::OkStatus();
    }
    if (const Digest root = tree_.Root(); root != result_.checkpoint.root) {
      Differs(DifferenceKind::kRoot, "root of %d leaves differs: checkpoint %s, entries %s", size,
              Hex(result_.checkpoint.root), Hex(root));
      return absl::OkStatus();
    }
    return CheckEnds(entry, commit);
  }

  // Nothing beyond the checkpoint that should not be there.
  absl::Status CheckEnds(LedgerEntry& entry, StreamCommit& commit) {
    absl::StatusOr<bool> have_entry = what_.ledger(entry);
    if (IsFinding(have_entry.status())) return absl::OkStatus();
    if (!have_entry.ok()) return have_entry.status();
    if (*have_entry) {
      Differs(DifferenceKind::kEntryExtra, "the ledger has leaf %d beyond its checkpoint of %d leaves", entry.id.leaf,
              result_.checkpoint.size);
      return absl::OkStatus();
    }
    absl::StatusOr<bool> have_commit = what_.stream ? what_.stream(commit) : false;
    if (!have_commit.ok()) return have_commit.status();
    if (*have_commit && commit.sequence <= what_.required_sequence) {
      Differs(
          DifferenceKind::kCheckpointBehind,
          "the checkpoint is smaller than the stream: %d leaves, and commit at sequence %d index %d is not among them",
          result_.checkpoint.size, commit.sequence, commit.index);
    }
    return absl::OkStatus();
  }

  bool IsFinding(const absl::Status& status) {
    if (!absl::IsDataLoss(status)) return false;
    Differs(DifferenceKind::kStoredFile, "leaf %d cannot be read: %s", result_.leaves, std::string(status.message()));
    return true;
  }

  bool CheckOrder(const LedgerEntry& entry) {
    if (entry.id != EntryId{what_.partition, result_.leaves}) {
      return Differs(DifferenceKind::kEntryMissing, "leaf %d is missing: the next is leaf %d of partition %02d",
                     result_.leaves, entry.id.leaf, entry.id.partition);
    }
    const std::pair position(entry.sequence, entry.index);
    if (what_.compare_positions && result_.leaves > 0 && position <= last_position_) {
      return Differs(DifferenceKind::kEntryOrder, "leaf %d, of sequence %d index %d, comes after sequence %d index %d",
                     result_.leaves, entry.sequence, entry.index, last_position_.first, last_position_.second);
    }
    last_position_ = position;
    return true;
  }

  bool CheckAgainstStream(const LedgerEntry& entry, const StreamCommit& commit) {
    const std::pair in_ledger(entry.sequence, entry.index);
    const std::pair in_stream(commit.sequence, commit.index);
    if (what_.compare_positions && in_stream < in_ledger) {
      return Differs(DifferenceKind::kEntryMissing,
                     "commit at sequence %d index %d is missing from the ledger, which goes on with %d/%d",
                     commit.sequence, commit.index, entry.sequence, entry.index);
    }
    if (what_.compare_positions && in_ledger < in_stream) {
      return Differs(DifferenceKind::kEntryExtra,
                     "leaf %d, of sequence %d index %d, is not in the stream, which goes on with %d/%d", entry.id.leaf,
                     entry.sequence, entry.index, commit.sequence, commit.index);
    }
    if (entry.bytes == commit.bytes) return true;
    return Differs(DifferenceKind::kCommitDiffers, "commit at sequence %d index %d differs: stream %s, ledger %s",
                   commit.sequence, commit.index, Hex(merkle::LeafHash(commit.bytes)),
                   Hex(merkle::LeafHash(entry.bytes)));
  }

  bool CheckColumns(const LedgerEntry& entry) {
    const Digest leaf_hash = merkle::LeafHash(entry.bytes);
    if (entry.leaf_hash != leaf_hash) {
      return Differs(DifferenceKind::kEntryColumns, "leaf %d: stored leaf hash %s, that of its commit %s",
                     entry.id.leaf, Hex(entry.leaf_hash), Hex(leaf_hash));
    }
    if (!what_.facts) return true;
    absl::StatusOr<CommitFacts> facts = what_.facts(entry.bytes);
    if (!facts.ok()) {
      return Differs(DifferenceKind::kEntryColumns, "leaf %d is not a commit: %s", entry.id.leaf,
                     std::string(facts.status().message()));
    }
    if (*facts == CommitFacts{entry.file, entry.school, entry.recorded_time}) return true;
    return Differs(DifferenceKind::kEntryColumns,
                   "leaf %d is listed as of file '%s', school '%s', %s; its commit says '%s', '%s', %s", entry.id.leaf,
                   entry.file, entry.school, absl::FormatTime(entry.recorded_time, absl::UTCTimeZone()), facts->file,
                   facts->school, absl::FormatTime(facts->recorded_time, absl::UTCTimeZone()));
  }

  absl::StatusOr<bool> AddLeaf(const Digest& leaf_hash) {
    completed_.clear();
    tree_.Append(leaf_hash, completed_);
    if (!what_.stored_node) return true;
    for (const auto& [id, hash] : completed_) {
      absl::StatusOr<Digest> stored = what_.stored_node(id);
      if (absl::IsNotFound(stored.status()) || absl::IsDataLoss(stored.status())) {
        return Differs(DifferenceKind::kStoredNode, "node %d of level %d is not stored", id.index, id.level);
      }
      if (!stored.ok()) return stored.status();
      if (*stored != hash) {
        return Differs(DifferenceKind::kStoredNode, "node %d of level %d differs: stored %s, entries %s", id.index,
                       id.level, Hex(*stored), Hex(hash));
      }
    }
    return true;
  }

  const PartitionToVerify& what_;
  PartitionVerification result_;
  std::vector<Checkpoint> earlier_;
  std::size_t next_earlier_ = 0;
  merkle::Frontier tree_;
  std::pair<std::uint64_t, std::uint32_t> last_position_;
  std::vector<std::pair<merkle::NodeId, Digest>> completed_;
};

}  // namespace

absl::StatusOr<PartitionVerification> VerifyPartition(const PartitionToVerify& what) { return Run(what).Verify(); }

}  // namespace vigil
