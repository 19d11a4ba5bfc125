#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform/crypto/hash.h"

// The Merkle tree of RFC 6962, section 2: SHA-256, leaves and nodes told apart by a first byte. Everything here is pure
// and thread-safe unless said otherwise. Leaves and sizes are counts of leaves from 0.
namespace vigil::merkle {

inline constexpr std::uint64_t kMaxLeaves = std::uint64_t{1} << 48;

Digest LeafHash(std::string_view bytes);                         // SHA-256(0x00 ‖ bytes)
Digest NodeHash(const Digest& left, const Digest& right);        // SHA-256(0x01 ‖ left ‖ right)
Digest EmptyRoot();                                              // SHA-256 of nothing
absl::StatusOr<Digest> DigestFromBytes(std::string_view bytes);  // InvalidArgument unless 32 bytes

// A perfect subtree: the 2^level leaves from index·2^level on. Level 0 is the leaves' own hashes.
struct NodeId {
  std::uint32_t level = 0;
  std::uint64_t index = 0;
  auto operator<=>(const NodeId&) const = default;
};

// Looks a perfect subtree's hash up where they are stored. Its errors are passed on unchanged.
using NodeReader = absl::FunctionRef<absl::StatusOr<Digest>(NodeId)>;

// Each reads O(log size) nodes. InvalidArgument: leaf >= size, from > to, size > kMaxLeaves.
absl::StatusOr<Digest> RootOf(std::uint64_t size, NodeReader node);
absl::StatusOr<std::vector<Digest>> InclusionProof(std::uint64_t leaf, std::uint64_t size, NodeReader node);
absl::StatusOr<std::vector<Digest>> ConsistencyProof(std::uint64_t from, std::uint64_t to, NodeReader node);

// Ok only if the proof shows that the tree of `size` leaves under `root` has `leaf_hash` at `leaf`.
// InvalidArgument: numbers that cannot be, or a proof of another length. DataLoss: it shows something else.
absl::Status VerifyInclusion(std::uint64_t leaf, std::uint64_t size, const Digest& leaf_hash,
                             std::span<const Digest> proof, const Digest& root);

// Ok only if the proof shows that the tree of `to` leaves begins with the tree of `from` leaves. Every tree begins with
// the empty one, whose root must then be EmptyRoot(). Errors as above.
absl::Status VerifyConsistency(std::uint64_t from, std::uint64_t to, std::span<const Digest> proof,
                               const Digest& from_root, const Digest& to_root);

// The right edge of a growing tree: all that appending and the root need. At most 48 hashes. A value; not thread-safe.
class Frontier {
 public:
  Frontier() = default;
  static absl::StatusOr<Frontier> Load(std::uint64_t size, NodeReader node);

  // Adds a leaf. Every interior node that it completes (one a leaf, on average) is added to `completed`, lowest first.
  void Append(const Digest& leaf_hash, std::vector<std::pair<NodeId, Digest>>& completed);

  std::uint64_t size() const { return size_; }
  Digest Root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<Digest> peaks_;  // the perfect subtrees that make up the tree, largest first
};

}  // namespace vigil::merkle
