#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "domain/pack/draft.h"
#include "domain/pack/permissions.h"

namespace vigil::domain {
namespace {

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kIndicator: return "indicator";
    case Kind::kLevel: return "level";
    case Kind::kClock: return "clock";
    case Kind::kLadder: return "ladder";
    case Kind::kCustody: return "custody row";
    case Kind::kRecord: return "record";
    case Kind::kRole: return "role";
    case Kind::kSchedule: return "schedule";
    case Kind::kText: return "text";
  }
  return "row";
}

Place RowPlace(const Draft& draft, Kind kind, const std::string& id) {
  const auto found = draft.rows.find({kind, id});
  return found == draft.rows.end() ? Place{"pack", 0} : found->second;
}

void CheckReferences(const Draft& draft, Problems& problems) {
  for (const Reference& reference : draft.references) {
    if (draft.rows.count({reference.kind, reference.id}) != 0) continue;
    const std::string_view kind = KindName(reference.kind);
    problems.Add(reference.place,
                 absl::StrCat(reference.what, ": there is no ", std::string(kind), " '", reference.id, "'"));
  }
}

void CheckLevels(const Draft& draft, Problems& problems) {
  const std::vector<LevelRow>& levels = draft.pack.levels;
  for (std::size_t index = 0; index < levels.size(); ++index) {
    const LevelRow& level = levels[index];
    const Place place = RowPlace(draft, Kind::kLevel, level.id);
    if (level.rank != static_cast<int>(index)) {
      problems.Add(place, absl::StrCat("level ", level.id, ": rank ", level.rank,
                                       " leaves a hole or stands twice; ranks count 0, 1, 2, ... from the lowest"));
    }
    if (index > 0 && levels[index - 1].supervised && !level.supervised) {
      problems.Add(place, absl::StrCat("level ", level.id, ": stands above a supervised level and must be supervised too"));
    }
    if (!level.supervised) continue;
    if (level.ladder.empty()) problems.Add(place, absl::StrCat("level ", level.id, ": is supervised and rings nobody; give it 'alerts'"));
    if (level.custody.empty()) problems.Add(place, absl::StrCat("level ", level.id, ": is supervised and has no 'custody'"));
  }
  if (levels.empty()) problems.Add({"pack", 0}, "there are no levels");
}

// Ladders of supervised levels, and those that claim to be as urgent, ring without end and at night.
void CheckSevereLadders(const Draft& draft, Problems& problems) {
  std::set<std::string> severe;
  std::optional<int> priority;
  for (const LevelRow& level : draft.pack.levels) {
    if (!level.supervised) continue;
    const LadderRow* ladder = draft.pack.FindLadder(level.ladder);
    if (ladder == nullptr) continue;
    severe.insert(ladder->id);
    priority = std::min(priority.value_or(ladder->priority), ladder->priority);
  }
  for (const auto& [id, ladder] : draft.pack.ladders) {
    if (severe.count(id) == 0 && (!priority || ladder.priority < *priority)) continue;
    const Place place = RowPlace(draft, Kind::kLadder, id);
    const std::string who = absl::StrCat("ladder ", id, ": rings for a severe case");
    if (!ladder.endless) problems.Add(place, absl::StrCat(who, " and has an end; write 'then: again'"));
    if (ladder.quiet_at_night) problems.Add(place, absl::StrCat(who, " and is quiet at night"));
    if (!ladder.takeable) problems.Add(place, absl::StrCat(who, " and nobody can take it; write 'takeable: true'"));
    if (std::none_of(ladder.steps.begin(), ladder.steps.end(), [](const LadderStep& step) { return step.call; })) {
      problems.Add(place, absl::StrCat(who, " and has no step that calls"));
    }
  }
}

bool StartsOn(const ClockRow& clock, Fact fact) {
  return std::any_of(clock.starts_on.begin(), clock.starts_on.end(), [&](const FactPattern& start) { return start.fact == fact; });
}

