#include "platform/pack_directory/pack_directory.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil {
namespace {

constexpr std::uintmax_t kMaxBytes = 2u << 20;

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ReadPackDirectory(const std::string& directory) {
  std::map<std::string, std::string> files;
  std::error_code error;
  std::uintmax_t total = 0;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".yaml" || !it->is_regular_file()) continue;
    std::ifstream file(it->path(), std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) return absl::UnavailableError(absl::StrCat("cannot read ", it->path().string()));
    total += text.view().size();
    if (total > kMaxBytes) return absl::InvalidArgumentError(absl::StrCat("the pack in ", directory, " is larger than 2 MiB"));
    files.emplace(it->path().filename().string(), std::move(text).str());
  }
  if (error) return absl::NotFoundError(absl::StrCat("cannot read the pack directory ", directory, ": ", error.message()));
  if (files.empty()) return absl::NotFoundError(absl::StrCat("no *.yaml in ", directory));
  return files;
}

std::string PackDigest(std::string_view resolved) { return HexEncode(AsView(Sha256(resolved))); }

}  // namespace vigil
