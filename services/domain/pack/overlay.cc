#include "domain/pack/overlay.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace vigil::domain {
namespace {

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

// Everything of `wanted` is in `list`.
bool HoldsAll(const std::vector<std::string>& list, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& value) { return Contains(list, value); });
}

bool HoldsAll(const std::vector<FactPattern>& list, const std::vector<FactPattern>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const FactPattern& value) {
    return std::any_of(list.begin(), list.end(), [&](const FactPattern& other) { return other.fact == value.fact && other.argument == value.argument; });
  });
}

// Whether the span has become longer, or has become "never".
bool IsLonger(const std::optional<absl::Duration>& before, const std::optional<absl::Duration>& after) {
  if (!before) return false;
  return !after || *after > *before;
}

bool RunsLonger(const ClockRow& before, const ClockRow& after) {
  if (IsLonger(before.due_after, after.due_after) || IsLonger(before.due_at, after.due_at) || IsLonger(before.due_after_night, after.due_after_night)) return true;
  if (before.due_school_days > 0 && (after.due_school_days == 0 || after.due_school_days > before.due_school_days)) return true;
  for (const auto& [level, span] : before.due_after_level) {
    const auto it = after.due_after_level.find(level);
    if (it == after.due_after_level.end() ? IsLonger(span, after.due_after) : it->second > span) return true;
  }
  for (const auto& [level, span] : after.due_after_level) {
    if (!before.due_after_level.contains(level) && IsLonger(before.due_after, span)) return true;
  }
  return (before.before_dismissal && !after.before_dismissal) || IsLonger(before.review_every, after.review_every) ||
         IsLonger(before.repeat_every, after.repeat_every);
}

std::string Reads(const ClockRow& before, const ClockRow& after) {
  if (RunsLonger(before, after)) return "runs longer";
  if (after.from != before.from) return "counts from another instant";
  if (!HoldsAll(before.met_by, after.met_by)) return "can be met in another way";
  if (!HoldsAll(before.cancelled_by, after.cancelled_by)) return "can be cancelled in another way";
  if (!HoldsAll(after.starts_on, before.starts_on)) return "does not start on all that started it";
  for (const absl::Duration warning : before.warn_before) {
    if (std::find(after.warn_before.begin(), after.warn_before.end(), warning) == after.warn_before.end()) return "warns less often";
  }
  if (after.expiry_ladder != before.expiry_ladder && !before.expiry_ladder.empty()) return "tells others when it expires";
  if (after.expiry_proposes != before.expiry_proposes || (before.expiry_opens_gap && !after.expiry_opens_gap) ||
      (before.expiry_reopens_alert && !after.expiry_reopens_alert)) {
    return "does less when it expires";
  }
  if ((after.warn_ladder != before.warn_ladder && !before.warn_ladder.empty()) || (after.review_ladder != before.review_ladder && !before.review_ladder.empty())) {
    return "warns others";
  }
  if (!before.warn_quiet_at_night && after.warn_quiet_at_night) return "warns less often";
  if (after.expiry_adds != before.expiry_adds && !before.expiry_adds.empty()) return "does less when it expires";
  if (after.one_per != before.one_per || (before.repeats_daily && !after.repeats_daily) || (!before.only_supervised && after.only_supervised)) return "runs less often";
  return "";
}

std::string Reads(const LadderRow& before, const LadderRow& after) {
  if ((before.endless && !after.endless) || (before.takeable && !after.takeable) || (before.bridges && !after.bridges)) return "gives up what it did";
  if (!before.quiet_at_night && after.quiet_at_night) return "is quiet at night";
  if (after.priority < before.priority) return "is less urgent";
  if (after.steps.size() < before.steps.size()) return "has fewer steps";
  for (std::size_t i = 0; i < before.steps.size(); ++i) {
    if (!HoldsAll(after.steps[i].ring, before.steps[i].ring)) return "rings fewer people";
    if ((before.steps[i].call && !after.steps[i].call) || (before.steps[i].sms && !after.steps[i].sms)) return "reaches them in fewer ways";
    if (after.steps[i].wait > before.steps[i].wait) return "waits longer";
  }
  if (after.empty_round_wait > before.empty_round_wait) return "waits longer";
  if (after.emergency != before.emergency) return "is for another need";
  if (!HoldsAll(after.raised_on, before.raised_on)) return "is raised on less";
  if (!HoldsAll(before.closed_by, after.closed_by)) return "is closed by more";
  return "";
}

