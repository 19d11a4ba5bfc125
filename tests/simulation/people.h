// The people of the schools and what they do: report, take, watch, hand over, file and close, in time, late, wrongly or never; together with
// what they try again when they got no answer.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "intake/commands.h"
#include "simulation/phones.h"
#include "simulation/world.h"

namespace vigil::simulation {

namespace api = ::vigil::intake::v1;

class People {
 public:
  // Both outlive it.
  People(World* world, Phones* phones);

  // Opens the schools and begins their lives, which end at `end`.
  void Begin(int schools, absl::Time end);

  // Of whom a log, a message or a metric must never say the name: every personal text contains it.
  static constexpr std::string_view kCanary = "CANARY";

 private:
  struct Person {
    std::string id;
    std::string role;
  };
  struct School {
    int number = 0;
    std::string id;
    std::vector<Person> staff;
    std::vector<std::string> students;
    // With the classes that people name them by.
    std::vector<std::pair<std::string, std::string>> names;
    std::map<std::string, std::vector<std::string>> guardians;
    // How many hours between reports.
    absl::Duration between_reports;
    // How readily its people act: 1 at once, 0 never.
    double diligence = 0.8;
  };
  // Somebody's care for one open case.
  struct Care {
    School* school = nullptr;
    std::string file;
    double diligence = 0.8;
    bool active = false;
    // Somebody has promised to see to the child.
    bool comes = false;
    absl::Time looks_at = absl::InfiniteFuture();
  };
  struct Request;

  void Open(School& school);
  void SetRoster(School& school);
  void LiveOn(School& school);
  void ReportSomebody(School& school);
  void ChangeSomething(School& school);

  Care& CareFor(const std::string& school, const std::string& file);
  void LookLater(Care& care, absl::Duration after);
  void Look(Care& care);
  void Act(Care& care, const domain::FileState& file);
  void Keep(Care& care, const domain::FileState& file);
  bool MeetClock(Care& care, const domain::FileState& file, const domain::ClockState& clock);
  void FileKind(Care& care, const domain::FileState& file, const std::string& kind);
  void Mischief(Care& care, const domain::FileState& file);
  void Race(Care& care, const domain::FileState& file);

  intake::Caller As(const School& school, const Person& person);
  const Person& Somebody(const School& school) { return dice_.Pick(school.staff); }
  const Person& OfRole(const School& school, std::string_view role);
  // Somebody whose role may do that.
  const Person& WhoMay(const School& school, std::string_view permission);
  const Person& Known(const School& school, const std::string& id);

  // Sends and sends again until it is answered.
  template <typename RequestType>
  void Command(Care& care, const Person& who, RequestType request);
  void TakeAlert(Care& care, const Person& who, const std::string& alert);
  void Send(std::shared_ptr<Request> request, absl::Duration after);
  void Try(const std::shared_ptr<Request>& request);
  void OnAnswer(const std::shared_ptr<Request>& request, const absl::Status& status, const std::string& answer);
  std::shared_ptr<Request> NewRequest(const School& school, const Person& who, std::string what);

  World& world_;
  Phones& phones_;
  Dice dice_;
  absl::Time end_;
  std::vector<std::unique_ptr<School>> schools_;
  std::map<std::string, School*> by_id_;
  std::unordered_map<std::string, Care> cares_;
  std::uint64_t next_key_ = 0;
};

}  // namespace vigil::simulation
