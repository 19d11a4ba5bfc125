#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace vigil::gateway {

// What each role of the documents may do: no school's own pack widens it, so the edge turns away what such a role may
// never do. What a role of a school's own may do, and who may do it about which child, is the service's to say, which
// knows the school's pack and the case. Immutable, thread-safe.
class Permissions {
 public:
  // Permissions by role id, of the roles that are the documents', and of those that are a school's choice as the common
  // pack has them.
  explicit Permissions(const std::map<std::string, std::vector<std::string>>& roles,
                       const std::map<std::string, std::vector<std::string>>& choices = {}) {
    for (const auto& [role, may] : roles) roles_[role] = {may.begin(), may.end()};
    for (const auto& [role, may] : choices) choices_[role] = {may.begin(), may.end()};
  }

  // An empty permission is everybody's. True for any other role: the service asks again.
  bool May(std::string_view role, std::string_view permission) const {
    if (permission.empty()) return true;
    return Allows(roles_, role, permission);
  }

  // For a stream, whose answer has begun before the service can refuse: what a school's own pack adds to a role of the
  // common one is not seen here.
  bool MayOpenStream(std::string_view role, std::string_view permission) const {
    return May(role, permission) && Allows(choices_, role, permission);
  }

 private:
  using Roles = absl::flat_hash_map<std::string, absl::flat_hash_set<std::string>>;
  static bool Allows(const Roles& roles, std::string_view role, std::string_view permission) {
    const auto found = roles.find(absl::string_view(role.data(), role.size()));
    return found == roles.end() || found->second.contains(absl::string_view(permission.data(), permission.size()));
  }

  Roles roles_;
  Roles choices_;
};

}  // namespace vigil::gateway
