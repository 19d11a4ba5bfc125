#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "machine/batch_codec.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"

namespace vigil {

using TrustedSources = std::vector<std::pair<std::string, VerifyKey>>;

// The messages of one partition from `first_sequence` to `last_sequence` as they are stored, believed or not. Used by one thread; the log delivers
// on another. What is asked for is held in memory if it is not taken: ask for a stretch at a time.
class MessageReader {
 public:
  // InvalidArgument as Log::Follow. `log` outlives it. `last_sequence` < `first_sequence`: nothing to read.
  static absl::StatusOr<std::unique_ptr<MessageReader>> Open(Log& log, int partition, std::uint64_t first_sequence, std::uint64_t last_sequence);
  ~MessageReader();

  // Fills the next; false at the end. Unavailable: nothing came for a while.
  absl::StatusOr<bool> Next(LogMessage& message);

 private:
  MessageReader(int partition, std::uint64_t first_sequence, std::uint64_t last_sequence);

  const int partition_;
  const std::uint64_t last_sequence_;
  std::uint64_t read_;  // up to here it has been taken
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<LogMessage> messages_;
  std::unique_ptr<Subscription> subscription_;
};

// What every reader believes of one partition: batches that are signed by their source and are the next of it. Messages in their order.
class SourceChains {
 public:
  // `sources` outlives it.
  SourceChains(int partition, const TrustedSources& sources) : partition_(partition), sources_(sources) {}

  // nullopt: it is passed over, and counted.
  std::optional<DecodedBatch> Believe(const LogMessage& message);

  std::uint64_t skipped() const { return skipped_; }
  // Hash of a source's last message; empty: none yet.
  const std::string& last_of(const std::string& source) { return chain_[source]; }

 private:
  const int partition_;
  const TrustedSources& sources_;
  std::uint64_t skipped_ = 0;
  std::map<std::string, std::string, std::less<>> chain_;
};

}  // namespace vigil
