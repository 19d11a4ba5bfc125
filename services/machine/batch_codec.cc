#include "machine/batch_codec.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "domain/planted.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil {
namespace {

constexpr std::string_view kContext = "vigil batch v1\n";

template <typename Commits>
std::string Signed(int partition, std::string_view source, std::string_view previous_hash, const Commits& commits) {
  std::string bytes(kContext);
  bytes.push_back(static_cast<char>(partition));
  bytes.push_back(static_cast<char>(source.size()));
  bytes.append(source);
  bytes.append(previous_hash.empty() ? std::string(32, '\0') : std::string(previous_hash));
  for (const std::string& commit : commits) {
    const auto size = static_cast<std::uint32_t>(commit.size());
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>((size >> shift) & 0xff));
    bytes.append(commit);
  }
  return bytes;
}

DecodedBatch Take(log::v1::Batch& batch) {
  DecodedBatch decoded;
  decoded.previous_hash = std::move(*batch.mutable_previous_hash());
  decoded.commits.reserve(static_cast<std::size_t>(batch.commits_size()));
  for (std::string& commit : *batch.mutable_commits()) decoded.commits.push_back(std::move(commit));
  return decoded;
}

}  // namespace

std::string BatchHash(std::string_view message) { return AsString(Sha256(message)); }

std::string EncodeBatch(int partition, std::string_view source, std::string_view previous_hash, std::vector<std::string> commits,
                        const SigningKey& key) {
  log::v1::Batch batch;
  batch.set_signature(key.Sign(Signed(partition, source, previous_hash, commits)));
  batch.set_partition(static_cast<std::uint32_t>(partition));
  batch.set_source(std::string(source));
  batch.set_previous_hash(std::string(previous_hash));
  for (std::string& commit : commits) batch.add_commits(std::move(commit));
  return batch.SerializeAsString();
}

absl::StatusOr<DecodedBatch> DecodeBatch(std::string_view message, int partition, std::string_view source, const VerifyKey& key) {
  log::v1::Batch batch;
  if (!batch.ParseFromArray(message.data(), static_cast<int>(message.size()))) return absl::DataLossError("not a batch");
  if (batch.partition() != static_cast<std::uint32_t>(partition)) return absl::DataLossError("a batch of another partition");
  if (batch.source() != source) return absl::DataLossError("a batch of another source");
  if (!key.Verify(Signed(partition, source, batch.previous_hash(), batch.commits()), batch.signature()) && !Planted("forged-batches-are-read")) {
    return absl::DataLossError("the signature does not hold");
  }
  return Take(batch);
}

absl::StatusOr<DecodedBatch> DecodeOwnBatch(std::string_view message) {
  log::v1::Batch batch;
  if (!batch.ParseFromArray(message.data(), static_cast<int>(message.size()))) return absl::DataLossError("not a batch");
  return Take(batch);
}

absl::StatusOr<std::vector<std::pair<std::string, VerifyKey>>> ParseTrustedSources(std::string_view text) {
  std::vector<std::pair<std::string, VerifyKey>> sources;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    const auto bytes = words.size() == 2 ? HexDecode(words[1]) : std::nullopt;
    auto key = bytes ? VerifyKey::FromBytes(*bytes) : absl::InvalidArgumentError("");
    if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat("trusted sources, line ", line_number, ": expected a source and a hex key"));
    sources.emplace_back(words[0], *key);
  }
  if (sources.empty()) return absl::InvalidArgumentError("trusted sources: none");
  return sources;
}

}  // namespace vigil
