#include "audit/ledger/merkle.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "audit/ledger/sha256.h"
#include "platform/crypto/encoding.h"

namespace vigil::merkle {
namespace {

constexpr std::uint64_t kLargest = 130;  // past two powers of two, so that every shape of right edge occurs

std::string Leaf(std::uint64_t n) { return "leaf " + std::to_string(n); }

// RFC 6962, 2.1, word for word; nothing shared with what is tested but the two hashes.
Digest RootByDefinition(std::uint64_t begin, std::uint64_t end) {
  if (begin == end) return Sha256("");
  if (end - begin == 1) return Sha256(std::string(1, '\0') + Leaf(begin));
  std::uint64_t k = 1;
  while (k * 2 < end - begin) k *= 2;
  return Sha256("\x01" + AsString(RootByDefinition(begin, begin + k)) + AsString(RootByDefinition(begin + k, end)));
}

class MerkleTest : public testing::Test {
 protected:
  MerkleTest() {
    roots_.push_back(tree_.Root());
    for (std::uint64_t n = 0; n < kLargest; ++n) {
      std::vector<std::pair<NodeId, Digest>> completed;
      nodes_[{0, n}] = LeafHash(Leaf(n));
      tree_.Append(nodes_[{0, n}], completed);
      for (const auto& [id, hash] : completed) EXPECT_TRUE(nodes_.emplace(id, hash).second) << "a node completed twice";
      roots_.push_back(tree_.Root());
    }
  }

  absl::StatusOr<Digest> Node(NodeId id) const {
    const auto found = nodes_.find(id);
    if (found == nodes_.end()) return absl::NotFoundError("no such node");
    return found->second;
  }
  auto Reader() const {
    return [this](NodeId id) { return Node(id); };
  }

