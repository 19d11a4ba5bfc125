// A provider in memory, which keeps the contract of the real one (tests/unit/notification/provider_contract_test.cc).
#pragma once

#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "notification/channels/provider.h"

namespace vigil::notification {

// Thread-safe.
class FakeProvider final : public Provider {
 public:
  struct Order {
    std::string channel;  // "call" or "sms"
    std::string id;
    std::string to;
    std::string language;
    std::string text;
    bool gather = false;
    std::string bridge_to;
    bool urgent = false;
  };

  explicit FakeProvider(std::string name) : name_(std::move(name)) {}

  std::string_view name() const override { return name_; }
  void PlaceCall(const CallOrder& order, Done done) override;
  void PlaceMessage(const MessageOrder& order, Done done) override;

  // What orders are answered from now on; OK at first. Not OK: nothing is placed.
  void Answer(absl::Status status);
  // Orders are neither placed nor answered until Release.
  void Hold();
  void Release();

  // What was placed, each id once, in order.
  std::vector<Order> placed() const;
  // What was asked, repetitions and refused ones included.
  std::vector<Order> asked() const;

 private:
  struct Waiting {
    Order order;
    Done done;
  };
  void Take(Order order, Done done);
  absl::Status Place(const Order& order);

  const std::string name_;
  mutable std::mutex mutex_;
  absl::Status answer_;
  bool held_ = false;
  std::deque<Waiting> waiting_;
  std::set<std::string> ids_;
  std::vector<Order> placed_;
  std::vector<Order> asked_;
};

}  // namespace vigil::notification
