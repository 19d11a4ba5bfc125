// The school as a fold over its commits: its directory, its schedules, its calendar, and which pack is in force. Pure.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "domain/file.h"
#include "domain/pack/pack.h"
#include "vigil/log/v1/commit.plain.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// Whether a commit that concerns a school holds where it landed. FailedPrecondition: another pack waits, or a second person must adopt it
// (ORG-22). What people say of the directory and the calendar always holds.
absl::Status CheckSchool(const SchoolState& school, const Commit& commit);

// Applies one event of a commit that concerns a school; events of other kinds change nothing. `position`: of the commit in the log.
void ApplyToSchool(SchoolState& school, const Commit& commit, const Event& event, CommitPosition position = {});

// The version of that name; null: the school has none, and the common pack is meant.
const PackVersion* FindPackVersion(const SchoolState& school, std::string_view digest);

// Adds a person, or replaces the one of that id, and keeps the indexes that follow from people.
void PutPerson(SchoolState& school, PersonState person);

}  // namespace vigil::domain
