// What could be seen from outside of a simulated installation: what clients asked and were told, what phones were asked to ring, and what was
// broken when. The checker reads it beside the log.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "vigil/log/v1/events.plain.h"

namespace vigil::simulation {

// Bits of what can be out of order.
enum Part : unsigned {
  kIntakePart = 1U << 0U,
  kRiskPart = 1U << 1U,
  kTimerPart = 1U << 2U,
  kNoticePart = 1U << 3U,
  kLogPart = 1U << 4U,
  kProvidersPart = 1U << 5U,
  kKeysPart = 1U << 6U,
  kClockPart = 1U << 7U,
};
inline constexpr Part kServiceParts[4] = {kIntakePart, kRiskPart, kTimerPart, kNoticePart};

struct Outage {
  absl::Time from;
  absl::Time to;  // InfiniteFuture: not over
  unsigned parts = 0;
  // Partition; -1: all.
  int partition = -1;
};

// One request of a client, sent until it was answered.
struct ClientCall {
  std::string what;
  std::string school;
  std::string person;
  std::string role;
  // Of the commit that it makes; empty: without a key.
  std::string commit_id;
  std::string body_hash;
  std::string file;
  // Reports.
  std::string report_id;
  std::string narrative;
  std::string canary;
  bool is_report = false;
  absl::Time sent;
  absl::Time first_ok = absl::InfiniteFuture();
  int sends = 0;
  int oks = 0;
  // The first OK answer's bytes; another one later must be the same.
  std::string answer;
  bool answers_differ = false;
  // The same key with another body: must never be OK.
  bool conflicting = false;
  // Definite refusals.
  std::vector<absl::Status> refusals;
  // Sent at least once without a definite answer: it may have happened.
  bool unknown = false;
};

// Something asked of a provider.
struct PhoneOrder {
  absl::Time asked;
  bool placed = false;
  int provider = 0;
  bool call = false;
  std::string id;
  std::string to;
};

// Something a provider told, and notification said OK to.
struct Receipt {
  std::string attempt;
  domain::AttemptEvent event;
  absl::Time told;
};

struct History {
  std::deque<ClientCall> calls;
  std::vector<PhoneOrder> orders;
  std::vector<Receipt> receipts;
  std::vector<Outage> outages;
  // Texts that carried a canary.
  std::vector<std::string> leaks;
};

struct Violation {
  std::string invariant;
  std::string what;
  std::string file;  // empty: not about one
  absl::Time time;
};

}  // namespace vigil::simulation
