// The demo's story (story.json) as it is played: steps in order, each of which must hold.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "vigil/play/narrator.h"
#include "vigil/play/stage.h"
#include "vigil/sample/sample_school.h"
#include "vigil/words.h"

namespace vigil {

// "2 11:40" of a story whose first day is the school day of `first_day`. InvalidArgument for anything else.
absl::StatusOr<absl::Time> StoryTime(std::string_view text, absl::Time first_day);

// When a story that begins at "10:05" of one of these ISO weekdays begins, if it is `now`: not earlier than five minutes from now.
absl::Time StoryBegins(absl::Time now, std::string_view time_of_day, const std::vector<int>& weekdays);

class Story {
 public:
  // All outlive it.
  Story(const nlohmann::json& script, const SampleSchool& school, Stage& stage, Narrator& narrator, Language language);

  // Plays it to the end. What is not OK names the step that did not hold.
  absl::Status Play();

  // Case ids by their name in the story, of those that exist by now.
  const std::map<std::string, std::string>& cases() const { return cases_; }

 private:
  absl::Status Begin();
  absl::Status PlayStep(const nlohmann::json& step);
  absl::Status Do(const nlohmann::json& step);
  absl::Status AwaitAll(const nlohmann::json& step);
  absl::Status HandOver(const std::string& case_id, const nlohmann::json& to);
  // Ids and times in place of "$leader" and "@2 11:40".
  nlohmann::json Resolved(const nlohmann::json& value) const;
  std::string PersonId(std::string_view name) const;
  std::string CaseId(const nlohmann::json& step) const;

  const nlohmann::json& script_;
  const SampleSchool& school_;
  Stage& stage_;
  Narrator& narrator_;
  const Language language_;
  absl::Time first_day_;
  std::map<std::string, std::string> cases_;
};

}  // namespace vigil
