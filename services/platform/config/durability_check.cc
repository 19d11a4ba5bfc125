#include "platform/config/durability_check.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"

namespace vigil::config {

absl::Status CheckDurable(std::string_view log_store_directory, bool not_durable) {
  if (not_durable) return absl::OkStatus();
  const std::string path(log_store_directory);
  const int file = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("the log's store directory ", path));
  long attributes = 0;
  const int result = ioctl(file, FS_IOC_GETFLAGS, &attributes);
  close(file);
  if (result != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the file system of ", path, " has no synchronous attribute; --not-durable accepts that"));
  }
  if ((attributes & FS_SYNC_FL) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not synchronous: what is acknowledged could be lost with the power; chattr +S it, or accept that with "
                           "--not-durable"));
  }
  return absl::OkStatus();
}

}  // namespace vigil::config
