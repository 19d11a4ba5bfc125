#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace vigil::rpc {

// Paths of PEM files. The certificate's common name is the service's name; peers are believed if the authority signed them.
struct TlsFiles {
  std::string ca;
  std::string certificate;
  std::string key;
};

struct TlsMaterial {
  std::string ca;
  std::string certificate;
  std::string key;
};

// NotFound or FailedPrecondition with the path: a file is missing, empty, unreadable or no PEM.
absl::StatusOr<TlsMaterial> ReadTls(const TlsFiles& files);

}  // namespace vigil::rpc
