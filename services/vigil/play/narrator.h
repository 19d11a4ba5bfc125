#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "vigil/play/live_events.h"
#include "vigil/sample/sample_school.h"
#include "vigil/words.h"

namespace vigil {

// Tells what the event stream says, in lines for people: school time, who by role, what. Routine events are folded into one line. Prints
// nothing that was not in the stream, apart from the headings of the acts.
class Narrator {
 public:
  using Print = std::function<void(const std::string& line)>;
  // `school` must outlive it.
  Narrator(const SampleSchool& school, Language language, Print print);

  // Day 1 is the school day of this instant.
  void SetFirstDay(absl::Time first) { first_day_ = first; }
  // Events of other cases are not told.
  void Follow(std::string_view case_id, std::string_view called);
  void Heading(std::string_view text);
  void Tell(const LiveEvent& event);
  // Ends what is being folded, what is routine included or not.
  void Flush(bool routine = true);

  // 第2天 21:14 / day 2, 21:14
  std::string SchoolClock(absl::Time time) const;
  // What a person of the school is called by role; an id that is nobody's is itself.
  std::string Called(std::string_view person) const;

 private:
  struct Fold {
    std::string key;  // what is folded together
    std::string text;
    std::string case_id;
    std::vector<std::string> people;
    bool routine = false;
    int count = 0;
    absl::Time first;
  };
  struct Attempt {
    std::string person;
    std::string alert;
  };

  void Line(absl::Time time, std::string_view case_id, std::string_view text);
  std::string Filled(std::string_view form, const LiveEvent& event) const;

  const SampleSchool& school_;
  const Language language_;
  const Print print_;
  absl::Time first_day_ = absl::InfinitePast();
  std::map<std::string, std::string, std::less<>> cases_;  // id to what it is called
  std::map<std::string, Attempt, std::less<>> attempts_;
  std::set<std::string, std::less<>> taken_;  // alerts
  std::vector<Fold> folds_;
};

}  // namespace vigil
