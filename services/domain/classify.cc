#include "domain/classify.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "domain/file.h"

namespace vigil::domain {
namespace {

bool Contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool OnFile(const FileState* file, std::string_view shown) {
  return file != nullptr && std::any_of(file->indicators.begin(), file->indicators.end(), [&](const IndicatorSeen& seen) { return seen.indicator == shown; });
}

struct Evaluation {
  // Which indicators a condition sees. An unconfirmed one counts beside others, never by itself: a rule fires if it holds on those that
  // count, or holds on all but not on the unconfirmed alone.
  enum class Sees : std::uint8_t { kThoseThatCount, kAll, kUnconfirmedOnly };

  const Pack& pack;
  const ReportFacts& report;
  const FileState* file;
  Sees sees = Sees::kThoseThatCount;

  bool IsSeen(std::string_view indicator) const { return sees == Sees::kAll || Counts(pack, file, indicator) == (sees == Sees::kThoseThatCount); }

  bool Has(const std::string& indicator) const { return Contains(report.indicators, indicator) && IsSeen(indicator); }

  bool FileHas(const std::string& indicator) const {
    if (Has(indicator)) return true;
    return IsSeen(indicator) && (OnFile(file, indicator) || OnFile(file, Unconfirmed(indicator)));
  }

  int SignalGroupsWithin(absl::Duration span, std::vector<std::string>& facts) const {
    std::set<std::string> groups;
    const auto add = [&](const std::string& indicator) {
      const auto row = pack.indicators.find(indicator);
      if (row != pack.indicators.end() && row->second.kind == IndicatorRow::Kind::kSignal && !row->second.group.empty() && IsSeen(indicator) &&
          groups.insert(row->second.group).second) {
        facts.push_back(indicator);
      }
    };
    for (const std::string& indicator : report.indicators) add(indicator);
    if (file != nullptr) {
      for (const IndicatorSeen& seen : file->indicators) {
        if (report.recorded_time - seen.seen_time <= span) add(seen.indicator);
      }
    }
    return static_cast<int>(groups.size());
  }

  int ReportersWithin(absl::Duration span) const {
    std::set<std::string> reporters{report.reporter};
    if (file != nullptr && HasOpenCase(*file)) {
      for (const ReportState& other : file->current->reports) {
        if (report.recorded_time - other.recorded_time <= span) reporters.insert(other.reporter);
      }
    }
    reporters.erase("");
    return static_cast<int>(reporters.size());
  }

  bool Holds(const Condition& condition, std::vector<std::string>& facts) const {
    using Kind = Condition::Kind;
    const auto note = [&](bool holds, std::string fact) {
      if (holds) facts.push_back(std::move(fact));
      return holds;
    };
    switch (condition.kind) {
      case Kind::kAlways:
        return true;
      case Kind::kHas:
        return note(Has(condition.argument), condition.argument);
      case Kind::kHasAny:
        return std::any_of(condition.arguments.begin(), condition.arguments.end(),
                           [&](const std::string& id) { return note(Has(id), id); });
      case Kind::kFileHas:
        return note(FileHas(condition.argument), "file:" + condition.argument);
      case Kind::kFileHasAny:
        return std::any_of(condition.arguments.begin(), condition.arguments.end(),
                           [&](const std::string& id) { return note(FileHas(id), "file:" + id); });
      case Kind::kGroupsWithin:
        return SignalGroupsWithin(condition.span, facts) >= condition.count;
      case Kind::kDeteriorating:
        return note(report.deteriorating, "deteriorating");
      case Kind::kClaimedAtLeast:
        return note(!report.claimed_level.empty() && pack.Rank(report.claimed_level) >= pack.Rank(condition.argument),
                    "claimed=" + report.claimed_level);
      case Kind::kLevelAtLeast:
        return note(EffectiveRank(pack, file) >= pack.Rank(condition.argument), "level=" + pack.Level(EffectiveRank(pack, file)).id);
      case Kind::kLastLevelIs:
        return note(EffectiveRank(pack, file) == pack.Rank(condition.argument), "level=" + condition.argument);
      case Kind::kReturned:
        return note(file != nullptr && file->returned, "returned");
      case Kind::kReportersWithin:
        return note(ReportersWithin(condition.span) >= condition.count, "reporters=" + std::to_string(condition.count));
      case Kind::kAnyIndicator:
        // Whatever was noticed: where any of them is enough, it is the circumstance that counts (a child who came back).
        return note(!report.indicators.empty(), "indicators=" + std::to_string(report.indicators.size()));
      case Kind::kAll:
        return std::all_of(condition.children.begin(), condition.children.end(),
                           [&](const Condition& child) { return Holds(child, facts); });
      case Kind::kAny:
        return std::any_of(condition.children.begin(), condition.children.end(),
                           [&](const Condition& child) { return Holds(child, facts); });
      case Kind::kNot: {
        std::vector<std::string> unused;
        return !Holds(condition.children.front(), unused);
      }
    }
    return false;
  }

  // Holds, of the indicators that may count here.
  bool Fires(const Condition& condition, std::vector<std::string>& facts) const {
    if (Holds(condition, facts)) return true;
    if (!AnyUnconfirmed()) return false;
    facts.clear();
    std::vector<std::string> unused;
    return Evaluation{pack, report, file, Sees::kAll}.Holds(condition, facts) && !Evaluation{pack, report, file, Sees::kUnconfirmedOnly}.Holds(condition, unused);
  }

