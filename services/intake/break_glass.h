// Break-glass: the way past the log (INT-08). Intake watches each severe matter until a call to somebody has been seen; where none is seen in
// time, for whatever reason, it has the school's emergency list rung by notification, and failing that rings it itself, round after round,
// until a person takes the matter by keypress or the ladder goes on.
//
// It has a thread of its own and needs neither the log nor the machine's loop. What it did is kept on this disk until the log has it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "intake/break_glass_watch.h"
#include "notification/break_glass/emergency_list.h"
#include "notification/break_glass/ringer.h"
#include "platform/clock/clock.h"
#include "platform/outbox/outbox.h"

namespace vigil::intake {

// Something that the log should hear of: a round that was rung for a matter, or its taking.
struct BreakGlassRecord {
  std::string id;  // its row's, unique
  std::string report_id;
  std::string alert_id;
  std::string school;
  absl::Time real_time;
  // A round: whom, and which service rang.
  std::vector<std::string> people;
  std::string by;
  // A taking: who. Empty: a round.
  std::string taken_by;
};

// One way to ring. `done` runs once, on any thread, also within the call, and must not block: the ids of the calls that were taken on.
using RingArm = std::function<void(const break_glass::RingOrder&, std::function<void(absl::StatusOr<std::vector<std::string>>)> done)>;

struct BreakGlassOptions {
  const Clock* clock = nullptr;  // real time alone matters
  const break_glass::EmergencyList* list = nullptr;
  // Records until the log has them.
  Outbox* records = nullptr;
  absl::Duration every = absl::Seconds(60);
  // In the order in which they are tried, with the service that each is.
  std::vector<std::pair<std::string, RingArm>> arms;
};

// Thread-safe.
class BreakGlass {
 public:
  // What is named in `options` outlives it. Records of an earlier life are read at once.
  explicit BreakGlass(BreakGlassOptions options);
  ~BreakGlass();

  // From `since` (real time) on somebody should be called. A matter that was taken already is not rung again.
  void Begin(Matter matter, absl::Time since);
  // See BreakGlassWatch::End.
  void End(const std::string& key);
  bool Waits(const std::string& key) const;

  // What a provider told of a call, as authenticated by the gateway: {id, event, digits?}. InvalidArgument: not such a body.
  absl::Status ReceiveCallback(std::string_view body);

  // What is to be recorded, in order; it stays here until Recorded.
  std::vector<BreakGlassRecord> Unrecorded() const;
  void Recorded(const std::string& id);
  // Told, on any thread, when there is something more to be recorded, and every two seconds.
  void OnRecord(std::function<void()> tell);

  // Rings what is due. The thread does this by itself; tests do it by hand.
  void Tick();
  void Start();
  void Stop();

 private:
  struct Ring {
    std::string id;
    break_glass::RingOrder order;
    std::vector<Matter> matters;
    absl::Time time;
  };
  struct Placed {
    std::string person;
    std::vector<Matter> matters;
  };
  void Try(std::shared_ptr<const Ring> ring, std::size_t arm);
  void Rung(const Ring& ring, const std::string& by, const std::vector<std::string>& taken_on);
  void Keep(std::vector<BreakGlassRecord> records);
  void Restore();
  void Tell();

  const BreakGlassOptions options_;
  mutable std::mutex mutex_;
  BreakGlassWatch watch_;
  // Calls by their id, and ids in order of time, the oldest forgotten.
  std::unordered_map<std::string, Placed> calls_;
  std::deque<std::string> call_order_;
  std::map<std::string, std::string> taken_;  // who, by matter
  std::deque<BreakGlassRecord> unrecorded_;
  std::function<void()> tell_;

  int ticks_ = 0;  // of whoever ticks
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vigil::intake
