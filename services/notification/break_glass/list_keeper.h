// Keeps the emergency list up to date from what a service reads of the log.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>

#include "absl/time/time.h"
#include "machine/machine.h"
#include "notification/break_glass/emergency_list.h"
#include "platform/keys/key_store.h"

namespace vigil::break_glass {

// How long a change may be missing from the file, and how often everybody is looked at again, as rosters change by the clock (real time).
inline constexpr absl::Duration kSaveInterval = absl::Seconds(2);
inline constexpr absl::Duration kRosterInterval = absl::Minutes(10);

class ListKeeper {
 public:
  // All outlive it.
  ListKeeper(EmergencyList* list, KeyStore* keys);
  ~ListKeeper();

  // On the machine's loop, after each commit that concerns a school.
  void Note(const AppliedCommit& applied);
  // On the machine's loop: puts what has changed into the list, if keys can be had without waiting. Every school at `everybody`.
  void Refresh(Machine& machine, bool everybody);

  // Refreshes and saves now and then, until Stop; before the machine's loop stops. `machine` outlives that.
  void Start(Machine* machine);
  void Stop();

 private:
  struct SealedContact {
    std::string subject;
    std::string content;
  };
  ListedSchool Resolve(Machine& machine, const std::string& school, const domain::LadderRow& ladder, bool* complete);
  void Run(Machine* machine);

  EmergencyList* const list_;
  KeyStore* const keys_;
  // On the machine's loop. By "school/person": of those who may take an alert.
  std::unordered_map<std::string, SealedContact> contacts_;
  std::set<std::string> changed_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vigil::break_glass
