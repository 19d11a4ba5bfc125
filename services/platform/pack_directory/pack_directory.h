// A protocol pack as it lies on disk: the *.yaml files of one directory. What they mean is the domain's (domain/pack/loader.h).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vigil {

// Texts by file name, of the regular files `*.yaml` directly in `directory`.
// NotFound: no such directory, or none in it. Unavailable: a file cannot be read. InvalidArgument: together over 2 MiB.
absl::StatusOr<std::map<std::string, std::string>> ReadPackDirectory(const std::string& directory);

// SHA-256 in lower-case hex, as the loader wants it.
std::string PackDigest(std::string_view resolved);

}  // namespace vigil
