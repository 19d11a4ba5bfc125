#include "vigil/backup/check.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "audit/ledger/merkle.h"
#include "platform/blob/blob_store.h"
#include "platform/durable_file/durable_file.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil {
namespace {

using nlohmann::json;

absl::Status In(const absl::Status& status, const std::string& directory) {
  return absl::Status(status.code(), absl::StrCat(directory, ": ", status.message()));
}

absl::StatusOr<std::map<int, std::vector<Checkpoint>>> ReadCheckpoints(const std::string& directory, const Trust& trust, const Manifest& manifest) {
  std::map<int, std::vector<Checkpoint>> checkpoints;
  const CopiedFile* file = manifest.Find(kCheckpointsFile);
  if (file == nullptr) return checkpoints;
  const absl::StatusOr<std::string> text = ReadCopied(directory, *file);
  if (!text.ok()) return text.status();
  const json parsed = json::parse(*text, nullptr, false);
  for (int partition = 0; parsed.is_object() && partition < kPartitions; ++partition) {
    const auto notes = parsed.find(absl::StrCat(partition));
    if (notes == parsed.end() || !notes->is_array()) continue;
    for (const json& note : *notes) {
      const absl::StatusOr<Checkpoint> opened =
          OpenCheckpoint(note.is_string() ? note.get<std::string>() : "", *trust.checkpoint_key, LedgerOrigin(trust.installation, static_cast<std::uint32_t>(partition)));
      if (!opened.ok()) return absl::DataLossError(absl::StrCat("checkpoints: one of partition ", partition, ": ", opened.status().message()));
      checkpoints[partition].push_back(*opened);
    }
  }
  return checkpoints;
}

// Folds a partition's messages: chains, tree, and what attachments are named.
absl::Status CheckPartition(const std::string& directory, const Manifest& manifest, const Trust& trust, int partition, const std::vector<Checkpoint>& checkpoints,
                            CheckedPartition& checked, std::set<std::string>& attachments) {
  SourceChains chains(partition, trust.sources);
  merkle::Frontier tree;
  std::vector<std::pair<merkle::NodeId, Digest>> completed;
  std::map<std::uint64_t, Digest> wanted;
  for (const Checkpoint& checkpoint : checkpoints) {
    const auto [at, is_new] = wanted.emplace(checkpoint.size, checkpoint.root);
    if (!is_new && at->second != checkpoint.root) return absl::DataLossError(absl::StrCat("partition ", partition, ": two checkpoints of one size differ"));
    if (checkpoint.size >= checked.signed_size) {
      checked.signed_size = checkpoint.size;
      checked.signed_root = checkpoint.root;
    }
  }
  absl::Status differs;
  const auto compare = [&] {
    const auto at = wanted.find(tree.size());
    if (at != wanted.end() && at->second != tree.Root() && differs.ok()) {
      differs = absl::DataLossError(absl::StrCat("partition ", partition, ": the first ", tree.size(), " commits are not what the ledger signed"));
    }
  };
  compare();
  log::v1::Commit commit;
  const absl::Status read = ForEachCopied(directory, manifest, partition, [&](const LogMessage& message) {
    ++checked.messages;
    const std::optional<DecodedBatch> batch = chains.Believe(message);
    if (!batch) return absl::OkStatus();
    for (const std::string& bytes : batch->commits) {
      ++checked.commits;
      completed.clear();
      tree.Append(merkle::LeafHash(bytes), completed);
      compare();
      if (!commit.ParseFromString(bytes)) continue;
      for (const log::v1::Event& event : commit.events()) {
        if (event.has_attachment_stored()) attachments.insert(event.attachment_stored().hash());
      }
    }
    return differs;
  });
  checked.skipped = chains.skipped();
  if (!read.ok()) return read;
  if (checked.signed_size > checked.commits) {
    return absl::DataLossError(absl::StrCat("partition ", partition, ": the ledger signed ", checked.signed_size, " commits; the copy holds ", checked.commits));
  }
  return absl::OkStatus();
}

}  // namespace

