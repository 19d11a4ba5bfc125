#include "sandbox/phone_network.h"

#include <algorithm>

namespace vigil::sandbox {
namespace {

// About what a record takes besides its texts.
constexpr std::size_t kRecordOverheadBytes = 400;

struct PlannedEvent {
  absl::Duration after;  // the event before
  Event event;
  std::string digits;
  std::string reason;
};

std::string IdKey(Kind kind, const std::string& id) { return (kind == Kind::kCall ? "c" : "m") + id; }

}  // namespace

std::string_view KindName(Kind kind) { return kind == Kind::kCall ? "call" : "message"; }

std::string_view EventName(Event event) {
  switch (event) {
    case Event::kRinging:
      return "ringing";
    case Event::kAnswered:
      return "answered";
    case Event::kDigits:
      return "digits";
    case Event::kBridged:
      return "bridged";
    case Event::kVoicemail:
      return "voicemail";
    case Event::kNoAnswer:
      return "no_answer";
    case Event::kBusy:
      return "busy";
    case Event::kFailed:
      return "failed";
    case Event::kCompleted:
      return "completed";
    case Event::kDelivered:
      return "delivered";
    case Event::kUndelivered:
      return "undelivered";
    case Event::kReply:
      return "reply";
  }
  return "";
}

std::optional<Answer> AnswerFromName(std::string_view name) {
  if (name == "no_answer") return Answer::kNoAnswer;
  if (name == "keypad") return Answer::kKeypad;
  if (name == "busy") return Answer::kBusy;
  if (name == "voicemail") return Answer::kVoicemail;
  if (name == "fail") return Answer::kFail;
  return std::nullopt;
}

struct PhoneNetwork::Record {
  Received received;
  std::string callback;
  int gather_digits = 0;
  absl::Duration gather_timeout;
  std::string bridge_to;

  std::vector<PlannedEvent> plan;  // freed when all of it has happened
  std::size_t next_planned = 0;
  std::uint32_t plan_number = 0;
  bool live_call = false;
  bool ringing = false;