// The clocks that the expiry of `clock` starts with nobody doing anything.
std::vector<std::string> StartedByExpiry(const Pack& pack, const ClockRow& clock) {
  std::vector<std::string> started;
  const auto add_all_on = [&](Fact fact) {
    for (const auto& [id, other] : pack.clocks) {
      if (StartsOn(other, fact)) started.push_back(id);
    }
  };
  if (clock.expiry_opens_gap) add_all_on(Fact::kGapOpened);
  for (const LevelRow& level : pack.levels) {
    if (level.id != clock.expiry_proposes) continue;
    started.insert(started.end(), level.starts.begin(), level.starts.end());
    if (level.supervised) add_all_on(Fact::kSupervisionStarted);
  }
  return started;
}

void CheckCycles(const Draft& draft, Problems& problems) {
  const Pack& pack = draft.pack;
  std::set<std::string> done;
  std::vector<std::string> path;
  const std::function<void(const std::string&)> visit = [&](const std::string& id) {
    const auto on_path = std::find(path.begin(), path.end(), id);
    if (on_path != path.end()) {
      const std::vector<std::string> cycle(on_path, path.end());
      problems.Add(RowPlace(draft, Kind::kClock, id),
                   absl::StrCat("clock ", id, ": starts itself by expiring: ", absl::StrJoin(cycle, " -> "), " -> ", id));
      return;
    }
    const ClockRow* clock = pack.FindClock(id);
    if (clock == nullptr || !done.insert(id).second) return;
    path.push_back(id);
    for (const std::string& next : StartedByExpiry(pack, *clock)) visit(next);
    path.pop_back();
  };
  for (const auto& [id, clock] : pack.clocks) visit(id);
}

void CheckEveryClockStarts(const Draft& draft, Problems& problems) {
  std::set<std::string> started;
  for (const LevelRow& level : draft.pack.levels) {
    started.insert(level.starts.begin(), level.starts.end());
    started.insert(level.final_starts.begin(), level.final_starts.end());
  }
  for (const RuleRow& rule : draft.pack.rules) started.insert(rule.starts.begin(), rule.starts.end());
  for (const auto& [id, clock] : draft.pack.clocks) {
    if (!clock.starts_on.empty() || started.count(id) != 0) continue;
    problems.Add(RowPlace(draft, Kind::kClock, id), absl::StrCat("clock ", id, ": no level, rule or fact starts it"));
  }
}

void CheckEveryLadderIsRaised(const Draft& draft, Problems& problems) {
  std::set<std::string> raised;
  for (const auto& [id, duty] : draft.pack.duties) raised.insert(duty.notice);
  for (const LevelRow& level : draft.pack.levels) raised.insert(level.ladder);
  for (const auto& [id, clock] : draft.pack.clocks) {
    raised.insert({clock.warn_ladder, clock.review_ladder, clock.expiry_ladder});
  }
  for (const auto& [id, ladder] : draft.pack.ladders) {
    if (ladder.emergency || !ladder.raised_on.empty() || raised.count(id) != 0) continue;
    problems.Add(RowPlace(draft, Kind::kLadder, id), absl::StrCat("ladder ", id, ": no level, clock or fact raises it"));
  }
}

// Break-glass rings one list, by telephone, again and again, and no alert climbs it.
void CheckEmergencyLadder(const Draft& draft, Problems& problems) {
  const LadderRow* first = nullptr;
  for (const auto& [id, ladder] : draft.pack.ladders) {
    if (!ladder.emergency) continue;
    const Place place = RowPlace(draft, Kind::kLadder, id);
    const std::string who = absl::StrCat("ladder ", id, ": is for an emergency of the system");
    if (first != nullptr) problems.Add(place, absl::StrCat(who, ", and so is ", first->id));
    first = &ladder;
    const bool calls = std::all_of(ladder.steps.begin(), ladder.steps.end(), [](const LadderStep& step) { return step.call; });
    if (!calls || !ladder.takeable || !ladder.endless) problems.Add(place, absl::StrCat(who, ": it calls, 'takeable: true', 'then: again'"));
    if (!ladder.raised_on.empty()) problems.Add(place, absl::StrCat(who, ", and a fact raises it"));
  }
}

