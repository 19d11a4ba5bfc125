// Classifies with the pack's rules, in the order of the log, each report that did not bring its level with it (decision 16): a provisional
// level, the rows that fired and the facts they used.
// It never lowers what a person set (the fold sees to that), and what it says follows from the file's state alone.
#pragma once

#include "machine/machine.h"

namespace vigil {

class RiskRules final : public Service {
 public:
  // The oldest report of the case that has not been classified.
  Plan PlanFor(const FileEntry& file, const domain::SchoolState& school, absl::Time now) override;
};

}  // namespace vigil