std::uint64_t CheckedCopy::messages() const {
  std::uint64_t all = 0;
  for (const CheckedPartition& partition : partitions) all += partition.messages;
  return all;
}

std::uint64_t CheckedCopy::commits() const {
  std::uint64_t all = 0;
  for (const CheckedPartition& partition : partitions) all += partition.commits;
  return all;
}

absl::StatusOr<OpenedCopy> OpenCopy(const std::string& directory, const std::string& trust) {
  absl::StatusOr<std::string> text = ReadWhole(absl::StrCat(directory, "/", kManifestFile));
  if (absl::IsNotFound(text.status())) return absl::NotFoundError(absl::StrCat(directory, " holds no copy: there is no manifest in it"));
  if (!text.ok()) return text.status();
  absl::StatusOr<Trust> known = ReadTrust(trust.empty() ? directory + "/trust" : trust, directory + "/installation.json");
  if (!known.ok()) return In(known.status(), directory);
  absl::StatusOr<Manifest> manifest = ParseManifest(*text, *known->checkpoint_key);
  if (!manifest.ok()) return In(manifest.status(), directory);
  if (manifest->installation != known->installation) return absl::DataLossError(absl::StrCat(directory, ": the manifest is of another installation"));
  return OpenedCopy{*std::move(known), *std::move(manifest)};
}

absl::StatusOr<CheckedCopy> CheckCopy(const std::string& directory, const std::string& trust) {
  absl::StatusOr<OpenedCopy> opened = OpenCopy(directory, trust);
  if (!opened.ok()) return opened.status();
  CheckedCopy checked{.trust = std::move(opened->trust), .manifest = std::move(opened->manifest), .erasures = {}, .partitions = {}};
  for (const CopiedFile& file : checked.manifest.files) {
    if (const absl::Status read = ReadCopied(directory, file).status(); !read.ok()) return In(read, directory);
  }
  absl::StatusOr<std::map<int, std::vector<Checkpoint>>> checkpoints = ReadCheckpoints(directory, checked.trust, checked.manifest);
  if (!checkpoints.ok()) return In(checkpoints.status(), directory);
  std::set<std::string> named;
  for (int partition = 0; partition < kPartitions; ++partition) {
    const absl::Status read = CheckPartition(directory, checked.manifest, checked.trust, partition, (*checkpoints)[partition],
                                             checked.partitions[static_cast<std::size_t>(partition)], named);
    if (!read.ok()) return In(read, directory);
  }
  if (const CopiedFile* file = checked.manifest.Find(kErasuresFile); file != nullptr) {
    const absl::StatusOr<std::string> text = ReadCopied(directory, *file);
    if (!text.ok()) return In(text.status(), directory);
    absl::StatusOr<Erasures> erasures = Erasures::Parse(*text, *checked.trust.checkpoint_key, kErasuresFile);
    if (!erasures.ok()) return In(erasures.status(), directory);
    checked.erasures = *std::move(erasures);
  }
  const CopiedFile* list = checked.manifest.Find(kAttachmentsList);
  std::set<std::string> held;
  if (list != nullptr) {
    const absl::StatusOr<std::string> text = ReadCopied(directory, *list);
    if (!text.ok()) return In(text.status(), directory);
    const absl::StatusOr<std::unique_ptr<BlobStore>> blobs = BlobStore::Open(absl::StrCat(directory, "/", kAttachmentsFolder));
    if (!blobs.ok()) return blobs.status();
    for (const absl::string_view id : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      const std::string name(id);
      const absl::Status got = (*blobs)->Get(name).status();
      if (!got.ok()) {
        return In(absl::DataLossError(absl::StrCat(kAttachmentsFolder, "/", name.substr(0, 2), "/", name, absl::IsNotFound(got) ? " is missing" : " is not what was copied")),
                  directory);
      }
      held.insert(name);
    }
  }
  for (const std::string& id : named) {
    if (!held.contains(id)) return In(absl::DataLossError(absl::StrCat("the log names attachment ", id, ", which is not in the copy")), directory);
  }
  checked.attachments = held.size();
  return checked;
}

}  // namespace vigil
