#include "domain/instrument.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace vigil::domain {
namespace {

constexpr char kYes = '1';
constexpr char kRefused = '?';

}  // namespace

absl::StatusOr<Score> ScoreAnswers(const InstrumentRow& row, std::string_view answers) {
  std::string given;
  for (const char c : answers) {
    if (c == ' ' || c == ',' || c == '\n' || c == '\t') continue;
    if (c != '0' && c != kYes && c != kRefused && c != '-') return absl::InvalidArgumentError("an answer is 1 yes, 0 no, ? refused or - none");
    given.push_back(c);
  }
  if (given.size() != static_cast<std::size_t>(row.items)) return absl::InvalidArgumentError(absl::StrCat("there are ", row.items, " items"));
  const auto at = [&](int item) { return given[static_cast<std::size_t>(item) - 1]; };
  const auto yes = [&](const std::vector<int>& items) { return static_cast<int>(std::count_if(items.begin(), items.end(), [&](int item) { return at(item) == kYes; })); };

  Score score;
  for (const InstrumentRow::Scale& scale : row.scales) {
    const int count = yes(scale.items);
    score.scales[scale.id] = count;
    score.total += count;
    if (row.scale_high > 0 && count >= row.scale_high) score.high.push_back(scale.id);
  }
  score.validity = yes(row.validity);
  score.voided = row.void_at_least > 0 && score.validity >= row.void_at_least;
  score.plan = row.plan_at_least > 0 && score.total >= row.plan_at_least && !score.voided;
  for (const int item : row.critical) {
    if (at(item) == kYes) score.critical.push_back(item);
  }
  // The first that holds; they stand from the gravest.
  for (const InstrumentRow::Outcome& outcome : row.outcomes) {
    const auto counts = [&](const std::vector<int>& items) {
      return items.empty() || std::any_of(items.begin(), items.end(), [&](int item) { return at(item) == kYes || (outcome.refused_counts && at(item) == kRefused); });
    };
    if (!counts(outcome.any) || !counts(outcome.and_any)) continue;
    score.proposes = outcome.result;
    break;
  }
  return score;
}

}  // namespace vigil::domain
