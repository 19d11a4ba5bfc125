#pragma once

#include <string>

#include "vigil/command_runner.h"
#include "vigil/environment.h"

namespace vigil {

struct BackupOptions {
  std::string to;       // directory of the copy of the log
  std::string keys_to;  // of the copy of keys; empty: none is made
  std::string check;    // instead: checks this copy, offline
  std::string trust;    // with check: public keys that were kept elsewhere
};

// `vigil backup --to DIR [--keys-to DIR]`: copies what cannot be made again, while everything runs; onto a directory that holds a copy, only what
// is new since. Interrupted, it goes on where it was when it is run again. Runs on the installation's machine as its user (it signs, and reads the
// key bucket). `--check DIR` needs no installation.
//
// Copied: every message of the log, the ledger's signed checkpoints, attachments, erasures, public keys, the pack; apart from them people's keys
// and the sealed secrets. Not copied, since made again: ledger and read models, the index of answers, snapshots, the emergency list,
// configuration. Not copied, since it is empty while the log can be written: the outbox.
ExitCode RunBackup(const BackupOptions& backup, const RunOptions& options, const Environment& environment);

}  // namespace vigil