// `record.said: kind.field=value`: the form has the field, and the field can have the value.
void CheckSaid(const Draft& draft, Problems& problems) {
  for (const Said& said : draft.said) {
    const std::size_t dot = said.argument.find('.');
    const std::size_t equals = said.argument.find('=');
    if (dot == std::string::npos || equals == std::string::npos || equals < dot) {
      problems.Add(said.place, absl::StrCat(said.what, ": is written record.said: plan.ended=true"));
      continue;
    }
    const std::string kind = said.argument.substr(0, dot);
    const std::string id = said.argument.substr(dot + 1, equals - dot - 1);
    const std::string value = said.argument.substr(equals + 1);
    const auto record = draft.pack.records.find(kind);
    const FieldRow* field = record == draft.pack.records.end() ? nullptr : record->second.FindField(id);
    if (field == nullptr) {
      problems.Add(said.place, absl::StrCat(said.what, ": there is no record '", kind, "' with a field '", id, "'"));
      continue;
    }
    const bool choice = field->type == FieldRow::Type::kChoice && std::find(field->choices.begin(), field->choices.end(), value) != field->choices.end();
    const bool boolean = field->type == FieldRow::Type::kBoolean && (value == "true" || value == "false");
    if (!choice && !boolean) problems.Add(said.place, absl::StrCat(said.what, ": the field '", id, "' cannot be '", value, "'"));
    if (field->sealed) problems.Add(said.place, absl::StrCat(said.what, ": the field '", id, "' is private and the engine cannot read it"));
  }
}

void CheckDuties(const Draft& draft, Problems& problems) {
  const auto field_of = [&](const std::string& kind, const std::string& id) -> const FieldRow* {
    const auto record = draft.pack.records.find(kind);
    return record == draft.pack.records.end() ? nullptr : record->second.FindField(id);
  };
  for (const auto& [id, duty] : draft.pack.duties) {
    const Place place = draft.duty_places.at(id);
    const auto wrong = [&, &id = id](std::string_view what) { problems.Add(place, absl::StrCat("duty ", id, ": ", std::string(what))); };
    const auto record = draft.pack.records.find(duty.record);
    if (record == draft.pack.records.end()) continue;
    using Attaches = RecordRow::Attaches;
    const Attaches wanted = duty.scope == DutyRow::Scope::kClass ? Attaches::kClass : Attaches::kSchool;
    if (record->second.attaches != wanted) wrong(absl::StrCat("its record '", duty.record, "' does not attach to what owes it"));
    const bool writes = std::any_of(duty.owner.begin(), duty.owner.end(), [&](const std::string& role) {
      return std::find(record->second.written_by.begin(), record->second.written_by.end(), role) != record->second.written_by.end();
    });
    if (!writes) wrong("who owes it may not write its record");
    if (!duty.record_field.empty()) {
      const FieldRow* field = field_of(duty.record, duty.record_field);
      if (field == nullptr || field->sealed || std::find(field->choices.begin(), field->choices.end(), duty.record_value) == field->choices.end()) {
        wrong(absl::StrCat("only: the record has no choice ", duty.record_field, "=", duty.record_value));
      }
    }
    if (duty.every == DutyRow::Every::kEvent) {
      const FieldRow* answers = field_of(duty.record, duty.answers);
      if (answers == nullptr || answers->type != FieldRow::Type::kRecord || answers->of != duty.event) {
        wrong("due: 'answers' names the field of its record that says which event it answers");
      }
      const FieldRow* due = duty.event_due.empty() ? nullptr : field_of(duty.event, duty.event_due);
      if (!duty.event_due.empty() && (due == nullptr || due->type != FieldRow::Type::kTime || due->sealed)) wrong("due: 'field' is a time of the event's record");
      const auto event = draft.pack.records.find(duty.event);
      if (event != draft.pack.records.end() && event->second.attaches == Attaches::kCase) wrong("the event is a record of the school; what follows in a case is a clock");
    }
    if (duty.accounts) {
      const auto by = draft.pack.records.find(duty.accounts->record);
      if (by == draft.pack.records.end()) continue;
      const FieldRow* people = duty.accounts->field.empty() ? nullptr : field_of(duty.accounts->record, duty.accounts->field);
      if (!duty.accounts->field.empty() && (people == nullptr || people->type != FieldRow::Type::kPeople || people->sealed)) {
        wrong("accounts_for: 'field' names people");
      }
      if (duty.accounts->field.empty() && by->second.attaches != Attaches::kStudent) wrong("accounts_for: 'by' is a record of one student, or says by which 'field'");
    }
    if (!duty.acknowledged_by.empty() && record->second.acknowledged_by != duty.acknowledged_by) wrong("its record is acknowledged by another role");
  }
}

