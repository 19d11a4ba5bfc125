// The installation's secrets, sealed to two custodians: people outside the machine who each keep a key on paper or a stick. Either of them alone
// can open it, so that one lost key does not lose what was ever written; what it opens is of use only together with a copy of the log and one of
// the people's keys, which are kept elsewhere (docs/decisions).
//
// Sealed form, JSON: {"format": 1, "custodians": [{"name", "public_key": hex, "sealed_key": base64}], "secrets": base64}; `secrets` is
// {"<file>": base64} as JSON, sealed by XChaCha20-Poly1305 under a key that stands sealed for each custodian. A custodian's file is a line of
// text for people and a line "vigil-custodian-key <hex>".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sealed_box.h"
#include "platform/crypto/secret.h"

namespace vigil {

struct Custodian {
  std::string name;
  BoxPublicKey key;
};

// By file name.
using Secrets = std::map<std::string, Secret<std::string>, std::less<>>;

// "custodian-1 <hex>" a line. InvalidArgument with the line, or if there are none.
absl::StatusOr<std::vector<Custodian>> ParseCustodians(std::string_view text);
std::string CustodiansText(const std::vector<Custodian>& custodians);

// What a custodian keeps.
Secret<std::string> CustodianFile(std::string_view name, std::string_view installation, const BoxSecretKey& key);
absl::StatusOr<BoxSecretKey> ParseCustodianFile(std::string_view text);

std::string SealSecrets(const Secrets& secrets, const std::vector<Custodian>& custodians, Random& random);

// PermissionDenied: not sealed to this custodian. DataLoss: it is not what was sealed.
absl::StatusOr<Secrets> OpenSecrets(std::string_view sealed, const BoxSecretKey& custodian);

}  // namespace vigil
