#include "simulation/phones.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/school_time.h"

namespace vigil::simulation {

using domain::AttemptEvent;

class Phones::OneProvider final : public notification::Provider {
 public:
  OneProvider(Phones* phones, int number) : phones_(*phones), number_(number), name_(absl::StrCat("provider-", number)) {}
  std::string_view name() const override { return name_; }
  void PlaceCall(const notification::CallOrder& order, Done done) override {
    phones_.Take({number_, true, order.id, order.to.reveal(), order.text, order.gather, !order.bridge_to.reveal().empty()}, std::move(done));
  }
  void PlaceMessage(const notification::MessageOrder& order, Done done) override {
    phones_.Take({number_, false, order.id, order.to.reveal(), order.text, false, false}, std::move(done));
  }

 private:
  Phones& phones_;
  const int number_;
  const std::string name_;
};

Phones::Phones(World* world) : world_(*world), dice_(world->options().seed, "phones") {
  for (int i = 0; i < 2; ++i) {
    providers_.push_back(std::make_unique<OneProvider>(this, i));
    world->AddProvider(providers_.back().get());
  }
}

Phones::~Phones() = default;

void Phones::Take(Order order, notification::Provider::Done done) {
  const auto p = static_cast<std::size_t>(order.provider);
  const auto shared = std::make_shared<notification::Provider::Done>(std::move(done));
  const auto answer = [&](absl::Duration after, absl::Status status) {
    world_.After(after, [shared, status = std::move(status)] { (*shared)(status); });
  };
  PhoneOrder asked{.asked = world_.now(), .provider = order.provider, .call = order.call, .id = order.id, .to = order.to};
  for (const std::string& text : forbidden_) {
    if (order.text.find(text) != std::string::npos) world_.history().leaks.push_back(absl::StrCat("a message said: ", order.text));
  }
  const absl::Duration moment = dice_.Between(absl::Milliseconds(5), absl::Milliseconds(200));
  if (world_.provider_down[p]) {
    answer(moment, absl::UnavailableError("connection refused"));
  } else if (world_.provider_stalls[p]) {
    // Whether it was placed in the end nobody says.
    answer(absl::Seconds(10), absl::DeadlineExceededError("no answer in time"));
  } else if ((world_.provider_errs[p] && dice_.Chance(0.33)) || dice_.Chance(0.01)) {
    answer(moment, absl::UnavailableError("status 503"));
  } else if (habits_.contains(order.to) && habits_.at(order.to).wrong_number) {
    answer(moment, absl::InvalidArgumentError("not a telephone number"));
  } else {
    asked.placed = true;
    answer(moment, absl::OkStatus());
    // The same id again rings nobody a second time.
    if (placed_.insert(absl::StrCat(order.call ? "c" : "m", order.id)).second) Ring(order);
  }
  world_.Say(absl::StrCat(order.call ? "call " : "message ", order.id, " to ", order.to, asked.placed ? "" : " refused", ": ", order.text));
  world_.trace().Add(order.id);
  world_.history().orders.push_back(std::move(asked));
}

void Phones::Ring(const Order& order) {
  const auto found = habits_.find(order.to);
  const PhoneHabits habits = found == habits_.end() ? PhoneHabits{} : found->second;
  const auto tell = [&](absl::Duration after, AttemptEvent event, const char* word, std::string extra = "") {
    Tell(after, order.call, order.id, event, word, std::move(extra));
  };
  if (!order.call) {
    if (dice_.Chance(0.3)) {
      // Nobody ever tells.
    } else if (dice_.Chance(0.93)) {
      tell(dice_.Between(absl::Seconds(1), absl::Seconds(20)), AttemptEvent::kDelivered, "delivered");
    } else {
      tell(absl::Seconds(30), AttemptEvent::kUndelivered, "undelivered");
    }
    // "TS3F 1": the code stands in the text between brackets or not; people copy what looks like one. Here: the first word of five capitals.
    if (dice_.Chance(habits.replies)) {
      std::string code;
      std::string word;
      for (const char c : order.text + " ") {
        if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
          word.push_back(c);
        } else {
          if (word.size() >= 5 && word.size() <= 8 && code.empty()) code = word;
          word.clear();
        }
      }
      tell(dice_.Between(absl::Seconds(10), absl::Minutes(5)), AttemptEvent::kReplied, "reply",
           absl::StrCat(",\"text\":\"", code, dice_.Chance(0.8) ? "1" : " 什么事", "\""));
    }
    return;
  }
  const absl::Duration ring = dice_.Between(absl::Milliseconds(500), absl::Seconds(3));
  // Not every provider tells everything.
  if (dice_.Chance(0.3)) tell(ring, AttemptEvent::kRinging, "ringing");
  const bool night = domain::IsNight(world_.now(), world_.pack().night_from, world_.pack().night_to);
  if (dice_.Chance(night ? habits.at_night : habits.answers)) {
    const absl::Duration answered = ring + dice_.Between(absl::Seconds(1), absl::Seconds(20));
    tell(answered, AttemptEvent::kAnswered, "answered");
    const absl::Duration pressed = answered + dice_.Between(absl::Seconds(2), absl::Seconds(25));
    absl::Duration ended = pressed + absl::Seconds(2);
    if (dice_.Chance(habits.takes)) {
      tell(pressed, AttemptEvent::kDigits, "digits", ",\"digits\":\"1\"");
      if (order.bridges && dice_.Chance(0.7)) {
        tell(pressed + absl::Seconds(5), AttemptEvent::kBridged, "bridged");
        ended = pressed + dice_.Between(absl::Seconds(20), absl::Minutes(5));
      }
    } else if (dice_.Chance(habits.declines)) {
      tell(pressed, AttemptEvent::kDeclined, "digits", ",\"digits\":\"2\"");
    }
    if (dice_.Chance(0.5)) tell(ended, AttemptEvent::kCompleted, "completed");
    return;
  }
  const double how = dice_.Unit();
  if (how < 0.5) {
    tell(ring + absl::Seconds(30), AttemptEvent::kNoAnswer, "no_answer");
  } else if (how < 0.7) {
    tell(ring + absl::Seconds(20), AttemptEvent::kVoicemail, "voicemail");
  } else if (how < 0.85) {
    tell(ring, AttemptEvent::kBusy, "busy");
  } else if (how < 0.95) {
    tell(ring, AttemptEvent::kFailed, "failed");
  }
  // The rest: nobody ever tells.
}

