// Everything that a machine has folded, as bytes: equal bytes are equal state.
#pragma once

#include <string>

#include "machine/machine.h"

namespace vigil {

// Every file and school, by id. On the machine's loop.
std::string StateBytes(const Machine& machine);
// One line a file or school that differs, at most `most`: which, and the first field that is not the same.
std::string StateDifference(const Machine& one, const Machine& other, int most = 3);

}  // namespace vigil
