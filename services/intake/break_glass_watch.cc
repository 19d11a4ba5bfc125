#include "intake/break_glass_watch.h"

#include <algorithm>
#include <utility>

namespace vigil::intake {

void BreakGlassWatch::Begin(Matter matter, absl::Time since) {
  const std::string key = matter.key;
  const auto [it, is_new] = waiting_.try_emplace(key, Waiting{matter, since, since + kFirstCallPatience});
  if (!is_new && it->second.matter.alert_id.empty()) it->second.matter.alert_id = std::move(matter.alert_id);
}

std::vector<BreakGlassWatch::Round> BreakGlassWatch::Due(absl::Time now) {
  // A clock that was set back must not keep anybody waiting.
  for (auto& [key, waiting] : waiting_) {
    if (waiting.ring_time <= now + every_ + kFirstCallPatience) continue;
    waiting.ring_time = now;
    waiting.since = now - kFirstCallPatience;
  }
  std::map<std::string, std::vector<Waiting*>> by_school;
  for (auto& [key, waiting] : waiting_) {
    if (waiting.ring_time <= now) by_school[waiting.matter.school];
  }
  for (auto& [key, waiting] : waiting_) {
    const auto school = by_school.find(waiting.matter.school);
    if (school != by_school.end() && waiting.since + kFirstCallPatience <= now) school->second.push_back(&waiting);
  }
  std::vector<Round> rounds;
  for (auto& [school, matters] : by_school) {
    std::stable_sort(matters.begin(), matters.end(), [](const Waiting* a, const Waiting* b) { return a->since < b->since; });
    Round round{.school = school, .matters = {}};
    for (Waiting* waiting : matters) {
      waiting->ring_time = now + every_;
      round.matters.push_back(waiting->matter);
    }
    if (!round.matters.empty()) rounds.push_back(std::move(round));
  }
  return rounds;
}

void BreakGlassWatch::AgainSoon(const std::vector<Matter>& matters, absl::Time now) {
  for (const Matter& matter : matters) {
    const auto it = waiting_.find(matter.key);
    if (it != waiting_.end()) it->second.ring_time = std::min(it->second.ring_time, now + kRingAgainAfterNobody);
  }
}

std::vector<std::string> BreakGlassWatch::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, waiting] : waiting_) keys.push_back(key);
  return keys;
}

}  // namespace vigil::intake