  Frontier tree_;
  std::map<NodeId, Digest> nodes_;
  std::vector<Digest> roots_;
};

Digest Flipped(Digest hash, std::size_t bit) {
  hash[bit / 8 % 32] = static_cast<std::uint8_t>(hash[bit / 8 % 32] ^ (1U << (bit % 8)));
  return hash;
}

TEST_F(MerkleTest, RootsAreThoseOfTheDefinition) {
  for (std::uint64_t size = 0; size <= kLargest; ++size) {
    EXPECT_EQ(roots_[size], RootByDefinition(0, size)) << size;
    EXPECT_EQ(RootOf(size, Reader()).value(), roots_[size]) << size;
  }
}

TEST(MerkleKnownAnswerTest, RootsOfTheReferenceLeaves) {
  const char* const leaves[] = {
      "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
  const char* const roots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                               "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                               "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                               "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                               "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                               "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                               "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                               "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  Frontier tree;
  std::vector<std::pair<NodeId, Digest>> completed;
  for (std::size_t i = 0; i < std::size(leaves); ++i) {
    tree.Append(LeafHash(HexDecode(leaves[i]).value()), completed);
    EXPECT_EQ(HexEncode(AsView(tree.Root())), roots[i]);
  }
}

TEST(HashPiecesTest, IsSha256OfThePiecesTogether) {
  const std::string bytes(1000, 'x');
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    const std::string_view all(bytes.data(), size);
    EXPECT_EQ(HashPieces({all.substr(0, size / 3), all.substr(size / 3)}), Sha256(all));
  }
}

TEST_F(MerkleTest, AReloadedTreeGoesOnAsIfItHadNeverStopped) {
  for (std::uint64_t size = 0; size < kLargest; ++size) {
    Frontier tree = Frontier::Load(size, Reader()).value();
    EXPECT_EQ(tree.size(), size);
    EXPECT_EQ(tree.Root(), roots_[size]);
    std::vector<std::pair<NodeId, Digest>> completed;
    tree.Append(nodes_.at({0, size}), completed);
    EXPECT_EQ(tree.Root(), roots_[size + 1]);
  }
}

TEST_F(MerkleTest, EveryLeafIsShownToBeInEveryTree) {
  for (std::uint64_t size = 1; size <= kLargest; ++size) {
    for (std::uint64_t leaf = 0; leaf < size; ++leaf) {
      const std::vector<Digest> proof = InclusionProof(leaf, size, Reader()).value();
      EXPECT_TRUE(VerifyInclusion(leaf, size, nodes_.at({0, leaf}), proof, roots_[size]).ok())
          << leaf << " of " << size;
    }
  }
}

TEST_F(MerkleTest, AnAlteredInclusionProofNeverHolds) {
  for (std::uint64_t size = 1; size <= kLargest; ++size) {
    for (std::uint64_t leaf = 0; leaf < size; ++leaf) {
      const std::vector<Digest> proof = InclusionProof(leaf, size, Reader()).value();
      const Digest hash = nodes_.at({0, leaf});
      const Digest root = roots_[size];
      const std::size_t bit = (leaf * 131 + size) % 256;
      EXPECT_FALSE(VerifyInclusion(leaf, size, Flipped(hash, bit), proof, root).ok());
      EXPECT_FALSE(VerifyInclusion(leaf, size, hash, proof, Flipped(root, bit)).ok());
      EXPECT_FALSE(VerifyInclusion(leaf ^ 1, size, hash, proof, root).ok());
      EXPECT_FALSE(VerifyInclusion(leaf + size, size, hash, proof, root).ok());
      for (std::size_t i = 0; i < proof.size(); ++i) {
        std::vector<Digest> altered = proof;
        altered[i] = Flipped(altered[i], bit);
        EXPECT_FALSE(VerifyInclusion(leaf, size, hash, altered, root).ok());
        altered = proof;
        altered.erase(altered.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(VerifyInclusion(leaf, size, hash, altered, root).ok());
      }
      std::vector<Digest> longer = proof;
      longer.push_back(root);
      EXPECT_FALSE(VerifyInclusion(leaf, size, hash, longer, root).ok());
    }
  }
}

TEST_F(MerkleTest, EveryTreeIsShownToBeginEveryLaterOne) {
  for (std::uint64_t to = 0; to <= kLargest; ++to) {
    for (std::uint64_t from = 0; from <= to; ++from) {
      const std::vector<Digest> proof = ConsistencyProof(from, to, Reader()).value();
      EXPECT_TRUE(VerifyConsistency(from, to, proof, roots_[from], roots_[to]).ok()) << from << " to " << to;
    }
  }
}

TEST_F(MerkleTest, AnAlteredConsistencyProofNeverHolds) {
  for (std::uint64_t to = 1; to <= kLargest; ++to) {
    for (std::uint64_t from = 0; from <= to; ++from) {
      const std::vector<Digest> proof = ConsistencyProof(from, to, Reader()).value();
      const std::size_t bit = (from * 131 + to) % 256;
      EXPECT_FALSE(VerifyConsistency(from, to, proof, Flipped(roots_[from], bit), roots_[to]).ok());
      if (from > 0) {
        EXPECT_FALSE(VerifyConsistency(from, to, proof, roots_[from], Flipped(roots_[to], bit)).ok());
      }
      if (from < to) {
        EXPECT_FALSE(VerifyConsistency(from, to, proof, roots_[to], roots_[from]).ok());
        EXPECT_FALSE(VerifyConsistency(to, from, proof, roots_[from], roots_[to]).ok());
      }
      for (std::size_t i = 0; i < proof.size(); ++i) {
        std::vector<Digest> altered = proof;
        altered[i] = Flipped(altered[i], bit);
        EXPECT_FALSE(VerifyConsistency(from, to, altered, roots_[from], roots_[to]).ok());
        altered = proof;
        altered.erase(altered.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(VerifyConsistency(from, to, altered, roots_[from], roots_[to]).ok());
      }
      std::vector<Digest> longer = proof;
      longer.push_back(roots_[to]);
      EXPECT_FALSE(VerifyConsistency(from, to, longer, roots_[from], roots_[to]).ok());
    }
  }
}

TEST_F(MerkleTest, ProofsStayShort) {
  EXPECT_EQ(InclusionProof(0, 128, Reader()).value().size(), 7u);
  EXPECT_EQ(InclusionProof(129, 130, Reader()).value().size(), 2u);
  EXPECT_LE(ConsistencyProof(65, 130, Reader()).value().size(), 9u);
}

TEST_F(MerkleTest, WhatCannotBeAskedIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(InclusionProof(5, 5, Reader()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(InclusionProof(0, 0, Reader()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ConsistencyProof(6, 5, Reader()).status()));
  EXPECT_TRUE(absl::IsNotFound(InclusionProof(0, kLargest + 200, Reader()).status()))
      << "a reader's error is passed on";
  EXPECT_TRUE(absl::IsInvalidArgument(DigestFromBytes("short").status()));
}

}  // namespace
}  // namespace vigil::merkle
