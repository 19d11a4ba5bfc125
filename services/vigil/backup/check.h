// Whether a copy of the log is whole and is what the installation wrote: offline, without keys.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "platform/crypto/hash.h"
#include "platform/log/log.h"
#include "vigil/backup/copy.h"
#include "vigil/backup/erasures.h"
#include "vigil/verify/trust.h"

namespace vigil {

struct CheckedPartition {
  std::uint64_t messages = 0;
  std::uint64_t commits = 0;
  std::uint64_t skipped = 0;  // messages that no reader believes; copied as they stood
  std::uint64_t signed_size = 0;  // of the newest checkpoint; 0: none
  Digest signed_root{};
};

struct CheckedCopy {
  Trust trust;
  Manifest manifest;
  Erasures erasures;
  std::array<CheckedPartition, kPartitions> partitions;
  std::uint64_t attachments = 0;

  std::uint64_t messages() const;
  std::uint64_t commits() const;
};

// The manifest alone, signed by the key of the copy's own trust/, or of the directory `trust` if that is given: keys that were kept elsewhere.
struct OpenedCopy {
  Trust trust;
  Manifest manifest;
};
absl::StatusOr<OpenedCopy> OpenCopy(const std::string& directory, const std::string& trust = "");

// Every file by length and hash; each partition's messages without a gap; every batch's signature and place in its source's chain; the ledger's
// tree made from the commits against every checkpoint that was kept; every attachment that the log names. DataLoss names what is wrong.
absl::StatusOr<CheckedCopy> CheckCopy(const std::string& directory, const std::string& trust = "");

}  // namespace vigil