std::string Reads(const CustodyRow& before, const CustodyRow& after) {
  if (after.longest_shift > before.longest_shift || after.longest_night_shift > before.longest_night_shift) return "allows longer shifts";
  if (after.check_in_every > before.check_in_every) return "asks for the child less often";
  for (const auto& [wanted, given] : {std::pair(&before.cover, &after.cover), std::pair(&before.night_cover, &after.night_cover)}) {
    for (const CustodyRow::Cover& cover : *wanted) {
      const bool held = std::any_of(given->begin(), given->end(), [&](const CustodyRow::Cover& other) { return other.role == cover.role && other.count >= cover.count; });
      if (!held) return "asks for fewer adults";
    }
  }
  return "";
}

std::string Reads(const LevelRow& before, const LevelRow& after) {
  if (after.rank != before.rank) return "has another rank";
  if (!HoldsAll(after.starts, before.starts) || !HoldsAll(after.final_starts, before.final_starts)) return "starts fewer clocks";
  if ((before.supervised && !after.supervised) || (before.lowered_face_to_face && !after.lowered_face_to_face)) return "asks for less";
  if (after.ladder != before.ladder && !before.ladder.empty()) return "rings another ladder";
  if (after.custody != before.custody && !before.custody.empty()) return "has another custody";
  return "";
}

std::string Reads(const IndicatorRow& before, const IndicatorRow& after) {
  if (after.kind != before.kind || after.group != before.group) return "is of another kind";
  if (!HoldsAll(after.text_cues, before.text_cues)) return "has fewer text cues";
  if (before.deterioration && !after.deterioration) return "is no deterioration any more";
  if (after.counts_once != before.counts_once) return "is confirmed in another way";
  if (!before.read_by.empty() && (after.read_by.empty() || !HoldsAll(before.read_by, after.read_by))) return "is shown to more";
  return "";
}

std::string Reads(const RecordRow& before, const RecordRow& after) {
  for (const FieldRow& field : before.fields) {
    const FieldRow* now = after.FindField(field.id);
    if (now == nullptr) return absl::StrCat("has no field ", field.id);
    if (now->type != field.type || (field.required && !now->required) || now->required_if != field.required_if) return absl::StrCat("asks less of the field ", field.id);
    if (field.sealed && !now->sealed) return absl::StrCat("leaves the field ", field.id, " unsealed");
    if (!HoldsAll(field.choices, now->choices)) return absl::StrCat("has further choices in ", field.id);
    if (field.within && (!now->within || *now->within > *field.within)) return absl::StrCat("lets ", field.id, " lie further away");
  }
  if (!HoldsAll(before.read_by, after.read_by)) return "is read by more";
  if (!HoldsAll(after.needs, before.needs)) return "needs less";
  if (!HoldsAll(before.excused_roles, after.excused_roles)) return "is excused by more";
  if (before.is_signed && (!after.is_signed || after.is_signed->at_least < before.is_signed->at_least || !HoldsAll(before.is_signed->roles, after.is_signed->roles))) {
    return "needs fewer or other signatures";
  }
  if (before.roster && (!after.roster || after.roster->at_least < before.roster->at_least || after.roster->adults_at_least < before.roster->adults_at_least)) {
    return "names a smaller group";
  }
  if (before.acknowledged_by != after.acknowledged_by && !before.acknowledged_by.empty()) return "is acknowledged by another";
  if (before.reports && !after.reports) return "reports no more";
  return "";
}

