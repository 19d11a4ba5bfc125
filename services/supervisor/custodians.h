// The installation's secrets sealed to two custodians, so that a machine that is gone can be made again from its backups
// (platform/custody). Their public keys stand in trust/custodians; whoever has custodians of their own puts theirs there.
#pragma once

#include "absl/status/status.h"
#include "supervisor/installation.h"
#include "supervisor/layout.h"

namespace vigil::installation {

inline constexpr int kCustodians = 2;
inline constexpr char kCustodiansFile[] = "custodians";          // in trust/
inline constexpr char kSealedSecretsFile[] = "sealed-secrets.json";  // in custodians/

// Makes keys for two custodians if trust/custodians is missing, each in a file of its own in custodians/, to be taken
// away.
absl::Status EnsureCustodians(const Layout& layout, const Installation& installation);

// Seals the secrets as they are now. What `up` can make again (certificates of services) is not among them.
absl::Status SealToCustodians(const Layout& layout);

}  // namespace vigil::installation
