#include "platform/durable_file/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace vigil {
namespace {

absl::Status Failed(const char* what, const std::string& path) {
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(absl::StrCat("the disk is full: ", path));
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", path));
}

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
}

absl::Status SyncDirectory(const std::string& path) {
  const std::string directory = DirectoryOf(path);
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return Failed("open", directory);
  const absl::Cleanup closing = [file] { close(file); };
  return fsync(file) == 0 ? absl::OkStatus() : Failed("sync", directory);
}

}  // namespace

absl::Status WriteDurably(const std::string& path, std::string_view contents) {
  const std::string next = absl::StrCat(path, ".new");
  const int file = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return Failed("write", next);
  {
    const absl::Cleanup closing = [file] { close(file); };
    while (!contents.empty()) {
      const ssize_t written = write(file, contents.data(), contents.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Failed("write", next);
      contents.remove_prefix(static_cast<std::size_t>(written));
    }
    if (fsync(file) != 0) return Failed("sync", next);
  }
  if (std::rename(next.c_str(), path.c_str()) != 0) return Failed("replace", path);
  return SyncDirectory(path);
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? absl::NotFoundError(absl::StrCat("there is no ", path)) : Failed("read", path);
  const absl::Cleanup closing = [file] { close(file); };
  std::string contents;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t size = read(file, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Failed("read", path);
    if (size == 0) return contents;
    contents.append(buffer, static_cast<std::size_t>(size));
  }
}

absl::Status RemoveDurably(const std::string& path) {
  if (unlink(path.c_str()) != 0) return errno == ENOENT ? absl::OkStatus() : Failed("remove", path);
  return SyncDirectory(path);
}

}  // namespace vigil