  std::size_t bytes() const {
    return kRecordOverheadBytes + received.id.size() + received.number.size() + received.text.size() + callback.size();
  }
};

struct PhoneNetwork::Phone {
  std::optional<Behaviour> behaviour;
  std::deque<std::shared_ptr<Record>> records;
};

PhoneNetwork::PhoneNetwork(Options options) : options_(options), random_(options.seed) {}
PhoneNetwork::~PhoneNetwork() = default;

bool PhoneNetwork::Chance(double probability) {
  if (probability <= 0) return false;
  if (probability >= 1) return true;
  return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
}

const Behaviour* PhoneNetwork::BehaviourOf(const std::string& number) const {
  const auto phone = phones_.find(number);
  return phone != phones_.end() && phone->second.behaviour ? &*phone->second.behaviour : nullptr;
}

PhoneNetwork::Placed PhoneNetwork::PlaceCall(CallRequest request, absl::Time now) {
  if (Chance(faults_.refuse)) {
    ++statistics_.refused;
    return Placed::kRefused;
  }
  if (records_by_id_.contains(IdKey(Kind::kCall, request.id))) {
    ++statistics_.repeated;
    return Placed::kRepeated;
  }
  if (live_calls_ >= options_.max_live_calls) {
    ++statistics_.refused;
    return Placed::kFull;
  }
  ++statistics_.calls;
  const std::shared_ptr<Record> record = Remember(Kind::kCall, std::move(request.id), std::move(request.to),
                                                  std::move(request.text), std::move(request.callback), now);
  record->gather_digits = request.gather_digits;
  record->gather_timeout = request.gather_timeout;
  record->bridge_to = std::move(request.bridge_to);
  record->live_call = true;
  ++live_calls_;

  static const Behaviour kNobody;
  const Behaviour* const known = BehaviourOf(record->received.number);
  const Behaviour& behaviour = known != nullptr ? *known : kNobody;
  if (behaviour.answer != Answer::kBusy && behaviour.answer != Answer::kFail) {
    record->plan.push_back({absl::ZeroDuration(), Event::kRinging, "", ""});
  }
  PlanAnswer(*record, behaviour);
  ScheduleNext(record, now);
  return Placed::kAccepted;
}

PhoneNetwork::Placed PhoneNetwork::SendMessage(MessageRequest request, absl::Time now) {
  if (Chance(faults_.refuse)) {
    ++statistics_.refused;
    return Placed::kRefused;
  }
  if (records_by_id_.contains(IdKey(Kind::kMessage, request.id))) {
    ++statistics_.repeated;
    return Placed::kRepeated;
  }
  ++statistics_.messages;
  const std::shared_ptr<Record> record = Remember(Kind::kMessage, std::move(request.id), std::move(request.to),
                                                  std::move(request.text), std::move(request.callback), now);
  const Behaviour* const behaviour = BehaviourOf(record->received.number);
  if (behaviour != nullptr && behaviour->answer == Answer::kFail) {
    record->plan.push_back({absl::ZeroDuration(), Event::kUndelivered, "", "unreachable"});
  } else {
    record->plan.push_back({absl::ZeroDuration(), Event::kDelivered, "", ""});
  }
  ScheduleNext(record, now);
  return Placed::kAccepted;
}

// Appends what follows the ringing.
void PhoneNetwork::PlanAnswer(Record& record, const Behaviour& behaviour) const {
  const auto plan = [&](absl::Duration after, Event event, std::string digits = "", std::string reason = "") {
    record.plan.push_back({after, event, std::move(digits), std::move(reason)});
  };
  switch (behaviour.answer) {
    case Answer::kNoAnswer:
      plan(behaviour.delay > absl::ZeroDuration() ? behaviour.delay : options_.ring_timeout, Event::kNoAnswer, "",
           "ring timeout");
      return;
    case Answer::kBusy:
      return plan(behaviour.delay, Event::kBusy, "", "busy");
    case Answer::kFail:
      return plan(behaviour.delay, Event::kFailed, "", "unreachable");
    case Answer::kVoicemail:
      plan(behaviour.delay, Event::kVoicemail);
      return plan(absl::ZeroDuration(), Event::kCompleted);
    case Answer::kKeypad:
      plan(behaviour.delay, Event::kAnswered);
      absl::Duration until_completed;
      if (record.gather_digits > 0) {
        if (behaviour.digits.empty()) {
          until_completed = record.gather_timeout;
        } else {
          plan(absl::ZeroDuration(), Event::kDigits,
               behaviour.digits.substr(0, static_cast<std::size_t>(record.gather_digits)));
          if (behaviour.digits.front() == '1' && !record.bridge_to.empty()) plan(absl::ZeroDuration(), Event::kBridged);
        }
      }
      return plan(until_completed, Event::kCompleted);
  }
}

bool PhoneNetwork::SetBehaviour(const std::string& number, Behaviour behaviour, absl::Time now) {
  if (BehaviourOf(number) == nullptr) {
    if (configured_phones_ >= options_.max_configured_phones) return false;
    ++configured_phones_;
  }
  Phone& phone = phones_[number];
  if (behaviour.answer == Answer::kKeypad) {
    for (const std::shared_ptr<Record>& record : phone.records) {
      if (!record->ringing) continue;
      record->plan.clear();
      record->next_planned = 0;
      PlanAnswer(*record, behaviour);
      ScheduleNext(record, now);
    }
  }
  phone.behaviour = std::move(behaviour);
  return true;
}

std::optional<std::string> PhoneNetwork::Reply(const std::string& number, std::string text, absl::Time now) {
  const auto phone = phones_.find(number);
  if (phone == phones_.end()) return std::nullopt;
  const auto& records = phone->second.records;
  const auto message = std::find_if(records.rbegin(), records.rend(), [](const std::shared_ptr<Record>& record) {
    const std::vector<Event>& events = record->received.events;
    return record->received.kind == Kind::kMessage &&
           std::find(events.begin(), events.end(), Event::kDelivered) != events.end();
  });
  if (message == records.rend()) return std::nullopt;
  Happened(**message, Event::kReply, now, "", std::move(text), "");
  return (*message)->received.id;
}

std::shared_ptr<PhoneNetwork::Record> PhoneNetwork::Remember(Kind kind, std::string id, std::string to,
                                                             std::string text, std::string callback, absl::Time now) {
  auto record = std::make_shared<Record>();
  record->received = {++last_sequence_, std::move(to), std::move(id), kind, now, std::move(text), {}};
  record->callback = std::move(callback);
  records_.emplace_hint(records_.end(), record->received.sequence, record);
  records_by_id_.emplace(IdKey(kind, record->received.id), record);
  record_bytes_ += record->bytes();
  Phone& phone = phones_[record->received.number];
  phone.records.push_back(record);
  if (phone.records.size() > options_.max_records_per_phone) Forget(phone.records.front());
  while (records_.size() > 1 && (records_.size() > options_.max_records || record_bytes_ > options_.max_record_bytes)) {
    Forget(records_.begin()->second);
  }
  return record;
}

// Only ever the oldest of its phone. A call that is under way goes on.
void PhoneNetwork::Forget(const std::shared_ptr<Record>& forgotten) {
  const std::shared_ptr<Record> record = forgotten;
  record_bytes_ -= record->bytes();
  records_.erase(record->received.sequence);
  records_by_id_.erase(IdKey(record->received.kind, record->received.id));
  const auto phone = phones_.find(record->received.number);
  phone->second.records.pop_front();
  if (phone->second.records.empty() && !phone->second.behaviour) phones_.erase(phone);
}

void PhoneNetwork::ScheduleNext(const std::shared_ptr<Record>& record, absl::Time from) {
  ++record->plan_number;
  if (record->next_planned == record->plan.size()) {
    record->plan = {};
    record->next_planned = 0;
    if (std::exchange(record->live_call, false)) --live_calls_;
    return;
  }
  steps_.push({from + record->plan[record->next_planned].after, ++last_order_, record, record->plan_number});
}

std::vector<Callback> PhoneNetwork::Advance(absl::Time now) {
  while (!steps_.empty() && steps_.top().due <= now) {
    const Step step = steps_.top();
    steps_.pop();
    if (step.plan == step.record->plan_number) TakeStep(step.record, step.due);
  }
  return std::exchange(callbacks_, {});
}

void PhoneNetwork::TakeStep(const std::shared_ptr<Record>& record, absl::Time time) {
  PlannedEvent planned = std::move(record->plan[record->next_planned++]);
  record->ringing = planned.event == Event::kRinging;
  bool happens = true;
  if (planned.event == Event::kBridged) {
    const Behaviour* const other = BehaviourOf(record->bridge_to);
    happens = other != nullptr && other->answer == Answer::kKeypad;
  }
  if (happens) Happened(*record, planned.event, time, std::move(planned.digits), "", std::move(planned.reason));
  ScheduleNext(record, time);
}

void PhoneNetwork::Happened(Record& record, Event event, absl::Time time, std::string digits, std::string text,
                            std::string reason) {
  // A phone that replies for ever to one message does not grow it.
  if (record.received.events.size() < kMaxRecordsPerPhone) record.received.events.push_back(event);
  if (Chance(faults_.drop_receipts)) {
    ++statistics_.callbacks_dropped;
    return;
  }
  ++statistics_.callbacks;
  callbacks_.push_back({record.received.sequence, record.callback, record.received.id, event, std::move(digits),
                        std::move(text), std::move(reason), time});
}

absl::Time PhoneNetwork::NextDue() const { return steps_.empty() ? absl::InfiniteFuture() : steps_.top().due; }

std::vector<Received> PhoneNetwork::ReceivedBy(const std::string& number) const {
  std::vector<Received> received;
  if (const auto phone = phones_.find(number); phone != phones_.end()) {
    for (const std::shared_ptr<Record>& record : phone->second.records) received.push_back(record->received);
  }
  return received;
}

std::vector<Received> PhoneNetwork::ReceivedAfter(std::uint64_t sequence, std::size_t limit) const {
  std::vector<Received> received;
  for (auto at = records_.upper_bound(sequence); at != records_.end() && received.size() < limit; ++at) {
    received.push_back(at->second->received);
  }
  return received;
}

}  // namespace vigil::sandbox
