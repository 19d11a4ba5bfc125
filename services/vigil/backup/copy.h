// A copy of the log in a directory: what `vigil backup` writes, `vigil backup --check` checks and `vigil restore` reads. It reveals nothing about
// anybody without the people's keys, which are copied elsewhere (key_copy.h).
//
//   manifest            signed: what is here, each file with its length and SHA-256. Written last; what it does not name is not part of the copy
//   log/07/<first>-<last>  messages of partition 07 as they are stored, in order:
//                       "vigil log segment v1\n", then a message: sequence (8 bytes), stored time (8, Unix nanoseconds), length of source (1),
//                       source, length of body (4), body; numbers big-endian
//   checkpoints         JSON {"7": ["<signed note>", …]}, oldest first: what the ledger had signed whenever a copy was made
//   erasures            signed: whose keys were given up (erasures.h)
//   attachments/        as BlobStore lays them; attachments.list: their ids, one a line, in order
//   (checkpoints, erasures and attachments.list are called so and "~" and the beginning of their hash: the manifest always finds what it names)
//   installation.json, trust/*, pack/**   public keys and settings that a new home needs, and the pack that was in force
//
// A signed file is a title line, the body, and a line "signature <hex>": Ed25519 by the ledger's checkpoint key over all that stands before it.
// These forms never change; a new one gets another title.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "audit/ledger/note.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"

namespace vigil {

inline constexpr char kManifestFile[] = "manifest";
inline constexpr char kCheckpointsFile[] = "checkpoints";
inline constexpr char kErasuresFile[] = "erasures";
inline constexpr char kAttachmentsFolder[] = "attachments";
inline constexpr char kAttachmentsList[] = "attachments.list";
// A segment is closed when it has this many bytes; a smaller last one is written again together with what is new.
inline constexpr std::size_t kSegmentBytes = 16 * 1024 * 1024;

std::string SignText(std::string_view title, std::string_view body, const SigningKey& key);
// The body. DataLoss: torn, another title, or not signed by this key; `what` names the file in the text.
absl::StatusOr<std::string> OpenSigned(std::string_view title, std::string_view text, const NoteVerifier& key, std::string_view what);

struct CopiedFile {
  std::string path;  // below the copy's directory
  std::uint64_t bytes = 0;
  std::string sha256;  // hex
};

struct Segment {
  int partition = 0;
  std::uint64_t first = 0;  // sequences
  std::uint64_t last = 0;
  CopiedFile file;
};

struct Manifest {
  std::string installation;
  absl::Time made_time;
  std::vector<Segment> segments;  // by partition, then sequence
  std::vector<CopiedFile> files;

  // Of a partition's last message; 0: none.
  std::uint64_t LastSequence(int partition) const;
  // The file of that name, or the version of it.
  const CopiedFile* Find(std::string_view name) const;
};

std::string ManifestText(const Manifest& manifest, const SigningKey& key);
// DataLoss with why. Segments follow one on the other from the first message.
absl::StatusOr<Manifest> ParseManifest(std::string_view text, const NoteVerifier& key);

// Writes the file durably, whole or not at all.
absl::StatusOr<CopiedFile> WriteCopied(const std::string& directory, const std::string& path, std::string_view content);
// DataLoss naming the file: missing, torn, or not what was copied.
absl::StatusOr<std::string> ReadCopied(const std::string& directory, const CopiedFile& file);

// What a version of a file that changes is called.
std::string VersionName(std::string_view name, std::string_view content);

// Adds a message to a segment; an empty one is begun.
void AddToSegment(const LogMessage& message, std::string& segment);
// `what` names the file in the text of a DataLoss.
absl::Status ForEachMessage(std::string_view segment, int partition, std::string_view what, const std::function<absl::Status(LogMessage)>& visit);

// Every message of a partition, in order, each segment checked against the manifest first. Ends early with the visit's error.
absl::Status ForEachCopied(const std::string& directory, const Manifest& manifest, int partition, const std::function<absl::Status(LogMessage)>& visit);

}  // namespace vigil
