#pragma once

#include <string>
#include <string_view>

#include "vigil/words.h"

namespace vigil {

// What an id of the primary school's pack is called (names.json): kind is "level", "clock", "record" or "ladder". An id that is not known,
// a school's own for example, is its own name.
std::string NameOf(std::string_view kind, std::string_view id, Language language);

}  // namespace vigil
