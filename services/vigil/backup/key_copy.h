// A copy of people's keys, wrapped by the installation's key as they are stored, in a directory apart from the copy of the log; and beside them the
// installation's secrets, sealed to its custodians. Only the newest is kept: what was erased is gone from it with the next backup.
//
//   keys                   signed (copy.h): a JSON line {"installation", "made_time", "log": {"7": last sequence}}, then "<name> <base64>" a key,
//                          "<name> -" where one was erased
//   erasures               as beside the log
//   sealed-secrets.json    platform/custody
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "audit/ledger/note.h"
#include "platform/crypto/sign.h"
#include "platform/keys/stored_keys.h"
#include "platform/log/log.h"

namespace vigil {

inline constexpr char kKeysFile[] = "keys";
inline constexpr char kSealedSecrets[] = "sealed-secrets.json";

struct KeyCopy {
  std::string installation;
  absl::Time made_time;
  std::array<std::uint64_t, kPartitions> log{};  // all that is written up to here has its keys among these
  std::vector<NamedKey> keys;
};

std::string KeyCopyText(const KeyCopy& copy, const SigningKey& key);
absl::StatusOr<KeyCopy> ParseKeyCopy(std::string_view text, const NoteVerifier& key);

// Replaces the file and overwrites what stood in the old one, so that an erased key is not left on the medium (as far as a file system tells).
absl::Status ReplaceAndWipe(const std::string& path, std::string_view content);

}  // namespace vigil
