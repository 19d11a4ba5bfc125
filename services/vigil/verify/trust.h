// What must be known of an installation from elsewhere than from its ledger and its log: the keys in $VIGIL_HOME/trust.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "audit/ledger/note.h"
#include "vigil/verify/message_reader.h"

namespace vigil {

struct Trust {
  std::string installation;
  TrustedSources sources;
  std::optional<NoteVerifier> checkpoint_key;
};

// NotFound, InvalidArgument or DataLoss with the file.
absl::StatusOr<Trust> ReadTrust(const std::string& home);

// The same of a copy, where `trust` is the directory of keys and `installation` the installation's own file.
absl::StatusOr<Trust> ReadTrust(const std::string& trust, const std::string& installation);

// The file's text without white space around it. NotFound with the path.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace vigil
