// The few file operations that an installation's home needs. Directories are 0700 and files 0600, whatever the umask.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vigil::installation {

// Replaces the file at once or not at all; synced to disk. ResourceExhausted when the disk is full.
absl::Status WriteFile(const std::filesystem::path& path, std::string_view contents);

// NotFound if there is no such file.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path);

// Makes the directory and those above it that are missing.
absl::Status MakeDirectory(const std::filesystem::path& path);

// Bytes free for this user on the file system that holds `path` (or the nearest directory above it that exists).
absl::StatusOr<std::uint64_t> FreeBytes(const std::filesystem::path& path);

// The last `lines` lines of a text file; empty if it cannot be read.
std::string LastLines(const std::filesystem::path& path, int lines);

}  // namespace vigil::installation
