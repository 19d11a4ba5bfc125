// Scoring of an instrument by the keys and cut-offs of the pack: a score proposes, a person confirms (SCR-03, AMB-27). Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "domain/pack/pack.h"

namespace vigil::domain {

struct Score {
  // Yes answers of the scales together.
  int total = 0;
  // By scale id.
  std::map<std::string, int> scales;
  // Scales at or above the instrument's high mark.
  std::vector<std::string> high;
  int validity = 0;
  // Not to be believed, and to be repeated; critical items count all the same.
  bool voided = false;
  // Items answered yes that are a report at once.
  std::vector<int> critical;
  // What the outcomes propose; empty: nothing.
  std::string proposes;
  // The total asks for an individual plan.
  bool plan = false;
};

// `answers`: one character an item, 1 yes, 0 no, ? refused, - not answered; spaces and commas are passed over.
// InvalidArgument: another number of them, or another character.
absl::StatusOr<Score> ScoreAnswers(const InstrumentRow& row, std::string_view answers);

}  // namespace vigil::domain
