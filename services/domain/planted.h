// Bugs planted on purpose, to see that the tests notice them (tests/planted). In every build but that one a planted bug is `false` for the
// compiler, and nothing of it is in the program.
#pragma once

#include <string_view>

namespace vigil {

#ifdef VIGIL_PLANTED_BUGS
// Whether this process has the bug of that name; in tests/planted_bugs/planted.cc, as the domain asks nobody anything.
bool Planted(std::string_view bug);
#else
constexpr bool Planted(std::string_view) { return false; }
#endif

}  // namespace vigil
