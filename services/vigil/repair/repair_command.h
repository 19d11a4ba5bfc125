#pragma once

#include <vector>

#include "vigil/command_runner.h"
#include "vigil/environment.h"

namespace vigil {

struct RepairOptions {
  std::vector<int> partitions;  // empty: all
  bool only_look = false;       // says what it would do
};

// `vigil repair`: for streams that have lost their end or were made anew. Appends again what the ledger holds and the stream lacks, message by
// message, byte for byte as it was (a batch is the same bytes whenever it is signed), so that positions stay what they were; then says so in the
// log (log_reopened), whereupon services go on. It signs for every source, and so needs the installation's secrets: it runs on its machine, as its
// user. The ledger is checked against its own signature first; a stream that holds something else than the ledger is left alone.
ExitCode RunRepair(const RepairOptions& repair, const RunOptions& options, const Environment& environment);

}  // namespace vigil