std::string Reads(const DutyRow& before, const DutyRow& after) {
  if (after.every != before.every || after.scope != before.scope || after.record != before.record) return "is owed in another way";
  if (before.due_weekday > 0 && (after.due_weekday == 0 || after.due_weekday > before.due_weekday)) return "is due later";
  if (after.due_time > before.due_time || IsLonger(before.due_after, after.due_after)) return "is due later";
  if (before.due_before_end && (!after.due_before_end || *after.due_before_end < *before.due_before_end)) return "is due later";
  if (!HoldsAll(after.owner, before.owner)) return "is owed by others";
  if (after.late.size() < before.late.size()) return "is told of less";
  for (std::size_t i = 0; i < before.late.size(); ++i) {
    if (after.late[i].after > before.late[i].after) return "is told of later";
    if (!HoldsAll(after.late[i].tell, before.late[i].tell)) return "is told to fewer";
  }
  if (before.accounts && !after.accounts) return "accounts for nobody";
  if (before.acknowledged_by != after.acknowledged_by && !before.acknowledged_by.empty()) return "is acknowledged by another";
  return "";
}

std::string Reads(const RoleRow& before, const RoleRow& after) {
  if (after.scope != before.scope || after.security != before.security || after.staff != before.staff) return "is of another kind";
  return HoldsAll(before.may, after.may) ? "" : "may do more";
}

std::string Reads(const ScheduleRow& before, const ScheduleRow& after) { return before.fallback_role == after.fallback_role ? "" : "falls back on others"; }

// Whose rows are compared: those of the documents, or all.
enum class Whose : std::uint8_t { kDocuments, kEverybody };

template <typename Rows>
void Compare(const char* section, const Rows& before, const Rows& after, Whose whose, std::vector<Loosening>& found) {
  for (const auto& [id, row] : before) {
    if (whose == Whose::kDocuments && row.basis != Basis::kProtocol) continue;
    const auto it = after.find(id);
    if (it == after.end()) {
      found.push_back({section, id, "is gone"});
    } else if (row.basis == Basis::kProtocol && it->second.basis != Basis::kProtocol) {
      found.push_back({section, id, "is said to be the school's own"});
    } else if (std::string why = Reads(row, it->second); !why.empty()) {
      found.push_back({section, id, std::move(why)});
    }
  }
}

std::map<std::string, LevelRow> ById(const std::vector<LevelRow>& levels) {
  std::map<std::string, LevelRow> rows;
  for (const LevelRow& level : levels) rows.emplace(level.id, level);
  return rows;
}

std::string Compact(const YAML::Node& node) {
  YAML::Emitter out;
  out << YAML::Flow << node;
  return out.c_str();
}

// What differs between two rows, by key.
std::vector<std::string> ChangedKeys(const std::string& before, const std::string& after) {
  std::vector<std::string> changes;
  const YAML::Node a = YAML::Load(before);
  const YAML::Node b = YAML::Load(after);
  std::set<std::string> keys;
  for (const YAML::Node& node : {a, b}) {
    for (const auto& entry : node) keys.insert(entry.first.Scalar());
  }
  for (const std::string& key : keys) {
    const std::string was = a[key] ? Compact(a[key]) : "(nothing)";
    const std::string is = b[key] ? Compact(b[key]) : "(nothing)";
    if (was != is) changes.push_back(absl::StrCat(key, ": ", was, " -> ", is));
  }
  return changes;
}

}  // namespace

namespace {

constexpr char kDocuments[] = "documents";

std::string WrittenKey(const Pack& pack, const char* section, const std::string& id, const char* key) {
  const auto written = pack.written.find({section, id});
  return written == pack.written.end() ? std::string() : Compact(YAML::Load(written->second)[key]);
}

std::vector<Loosening> Compare(const Pack& base, const Pack& resolved, Whose whose) {
  std::vector<Loosening> found;
  Compare("indicators", base.indicators, resolved.indicators, whose, found);
  Compare("levels", ById(base.levels), ById(resolved.levels), whose, found);
  Compare("clocks", base.clocks, resolved.clocks, whose, found);
  Compare("ladders", base.ladders, resolved.ladders, whose, found);
  Compare("custody", base.custody, resolved.custody, whose, found);
  Compare("records", base.records, resolved.records, whose, found);
  Compare("duties", base.duties, resolved.duties, whose, found);
  Compare("roles", base.roles, resolved.roles, whose, found);
  Compare("schedules", base.schedules, resolved.schedules, whose, found);
  for (const RuleRow& rule : base.rules) {
    if (whose == Whose::kDocuments && rule.basis != Basis::kProtocol) continue;
    const auto it = std::find_if(resolved.rules.begin(), resolved.rules.end(), [&](const RuleRow& other) { return other.id == rule.id; });
    if (it == resolved.rules.end()) {
      found.push_back({"rules", rule.id, "is gone"});
    } else if (rule.basis == Basis::kProtocol && it->basis != Basis::kProtocol) {
      found.push_back({"rules", rule.id, "is said to be the school's own"});
    } else if (resolved.Rank(it->propose) < base.Rank(rule.propose)) {
      found.push_back({"rules", rule.id, "proposes a lower level"});
    } else if (!HoldsAll(it->starts, rule.starts)) {
      found.push_back({"rules", rule.id, "starts fewer clocks"});
    } else if (WrittenKey(base, "rules", rule.id, "when") != WrittenKey(resolved, "rules", rule.id, "when")) {
      found.push_back({"rules", rule.id, "has another condition; add a rule of your own beside it"});
    }
  }
  return found;
}

}  // namespace