void CheckRoles(const Draft& draft, Problems& problems) {
  for (const auto& [id, role] : draft.pack.roles) {
    if (!role.staff) continue;
    // ORG-09: whoever works at the school can report; PRV-06: and can stop contact with a household.
    for (const std::string_view permission : {kMayReport, kMayPlaceHold}) {
      if (std::find(role.may.begin(), role.may.end(), permission) != role.may.end()) continue;
      problems.Add(RowPlace(draft, Kind::kRole, id),
                   absl::StrCat("role ", id, ": staff must have the permission '", std::string(permission), "'"));
    }
  }
  const auto need_staff = [&](const std::string& target, const LadderRow& ladder) {
    const auto role = draft.pack.roles.find(target);
    if (role == draft.pack.roles.end() || role->second.staff) return;
    problems.Add(RowPlace(draft, Kind::kLadder, ladder.id),
                 absl::StrCat("ladder ", ladder.id, ": rings '", target, "', who are not staff"));
  };
  for (const auto& [id, ladder] : draft.pack.ladders) {
    for (const LadderStep& step : ladder.steps) {
      for (const std::string& target : step.ring) need_staff(target, ladder);
    }
  }
}

// What may leave by phone, SMS, mail or chat, and what only a signed-in person reads (PRV-03).
constexpr std::array<std::string_view, 6> kLeaves{"school", "code", "time", "phone", "person", "place"};
constexpr std::array<std::string_view, 11> kInside{"school", "code",  "time",  "phone", "person", "place",
                                                   "student", "class", "level", "role",  "count"};

struct Placeholders {
  std::set<std::string> names;
  bool well_formed = true;
};