void Phones::Tell(absl::Duration after, bool call, const std::string& id, AttemptEvent event, const char* word, std::string extra) {
  if (dice_.Chance(0.02)) return;                                                     // a receipt that never comes
  if (dice_.Chance(0.03)) after += dice_.Between(absl::Seconds(1), absl::Minutes(3));  // one that comes late, after later ones
  auto body = std::make_shared<const std::string>(absl::StrCat("{\"id\":\"", id, "\",\"event\":\"", word, "\"", extra, "}"));
  const int times = dice_.Chance(0.03) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    world_.After(after + i * absl::Milliseconds(700), [this, call, id, event, body] { TellNow(call, id, event, body, 0); });
  }
}

void Phones::TellNow(bool call, const std::string& id, AttemptEvent event, std::shared_ptr<const std::string> body, int tries) {
  if (world_.receipts_lost) return;
  constexpr int kMostTries = 12;
  if (tries >= kMostTries) return;
  const auto again = [this, call, id, event, body, tries](absl::Duration after) {
    world_.After(after, [this, call, id, event, body, tries] { TellNow(call, id, event, body, tries + 1); });
  };
  if (!world_.notice().ready()) return again(absl::Seconds(2) * (1 << std::min(tries, 5)));
  const auto answered = std::make_shared<bool>(false);
  world_.notice().notification().ReceiveCallback(call ? "call" : "sms", *body, [this, id, event, answered, again](absl::Status status) {
    if (std::exchange(*answered, true)) world_.history().leaks.push_back(absl::StrCat("a callback was answered twice: ", id));
    if (!status.ok()) return again(absl::Seconds(5));
    world_.trace().Add(id);
    world_.history().receipts.push_back({id, event, world_.now()});
  });
  // The connection broke: told again.
  world_.After(absl::Seconds(15), [answered, again] {
    if (!*answered) again(absl::Seconds(1));
  });
}

}  // namespace vigil::simulation