std::vector<Loosening> FindLoosened(const Pack& base, const Pack& resolved) { return Compare(base, resolved, Whose::kDocuments); }

std::vector<std::string> AsksLess(const Pack& in_force, const Pack& proposed) {
  std::vector<Loosening> found = Compare(in_force, proposed, Whose::kEverybody);
  // What is not rows of the five mechanisms can only be the same or another.
  for (const auto& [which, text] : in_force.written) {
    const auto& [section, id] = which;
    if (section != "texts" && section != "instruments") continue;
    const auto now = proposed.written.find(which);
    if (now == proposed.written.end() || (now->second != text && !ChangedKeys(text, now->second).empty())) found.push_back({section, id, "says something else"});
  }
  // What is printed, and whether a guardian may have a copy, is told to others: also where it is new.
  for (const auto& [which, text] : proposed.written) {
    if (which.first != kDocuments) continue;
    const auto before = in_force.written.find(which);
    if (before == in_force.written.end() || (before->second != text && !ChangedKeys(before->second, text).empty())) {
      found.push_back({which.first, which.second, "gives out something else"});
    }
  }
  for (const auto& [id, ladder] : in_force.ladders) {
    const LadderRow* now = proposed.FindLadder(id);
    if (now != nullptr && (now->call_text != ladder.call_text || now->sms_text != ladder.sms_text)) found.push_back({"ladders", id, "says something else"});
  }
  for (const auto& [id, role] : proposed.roles) {
    if (!in_force.roles.contains(id) && !role.may.empty()) found.push_back({"roles", id, "is a new role with permissions"});
  }
  std::vector<std::string> lines;
  for (const Loosening& loosening : found) lines.push_back(absl::StrCat(loosening.section, " ", loosening.id, ": ", loosening.why));
  return lines;
}

std::vector<std::string> LengthenedClocks(const Pack& before, const Pack& after) {
  std::vector<std::string> longer;
  for (const auto& [id, row] : before.clocks) {
    const auto it = after.clocks.find(id);
    if (it == after.clocks.end() || RunsLonger(row, it->second)) longer.push_back(id);
  }
  return longer;
}

const char* NameOf(PackChange::What what) {
  switch (what) {
    case PackChange::What::kAdded:
      return "added";
    case PackChange::What::kRemoved:
      return "removed";
    case PackChange::What::kChanged:
      return "changed";
  }
  return "";
}

std::vector<PackChange> DiffPacks(const Pack& before, const Pack& after) {
  std::vector<PackChange> changes;
  for (const auto& [which, text] : before.written) {
    const auto now = after.written.find(which);
    if (now == after.written.end()) {
      changes.push_back({which.first, which.second, PackChange::What::kRemoved, {}});
    } else if (now->second != text) {
      std::vector<std::string> keys = ChangedKeys(text, now->second);
      if (!keys.empty()) changes.push_back({which.first, which.second, PackChange::What::kChanged, std::move(keys)});
    }
  }
  for (const auto& [which, text] : after.written) {
    if (!before.written.contains(which)) changes.push_back({which.first, which.second, PackChange::What::kAdded, {}});
  }
  std::sort(changes.begin(), changes.end(), [](const PackChange& a, const PackChange& b) { return std::tie(a.section, a.id) < std::tie(b.section, b.id); });
  return changes;
}

}  // namespace vigil::domain
