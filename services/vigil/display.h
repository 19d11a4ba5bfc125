// How people see the gateway's answers: short lines, aligned, in their language. Everything takes the JSON text as the server sent it.
#pragma once

#include <string>
#include <string_view>

#include "vigil/command_table.h"
#include "vigil/words.h"

namespace vigil {

// Ends with a newline. Text that is not what the answer should be is given back as it is.
std::string Display(Answer answer, std::string_view body, Language language);

// Title, detail, and a line for each field, of an application/problem+json answer; of anything else the status alone.
std::string DisplayProblem(int status, std::string_view body, Language language);

// One line of `tail`, without newline: school time, event, actor, summary.
std::string DisplayRow(std::string_view row, Language language);

// "2026-11-22 09:17:05" on the school's clocks, of RFC 3339; what it cannot read it gives back.
std::string SchoolTime(std::string_view rfc3339);

}  // namespace vigil
