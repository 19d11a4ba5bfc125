// `vigil pack check` and `vigil pack diff`: what is wrong with a pack or a school's overlay, by file and line, and what a new one changes.
#pragma once

#include <string>

namespace vigil {

struct PackOptions {
  // Directories with *.yaml files; overlays may be empty.
  std::string pack;
  std::string overlay;
  std::string other;
  std::string other_overlay;
  bool json = false;
};

// Exit codes: 0 fine, 1 something is wrong.
int RunPackCheck(const PackOptions& options);
int RunPackDiff(const PackOptions& options);

}  // namespace vigil
