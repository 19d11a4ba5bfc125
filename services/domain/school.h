// The school as a fold over its commits. Pure.
#pragma once

#include "domain/pack/pack.h"
#include "vigil/log/v1/commit.plain.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// Applies one event that concerns a school; events of other kinds change nothing.
void ApplyToSchool(SchoolState& school, const Event& event);

// Adds a person, or replaces the one of that id, and keeps the indexes that follow from people.
void PutPerson(SchoolState& school, PersonState person);

}  // namespace vigil::domain
