// The offline checker of RELIABILITY.md: what clients were told, a dump of the log and what the phones received, held against the invariants.
// Pure: it reads only what it is given, and folds the log with the very fold that the services use.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"
#include "vigil/log/v1/events.plain.h"

namespace vigil::chaos {

// A report that was answered 201.
struct AcceptedReport {
  std::string report_id;
  std::string school;
  bool severe = false;
  absl::Time sent;      // the first try, real time
  absl::Time answered;  // real time
};


// Thread-safe while it is filled.
class History {
 public:
  void Add(AcceptedReport report) {
    const std::lock_guard lock(mutex_);
    reports_.push_back(std::move(report));
  }
  const std::vector<AcceptedReport>& reports() const { return reports_; }

 private:
  std::mutex mutex_;
  std::vector<AcceptedReport> reports_;
};

struct Evidence {
  std::vector<AcceptedReport> reports;
  std::array<std::vector<LogMessage>, kPartitions> log;
  std::vector<std::pair<std::string, VerifyKey>> trusted;
  const domain::Pack* pack = nullptr;
  // Whether what is sealed opens with the keys that are stored now. Empty: not asked.
  std::function<absl::Status(const domain::Sealed&)> opens;
  // By school: when calls reached its leader's telephone, in order (real time).
  std::map<std::string, std::vector<absl::Time>> calls;
  // Words about a child that may stand nowhere in the clear.
  std::vector<std::string> canaries;
  // Domain time when the dump was made, and for how long, in all, nothing could be written (domain time).
  absl::Time now = absl::InfinitePast();
  absl::Duration down = absl::ZeroDuration();
  // The longest that a severe report may have to wait for its first call (real time): 10 s, whatever is broken.
  absl::Duration first_call = absl::Seconds(10);
};

struct Verdict {
  std::vector<std::string> violations;  // "I1: …"
  std::uint64_t commits = 0;
  std::uint64_t void_commits = 0;
  std::uint64_t skipped = 0;  // messages that no reader believes
  std::uint64_t reports = 0;
  std::uint64_t severe_rung = 0;
  absl::Duration longest_first_call = absl::ZeroDuration();
  absl::Duration latest_clock = absl::ZeroDuration();  // real time
};

Verdict Check(const Evidence& evidence);

}  // namespace vigil::chaos
