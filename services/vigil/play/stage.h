#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/crypto/sign.h"
#include "vigil/api_client.h"
#include "vigil/play/live_events.h"
#include "vigil/play/narrator.h"
#include "vigil/sample/sample_school.h"

namespace vigil {

struct StageOptions {
  Connection connection;    // of the administrator
  std::string sandbox_url;  // the phones
  absl::Duration patience = absl::Seconds(90);  // real time that a thing may take to happen, services being restarted included
  std::function<bool()> interrupted;
};

// What a story is played on: acts for people through the gateway and for their phones, moves the rehearsal's clock, and waits for what the
// event stream says. Whoever watches a child answers every check-in meanwhile, as a guard would. One thread.
class Stage {
 public:
  // All outlive it.
  Stage(StageOptions options, const SampleSchool& school, const SigningKey& token_key, LiveEvents& events, Narrator& narrator);

  // Does what a row of the command table says, as a person of the school, until it is answered (the same request again while the gateway or
  // a service is away). FailedPrecondition with the gateway's words if it is refused.
  absl::StatusOr<nlohmann::json> Command(std::string_view command, std::string_view as, const std::vector<std::string>& path_values,
                                         const nlohmann::json& body);

  // Waits for `count` events since the last command that match. DeadlineExceeded.
  using Matches = std::function<bool(const LiveEvent&)>;
  absl::Status Await(std::string_view what, const Matches& matches, int count = 1);
  // What comes from now on is what Await looks through.
  void Mark() { mark_ = history_.size(); }

  // How a person's phone behaves, as the sandbox takes it.
  absl::Status Phone(std::string_view person, const nlohmann::json& behaviour);

  absl::StatusOr<absl::Time> Now();
  absl::Status SetSpeed(double speed);
  // Lets domain time pass until then, fast.
  absl::Status AdvanceTo(absl::Time time);

  // From now on somebody answers this case's check-ins, or no longer.
  void Watch(const std::string& case_id);
  void Unwatch(const std::string& case_id);

  absl::StatusOr<nlohmann::json> Get(const std::string& path);

  const std::vector<LiveEvent>& history() const { return history_; }

 private:
  struct Watched {
    absl::Time checked;  // domain time
  };

  absl::StatusOr<nlohmann::json> Ask(const Connection& connection, ApiRequest request);
  std::string TokenOf(std::string_view person) const;
  // Takes in what has come, waiting at most so long for the first; answers check-ins that are due.
  absl::Status Pump(absl::Duration patience);
  absl::Status CheckIn(const std::string& case_id, Watched& watched);
  absl::Status ReadClock(const nlohmann::json& clock);
  double WatchingSpeed() const;

  const StageOptions options_;
  const SampleSchool& school_;
  const SigningKey& token_key_;
  LiveEvents& events_;
  Narrator& narrator_;
  const absl::Time token_expiry_;
  std::vector<LiveEvent> history_;
  std::size_t mark_ = 0;
  absl::Time last_event_real_;
  std::map<std::string, Watched> watched_;
  // A check-in's round trip of late, real.
  absl::Duration round_trip_ = absl::Milliseconds(60);
  // Domain time at an instant of the machine's clock, and its speed since.
  absl::Time clock_domain_;
  absl::Time clock_real_;
  double speed_ = 0;
};

}  // namespace vigil
