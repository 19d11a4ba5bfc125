#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "vigil/api_client.h"
#include "vigil/command_runner.h"
#include "vigil/environment.h"
#include "vigil/sample/sample_school.h"

namespace vigil {

struct SampleOptions {
  int schools = 1;
  int students = 100;
  std::uint32_t seed = 1;
};

// `vigil sample`: loads the schools through the gateway and prints what CONTRACT.md says.
ExitCode RunSample(const SampleOptions& sample, const RunOptions& options, const Environment& environment);

// The key that signs tokens, at home on the operator's machine: $VIGIL_HOME/secrets/token.sign.
absl::StatusOr<SigningKey> ReadTokenKey(const Environment& environment);

// Sends a school's people and schedules. Unavailable: not reached; FailedPrecondition: refused, with the gateway's words. Safe to repeat.
absl::Status LoadSampleSchool(const Connection& connection, const SampleSchool& school);

// A year: a sample outlives any check of it.
absl::Time SampleTokenExpiry();

}  // namespace vigil