Placeholders FindPlaceholders(const std::string& text) {
  Placeholders found;
  std::size_t at = 0;
  while ((at = text.find_first_of("{}", at)) != std::string::npos) {
    const std::size_t end = text.find_first_of("{}", at + 1);
    if (text[at] == '}' || end == std::string::npos || text[end] == '{' || end == at + 1) {
      found.well_formed = false;
      return found;
    }
    found.names.insert(text.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return found;
}

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// In a Latin script a word counts from its beginning ("suicid" finds "suicidal"), with `whole` to its end too; a Chinese one anywhere.
bool ContainsWord(const std::string& text, const std::string& word, bool whole) {
  const std::string low_text = absl::AsciiStrToLower(text);
  const std::string low_word = absl::AsciiStrToLower(word);
  const bool latin = absl::ascii_isascii(static_cast<unsigned char>(low_word.front()));
  for (std::size_t at = low_text.find(low_word); at != std::string::npos; at = low_text.find(low_word, at + 1)) {
    if (!latin) return true;
    const std::size_t end = at + low_word.size();
    if (at > 0 && IsWordByte(low_text[at - 1])) continue;
    if (whole && end < low_text.size() && IsWordByte(low_text[end])) continue;
    return true;
  }
  return false;
}

void CheckLeavingWords(const Draft& draft, const std::string& who, const WrittenText& written, Problems& problems) {
  const auto refuse = [&](std::string_view word) {
    problems.Add(written.place, absl::StrCat(who, ": leaves by phone or SMS and must not say '", std::string(word), "'"));
  };
  for (const std::string& word : draft.withheld_words) {
    if (ContainsWord(written.text, word, false)) refuse(word);
  }
  for (const LevelRow& level : draft.pack.levels) {
    if (level.rank == 0) continue;
    for (const auto& [language, name] : level.name) {
      if (!name.empty() && ContainsWord(written.text, name, true)) refuse(name);
    }
  }
  for (const std::string_view link : {"http:", "https:", "www."}) {
    if (ContainsWord(written.text, std::string(link), false)) refuse(link);
  }
}

void CheckTexts(const Draft& draft, Problems& problems) {
  for (const auto& [id, row] : draft.pack.texts) {
    const auto found = draft.written_texts.find(id);
    if (found == draft.written_texts.end()) continue;
    const bool leaves = row.disclosure == Disclosure::kLeaves;
    const std::string who = absl::StrCat("text ", id);
    const std::set<std::string_view> allowed = leaves ? std::set<std::string_view>(kLeaves.begin(), kLeaves.end())
                                                      : std::set<std::string_view>(kInside.begin(), kInside.end());
    std::optional<std::set<std::string>> first;
    for (const WrittenText& written : found->second) {
      const Placeholders placeholders = FindPlaceholders(written.text);
      if (!placeholders.well_formed) {
        problems.Add(written.place, absl::StrCat(who, " (", written.language, "): a brace is not closed or stands alone"));
        continue;
      }
      for (const std::string& name : placeholders.names) {
        if (allowed.count(name) != 0) continue;
        problems.Add(written.place,
                     absl::StrCat(who, " (", written.language, "): {", name, "} ",
                                  leaves ? "may not leave by phone or SMS" : "is no placeholder"));
      }
      if (first && *first != placeholders.names) {
        problems.Add(written.place, absl::StrCat(who, " (", written.language, "): its placeholders differ from the other language's"));
      }
      if (!first) first = placeholders.names;
      if (leaves) CheckLeavingWords(draft, who, written, problems);
    }
  }
  if (!draft.pack.texts.empty() && draft.pack.ReportAnswer() == nullptr) {
    problems.Add(RowPlace(draft, Kind::kText, draft.pack.texts.begin()->first), "no text says 'answers_report: true': reporters would be told nothing");
  }
  const auto need_leaving = [&](const LadderRow& ladder, const std::string& text_id) {
    const auto text = draft.pack.texts.find(text_id);
    if (text == draft.pack.texts.end() || text->second.disclosure == Disclosure::kLeaves) return;
    problems.Add(RowPlace(draft, Kind::kLadder, ladder.id),
                 absl::StrCat("ladder ", ladder.id, ": sends text '", text_id, "', which is for signed-in people only"));
  };
  for (const auto& [id, ladder] : draft.pack.ladders) {
    need_leaving(ladder, ladder.call_text);
    need_leaving(ladder, ladder.sms_text);
  }
}

// What a form has and its document does not say (a field that a school added) is printed after the rest: nothing is left out (intake/documents.cc).
void CheckDocuments(const Draft& draft, Problems& problems) {
  for (const DocumentSays& says : draft.document_says) {
    const auto record = draft.pack.records.find(says.record);
    if (record == draft.pack.records.end() || record->second.FindField(says.field) != nullptr) continue;
    if (std::find(kDocumentFacts.begin(), kDocumentFacts.end(), says.field) != kDocumentFacts.end()) continue;
    problems.Add(says.place, absl::StrCat(says.what, ": '", says.field, "' is no field of record ", says.record, " and nothing that a document can say"));
  }
}

}  // namespace

void CheckWhole(const Draft& draft, Problems& problems) {
  CheckReferences(draft, problems);
  CheckLevels(draft, problems);
  CheckSevereLadders(draft, problems);
  CheckCycles(draft, problems);
  CheckEveryClockStarts(draft, problems);
  CheckEveryLadderIsRaised(draft, problems);
  CheckEmergencyLadder(draft, problems);
  CheckSaid(draft, problems);
  CheckDuties(draft, problems);
  CheckRoles(draft, problems);
  CheckTexts(draft, problems);
  CheckDocuments(draft, problems);
}

}  // namespace vigil::domain
