#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "absl/status/statusor.h"
#include "audit/ledger/verify.h"
#include "vigil/api_client.h"

namespace vigil {

// The signed checkpoint that the gateway serves for a partition. Unavailable: not reached, or nothing signed yet.
absl::StatusOr<std::string> FetchCheckpoint(const Connection& connection, int partition);

// The ledger's entries of one partition from the first to before `size`, asked for page by page. Not thread-safe; the connection outlives it.
class LedgerReader {
 public:
  LedgerReader(const Connection& connection, int partition, std::uint64_t size) : connection_(connection), partition_(partition), size_(size) {}

  // As NextLedgerEntry: Unavailable if the gateway cannot be asked, DataLoss for an answer that is no entry.
  absl::StatusOr<bool> Next(LedgerEntry& entry);

 private:
  const Connection& connection_;
  const int partition_;
  const std::uint64_t size_;
  std::uint64_t next_ = 0;  // leaf to ask for
  std::deque<LedgerEntry> entries_;
};

}  // namespace vigil
