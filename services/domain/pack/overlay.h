// A school's own pack over the common one: what it may change, what it may not, and what differs between two packs. Pure.
//
// An overlay is written like a pack: a row with a new id is added (`basis: school_setting`); of a row that exists only the keys that change are
// written, and a form's `fields` are added to by id. Nothing can be removed, and a row of `basis: protocol` can be tightened only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/pack/loader.h"
#include "domain/pack/pack.h"

namespace vigil::domain {

// The resolved pack; its digest names both together. InvalidArgument: a line each, `overlay.yaml:12: what is wrong`, loosening included.
absl::StatusOr<std::shared_ptr<const Pack>> LoadPackWithOverlay(const PackFiles& base, const PackFiles& overlay, const DigestFunction& digest);

// The same over a common pack that has been loaded from `base`, without loading it again.
absl::StatusOr<std::shared_ptr<const Pack>> LoadPackWithOverlay(const Pack& common, const PackFiles& base, const PackFiles& overlay,
                                                                const DigestFunction& digest);

// One row that differs.
struct PackChange {
  std::string section;  // "clocks"
  std::string id;
  enum class What { kAdded, kRemoved, kChanged } what = What::kChanged;
  // "due_after: 4h -> 2h", by key; empty for added and removed.
  std::vector<std::string> keys;
};
// "added", "removed", "changed".
const char* NameOf(PackChange::What what);
std::vector<PackChange> DiffPacks(const Pack& before, const Pack& after);

// Rows of `basis: protocol` that the second pack asks less of, and why, as "clock written_report: due later"; by section and id.
struct Loosening {
  std::string section;
  std::string id;
  std::string why;
};
std::vector<Loosening> FindLoosened(const Pack& base, const Pack& resolved);

// Whatever the proposed pack asks less of than the one in force, the school's own rows, who may do what and what is said on the telephone
// included: two people must want that (ORG-22). A line each, as "clocks adult_beside: runs longer".
std::vector<std::string> AsksLess(const Pack& in_force, const Pack& proposed);

// Clocks that run longer in the second pack: two people must want that (ORG-22).
std::vector<std::string> LengthenedClocks(const Pack& before, const Pack& after);

}  // namespace vigil::domain
