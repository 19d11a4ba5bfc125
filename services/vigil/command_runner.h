#pragma once

#include <string>

#include "vigil/api_client.h"
#include "vigil/request_builder.h"

namespace vigil {

struct RunOptions {
  Connection connection;
  bool json = false;            // print the server's JSON as it is
  bool only_code = false;       // of custody: print the place's code alone
  std::string idempotency_key;  // empty: a random one for POST
  std::string if_match;
  std::string output;  // of a file: where to; "-": standard output
};

// Runs one row of the table: asks, prints, and gives the exit code.
ExitCode RunCommand(const CommandRow& row, const CommandInput& input, const RunOptions& options);

// Prints an answer or a refusal, as every command does. `shown` is how the body of a success is to be seen when not --json.
ExitCode PrintAnswer(const absl::StatusOr<HttpResponse>& answer, Answer shown, const RunOptions& options);

// `vigil clock [--speed N]`; speed 0 only asks.
ExitCode RunClock(double speed, const RunOptions& options);

// `vigil tail`, until the reader of its output goes away or Ctrl-C.
ExitCode RunTail(const std::string& school, const std::string& after, const RunOptions& options);

// `vigil attach`: sends a file, prints its id.
ExitCode RunAttach(const std::string& school, const std::string& path, const RunOptions& options);

// Domain time, as the gateway says it.
absl::StatusOr<absl::Time> DomainNow(const Connection& connection);

}  // namespace vigil
