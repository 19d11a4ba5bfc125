#include "supervisor/synchronous_store.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace vigil::installation {

absl::Status MakeSynchronous(const std::filesystem::path& directory) {
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", directory.string()));
  absl::Cleanup close_file = [&] { close(file); };
  int flags = 0;
  if (ioctl(file, FS_IOC_GETFLAGS, &flags) == 0) {
    flags |= FS_SYNC_FL;
    if (ioctl(file, FS_IOC_SETFLAGS, &flags) == 0 && ioctl(file, FS_IOC_GETFLAGS, &flags) == 0 &&
        (flags & FS_SYNC_FL) != 0) {
      return absl::OkStatus();
    }
  }
  return absl::FailedPreconditionError(absl::StrCat("the file system of ", directory.string(),
                                                    " has no synchronous writes (chattr +S), so an accepted report "
                                                    "could be lost in a power failure. Put VIGIL_HOME on ext4 or "
                                                    "XFS, or accept the risk with --not-durable"));
}

absl::StatusOr<bool> IsSynchronous(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path.string()));
  absl::Cleanup close_file = [&] { close(file); };
  int flags = 0;
  if (ioctl(file, FS_IOC_GETFLAGS, &flags) != 0) return false;
  return (flags & FS_SYNC_FL) != 0;
}

absl::Status VerifySynchronous(const std::filesystem::path& directory) {
  const auto verify = [](const std::filesystem::path& path) -> absl::Status {
    absl::StatusOr<bool> synchronous = IsSynchronous(path);
    if (absl::IsNotFound(synchronous.status())) return absl::OkStatus();  // the server removed it meanwhile
    if (!synchronous.ok()) return synchronous.status();
    if (!*synchronous) {
      return absl::FailedPreconditionError(absl::StrCat(
          path.string(), " is not written synchronously (its chattr +S is gone). Stop Vigil, run `chattr -R +S` on ",
          "the store, and start again; or accept the risk with --not-durable"));
    }
    return absl::OkStatus();
  };
  if (absl::Status status = verify(directory); !status.ok()) return status;
  std::error_code error;
  for (auto entry = std::filesystem::recursive_directory_iterator(directory, error);
       !error && entry != std::filesystem::end(entry); entry.increment(error)) {
    if (!entry->is_directory(error) && !entry->is_regular_file(error)) continue;
    if (absl::Status status = verify(entry->path()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace vigil::installation
