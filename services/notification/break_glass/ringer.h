// Rings the emergency list of a school, by whatever provider takes the order. It knows nothing of the log.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/pack/pack.h"
#include "notification/break_glass/emergency_list.h"
#include "notification/channels/provider.h"
#include "platform/metrics/metrics.h"

namespace vigil::break_glass {

struct RingOrder {
  std::string school;
  // What the matters are called on the telephone; spoken one after the other.
  std::vector<std::string> codes;
  struct Call {
    // The idempotency key that the provider sees.
    std::string id;
    std::string person;
  };
  std::vector<Call> calls;
};

// An id for each call of a round.
std::string CallId(const std::string& round, const std::string& person);

// Thread-safe.
class Ringer {
 public:
  // All outlive it, and every call's `done`. `registry` may be null.
  Ringer(const domain::Pack* pack, const EmergencyList* list, std::vector<notification::Provider*> providers, metrics::Registry* registry);

  // The ids of those calls that a provider has taken. `done` runs once, on any thread, also within the call, and must not block.
  // NotFound: nobody of that school is on the list here. Unavailable: no provider took a single call.
  using Done = std::function<void(absl::StatusOr<std::vector<std::string>>)>;
  void Ring(const RingOrder& order, Done done) const;

 private:
  struct Round;
  void Place(const std::shared_ptr<Round>& round, notification::CallOrder order, std::size_t provider) const;

  const domain::Pack* const pack_;
  const EmergencyList* const list_;
  const std::vector<notification::Provider*> providers_;
  metrics::Counter rung_;
};

}  // namespace vigil::break_glass
