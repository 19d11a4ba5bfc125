#pragma once

#include <string>

namespace vigil::simulation {

// In the simulator an IdempotencyIndex (the linker takes ours first) keeps its entries in this thread's memory by path, and is as hard as the
// real one: what was not yet written when it was closed is lost, and the position that it stored says so. Forgets a path.
void DeleteAnswers(const std::string& path);

}  // namespace vigil::simulation
