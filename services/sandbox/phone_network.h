#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace vigil::sandbox {

// How long a phone rings that nobody answers.
inline constexpr absl::Duration kRingTimeout = absl::Seconds(25);
inline constexpr std::size_t kMaxRecordsPerPhone = 1'000;
inline constexpr std::size_t kMaxRecords = 200'000;
inline constexpr std::size_t kMaxRecordBytes = std::size_t{256} << 20;
inline constexpr std::size_t kMaxLiveCalls = 300'000;
inline constexpr std::size_t kMaxConfiguredPhones = 200'000;

enum class Kind : std::uint8_t { kCall, kMessage };
std::string_view KindName(Kind kind);

// What happens to a call or a message, in the contract's words (EventName).
enum class Event : std::uint8_t {
  kRinging,
  kAnswered,
  kDigits,
  kBridged,
  kVoicemail,
  kNoAnswer,
  kBusy,
  kFailed,
  kCompleted,
  kDelivered,
  kUndelivered,
  kReply,
};
std::string_view EventName(Event event);

enum class Answer : std::uint8_t { kNoAnswer, kKeypad, kBusy, kVoicemail, kFail };
std::optional<Answer> AnswerFromName(std::string_view name);

struct CallRequest {
  std::string id;
  std::string to;
  std::string text;       // what is said, a line for each language
  int gather_digits = 0;  // 0: no keys are gathered
  absl::Duration gather_timeout;
  std::string bridge_to;  // empty: no bridge
  std::string callback;
};

struct MessageRequest {
  std::string id;
  std::string to;
  std::string text;
  std::string callback;
};

// What the owner of a phone does with calls. A phone without one is never answered.
struct Behaviour {
  Answer answer = Answer::kNoAnswer;
  std::string digits;  // pressed after answering, as far as the call gathers any
  absl::Duration
      delay;  // from the first ring to the answer, the voicemail or (if not zero) the end of a call nobody answers
};

struct Faults {
  double refuse = 0;  // probability that a request is refused
  absl::Duration stall;
  double drop_receipts = 0;  // probability that a callback is never sent
};

// A callback to be made. Those of one record are to be made in the order given.
struct Callback {
  std::uint64_t record = 0;
  std::string url;
  std::string id;
  Event event = Event::kRinging;
  std::string digits;
  std::string text;
  std::string reason;
  absl::Time time;
};

// What a phone received.
struct Received {
  std::uint64_t sequence = 0;  // counts everything any phone received, from 1
  std::string number;
  std::string id;
  Kind kind = Kind::kCall;
  absl::Time time;
  std::string text;
  std::vector<Event> events;
};

struct NetworkStatistics {
  std::uint64_t calls = 0;
  std::uint64_t messages = 0;
  std::uint64_t repeated = 0;  // the same id again
  std::uint64_t refused = 0;
  std::uint64_t callbacks = 0;
  std::uint64_t callbacks_dropped = 0;
};

// The simulated phones and what happens on them, without I/O, clock or chance of its own: time comes in by argument and
// never goes back, and all chance comes from the seed. Not thread-safe.
//
// A call's life:  ringing, then by the behaviour of the phone
//   keypad     after `delay`: answered; then, if keys are gathered: digits (as many as are gathered; with none
//   configured nothing
//              comes until gather_timeout); then, if the digits begin with 1, bridge_to is set and the phone it names
//              has the behaviour keypad: bridged; then completed. The bridged phone does not record a call.
//   voicemail  after `delay`: voicemail, completed
//   no_answer  after `delay`, or the ring timeout if that is zero: no_answer. So too without a behaviour.
//   busy, fail  busy or failed, without ringing
// Giving a phone the behaviour keypad also picks up the calls that are ringing on it. A message is delivered at once,
// or undelivered where the behaviour is fail.
class PhoneNetwork {
 public:
  struct Options {
    absl::Duration ring_timeout = kRingTimeout;
    std::uint64_t seed = 1;
    std::size_t max_records_per_phone = kMaxRecordsPerPhone;
    std::size_t max_records = kMaxRecords;
    std::size_t max_record_bytes = kMaxRecordBytes;
    std::size_t max_live_calls = kMaxLiveCalls;
    std::size_t max_configured_phones = kMaxConfiguredPhones;
  };

  enum class Placed {
    kAccepted,
    kRepeated,  // this id was accepted before (and is still remembered): nothing happens
    kRefused,   // by Faults::refuse
    kFull,      // max_live_calls
  };

  explicit PhoneNetwork(Options options);
  ~PhoneNetwork();
  PhoneNetwork(const PhoneNetwork&) = delete;
  PhoneNetwork& operator=(const PhoneNetwork&) = delete;

  // Ids of calls and of messages are apart. What follows at once, ringing for example, is done by the next Advance.
  Placed PlaceCall(CallRequest request, absl::Time now);
  Placed SendMessage(MessageRequest request, absl::Time now);

  // False: too many phones have one.
  bool SetBehaviour(const std::string& number, Behaviour behaviour, absl::Time now);
  // The owner answers the latest message that the phone received. Nothing if it has none; else that message's id.
  std::optional<std::string> Reply(const std::string& number, std::string text, absl::Time now);

  void SetFaults(const Faults& faults) { faults_ = faults; }
  const Faults& faults() const { return faults_; }

  // Lets happen what is due by `now`, and returns the callbacks that follow from it and from Reply.
  std::vector<Callback> Advance(absl::Time now);
  // When Advance has something to do again; InfiniteFuture if nothing is under way.
  absl::Time NextDue() const;

  // Oldest first.
  std::vector<Received> ReceivedBy(const std::string& number) const;
  // Of all phones, those after a sequence number, at most `limit`.
  std::vector<Received> ReceivedAfter(std::uint64_t sequence, std::size_t limit) const;

  const NetworkStatistics& statistics() const { return statistics_; }
  std::size_t records() const { return records_.size(); }
  std::size_t live_calls() const { return live_calls_; }

 private:
  struct Record;
  struct Phone;
  // The next planned event of a record, at its time; void if the record has been given another plan since.
  struct Step {
    absl::Time due;
    std::uint64_t order;
    std::shared_ptr<Record> record;
    std::uint32_t plan;
  };
  struct Later {
    bool operator()(const Step& a, const Step& b) const {
      return std::pair(a.due, a.order) > std::pair(b.due, b.order);
    }
  };

  bool Chance(double probability);
  const Behaviour* BehaviourOf(const std::string& number) const;
  std::shared_ptr<Record> Remember(Kind kind, std::string id, std::string to, std::string text, std::string callback,
                                   absl::Time now);
  void Forget(const std::shared_ptr<Record>& record);
  void PlanAnswer(Record& record, const Behaviour& behaviour) const;
  void ScheduleNext(const std::shared_ptr<Record>& record, absl::Time from);
  void TakeStep(const std::shared_ptr<Record>& record, absl::Time time);
  void Happened(Record& record, Event event, absl::Time time, std::string digits, std::string text, std::string reason);

  const Options options_;
  std::mt19937_64 random_;
  Faults faults_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t last_order_ = 0;
  std::size_t live_calls_ = 0;
  std::size_t configured_phones_ = 0;
  std::size_t record_bytes_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Record>> records_;                // by sequence
  std::unordered_map<std::string, std::shared_ptr<Record>> records_by_id_;  // a letter for the kind, then the id
  std::unordered_map<std::string, Phone> phones_;
  std::priority_queue<Step, std::vector<Step>, Later> steps_;
  std::vector<Callback> callbacks_;
  NetworkStatistics statistics_;
};

}  // namespace vigil::sandbox
