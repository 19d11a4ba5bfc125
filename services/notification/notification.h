// Turns an alert's step into calls and messages, and what providers tell into facts.
//
// The way of a call: an open alert's step is resolved to people -> AttemptIntended is appended -> once that has been read back, and while the
// alert is still open, the provider is asked under the attempt's id -> its answer, and later its receipts and keypresses, are appended.
// A crash between repeats the request under the same id; a refusal makes a new attempt, by another provider where there is one. There is no
// terminal failure here: when everybody of a step has failed the ladder climbs, and it has no end. (REP-11, REP-12)
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "machine/machine.h"
#include "notification/break_glass/list_keeper.h"
#include "notification/channels/provider.h"
#include "notification/contact_book.h"
#include "platform/keys/key_store.h"
#include "platform/metrics/metrics.h"

namespace vigil::notification {

// Requests at the providers at once, besides first calls, which never wait for others.
inline constexpr std::size_t kMaxRequestsUnderWay = 256;
// What providers told that is not yet in the log; beyond it they are asked to tell again.
inline constexpr std::size_t kMaxUnwrittenReceipts = 200'000;
// How long (real time) the outcomes of a file's requests wait for each other, to go in one commit.
inline constexpr absl::Duration kLongestGathering = absl::Milliseconds(100);
// That requests left, and nothing else, is written at the next multiple of this (real time), so that it goes in few messages of many files:
// each message costs every reader a wake-up and a verification. Each partition has its own instant of the half second: all at one instant stood in the
// way of the alerts that came just then.
inline constexpr absl::Duration kSentGrid = absl::Milliseconds(500);
// A refused attempt is made again after this (real time), doubled each time up to the second; at once where another provider is left.
inline constexpr absl::Duration kFirstRetry = absl::Seconds(1);
inline constexpr absl::Duration kLongestRetry = absl::Seconds(16);
// How long after its alert has closed an attempt's receipts are still known (domain time).
inline constexpr absl::Duration kAttemptKeptAfterClosing = absl::Hours(1);

struct NotificationDependencies {
  KeyStore* keys = nullptr;
  // In order of preference, at least one.
  std::vector<Provider*> providers;
  // Null: nothing is counted.
  metrics::Registry* metrics = nullptr;
};

class Notification final : public Service {
 public:
  // What `dependencies` names outlives it, and the loop has stopped before it is destroyed.
  explicit Notification(NotificationDependencies dependencies);
  ~Notification() override;

  // Once, before the machine starts.
  void Attach(Machine* machine);

  // Told of what concerns schools, from then on. Before the machine starts; it outlives the loop.
  void KeepEmergencyList(break_glass::ListKeeper* keeper) { emergency_list_ = keeper; }

  // What a provider told, as authenticated by the gateway: {id, event, digits?, text?, reason?, time}. Thread-safe. `reply` runs once, OK only
  // when it is in the log (so a provider that got no answer tells again) or has no effect. InvalidArgument: not such a body. Unavailable: again.
  using Reply = std::function<void(absl::Status)>;
  void ReceiveCallback(std::string_view kind, std::string_view body, Reply reply);

  // Service.
  void OnCommit(const AppliedCommit& applied) override;
  Plan PlanFor(const FileEntry& file, const domain::SchoolState& school, absl::Time now) override;
  void OnCaughtUp() override;
  std::string SaveTables(int partition) override;
  absl::Status LoadTables(int partition, std::string_view tables) override;

  // On the loop's thread, for tests: attempts whose receipts are known.
  std::size_t known_attempts() const { return attempts_.size(); }

 private:
  enum class Channel : std::uint8_t { kCall, kMessage };

  struct Attempt {
    FileEntry* file = nullptr;
    std::string alert_id;
    std::string person;
    Channel channel = Channel::kCall;
    std::uint8_t provider = 0;
    // The kinds of events that are in the log, a bit each.
    std::uint32_t seen = 0;

