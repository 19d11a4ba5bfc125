#pragma once

#include "vigil/command_runner.h"
#include "vigil/environment.h"

namespace vigil {

struct PlayOptions {
  bool once = false;
};

// `vigil play`: plays the demo's story on a running rehearsal (deploy/local/demo starts it). Exit code 0 only if every step held.
ExitCode RunPlay(const PlayOptions& play, const RunOptions& options, const Environment& environment);

}  // namespace vigil
