#include "platform/log/log.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace vigil {

std::string StreamName(int partition) { return absl::StrFormat("VIGIL-%02d", partition); }

std::string SubjectName(int partition, std::string_view source) {
  return absl::StrCat(absl::StrFormat("vigil.%02d.", partition), absl::string_view(source.data(), source.size()));
}

}  // namespace vigil
