// The public test vectors of RFC 6962 proofs (transparency-dev/merkle). They are not part of this repository:
// VIGIL_VECTORS names the folder that has them under merkle/.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "audit/ledger/merkle.h"
#include "platform/crypto/encoding.h"

namespace vigil::merkle {
namespace {

using Json = nlohmann::json;

// The vectors hold hashes of wrong lengths too; those end here, as they do for any caller.
std::optional<Digest> HashOf(const Json& text) {
  const std::optional<std::string> bytes = Base64Decode(text.is_null() ? "" : text.get<std::string>());
  if (!bytes) return std::nullopt;
  absl::StatusOr<Digest> hash = DigestFromBytes(*bytes);
  return hash.ok() ? std::optional(*hash) : std::nullopt;
}

std::optional<std::vector<Digest>> ProofOf(const Json& hashes) {
  std::vector<Digest> proof;
  if (hashes.is_null()) return proof;
  for (const Json& text : hashes) {
    const std::optional<Digest> hash = HashOf(text);
    if (!hash) return std::nullopt;
    proof.push_back(*hash);
  }
  return proof;
}

bool InclusionHolds(const Json& vector) {
  const auto root = HashOf(vector.at("root"));
  const auto leaf_hash = HashOf(vector.at("leafHash"));
  const auto proof = ProofOf(vector.at("proof"));
  return root && leaf_hash && proof &&
         VerifyInclusion(vector.at("leafIdx").get<std::uint64_t>(), vector.at("treeSize").get<std::uint64_t>(),
                         *leaf_hash, *proof, *root)
             .ok();
}

bool ConsistencyHolds(const Json& vector) {
  const auto root1 = HashOf(vector.at("root1"));
  const auto root2 = HashOf(vector.at("root2"));
  const auto proof = ProofOf(vector.at("proof"));
  return root1 && root2 && proof &&
         VerifyConsistency(vector.at("size1").get<std::uint64_t>(), vector.at("size2").get<std::uint64_t>(), *proof,
                           *root1, *root2)
             .ok();
}

template <typename Holds>
void CheckFolder(const std::string& name, Holds holds, int at_least) {
  const char* const vectors = std::getenv("VIGIL_VECTORS");
  if (vectors == nullptr) GTEST_SKIP() << "skipped: VIGIL_VECTORS is not set";
  int good = 0;
  int bad = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(vectors) / "merkle" / name)) {
    if (file.path().extension() != ".json") continue;
    std::ifstream stream(file.path());
    const Json vector = Json::parse(stream);
    const bool wrong = vector.at("wantErr").get<bool>();
    EXPECT_EQ(holds(vector), !wrong) << file.path() << ": " << vector.at("desc");
    ++(wrong ? bad : good);
  }
  EXPECT_GE(good + bad, at_least);
  EXPECT_GE(good, 3);
}

TEST(MerkleVectorsTest, InclusionAgrees) { CheckFolder("inclusion", InclusionHolds, 50); }
TEST(MerkleVectorsTest, ConsistencyAgrees) { CheckFolder("consistency", ConsistencyHolds, 40); }

}  // namespace
}  // namespace vigil::merkle