    bool Has(domain::AttemptEvent event) const { return (seen & 1U << static_cast<unsigned>(event)) != 0; }
  };
  struct Alert {
    FileEntry* file = nullptr;
    std::string case_id;
    std::string code_key;
    std::vector<std::string> attempts;
    bool called = false;   // its first call has its place in the queue
    bool counted = false;  // its first request has left
  };
  // Something to be appended about an attempt.
  struct Progress {
    std::string attempt_id;
    domain::AttemptEvent event;
    absl::Time event_time;
    Reply reply;  // empty: nobody waits
  };
  // What a file has under way here. Present only while there is something.
  struct Work {
    std::vector<Progress> progress;
    absl::Time since = absl::InfinitePast();  // real; of the oldest progress
    int requests = 0;                         // waiting for or at a provider
    // The people of the alert's step, as last resolved.
    std::string resolved_step;
    std::vector<std::string> resolved;
    absl::Time resolved_time = absl::InfinitePast();
  };
  struct Callback {
    std::string kind;
    std::string id;
    domain::AttemptEvent event;
    std::string digits;
    std::string text;
    absl::Time real_time = absl::InfiniteFuture();
  };
  struct ProviderAnswer {
    std::string attempt_id;
    std::size_t provider;
    absl::Status status;
  };
  // Outlives this object, as a provider may answer after it.
  struct Mailbox {
    std::mutex mutex;
    std::vector<ProviderAnswer> answers;
    bool posted = false;
    Notification* owner = nullptr;  // null: gone
  };
  struct ProviderHealth {
    int failures = 0;  // in a row
    absl::Time probe_at = absl::InfinitePast();
  };

  // ---- deciding
  std::vector<domain::Event> Intend(const FileEntry& file, const domain::SchoolState& school, const domain::AlertState& alert,
                                    const domain::LadderRow& ladder, absl::Time now, absl::Time* wake);
  std::vector<std::string> PeopleOfStep(const FileEntry& file, const domain::SchoolState& school, const domain::AlertState& alert,
                                        const domain::LadderStep& step, absl::Time now);
  absl::Time RetryTime(const FileEntry& file, const domain::AttemptState& last, int tries, absl::Time now) const;
  std::size_t PreferredProvider() const;
  std::size_t ProviderByName(std::string_view name) const;
  static absl::Time GatheredUntil(const Work& work, int partition);
  Draft NewDraft(const FileEntry& file, std::string cause) const;

  // ---- acting
  void Index(FileEntry* file, const domain::AttemptIntended& intended);
  void Index(FileEntry* file, const domain::AttemptState& state);
  Attempt& IndexAs(FileEntry* file, const std::string& attempt_id, const std::string& alert_id, const std::string& person,
                   std::string_view channel, std::string_view provider);
  void Enqueue(const std::string& attempt_id);
  void Dispatch();
  void Ask(const std::string& attempt_id, Attempt& attempt, bool first_call);
  void OnAnswers();
  void CountFirstAttempt(const Attempt& attempt, const domain::AlertState& alert);
  void Prune();

  // ---- recording
  void AddProgress(const std::string& attempt_id, Attempt& attempt, domain::AttemptEvent event, absl::Time event_time, Reply reply);
  void Settle(FileEntry* file, const domain::AttemptProgressed& progressed);
  void ForgetIfDone(const FileEntry* file);
  void LookAgain(FileEntry* file);
  void OnCallback(Callback callback, Reply reply);
  void TakeOrRecord(const std::string& attempt_id, domain::AttemptEvent event, std::string_view how, absl::Time event_time, Reply reply);
  void RecordSpoken(const std::string& attempt_id, absl::Time event_time, Reply reply);
  // The attempt that a reply with a matter's code and "1" answers, among those its writer was asked by; empty: none.
  std::string AttemptOfReply(const std::string& attempt_id, const Attempt& attempt, std::string_view text) const;
  absl::Time DomainTime(absl::Time real) const;
  void Count(const Attempt& attempt, domain::AttemptEvent event);

  const NotificationDependencies dependencies_;
  Machine* machine_ = nullptr;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();

  // On the loop's thread.
  bool caught_up_ = false;
  ContactBook contacts_;
  break_glass::ListKeeper* emergency_list_ = nullptr;
  std::unordered_map<std::string, Attempt> attempts_;
  std::unordered_map<std::string, Alert> alerts_;
  // Alerts of a school by their matter's code, "school/code".
  std::unordered_multimap<std::string, std::string> alerts_by_code_;
  std::unordered_map<const FileEntry*, Work> work_;
  std::size_t unwritten_receipts_ = 0;
  // What may be asked of providers, by rank, highest first.
  std::map<int, std::deque<std::string>, std::greater<>> queue_;
  std::size_t under_way_ = 0;
  std::vector<ProviderHealth> health_;
  // When alerts are looked at for being forgotten (domain time), in order.
  std::deque<std::pair<absl::Time, std::string>> forget_;

  metrics::Histogram first_attempt_;
  metrics::Counter unknown_callbacks_;
  std::map<std::tuple<std::size_t, Channel, domain::AttemptEvent>, metrics::Counter> counters_;
};

}  // namespace vigil::notification
