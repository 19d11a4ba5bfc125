// The stored form of a log message: proto vigil.log.v1.Batch, whose signature is Ed25519 over
//
//   "vigil batch v1\n" || partition (1 byte) || length of source (1 byte) || source || SHA-256 of the source's previous batch message in the
//   partition (32 bytes; zeros for its first) || for each commit: length (4 bytes, big-endian) || commit
//
// so a batch cannot be moved to another partition, source or place in its chain, nor changed. The form never changes; a new one is a v2.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "platform/crypto/sign.h"

namespace vigil {

// Most bytes of one commit and of the commits of one batch.
inline constexpr std::size_t kMaxCommitBytes = 128 * 1024;
inline constexpr std::size_t kMaxBatchBytes = 900 * 1024;

struct DecodedBatch {
  std::string previous_hash;
  std::vector<std::string> commits;
};

// SHA-256 of a whole message: what the source's next batch names as its previous.
std::string BatchHash(std::string_view message);

std::string EncodeBatch(int partition, std::string_view source, std::string_view previous_hash, std::vector<std::string> commits,
                        const SigningKey& key);

// DataLoss: it is not a batch, or of another partition or source, or its signature does not hold. The chain is for the caller to check.
absl::StatusOr<DecodedBatch> DecodeBatch(std::string_view message, int partition, std::string_view source, const VerifyKey& key);
// Without the signature: for a message whose bytes the caller signed itself.
absl::StatusOr<DecodedBatch> DecodeOwnBatch(std::string_view message);

// "intake 0a1b…" a line. NotFound, InvalidArgument with the line.
absl::StatusOr<std::vector<std::pair<std::string, VerifyKey>>> ParseTrustedSources(std::string_view text);

}  // namespace vigil
