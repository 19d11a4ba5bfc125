#include "platform/blob/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kIdDigits = 64;
constexpr char kNewFolder[] = ".new";
// Older than any Put that could still be running, so that another process's is not taken away.
constexpr auto kAbandonedAfter = std::chrono::hours(1);

bool IsId(std::string_view id) {
  return id.size() == kIdDigits &&
         std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

absl::Status Failed(int error, std::string_view what) {
  const std::string text = absl::StrCat("blob store: ", std::string(what), ": ", std::generic_category().message(error));
  return error == ENOSPC || error == EDQUOT ? absl::ResourceExhaustedError(text) : absl::UnavailableError(text);
}

absl::Status SyncDirectory(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return Failed(errno, "open directory");
  const int result = fsync(file);
  const int error = errno;
  close(file);
  return result == 0 ? absl::OkStatus() : Failed(error, "sync directory");
}

absl::Status MakeDirectory(const std::string& parent, const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return SyncDirectory(parent);
  return errno == EEXIST ? absl::OkStatus() : Failed(errno, "make directory");
}

absl::Status WriteAndSync(const std::string& path, std::string_view bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return Failed(errno, "create");
  const absl::Cleanup close_file = [file] { close(file); };
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Failed(errno, "write");
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(file) != 0) return Failed(errno, "sync");
  return absl::OkStatus();
}

}  // namespace

BlobStore::BlobStore(std::string directory) : directory_(std::move(directory)) {}
BlobStore::~BlobStore() = default;

std::string BlobStore::PathOf(std::string_view id) const {
  return absl::StrCat(directory_, "/", std::string(id.substr(0, 2)), "/", std::string(id));
}

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(std::string_view directory) {
  const std::string path(directory);
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return Failed(error.value(), "make directory");
  const std::string parent = fs::absolute(path, error).lexically_normal().parent_path().string();
  if (!error && !parent.empty()) {
    if (absl::Status synced = SyncDirectory(parent); !synced.ok()) return synced;
  }
  const std::string new_folder = absl::StrCat(path, "/", kNewFolder);
  if (absl::Status made = MakeDirectory(path, new_folder); !made.ok()) return made;
  const auto oldest = fs::file_time_type::clock::now() - kAbandonedAfter;
  for (const fs::directory_entry& entry : fs::directory_iterator(new_folder, error)) {
    std::error_code ignored;
    if (entry.last_write_time(ignored) < oldest) fs::remove(entry.path(), ignored);
  }
  return std::unique_ptr<BlobStore>(new BlobStore(path));
}

absl::StatusOr<std::string> BlobStore::Put(SealedBytes sealed) {
  if (sealed.bytes.empty() || sealed.bytes.size() > kMaxBlobBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a blob has 1 to ", kMaxBlobBytes, " bytes"));
  }
  const std::string id = HexEncode(AsView(Sha256(sealed.bytes)));
  const std::string folder = absl::StrCat(directory_, "/", id.substr(0, 2));
  const std::string path = PathOf(id);
  struct stat found {};
  if (stat(path.c_str(), &found) == 0 && static_cast<std::size_t>(found.st_size) == sealed.bytes.size()) {
    // Another thread may have renamed it and not yet synced the name.
    if (absl::Status synced = SyncDirectory(folder); !synced.ok()) return synced;
    return id;
  }

  static std::atomic<std::uint64_t> count{0};
  const std::string temporary = absl::StrCat(directory_, "/", kNewFolder, "/", id, ".", getpid(), ".", count.fetch_add(1));
  absl::Cleanup remove_temporary = [&temporary] { unlink(temporary.c_str()); };
  if (absl::Status written = WriteAndSync(temporary, sealed.bytes); !written.ok()) return written;
  if (absl::Status made = MakeDirectory(directory_, folder); !made.ok()) return made;
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed(errno, "rename");
  std::move(remove_temporary).Cancel();
  if (absl::Status synced = SyncDirectory(folder); !synced.ok()) return synced;
  return id;
}

absl::StatusOr<std::string> BlobStore::Get(std::string_view id) const {
  if (!IsId(id)) return absl::InvalidArgumentError("not a blob's id");
  const int file = open(PathOf(id).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? absl::NotFoundError("no such blob") : Failed(errno, "open");
  const absl::Cleanup close_file = [file] { close(file); };
  std::string bytes;
  struct stat found {};
  if (fstat(file, &found) != 0) return Failed(errno, "stat");
  if (static_cast<std::size_t>(found.st_size) > kMaxBlobBytes) return absl::DataLossError("a blob on disk is not what was put");
  bytes.resize(static_cast<std::size_t>(found.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = read(file, bytes.data() + done, bytes.size() - done);
    if (got < 0) {
      if (errno == EINTR) continue;
      return Failed(errno, "read");
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  if (done != bytes.size() || HexEncode(AsView(Sha256(bytes))) != id) return absl::DataLossError("a blob on disk is not what was put");
  return bytes;
}

bool BlobStore::Has(std::string_view id) const { return IsId(id) && access(PathOf(id).c_str(), F_OK) == 0; }

absl::Status BlobStore::Remove(std::string_view id) {
  if (!IsId(id)) return absl::InvalidArgumentError("not a blob's id");
  if (unlink(PathOf(id).c_str()) != 0) return errno == ENOENT ? absl::OkStatus() : Failed(errno, "remove");
  return SyncDirectory(absl::StrCat(directory_, "/", std::string(id.substr(0, 2))));
}

absl::Status BlobStore::ForEach(const std::function<bool(std::string_view id, std::size_t bytes)>& visit) const {
  std::error_code error;
  for (const fs::directory_entry& folder : fs::directory_iterator(directory_, error)) {
    if (folder.path().filename().string().size() != 2) continue;
    std::error_code inner;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder.path(), inner)) {
      const std::string id = entry.path().filename().string();
      std::error_code ignored;
      const std::size_t bytes = static_cast<std::size_t>(entry.file_size(ignored));
      if (IsId(id) && !ignored && !visit(id, bytes)) return absl::OkStatus();
    }
    if (inner) return Failed(inner.value(), "list");
  }
  return error ? Failed(error.value(), "list") : absl::OkStatus();
}

}  // namespace vigil
