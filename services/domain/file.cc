#include "domain/file.h"

#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"
#include "domain/classify.h"
#include "domain/duty.h"
#include "domain/fold.h"
#include "domain/planted.h"

namespace vigil::domain {

const AlertState* FindAlert(const FileState& file, std::string_view alert_id) {
  if (!file.current) return nullptr;
  for (const AlertState& alert : file.current->alerts) {
    if (alert.alert_id == alert_id) return &alert;
  }
  return nullptr;
}

const ClockState* FindClock(const FileState& file, std::string_view clock_id) {
  if (!file.current) return nullptr;
  for (const ClockState& clock : file.current->clocks) {
    if (clock.clock_id == clock_id) return &clock;
  }
  return nullptr;
}

std::string SpokenCode(std::string_view id) {
  std::string code;
  for (const char ch : id.substr(id.size() > 5 ? id.size() - 5 : 0)) {
    code.push_back(ch >= 'a' && ch <= 'z' ? static_cast<char>(ch - 'a' + 'A') : ch);
  }
  return code;
}

bool IsAway(const CaseState& c) { return c.phase == CasePhase::kHandedOver || c.phase == CasePhase::kOnLeave; }

bool HasOpenCase(const FileState& file) { return file.current && file.current->phase != CasePhase::kClosed; }

const LevelRow& EffectiveLevel(const Pack& pack, const FileState& file) { return pack.Level(EffectiveRank(pack, &file)); }

Applied Apply(FileState& file, const Commit& commit, const FoldContext& context) {
  Applied applied;
  applied.guard = Check(file, commit, context);
  if (!applied.guard.ok() && !(Planted("void-commits-take-effect") && file.current)) return applied;
  const Fold fold{file, commit, context, applied};
  for (const Event& event : commit.events) std::visit(fold, event.body);
  fold.WatchCover();
  ++file.version;
  return applied;
}

std::vector<Event> AlertsToRaise(const FileState& before, const Commit& draft, const FoldContext& context, const IdSource& ids) {
  FileState after = before;
  const Applied applied = Apply(after, draft, context);
  std::vector<Event> raised;
  if (!applied.guard.ok() || !after.current) return raised;
  const auto raise = [&](const std::string& ladder, const std::string& clock_id, int trigger) {
    if (ladder.empty()) return;
    raised.push_back(Event{AlertRaised{.alert_id = ids(absl::StrCat(ladder, "/", raised.size())), .ladder = ladder, .clock_id = clock_id, .trigger = trigger}});
  };
  if (applied.new_trigger > 0 && !Planted("trigger-raises-no-alert")) raise(EffectiveLevel(context.pack, after).ladder, "", applied.new_trigger);
  for (const Event& event : draft.events) {
    const auto of_clock = [&](const std::string& clock_id, std::string ClockRow::*ladder) {
      const ClockState* clock = FindClock(before, clock_id);
      const ClockRow* row = clock == nullptr ? nullptr : context.pack.FindClock(clock->kind);
      if (row != nullptr) raise(row->*ladder, clock_id, clock->trigger);
    };
    if (const auto* warned = std::get_if<ClockWarned>(&event.body)) of_clock(warned->clock_id, &ClockRow::warn_ladder);
    if (const auto* reviewed = std::get_if<ClockReviewed>(&event.body)) of_clock(reviewed->clock_id, &ClockRow::review_ladder);
    if (const auto* expired = std::get_if<ClockExpired>(&event.body); expired != nullptr && !Planted("expiry-rings-nobody")) of_clock(expired->clock_id, &ClockRow::expiry_ladder);
    if (const auto* late = std::get_if<DutyLate>(&event.body)) {
      const auto duty = context.pack.duties.find(late->duty);
      if (duty != context.pack.duties.end()) raise(duty->second.notice, DutyAlertCause(*late), 0);
    }
  }
  for (const auto& entry : context.pack.ladders) {
    const std::string& id = entry.first;
    const LadderRow& ladder = entry.second;
    for (const FactDetail& fact : applied.facts) {
      if (!Matches(ladder.raised_on, fact)) continue;
      // One open alert of a kind is enough: it climbs until somebody takes it.
      const bool open = std::any_of(after.current->alerts.begin(), after.current->alerts.end(), [&](const AlertState& alert) {
        return alert.ladder == id && alert.phase == AlertPhase::kOpen;
      });
      const bool raised_now = std::any_of(raised.begin(), raised.end(), [&](const Event& event) { return std::get<AlertRaised>(event.body).ladder == id; });
      if (!open && !raised_now) raise(id, "", fact.trigger);
      break;
    }
  }
  return raised;
}

}  // namespace vigil::domain
