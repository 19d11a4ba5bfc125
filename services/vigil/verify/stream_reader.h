#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "audit/ledger/verify.h"
#include "platform/log/log.h"
#include "vigil/verify/message_reader.h"

namespace vigil {

// The commits of one partition from its first message to `last_sequence`, one after the other, as every service believes them: what is not
// signed by its source, or not the next of its source, is skipped and counted. Used by one thread; the log delivers on another.
class StreamReader {
 public:
  // InvalidArgument as Log::Follow. `log` and `sources` outlive it.
  static absl::StatusOr<std::unique_ptr<StreamReader>> Open(Log& log, int partition, std::uint64_t last_sequence, const TrustedSources& sources);

  // As NextStreamCommit. Unavailable: nothing came for a while.
  absl::StatusOr<bool> Next(StreamCommit& commit);

  std::uint64_t skipped() const { return chains_.skipped(); }

 private:
  StreamReader(int partition, const TrustedSources& sources) : chains_(partition, sources) {}

  std::unique_ptr<MessageReader> messages_;
  SourceChains chains_;
  std::deque<StreamCommit> commits_;
};

}  // namespace vigil
