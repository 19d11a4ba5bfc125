// Attachments, as files named by the SHA-256 of their bytes. Stored bytes are never altered; they are encrypted before they come here, so that
// a backup or a stolen disk shows nothing and erasing a person's key erases them.
//
// On disk: <directory>/<first two hex digits>/<64 hex digits>. A file appears there whole or not at all: it is written under .new/, synced, and
// renamed; what a crash leaves under .new/ is removed when the store is opened.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vigil {

// 10 MiB of attachment and what sealing adds.
inline constexpr std::size_t kMaxBlobBytes = 10 * 1024 * 1024 + 64;

// Says that `bytes` are the output of a seal. Whoever makes one answers for that.
struct SealedBytes {
  explicit SealedBytes(std::string_view sealed) : bytes(sealed) {}
  std::string_view bytes;
};

// Thread-safe; may be shared by processes on the same directory.
class BlobStore {
 public:
  // Makes the directory if it is missing. Errors as the file system's.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(std::string_view directory);
  ~BlobStore();
  BlobStore(const BlobStore&) = delete;
  BlobStore& operator=(const BlobStore&) = delete;

  // Returns the id, 64 hex digits, once the bytes are on disk. The same bytes again: the same id, at once. InvalidArgument: empty or over
  // kMaxBlobBytes; ResourceExhausted: disk full; Unavailable: other I/O errors.
  absl::StatusOr<std::string> Put(SealedBytes sealed);

  // InvalidArgument: not an id; NotFound; DataLoss: what is on disk is not what was put.
  absl::StatusOr<std::string> Get(std::string_view id) const;

  // Without reading it.
  bool Has(std::string_view id) const;

  // Ok also if there is none. The removal is on disk when it returns.
  absl::Status Remove(std::string_view id);

  // Every id, in no order; ends early when `visit` returns false.
  absl::Status ForEach(const std::function<bool(std::string_view id, std::size_t bytes)>& visit) const;

 private:
  explicit BlobStore(std::string directory);
  std::string PathOf(std::string_view id) const;

  const std::string directory_;
};

}  // namespace vigil
