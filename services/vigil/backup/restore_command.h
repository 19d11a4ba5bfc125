#pragma once

#include <string>
#include <vector>

#include "vigil/command_runner.h"
#include "vigil/environment.h"

namespace vigil {

struct RestoreOptions {
  std::string from;                    // directory of the copy of the log
  std::string keys_from;               // of the copy of keys
  std::string custodian;               // the file of either custodian
  std::vector<std::string> erasures;   // lists of erasures from elsewhere, newer than the copies
  std::string home;                    // to make; it must not exist, or be empty
  int port = 0;                        // 0: the one that it had
  bool not_durable = false;
};

// `vigil restore`: makes a home again from its copies, on an empty machine. Checks everything first and changes nothing if anything is wrong;
// then starts the log alone, writes every message where it stood, says so in the log (log_reopened), writes the keys but those that were erased,
// tells the log of erasures that it did not know, puts the attachments back and stops the log again. `deploy/local/up` then starts the services,
// which make everything else again from the log. What did not end leaves a home in which nothing starts: remove it, and restore again.
ExitCode RunRestore(const RestoreOptions& restore, const RunOptions& options);

}  // namespace vigil
