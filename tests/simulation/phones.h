// A telephone network with two providers and people at its ends, who answer, decline, let it ring, have their voicemail on, or press 1.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "notification/channels/provider.h"
#include "simulation/world.h"

namespace vigil::simulation {

// How somebody treats their telephone.
struct PhoneHabits {
  double answers = 0.5;    // by day
  double at_night = 0.25;  // by night
  double takes = 0.7;      // having answered
  double declines = 0.1;
  double replies = 0.1;  // to a message, with its code
  bool wrong_number = false;
};

class Phones {
 public:
  explicit Phones(World* world);
  ~Phones();

  void Add(const std::string& number, const PhoneHabits& habits) { habits_[number] = habits; }
  // Texts that contain one of these say what they must not.
  void Forbid(std::string text) { forbidden_.push_back(std::move(text)); }

 private:
  class OneProvider;
  struct Order {
    int provider;
    bool call;
    std::string id;
    std::string to;
    std::string text;
    bool gather;
    bool bridges;
  };
  void Take(Order order, notification::Provider::Done done);
  void Ring(const Order& order);
  void Tell(absl::Duration after, bool call, const std::string& id, domain::AttemptEvent event, const char* word, std::string extra = "");
  void TellNow(bool call, const std::string& id, domain::AttemptEvent event, std::shared_ptr<const std::string> body, int tries);

  World& world_;
  Dice dice_;
  std::vector<std::unique_ptr<OneProvider>> providers_;
  std::unordered_map<std::string, PhoneHabits> habits_;
  std::unordered_set<std::string> placed_;
  std::vector<std::string> forbidden_;
};

}  // namespace vigil::simulation