  bool AnyUnconfirmed() const {
    const auto unconfirmed = [&](const std::string& id) { return !Counts(pack, file, id); };
    return std::any_of(report.indicators.begin(), report.indicators.end(), unconfirmed) ||
           (file != nullptr && std::any_of(file->indicators.begin(), file->indicators.end(),
                                           [](const IndicatorSeen& seen) { return seen.indicator.ends_with(kUnconfirmedMark); }));
  }
};

}  // namespace

bool Counts(const Pack& pack, const FileState* file, std::string_view indicator) {
  const auto row = pack.indicators.find(std::string(indicator));
  return row == pack.indicators.end() || row->second.counts_once.empty() || OnFile(file, indicator);
}

std::string ShownIndicator(const Pack& pack, const FileState& file, const std::string& indicator) {
  return Counts(pack, &file, indicator) ? indicator : Unconfirmed(indicator);
}

ReportFacts FactsOf(const ReportReceived& received, absl::Time recorded_time) {
  return {.indicators = received.indicators,
          .claimed_level = received.claimed_level,
          .deteriorating = received.deteriorating,
          .reporter = received.reporter,
          .recorded_time = recorded_time};
}

ReportFacts FactsOf(const ReportState& report) {
  return {.indicators = report.indicators,
          .claimed_level = report.claimed_level,
          .deteriorating = report.deteriorating,
          .reporter = report.reporter,
          .recorded_time = report.recorded_time};
}

Classified ClassifiedEvent(const Pack& pack, const std::string& report_id, const ReportFacts& report, Classification found, const FileState* file) {
  const bool trigger = IsTrigger(pack, report, found.level, file);
  return {.report_id = report_id,
          .level = std::move(found.level),
          .fired = std::move(found.fired),
          .trigger = trigger,
          .starts = std::move(found.starts)};
}

int EffectiveRank(const Pack& pack, const FileState* file) {
  if (file == nullptr || !file->current || file->current->phase == CasePhase::kClosed) return 0;
  return std::max(pack.Rank(file->current->provisional), pack.Rank(file->current->final_level));
}

Classification Classify(const Pack& pack, const ReportFacts& report, const FileState* file) {
  Classification result;
  int best = -1;
  const Evaluation evaluation{pack, report, file};
  for (const RuleRow& rule : pack.rules) {
    std::vector<std::string> facts;
    if (!evaluation.Fires(rule.when, facts)) continue;
    result.fired.push_back({.rule = rule.id, .level = rule.propose, .facts = std::move(facts)});
    for (const std::string& clock : rule.starts) {
      if (!Contains(result.starts, clock)) result.starts.push_back(clock);
    }
    if (!rule.advice.empty() && !Contains(result.advice, rule.advice)) result.advice.push_back(rule.advice);
    if (!rule.propose.empty()) best = std::max(best, pack.Rank(rule.propose));
  }
  // A claim is a floor, whatever the rows say: any adult can always raise (NFR-12).
  if (!report.claimed_level.empty()) best = std::max(best, pack.Rank(report.claimed_level));
  if (best >= 0) result.level = pack.Level(best).id;
  return result;
}

Classification Classify(const Pack& of_case, const Pack& in_force, const ReportFacts& report, const FileState* file) {
  Classification result = Classify(of_case, report, file);
  if (&of_case == &in_force) return result;
  Classification newer = Classify(in_force, report, file);
  for (FiredRule& fired : newer.fired) {
    const bool fired_too = std::any_of(result.fired.begin(), result.fired.end(), [&](const FiredRule& other) { return other.rule == fired.rule; });
    if (!fired_too) result.fired.push_back(std::move(fired));
  }
  for (std::string& clock : newer.starts) {
    if (of_case.FindClock(clock) != nullptr && !Contains(result.starts, clock)) result.starts.push_back(std::move(clock));
  }
  for (std::string& advice : newer.advice) {
    if (!Contains(result.advice, advice)) result.advice.push_back(std::move(advice));
  }
  const int before = result.level.empty() ? -1 : of_case.Rank(result.level);
  if (!newer.level.empty() && of_case.Rank(newer.level) > before) result.level = newer.level;
  return result;
}

bool IsTrigger(const Pack& pack, const ReportFacts& report, const std::string& level, const FileState* file) {
  const int before = EffectiveRank(pack, file);
  const int after = std::max(before, level.empty() ? 0 : pack.Rank(level));
  const int supervised = pack.SupervisedRank();
  if (after < supervised) return false;
  if (after > before) return true;
  if (report.deteriorating) return true;
  // Already there: only a signal that the case does not have yet.
  return std::any_of(report.indicators.begin(), report.indicators.end(), [&](const std::string& id) {
    const auto row = pack.indicators.find(id);
    if (row == pack.indicators.end() || !row->second.deterioration) return false;
    // What an earlier case had counts as new in this one.
    return std::none_of(file->indicators.begin(), file->indicators.end(), [&](const IndicatorSeen& seen) {
      return seen.indicator == id && seen.seen_time >= file->current->opened_time;
    });
  });
}

}  // namespace vigil::domain
