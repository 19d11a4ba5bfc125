// Small questions that guards and folds ask of lists and of the pack.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "domain/pack/pack.h"

namespace vigil::domain {

inline bool Contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

inline absl::Status Refuse(std::string_view why) { return absl::FailedPreconditionError(absl::string_view(why.data(), why.size())); }

inline const RoleRow* FindRole(const Pack& pack, const std::string& role) {
  const auto it = pack.roles.find(role);
  return it == pack.roles.end() ? nullptr : &it->second;
}

inline bool RoleMay(const Pack& pack, const std::string& role, std::string_view permission) {
  const RoleRow* row = FindRole(pack, role);
  return row != nullptr && Contains(row->may, permission);
}

}  // namespace vigil::domain
