// The installation's own certificate authority (ECDSA P-256, which every browser and TLS library takes) and a leaf per
// service. The authority can vouch only for names on this machine (name constraints), so trusting it in a browser gives
// nobody anything else.
#pragma once

#include <filesystem>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vigil::installation {

inline constexpr absl::Duration kAuthorityLifetime = absl::Hours(24 * 3650);
inline constexpr absl::Duration kLeafLifetime = absl::Hours(24 * 397);      // browsers refuse more than 398 days
inline constexpr absl::Duration kRenewBeforeExpiry = absl::Hours(24 * 60);  // at the next `up`

// Creates key and certificate (PEM) if either is missing. `name` becomes part of the subject.
absl::Status EnsureAuthority(const std::filesystem::path& key, const std::filesystem::path& certificate,
                             std::string_view name, absl::Time now);

// Creates a leaf for localhost, 127.0.0.1 and ::1, good for server and client, CN = `name`, if it is missing, near its
// end, or not signed by this authority.
absl::Status EnsureLeaf(const std::filesystem::path& authority_key, const std::filesystem::path& authority_certificate,
                        const std::filesystem::path& key, const std::filesystem::path& certificate,
                        std::string_view name, absl::Time now);

}  // namespace vigil::installation
