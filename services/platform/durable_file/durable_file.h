// Small files of a service's own that must survive a power cut: whole as they were before, or whole as they are now.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vigil {

// Replaces the file at once or not at all; on disk, with its name, when it returns Ok. Mode 0600. ResourceExhausted: the disk is full;
// otherwise as errno says, with the path. One writer a path at a time.
absl::Status WriteDurably(const std::string& path, std::string_view contents);

// NotFound: there is no such file.
absl::StatusOr<std::string> ReadWhole(const std::string& path);

// Gone when it returns Ok, also if there was none.
absl::Status RemoveDurably(const std::string& path);

}  // namespace vigil
