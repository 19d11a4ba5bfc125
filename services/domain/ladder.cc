#include "domain/ladder.h"

#include <algorithm>

#include "domain/on_call.h"
#include "domain/planted.h"
#include "domain/school_time.h"

namespace vigil::domain {
namespace {

// Every call of the present step has ended without reaching its person.
bool EverybodyFailed(const AlertState& alert, std::size_t people) {
  std::vector<std::string> failed;
  for (const AttemptState& attempt : alert.attempts) {
    if (attempt.step != alert.step || attempt.round != alert.round || attempt.channel != "call") continue;
    if (attempt.event != AttemptEventState::kNotReached && attempt.event != AttemptEventState::kDeclined) return false;
    if (std::find(failed.begin(), failed.end(), attempt.person) == failed.end()) failed.push_back(attempt.person);
  }
  return people > 0 && failed.size() >= people;
}

// A notice that no provider carries is given up after this: the clock that it speaks of goes on.
constexpr absl::Duration kLongestNotice = absl::Minutes(15);

enum class Sent : std::uint8_t { kNotYet, kInVain, kAll };

// How far the messages of the present step have come.
Sent SentSoFar(const AlertState& alert, const std::vector<std::string>& people) {
  Sent sent = Sent::kAll;
  for (const std::string& person : people) {
    bool under_way = false;
    bool in_vain = false;
    for (const AttemptState& attempt : alert.attempts) {
      if (attempt.step != alert.step || attempt.round != alert.round || attempt.person != person) continue;
      in_vain = in_vain || attempt.event == AttemptEventState::kNotReached || attempt.event == AttemptEventState::kDeclined;
      under_way = under_way || attempt.event == AttemptEventState::kUnderWay || attempt.event == AttemptEventState::kReached;
    }
    if (!under_way && !in_vain) return Sent::kNotYet;
    if (!under_way) sent = Sent::kInVain;
  }
  return sent;
}

}  // namespace

std::optional<Climb> NextClimb(const Pack& pack, const SchoolState& school, const FileState& file, const AlertState& alert,
                               absl::Time now) {
  const LadderRow* ladder = pack.FindLadder(alert.ladder);
  if (alert.phase != AlertPhase::kOpen || ladder == nullptr || ladder->steps.empty()) return std::nullopt;
  const int steps = static_cast<int>(ladder->steps.size());
  const auto people = [&](int step) {
    return ResolveStep(pack, school, file, alert, ladder->steps[static_cast<std::size_t>(step)], now).reachable;
  };
  const auto reachable = [&](int step) { return people(step).size(); };
  // A ladder that keeps quiet at night starts counting in the morning.
  absl::Time step_began = alert.step_time;
  if (ladder->quiet_at_night) step_began = NextMorning(step_began, pack.night_from, pack.night_to);

  const std::size_t here = reachable(alert.step);
  int next = alert.step + 1;
  while (next < steps && reachable(next) == 0) ++next;

  Climb climb{.not_before = step_began, .event = {.alert_id = alert.alert_id}};
  if (next < steps) {
    climb.event.step = next;
    climb.event.round = alert.round;
    climb.event.reason = here == 0 ? "nobody_reachable" : "unanswered";
    const bool at_once = here == 0 || EverybodyFailed(alert, here);
    climb.not_before += at_once ? absl::ZeroDuration() : ladder->steps[static_cast<std::size_t>(alert.step)].wait;
    return climb;
  }
  // The round is over.
  const bool nobody = here == 0 && !alert.reachable_in_round;
  if (!ladder->endless || Planted("ladder-ends")) {
    climb.event.step = alert.step;
    climb.event.round = alert.round;
    climb.event.ended = true;
    climb.event.reason = nobody ? "nobody_reachable" : "unanswered";
    climb.event.alarm = nobody;
    if (here > 0) {
      climb.not_before += ladder->steps[static_cast<std::size_t>(alert.step)].wait;
      // What ends a notice is that it has gone out; ended before, it never would.
      const Sent sent = SentSoFar(alert, people(alert.step));
      if (sent == Sent::kNotYet) return std::nullopt;
      if (sent == Sent::kInVain) climb.not_before = std::max(climb.not_before, step_began + kLongestNotice);
    }
    return climb;
  }
  int first = 0;
  while (first < steps && reachable(first) == 0) ++first;
  climb.event.step = first < steps ? first : 0;
  climb.event.round = alert.round + 1;
  climb.event.alarm = nobody;
  climb.event.reason = nobody ? "nobody_reachable" : "unanswered";
  const absl::Duration own_wait = ladder->steps[static_cast<std::size_t>(alert.step)].wait;
  climb.not_before += here > 0 ? own_wait : ladder->empty_round_wait;
  // Somebody was put on the roster meanwhile: no reason to wait.
  if (here == 0 && first < steps && !alert.reachable_in_round) climb.not_before = step_began;
  return climb;
}

}  // namespace vigil::domain
