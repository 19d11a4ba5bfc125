#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "platform/crypto/hash.h"

namespace vigil {

inline constexpr std::uint32_t kLedgerPartitions = 16;

// A commit as it is handed to the ledger; nothing is owned. `file` is empty for what concerns a school.
struct LedgerCommit {
  std::string_view file;
  std::string_view school;
  absl::Time recorded_time;  // kept to the nanosecond
  std::string_view bytes;    // the commit exactly as it stands in the stream: what the leaf is the hash of
};

// One message of a partition's stream, with its commits in order. No commits: a message that readers skip (forged,
// damaged).
struct LedgerBatch {
  std::uint32_t partition = 0;
  std::uint64_t sequence = 0;  // of the message, from 1
  std::span<const LedgerCommit> commits;
};

struct EntryId {
  std::uint32_t partition = 0;
  std::uint64_t leaf = 0;  // from 0
  auto operator<=>(const EntryId&) const = default;
};

// A commit as the ledger keeps it.
struct LedgerEntry {
  EntryId id;
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;  // in its message
  Digest leaf_hash{};
  std::string file;
  std::string school;
  absl::Time recorded_time;
  std::string bytes;
};

}  // namespace vigil
