#include "notification/channels/fake/fake_provider.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace vigil::notification {

void FakeProvider::PlaceCall(const CallOrder& order, Done done) {
  Take({.channel = "call",
        .id = order.id,
        .to = order.to.reveal(),
        .language = order.language,
        .text = order.text,
        .gather = order.gather,
        .bridge_to = order.bridge_to.reveal(),
        .urgent = order.urgent},
       std::move(done));
}

void FakeProvider::PlaceMessage(const MessageOrder& order, Done done) {
  Take({.channel = "sms", .id = order.id, .to = order.to.reveal(), .text = order.text, .urgent = order.urgent}, std::move(done));
}

void FakeProvider::Take(Order order, Done done) {
  absl::Status answer;
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(order);
    if (held_) {
      waiting_.push_back({std::move(order), std::move(done)});
      return;
    }
    answer = Place(order);
  }
  done(answer);
}

absl::Status FakeProvider::Place(const Order& order) {
  if (!answer_.ok()) return answer_;
  const auto is_digit = [](char ch) { return ch >= '0' && ch <= '9'; };
  const std::string digits = order.to.substr(order.to.starts_with('+') ? 1 : 0);
  if (digits.size() < 3 || digits.size() > 20 || !std::all_of(digits.begin(), digits.end(), is_digit)) {
    return absl::InvalidArgumentError("not a telephone number");
  }
  if (ids_.insert(order.channel + order.id).second) placed_.push_back(order);
  return absl::OkStatus();
}

void FakeProvider::Answer(absl::Status status) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(status);
}

void FakeProvider::Hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void FakeProvider::Release() {
  std::deque<std::pair<Done, absl::Status>> answers;
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
    for (Waiting& waiting : waiting_) answers.emplace_back(std::move(waiting.done), Place(waiting.order));
    waiting_.clear();
  }
  for (auto& [done, status] : answers) done(std::move(status));
}

std::vector<FakeProvider::Order> FakeProvider::placed() const {
  const std::lock_guard lock(mutex_);
  return placed_;
}

std::vector<FakeProvider::Order> FakeProvider::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

}  // namespace vigil::notification
