#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "audit/ledger/entry.h"
#include "audit/ledger/merkle.h"
#include "audit/ledger/note.h"
#include "audit/ledger/sqlite.h"

// How a ledger lies on disk (format 1; it never changes, a new one gets another number). A directory with
//
//   ledger.key   the private note key that signs, readable by its owner only. Made once; a ledger without its key is
//                not opened.
//   ledger.db    SQLite in WAL mode:
//     meta       name, value: 'format' = 1, 'key' = the public note key
//     entries    one row a commit; position = partition · 2^56 + leaf
//     nodes      one row an interior node of a perfect subtree; position = partition · 2^56 + its place in the in-order
//                walk of the tree, where leaf n is at 2n: so a partition's nodes lie together and are written at their
//                end
//     by_file, by_school   which entries are of which file and school. Written late and in bulk, sorted: an index kept
//                with each insert would cost twice what all the rest does, as every commit would touch other pages
//     heads      one row a partition that has been followed: the stream sequence read up to, the leaves that the lists
//                hold, the seal, and two signed checkpoints, all written in the transaction of what they stand for
//
// A leaf hashes only the commit's bytes, as an outsider needs it. The other columns of an entry are covered by the
// seal, a running hash over all rows, which the second checkpoint (origin …/rows) signs together with the rest of the
// head.
namespace vigil::format {

inline constexpr int kPartitionShift = 56;

inline std::int64_t EntryPosition(EntryId id) {
  return static_cast<std::int64_t>((std::uint64_t{id.partition} << kPartitionShift) | id.leaf);
}
inline EntryId EntryIdOf(std::int64_t position) {
  const auto bits = static_cast<std::uint64_t>(position);
  return {static_cast<std::uint32_t>(bits >> kPartitionShift), bits & ((std::uint64_t{1} << kPartitionShift) - 1)};
}
inline std::int64_t NodePosition(std::uint32_t partition, merkle::NodeId node) {
  const std::uint64_t in_order = (node.index << (node.level + 1)) | ((std::uint64_t{1} << node.level) - 1);
  return static_cast<std::int64_t>((std::uint64_t{partition} << kPartitionShift) | in_order);
}

inline constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries(
  position INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, sequence INTEGER NOT NULL, idx INTEGER NOT NULL, time INTEGER NOT NULL,
  file TEXT NOT NULL, school TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS by_file(
  name TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY(name, position)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS by_school(
  name TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY(name, position)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nodes(position INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS heads(
  partition INTEGER PRIMARY KEY, followed INTEGER NOT NULL, listed INTEGER NOT NULL, seal BLOB NOT NULL, checkpoint TEXT NOT NULL, rows TEXT NOT NULL) STRICT;
)sql";

inline constexpr std::string_view kEntryColumns = "position, leaf_hash, sequence, idx, time, file, school, bytes";
// Fills `entry` from a row of kEntryColumns. DataLoss: a hash that is none.
absl::Status ReadEntry(const SqliteStatement& row, LedgerEntry& entry);

// The seal after one more row.
Digest NextSeal(const Digest& seal, const LedgerEntry& entry);
Digest NextSeal(const Digest& seal, const Digest& leaf_hash, std::uint64_t sequence, std::uint32_t index,
                const LedgerCommit& commit);

// What the second checkpoint of a partition says.
Checkpoint RowsCheckpoint(std::string_view installation, std::uint32_t partition, std::uint64_t size,
                          std::uint64_t followed, std::uint64_t listed, const Digest& seal);

// A row of heads, as it stands there; nothing of it checked but that the partition can be (else DataLoss).
struct StoredHead {
  std::uint32_t partition = 0;
  std::uint64_t followed = 0;
  std::uint64_t listed = 0;
  std::string seal;
  std::string checkpoint;
  std::string rows;
};
absl::StatusOr<std::vector<StoredHead>> ReadHeads(SqliteDatabase& database);

std::string DatabasePath(const std::string& directory);
std::string KeyPath(const std::string& directory);

}  // namespace vigil::format
