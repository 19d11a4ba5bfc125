// Who may together make up a shift (GUA-22).
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "domain/file.h"
#include "domain/lookup.h"
#include "domain/school_time.h"

namespace vigil::domain {

namespace {

// Each part of the cover that these adults do not make up, as the row has it.
std::vector<const CustodyRow::Cover*> Lacking(const Pack& pack, const CustodyRow& row, const std::vector<const PersonState*>& adults, absl::Time t) {
  const bool night = IsNight(t, pack.night_from, pack.night_to) && !row.night_cover.empty();
  const auto is_security = [&](const PersonState* person) {
    return std::any_of(person->roles.begin(), person->roles.end(), [&](const std::string& role) {
      const RoleRow* found = FindRole(pack, role);
      return found != nullptr && found->security;
    });
  };
  std::vector<const CustodyRow::Cover*> lacking;
  for (const CustodyRow::Cover& cover : night ? row.night_cover : row.cover) {
    const auto counts = std::count_if(adults.begin(), adults.end(), [&](const PersonState* person) {
      if (cover.role.empty()) return true;
      const RoleRow* role = FindRole(pack, cover.role);
      if (role != nullptr && role->security) return is_security(person);
      // A school adult is anybody of the staff who is not there as a guard.
      if (role == nullptr) return !is_security(person);
      return Contains(person->roles, cover.role);
    });
    if (counts < cover.count) lacking.push_back(&cover);
  }
  return lacking;
}

// Null: nothing is asked for at the file's level, or not where the child is.
const CustodyRow* RowInForce(const Pack& pack, const FileState& file) {
  if (file.current && file.current->custody && file.current->custody->away) return nullptr;
  const auto row = pack.custody.find(EffectiveLevel(pack, file).custody);
  return row == pack.custody.end() ? nullptr : &row->second;
}

}  // namespace

absl::Status CheckShift(const Pack& pack, const SchoolState& school, const FileState& file, const std::vector<std::string>& staff,
                        absl::Time t) {
  if (staff.empty()) return Refuse("a shift needs at least one adult");
  std::vector<const PersonState*> adults;
  for (const std::string& id : staff) {
    const auto it = school.people.find(id);
    if (it == school.people.end() || it->second.kind != PersonKind::kStaff) return absl::NotFoundError(absl::StrCat("no such staff member: ", id));
    if (it->second.on_leave) return Refuse("one of them is on leave");
    if (std::count(staff.begin(), staff.end(), id) > 1) return Refuse("one of them is named twice");
    adults.push_back(&it->second);
  }
  const CustodyRow* row = RowInForce(pack, file);
  if (row == nullptr) return absl::OkStatus();
  const auto lacking = Lacking(pack, *row, adults, t);
  if (lacking.empty()) return absl::OkStatus();
  const CustodyRow::Cover& first = *lacking.front();
  return Refuse(absl::StrCat("at this level a shift needs at least ", first.count, " of: ", first.role.empty() ? "any adult" : first.role));
}

std::vector<std::string> MissingCover(const Pack& pack, const SchoolState& school, const FileState& file, absl::Time t) {
  if (!HasOpenCase(file) || !file.current->custody) return {};
  const CustodyState& custody = *file.current->custody;
  if (!custody.supervised || custody.holders.empty()) return {};
  const CustodyRow* row = RowInForce(pack, file);
  if (row == nullptr) return {};
  std::vector<const PersonState*> adults;
  for (const std::string& id : custody.holders) {
    const auto it = school.people.find(id);
    if (it != school.people.end() && it->second.kind == PersonKind::kStaff) adults.push_back(&it->second);
  }
  std::vector<std::string> roles;
  for (const CustodyRow::Cover* cover : Lacking(pack, *row, adults, t)) roles.push_back(cover->role);
  return roles;
}

absl::Time CoverFailsAt(const Pack& pack, const SchoolState& school, const FileState& file, absl::Time now) {
  if (!HasOpenCase(file) || !file.current->custody) return absl::InfiniteFuture();
  const CustodyState& custody = *file.current->custody;
  if (!custody.supervised || custody.holders.empty() || custody.chain.empty()) return absl::InfiniteFuture();
  if (!custody.uncovered.empty() && !IsSet(custody.uncovered.back().to_time)) return absl::InfiniteFuture();
  absl::Time night = StartOfDay(now) + pack.night_from;
  if (IsNight(now, pack.night_from, pack.night_to) && night > now) night = StartOfDay(now - absl::Hours(24)) + pack.night_from;
  night = std::max(night, custody.chain.back().from_time);
  return MissingCover(pack, school, file, night).empty() ? absl::InfiniteFuture() : night;
}

}  // namespace vigil::domain
