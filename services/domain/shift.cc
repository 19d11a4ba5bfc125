// Who may together make up a shift (GUA-22).
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "domain/file.h"
#include "domain/lookup.h"
#include "domain/school_time.h"

namespace vigil::domain {

absl::Status CheckShift(const Pack& pack, const SchoolState& school, const FileState& file, const std::vector<std::string>& staff,
                        absl::Time t) {
  if (staff.empty()) return Refuse("a shift needs at least one adult");
  const auto row = pack.custody.find(EffectiveLevel(pack, file).custody);
  std::vector<const PersonState*> adults;
  for (const std::string& id : staff) {
    const auto it = school.people.find(id);
    if (it == school.people.end() || it->second.kind != PersonKind::kStaff) return absl::NotFoundError(absl::StrCat("no such staff member: ", id));
    if (it->second.on_leave) return Refuse("one of them is on leave");
    if (std::count(staff.begin(), staff.end(), id) > 1) return Refuse("one of them is named twice");
    adults.push_back(&it->second);
  }
  if (row == pack.custody.end()) return absl::OkStatus();
  const bool night = IsNight(t, pack.night_from, pack.night_to) && !row->second.night_cover.empty();
  const auto is_security = [&](const PersonState* person) {
    return std::any_of(person->roles.begin(), person->roles.end(), [&](const std::string& role) {
      const RoleRow* found = FindRole(pack, role);
      return found != nullptr && found->security;
    });
  };
  for (const CustodyRow::Cover& cover : night ? row->second.night_cover : row->second.cover) {
    const auto counts = std::count_if(adults.begin(), adults.end(), [&](const PersonState* person) {
      if (cover.role.empty()) return true;
      const RoleRow* role = FindRole(pack, cover.role);
      if (role != nullptr && role->security) return is_security(person);
      // A school adult is anybody of the staff who is not there as a guard.
      if (role == nullptr) return !is_security(person);
      return Contains(person->roles, cover.role);
    });
    if (counts < cover.count) {
      return Refuse(absl::StrCat("at this level a shift needs at least ", cover.count, " of: ", cover.role.empty() ? "any adult" : cover.role));
    }
  }
  return absl::OkStatus();
}

}  // namespace vigil::domain
