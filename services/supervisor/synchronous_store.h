// Debian's nats-server acknowledges a message after write() and syncs every two minutes. With the synchronous attribute
// (chattr +S) on its store directory, which every new file and directory below inherits, write() returns only when the
// bytes are on disk, so an acknowledgement means durable. The attribute must be there before the server first writes.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vigil::installation {

// Sets the attribute and reads it back. FailedPrecondition, saying why, if the file system cannot.
absl::Status MakeSynchronous(const std::filesystem::path& directory);

absl::StatusOr<bool> IsSynchronous(const std::filesystem::path& path);

// Verifies that the directory and all that the server has made in it have the attribute; FailedPrecondition names the
// first that has not.
absl::Status VerifySynchronous(const std::filesystem::path& directory);

}  // namespace vigil::installation
