#include "audit/ledger/merkle.h"

#include <algorithm>
#include <bit>

#include "audit/ledger/sha256.h"

namespace vigil::merkle {
namespace {

using Proof = std::vector<Digest>;

// The number of leaves left of the split of `count` > 1 leaves: the largest power of two below it.
std::uint64_t LeftCount(std::uint64_t count) { return std::bit_floor(count - 1); }

// The hash over leaves [begin, end), where `begin` is where a subtree of that size would begin.
absl::StatusOr<Digest> RangeHash(std::uint64_t begin, std::uint64_t end, NodeReader node) {
  // Perfect subtrees from the left; then joined from the right.
  Proof peaks;
  while (begin < end) {
    const std::uint64_t count = std::bit_floor(end - begin);
    absl::StatusOr<Digest> peak = node({static_cast<std::uint32_t>(std::countr_zero(count)), begin / count});
    if (!peak.ok()) return peak.status();
    peaks.push_back(*peak);
    begin += count;
  }
  Digest hash = peaks.back();
  for (std::size_t i = peaks.size() - 1; i > 0; --i) hash = NodeHash(peaks[i - 1], hash);
  return hash;
}

absl::Status AddRange(std::uint64_t begin, std::uint64_t end, NodeReader node, Proof& proof) {
  absl::StatusOr<Digest> hash = RangeHash(begin, end, node);
  if (!hash.ok()) return hash.status();
  proof.push_back(*hash);
  return absl::OkStatus();
}

absl::Status WrongRoot() { return absl::DataLossError("the proof leads to another root"); }
absl::Status WrongLength() {
  return absl::InvalidArgumentError("the proof does not have the length that these sizes need");
}

}  // namespace

Digest LeafHash(std::string_view bytes) {
  using std::string_view_literals::operator""sv;
  return HashPieces({"\x00"sv, bytes});
}

Digest NodeHash(const Digest& left, const Digest& right) { return HashPieces({"\x01", AsView(left), AsView(right)}); }

Digest EmptyRoot() { return HashPieces({}); }

absl::StatusOr<Digest> DigestFromBytes(std::string_view bytes) {
  Digest digest;
  if (bytes.size() != digest.size()) return absl::InvalidArgumentError("a hash has 32 bytes");
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

absl::StatusOr<Digest> RootOf(std::uint64_t size, NodeReader node) {
  if (size > kMaxLeaves) return absl::InvalidArgumentError("no tree is that large");
  if (size == 0) return EmptyRoot();
  return RangeHash(0, size, node);
}

absl::StatusOr<Proof> InclusionProof(std::uint64_t leaf, std::uint64_t size, NodeReader node) {
  if (size > kMaxLeaves || leaf >= size) return absl::InvalidArgumentError("no such leaf in a tree of that size");
  Proof proof;
  std::uint64_t begin = 0;
  std::uint64_t end = size;
  while (end - begin > 1) {
    const std::uint64_t middle = begin + LeftCount(end - begin);
    const bool left = leaf < middle;
    if (absl::Status s = left ? AddRange(middle, end, node, proof) : AddRange(begin, middle, node, proof); !s.ok())
      return s;
    (left ? end : begin) = middle;
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

absl::StatusOr<Proof> ConsistencyProof(std::uint64_t from, std::uint64_t to, NodeReader node) {
  if (to > kMaxLeaves || from > to) return absl::InvalidArgumentError("a tree is consistent only with a smaller one");
  Proof proof;
  if (from == 0 || from == to) return proof;
  // Towards the smaller tree's right end; a subtree that is the whole smaller tree is already known to the verifier.
  std::uint64_t begin = 0;
  std::uint64_t end = to;
  while (from != end) {
    const std::uint64_t middle = begin + LeftCount(end - begin);
    const bool left = from <= middle;
    if (absl::Status s = left ? AddRange(middle, end, node, proof) : AddRange(begin, middle, node, proof); !s.ok())
      return s;
    (left ? end : begin) = middle;
  }
  if (begin != 0) {
    if (absl::Status s = AddRange(begin, end, node, proof); !s.ok()) return s;
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

absl::Status VerifyInclusion(std::uint64_t leaf, std::uint64_t size, const Digest& leaf_hash,
                             std::span<const Digest> proof, const Digest& root) {
  if (leaf >= size) return absl::InvalidArgumentError("the leaf is not in a tree of that size");
  // RFC 9162, 2.1.3.2: from the leaf up; `last` is the rightmost node of the same level.
  std::uint64_t index = leaf;
  std::uint64_t last = size - 1;
  Digest hash = leaf_hash;
  for (const Digest& sibling : proof) {
    if (last == 0) return WrongLength();
    if ((index & 1) != 0 || index == last) {
      hash = NodeHash(sibling, hash);
      // A rightmost node without a right sibling stays as it is on the way up.
      while ((index & 1) == 0) index >>= 1, last >>= 1;
    } else {
      hash = NodeHash(hash, sibling);
    }
    index >>= 1;
    last >>= 1;
  }
  if (last != 0) return WrongLength();
  return hash == root ? absl::OkStatus() : WrongRoot();
}

absl::Status VerifyConsistency(std::uint64_t from, std::uint64_t to, std::span<const Digest> proof,
                               const Digest& from_root, const Digest& to_root) {
  if (from > to) return absl::InvalidArgumentError("the earlier tree is larger than the later one");
  if (from == 0) {
    if (!proof.empty()) return WrongLength();
    return from_root == EmptyRoot() && (to != 0 || to_root == EmptyRoot()) ? absl::OkStatus() : WrongRoot();
  }
  if (from == to) {
    if (!proof.empty()) return WrongLength();
    return from_root == to_root ? absl::OkStatus() : WrongRoot();
  }
  if (proof.empty()) return WrongLength();
  // RFC 9162, 2.1.4.2: both roots are rebuilt at once. `index` is the right end of the earlier tree, `last` of the
  // later one.
  std::uint64_t index = from - 1;
  std::uint64_t last = to - 1;
  while ((index & 1) != 0) index >>= 1, last >>= 1;
  const bool whole = index == 0;  // the earlier tree is perfect, so its root is where both begin
  Digest from_hash = whole ? from_root : proof.front();
  Digest to_hash = from_hash;
  for (const Digest& sibling : whole ? proof : proof.subspan(1)) {
    if (last == 0) return WrongLength();
    if ((index & 1) != 0 || index == last) {
      from_hash = NodeHash(sibling, from_hash);
      to_hash = NodeHash(sibling, to_hash);
      while ((index & 1) == 0 && index != 0) index >>= 1, last >>= 1;
    } else {
      to_hash = NodeHash(to_hash, sibling);
    }
    index >>= 1;
    last >>= 1;
  }
  if (last != 0) return WrongLength();
  return from_hash == from_root && to_hash == to_root ? absl::OkStatus() : WrongRoot();
}

absl::StatusOr<Frontier> Frontier::Load(std::uint64_t size, NodeReader node) {
  if (size > kMaxLeaves) return absl::InvalidArgumentError("no tree is that large");
  Frontier frontier;
  for (std::uint64_t begin = 0; begin < size;) {
    const std::uint64_t count = std::bit_floor(size - begin);
    absl::StatusOr<Digest> peak = node({static_cast<std::uint32_t>(std::countr_zero(count)), begin / count});
    if (!peak.ok()) return peak.status();
    frontier.peaks_.push_back(*peak);
    begin += count;
  }
  frontier.size_ = size;
  return frontier;
}

void Frontier::Append(const Digest& leaf_hash, std::vector<std::pair<NodeId, Digest>>& completed) {
  Digest hash = leaf_hash;
  NodeId node{0, size_};
  while ((node.index & 1) != 0) {
    hash = NodeHash(peaks_.back(), hash);
    peaks_.pop_back();
    node = {node.level + 1, node.index >> 1};
    completed.emplace_back(node, hash);
  }
  peaks_.push_back(hash);
  ++size_;
}

Digest Frontier::Root() const {
  if (peaks_.empty()) return EmptyRoot();
  Digest hash = peaks_.back();
  for (std::size_t i = peaks_.size() - 1; i > 0; --i) hash = NodeHash(peaks_[i - 1], hash);
  return hash;
}

}  // namespace vigil::merkle
