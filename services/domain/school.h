// The school as a fold over its commits. Pure.
#pragma once

#include "domain/file.h"
#include "domain/pack/pack.h"
#include "vigil/log/v1/commit.plain.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// Applies one event that concerns a school; events of other kinds change nothing. `position`: of its commit in the log.
void ApplyToSchool(SchoolState& school, const Event& event, CommitPosition position = {});

// Adds a person, or replaces the one of that id, and keeps the indexes that follow from people.
void PutPerson(SchoolState& school, PersonState person);

}  // namespace vigil::domain
