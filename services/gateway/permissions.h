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
  // Permissions by role id, of the roles that are the documents'.
  explicit Permissions(const std::map<std::string, std::vector<std::string>>& roles) {
    for (const auto& [role, may] : roles) roles_[role] = {may.begin(), may.end()};
  }

  // An empty permission is everybody's. True for any other role: the service asks again.
  bool May(std::string_view role, std::string_view permission) const {
    if (permission.empty()) return true;
    const auto found = roles_.find(absl::string_view(role.data(), role.size()));
    return found == roles_.end() || found->second.contains(absl::string_view(permission.data(), permission.size()));
  }

 private:
  absl::flat_hash_map<std::string, absl::flat_hash_set<std::string>> roles_;
};

}  // namespace vigil::gateway
