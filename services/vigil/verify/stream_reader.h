#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "audit/ledger/verify.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"

namespace vigil {

using TrustedSources = std::vector<std::pair<std::string, VerifyKey>>;

// The commits of one partition from its first message to `last_sequence`, one after the other, as every service believes them: what is not
// signed by its source, or not the next of its source, is skipped and counted. Used by one thread; the log delivers on another.
class StreamReader {
 public:
  // InvalidArgument as Log::Follow. `log` and `sources` outlive it.
  static absl::StatusOr<std::unique_ptr<StreamReader>> Open(Log& log, int partition, std::uint64_t last_sequence, const TrustedSources& sources);
  ~StreamReader();

  // As NextStreamCommit. Unavailable: nothing came for a while.
  absl::StatusOr<bool> Next(StreamCommit& commit);

  std::uint64_t skipped() const { return skipped_; }

 private:
  StreamReader(int partition, std::uint64_t last_sequence, const TrustedSources& sources);
  void Believe(LogMessage message);

  const int partition_;
  const std::uint64_t last_sequence_;
  const TrustedSources& sources_;
  std::uint64_t read_ = 0;
  std::uint64_t skipped_ = 0;
  std::map<std::string, std::string, std::less<>> chain_;  // hash of each source's last message
  std::deque<StreamCommit> commits_;

  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<LogMessage> messages_;
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace vigil
