#include "supervisor/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace vigil::installation {
namespace {

absl::Status Failure(std::string_view what, const std::filesystem::path& path) {
  const int code = errno;
  if (code == ENOSPC || code == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat("the disk is full: cannot write ", path.string()));
  }
  return absl::ErrnoToStatus(code, absl::StrCat(absl::string_view(what.data(), what.size()), " ", path.string()));
}

}  // namespace

absl::Status WriteFile(const std::filesystem::path& path, std::string_view contents) {
  const std::string temporary = absl::StrCat(path.string(), ".new");
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return Failure("cannot write", path);
  absl::Cleanup discard = [&] { unlink(temporary.c_str()); };
  absl::Cleanup close_file = [&] { close(file); };
  if (fchmod(file, 0600) != 0) return Failure("cannot set the mode of", path);
  while (!contents.empty()) {
    const ssize_t written = write(file, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failure("cannot write", path);
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(file) != 0) return Failure("cannot sync", path);
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failure("cannot replace", path);
  std::move(discard).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::NotFoundError(absl::StrCat("no file ", path.string()));
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return Failure("cannot read", path);
  std::ostringstream contents;
  contents << stream.rdbuf();
  return std::move(contents).str();
}

absl::Status MakeDirectory(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return absl::OkStatus();
  if (path.has_parent_path() && path.parent_path() != path) {
    if (absl::Status parent = MakeDirectory(path.parent_path()); !parent.ok()) return parent;
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failure("cannot make the directory", path);
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> FreeBytes(const std::filesystem::path& path) {
  std::filesystem::path existing = path;
  std::error_code error;
  while (!std::filesystem::exists(existing, error) && existing.has_parent_path() &&
         existing.parent_path() != existing) {
    existing = existing.parent_path();
  }
  struct statvfs answer = {};
  if (statvfs(existing.c_str(), &answer) != 0) return Failure("cannot ask for the free space of", existing);
  return static_cast<std::uint64_t>(answer.f_bavail) * answer.f_frsize;
}

std::string LastLines(const std::filesystem::path& path, int lines) {
  constexpr std::streamoff kTailBytes = 16 * 1024;
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) return "";
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  std::string tail(std::istreambuf_iterator<char>(stream), {});
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  std::size_t start = tail.size();
  for (int line = 0; line < lines && start != std::string::npos && start > 0; ++line)
    start = tail.rfind('\n', start - 1);
  if (start != std::string::npos && start > 0) tail.erase(0, start + 1);
  return tail;
}

}  // namespace vigil::installation
