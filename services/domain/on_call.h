// On-call arithmetic and the resolution of ladder targets to people. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

struct ClassPlace {
  std::string grade;
  std::string class_name;
};

// Staff at work with a role, by id; where the role is of a grade or a class, those of `place`, or all of them when there is none.
std::vector<std::string> StaffWithRole(const Pack& pack, const SchoolState& school, std::string_view role, const std::optional<ClassPlace>& place);

// Staff on call for a schedule at `t`, in order. Dated stretches go before weekly ones; while the school has set no stretch that
// covers `t`, everybody with the schedule's fallback role. People on leave are left out.
std::vector<std::string> OnCall(const Pack& pack, const SchoolState& school, std::string_view schedule, absl::Time t);

// The people that one ladder target names for a case at `t`, in order, without those recused, on leave or (guardians) excluded or
// held. A target is a role id, `on_call.<schedule>` or one of the engine's `case.…` names.
std::vector<std::string> ResolveTarget(const Pack& pack, const SchoolState& school, const FileState& file,
                                       const AlertState& alert, std::string_view target, absl::Time t);

struct StepTargets {
  // Everybody of the step that has a telephone.
  std::vector<std::string> reachable;
  std::vector<std::string> unreachable;
};

// All targets of a step, each person once.
StepTargets ResolveStep(const Pack& pack, const SchoolState& school, const FileState& file, const AlertState& alert,
                        const LadderStep& step, absl::Time t);

}  // namespace vigil::domain
