#include "domain/planted.h"

#include <cstdlib>

namespace vigil {

bool Planted(std::string_view bug) {
  static const char* const chosen = std::getenv("VIGIL_PLANTED_BUG");
  return chosen != nullptr && bug == chosen;
}

}  // namespace vigil
