// A report between its arrival and the log.
#pragma once

#include <string>
#include <vector>

#include "intake/intake.h"

namespace vigil::intake {

struct Intake::PendingReport {
  Caller caller;
  v1::CreateReportRequest request;
  std::string cause;
  std::string report_id;
  std::string file_id;  // of a new file
  absl::Time accepted;  // domain time
  absl::Time arrived;   // real time, in this process
  bool to_identify = false;
  int decisions = 0;    // how often it was decided
  std::vector<std::string> candidates;
  Reply<v1::CreateReportResponse> reply;  // empty once answered
  std::string outbox_row;                 // its id there, if it lies there
  std::string wrapped_key;                // the file's own key, which travelled with that row
  bool submitted = false;                 // the machine has it, and keeps it until it is stored
  bool promised = false;                  // its answer is the outbox's, whatever comes first
};


}  // namespace vigil::intake
