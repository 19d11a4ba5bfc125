#include "domain/pack/loader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "domain/pack/draft.h"
#include "domain/pack/overlay.h"
#include "domain/pack/permissions.h"
#include "domain/pack/reader.h"

namespace vigil::domain {
namespace {

constexpr int kMaxConditionDepth = 8;
constexpr int kMaxFieldBytes = 65536;
constexpr int kDigestDigits = 12;
constexpr std::string_view kLevels = "levels";

// The people of a case, as ladders name them; of a duty that is late, whom its step tells.
constexpr std::array<std::string_view, 6> kCaseTargets{"case.author", "case.holders", "case.next_holders", "case.taker", "case.guardians", "duty.told"};
constexpr std::string_view kOnCall = "on_call.";
// Of a shift: any adult at all; an adult of the school who is not there as a guard.
constexpr std::string_view kAnyAdult = "any_adult";
constexpr std::string_view kSchoolAdult = "school_adult";

// What the argument of a fact can be; facts not named here take none.
std::optional<Kind> ArgumentKind(Fact fact) {
  switch (fact) {
    case Fact::kAlertTaken: return Kind::kLadder;
    case Fact::kAssessed: return Kind::kLevel;
    case Fact::kRecordFiled:
    case Fact::kRosterShort:
    case Fact::kRecordAcknowledged: return Kind::kRecord;
    default: return std::nullopt;
  }
}

std::vector<std::string_view> ArgumentWords(Fact fact) {
  switch (fact) {
    case Fact::kDepartureDecided: return {"hospital", "left", "taken_away", "not_found"};
    // Why nobody has the child in sight: somebody said so, or the child went off without a named escort.
    case Fact::kGapOpened: return {"not_in_sight", "departure"};
    case Fact::kHoldPlaced:
    case Fact::kHoldDecided: return {"guardians", "visit"};
    default: return {};
  }
}

class Loader {
 public:
  explicit Loader(Problems& problems) : problems_(&problems) {}

  void ReadFile(const std::string& name, const std::string& text) { ReadInto(sections_, name, text); }
  // Of an overlay: its rows change or join those of the files.
  void ReadOverlayFile(const std::string& name, const std::string& text);
  void ReadSections();
  // Where the overlay says something of this row; nullopt: nowhere.
  std::optional<Place> PlaceInOverlay(const std::string& section, const std::string& id) const;
  Draft& draft() { return draft_; }

 private:
  struct Section {
    std::string name;
    Value value;
  };

  void ReadInto(std::vector<Section>& sections, const std::string& name, const std::string& text);
  void MergeOverlay();
  void ReadHead(const Value& value);
  void ReadIndicator(MapReader& map, const std::string& id);
  void ReadRule(MapReader& map, const std::string& id);
  void ReadLevel(MapReader& map, const std::string& id);
  void ReadClock(MapReader& map, const std::string& id);
  void ReadLadder(MapReader& map, const std::string& id);
  void ReadCustody(MapReader& map, const std::string& id);
  void ReadRecord(MapReader& map, const std::string& id);
  void ReadRole(MapReader& map, const std::string& id);
  void ReadSchedule(MapReader& map, const std::string& id);
  void ReadDuty(MapReader& map, const std::string& id);
  void ReadText(MapReader& map, const std::string& id);
  void ReadInstrument(MapReader& map, const std::string& id);
  void ReadDocument(MapReader& map, const std::string& id);
  void ReadChoice(MapReader& map, const std::string& id);
  std::vector<int> ReadItems(MapReader& map, std::string_view key, int most);

  using ReadRow = void (Loader::*)(MapReader&, const std::string&);
  // Rows as a map by id, or as a list whose items carry `id`.
  void ReadRows(const Value& value, std::string_view noun, ReadRow read);
  void ReadOneRow(const Value& value, const std::string& id, std::string_view noun, ReadRow read);

  void ReadCommon(MapReader& map, const std::string& id, Row& row, bool named = true);
  Text ReadTextIn(MapReader& map, std::string_view key, std::vector<WrittenText>* written = nullptr);
  Text ReadTextValue(const Value& value, const std::string& what, std::vector<WrittenText>* written);
  Condition ReadCondition(const Value& value, const std::string& what, int depth);
  std::vector<FactPattern> ReadFacts(MapReader& map, std::string_view key);
  std::optional<FactPattern> ReadFact(const Value& value, const std::string& what);
  std::vector<std::string> ReadReferences(MapReader& map, std::string_view key, Kind kind);
  std::string ReadReference(MapReader& map, std::string_view key, Kind kind);
  std::vector<CustodyRow::Cover> ReadCover(MapReader& map, std::string_view key);
  FieldRow ReadField(const Value& value, const std::string& record);
  void NeedField(MapReader& map, const RecordRow& row, const Place& place, const std::string& what, const std::string& id,
                 std::initializer_list<FieldRow::Type> types);
  std::vector<CalendarDays::Span> ReadDays(MapReader& map, std::string_view key);
  void ReadDue(MapReader& map, ClockRow& clock);
  void ReadExpiry(MapReader& map, ClockRow& clock);
  void CheckClock(MapReader& map, const ClockRow& clock);
  void Refer(Kind kind, const std::string& id, const Place& place, const std::string& what) {
    draft_.references.push_back({kind, id, place, what});
  }
  // Notes the row's place; a problem when another has its id.
  bool Enter(Kind kind, MapReader& map, const std::string& id);

  Problems* problems_;
  Draft draft_;
  std::vector<Section> sections_;
  std::vector<Section> overlay_;
  std::string section_;
  // Rows of the files that the overlay changes, merged; and those that it adds.
  std::map<std::pair<std::string, std::string>, Value> changed_;
  std::vector<std::pair<std::string, std::pair<std::string, Value>>> added_;
  std::map<std::string, Place> rules_;
  std::map<std::string, Place> duties_;
};

namespace {

// The line of the first alias, from 1; 0: there is none. An alias can make a page of text stand for more than can be read.
class AliasFinder final : public YAML::EventHandler {
 public:
  static int In(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    AliasFinder finder;
    parser.HandleNextDocument(finder);
    return finder.line_;
  }

 private:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (line_ == 0) line_ = mark.line + 1;
  }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  int line_ = 0;
};

}  // namespace

void Loader::ReadOverlayFile(const std::string& name, const std::string& text) {
  try {
    if (const int line = AliasFinder::In(text); line > 0) return problems_->Add({name, line}, "an overlay has no aliases: write it out");
  } catch (const YAML::Exception& error) {
    return problems_->Add({name, error.mark.line + 1}, absl::StrCat("is no YAML: ", error.msg));
  }
  ReadInto(overlay_, name, text);
}

void Loader::ReadInto(std::vector<Section>& sections, const std::string& name, const std::string& text) {
  const Place top{name, 1};
  YAML::Node node;
  try {
    node = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    problems_->Add({name, error.mark.line + 1}, absl::StrCat("is no YAML: ", error.msg));
    return;
  }
  if (node.IsNull()) return;
  MapReader map({node, top}, "the file", *problems_);
  for (const auto& [section, value] : map.entries()) sections.push_back({section, value});
}

namespace {

// The rows of a section, by id; those without one are left out.
std::vector<std::pair<std::string, Value>> RowsOf(const Value& section) {
  std::vector<std::pair<std::string, Value>> rows;
  if (section.node.IsSequence()) {
    for (const YAML::Node& item : section.node) {
      if (item.IsMap() && item["id"] && item["id"].IsScalar()) rows.emplace_back(item["id"].Scalar(), At(item, section.place));
    }
  } else if (section.node.IsMap()) {
    for (const auto& entry : section.node) {
      if (entry.first.IsScalar()) rows.emplace_back(entry.first.Scalar(), Value{entry.second, At(entry.first, section.place).place});
    }
  }
  return rows;
}

// The row with the overlay's keys in place of its own; a form's fields are replaced or added by id.
YAML::Node Merged(const YAML::Node& row, const YAML::Node& overlay) {
  YAML::Node merged = YAML::Clone(row);
  for (const auto& entry : overlay) {
    const std::string key = entry.first.Scalar();
    const bool fields = key == "fields" && entry.second.IsSequence() && merged[key] && merged[key].IsSequence();
    if (!fields) {
      merged[key] = entry.second;
      continue;
    }
    for (const YAML::Node& field : entry.second) {
      bool replaced = false;
      for (std::size_t i = 0; i < merged[key].size() && !replaced; ++i) {
        replaced = field.IsMap() && field["id"] && merged[key][i]["id"] && merged[key][i]["id"].Scalar() == field["id"].Scalar();
        if (replaced) merged[key][i] = field;
      }
      if (!replaced) merged[key].push_back(field);
    }
  }
  return merged;
}

}  // namespace

void Loader::MergeOverlay() {
  for (const Section& section : overlay_) {
    if (section.name == "pack") {
      problems_->Add(section.value.place, "an overlay does not say what the pack is; a school sets its calendar by itself");
      continue;
    }
    std::map<std::string, Value> known;
    for (const Section& other : sections_) {
      if (other.name != section.name) continue;
      for (auto& [id, row] : RowsOf(other.value)) known.insert_or_assign(id, row);
    }
    if (known.empty()) {
      problems_->Add(section.value.place, absl::StrCat("unknown section '", section.name, "'"));
      continue;
    }
    for (const auto& [id, row] : RowsOf(section.value)) {
      if (const auto base = known.find(id); base == known.end()) {
        // Ranks are what cases of every version are compared by.
        if (section.name == kLevels) problems_->Add(row.place, absl::StrCat("levels ", id, ": the levels are the documents'; an overlay adds none"));
        const bool own = row.node.IsMap() && row.node["basis"] && row.node["basis"].IsScalar() && row.node["basis"].Scalar() == "school_setting";
        if (!own) problems_->Add(row.place, absl::StrCat(section.name, " ", id, ": a row that a school adds says `basis: school_setting`"));
        added_.push_back({section.name, {id, row}});
      } else if (!row.node.IsMap()) {
        problems_->Add(row.place, absl::StrCat(section.name, " ", id, ": is not a map of what changes"));
      } else {
        changed_.insert_or_assign(std::pair(section.name, id), Value{Merged(base->second.node, row.node), row.place});
      }
    }
  }
}

std::optional<Place> Loader::PlaceInOverlay(const std::string& section, const std::string& id) const {
  const auto found = changed_.find({section, id});
  return found == changed_.end() ? std::nullopt : std::optional(found->second.place);
}

void Loader::ReadSections() {
  // The head first: it says which languages every text must have. (Sections are not sorted: assigning a YAML::Node changes what
  // every copy of it sees.)
  const Section* head = nullptr;
  for (const Section& section : sections_) {
    if (section.name != "pack") continue;
    if (head != nullptr) {
      problems_->Add(section.value.place, absl::StrCat("the section 'pack' stands already at ", head->value.place.ToString()));
      continue;
    }
    head = &section;
    ReadHead(section.value);
  }
  if (head == nullptr) problems_->Add({"pack", 0}, "no file has the section 'pack'");
  // Without languages every text below would be a mistake of its own.
  if (draft_.languages.empty()) return;

  const std::map<std::string, std::pair<std::string_view, ReadRow>> readers{
      {"indicators", {"indicator", &Loader::ReadIndicator}}, {"rules", {"rule", &Loader::ReadRule}},
      {"levels", {"level", &Loader::ReadLevel}},             {"clocks", {"clock", &Loader::ReadClock}},
      {"ladders", {"ladder", &Loader::ReadLadder}},          {"custody", {"custody", &Loader::ReadCustody}},
      {"records", {"record", &Loader::ReadRecord}},          {"roles", {"role", &Loader::ReadRole}},
      {"schedules", {"schedule", &Loader::ReadSchedule}},    {"duties", {"duty", &Loader::ReadDuty}},
      {"texts", {"text", &Loader::ReadText}},                 {"instruments", {"instrument", &Loader::ReadInstrument}},
      {"documents", {"document", &Loader::ReadDocument}},     {"choices", {"choice", &Loader::ReadChoice}},
  };
  MergeOverlay();
  for (const Section& section : sections_) {
    if (section.name == "pack") continue;
    const auto reader = readers.find(section.name);
    if (reader == readers.end()) {
      problems_->Add(section.value.place, absl::StrCat("unknown section '", section.name, "'"));
      continue;
    }
    section_ = section.name;
    ReadRows(section.value, reader->second.first, reader->second.second);
  }
  for (const auto& [section, row] : added_) {
    const auto reader = readers.find(section);
    if (reader == readers.end()) continue;
    section_ = section;
    ReadOneRow(row.second, row.first, reader->second.first, reader->second.second);
  }
  std::sort(draft_.pack.levels.begin(), draft_.pack.levels.end(),
            [](const LevelRow& a, const LevelRow& b) { return std::tie(a.rank, a.id) < std::tie(b.rank, b.id); });
}

void Loader::ReadHead(const Value& value) {
  MapReader map(value, "pack", *problems_);
  Pack& pack = draft_.pack;
  pack.id = map.NeedString("id");
  pack.version = map.NeedString("version");
  for (const auto& [language, place] : map.Strings("languages")) draft_.languages.push_back(language);
  if (draft_.languages.empty()) map.Wrong("'languages' must name at least one");
  pack.time_zone = map.NeedString("time_zone");
  absl::TimeZone zone;
  if (!pack.time_zone.empty() && !absl::LoadTimeZone(pack.time_zone, &zone)) {
    map.Wrong(absl::StrCat("time_zone '", pack.time_zone, "' is not known"));
  }
  if (const auto night = map.Need("night")) {
    MapReader hours(*night, "pack: night", *problems_);
    pack.night_from = hours.TimeOfDay("from").value_or(pack.night_from);
    pack.night_to = hours.TimeOfDay("to").value_or(pack.night_to);
    hours.Finish();
  }
  pack.school_begins = map.TimeOfDay("school_begins").value_or(pack.school_begins);
  pack.dismissal = map.TimeOfDay("dismissal").value_or(pack.dismissal);
  if (pack.dismissal <= pack.school_begins) map.Wrong("dismissal is not after school_begins");
  pack.clock_tolerance = map.Span("clock_tolerance").value_or(pack.clock_tolerance);
  if (const auto calendar = map.Take("calendar")) {
    MapReader days(*calendar, "pack: calendar", *problems_);
    pack.calendar.terms = ReadDays(days, "terms");
    pack.calendar.holidays = ReadDays(days, "holidays");
    days.Finish();
  }
  for (const auto& [channel, place] : map.Strings("channels")) pack.channels.push_back(channel);
  if (pack.channels.empty()) map.Wrong("'channels' must name at least one");
  for (const auto& [word, place] : map.Strings("withheld_words")) draft_.withheld_words.push_back(word);
  if (draft_.withheld_words.empty()) map.Wrong("'withheld_words' must name the words that no message says");
  map.Finish();
}

std::vector<CalendarDays::Span> Loader::ReadDays(MapReader& map, std::string_view key) {
  std::vector<CalendarDays::Span> spans;
  const auto value = map.Take(key);
  if (!value) return spans;
  const std::string what = absl::StrCat(map.what(), ": ", std::string(key));
  for (const Value& item : ReadList(*value, what, *problems_)) {
    MapReader reader(item, what, *problems_);
    const auto day = [&](std::string_view end, int* month, int* of_month) {
      const std::string text = reader.NeedString(end);
      if (text.size() == 5 && text[2] == '-') {
        *month = std::atoi(text.substr(0, 2).c_str());
        *of_month = std::atoi(text.substr(3).c_str());
      }
      const bool good = text.size() == 5 && text[2] == '-' && *month >= 1 && *month <= 12 && *of_month >= 1 && *of_month <= 31;
      if (!good) reader.Wrong(absl::StrCat("'", text, "' is no day of a year; write it as in \"09-01\""));
    };
    CalendarDays::Span span;
    day("from", &span.from_month, &span.from_day);
    day("to", &span.to_month, &span.to_day);
    reader.Finish();
    spans.push_back(span);
  }
  return spans;
}

void Loader::ReadRows(const Value& value, std::string_view noun, ReadRow read) {
  if (value.node.IsSequence()) {
    for (const Value& item : ReadList(value, noun, *problems_)) {
      if (!item.node.IsMap() || !item.node["id"] || !item.node["id"].IsScalar()) {
        problems_->Add(item.place, absl::StrCat(std::string(noun), ": a row in a list needs an 'id'"));
        continue;
      }
      ReadOneRow(item, item.node["id"].Scalar(), noun, read);
    }
    return;
  }
  MapReader rows(value, absl::StrCat(std::string(noun), " rows"), *problems_);
  for (const auto& [id, row] : rows.entries()) ReadOneRow(row, id, noun, read);
}

void Loader::ReadOneRow(const Value& written, const std::string& id, std::string_view noun, ReadRow read) {
  const auto changed = changed_.find({section_, id});
  const Value& value = changed == changed_.end() ? written : changed->second;
  draft_.pack.written[{section_, id}] = YAML::Dump(value.node);
  MapReader map(value, absl::StrCat(std::string(noun), " ", id), *problems_);
  const std::string written_id = map.String("id", id);
  if (written_id != id) map.Wrong(absl::StrCat("stands under '", id, "' and calls itself '", written_id, "'"));
  // Ids stand in facts ("alert.taken: severe_ladder") and targets ("on_call.leader"), so a dot would be ambiguous.
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  constexpr std::size_t kMaxIdBytes = 64;
  if (!plain || id.empty() || id.size() > kMaxIdBytes) map.Wrong("an id is of letters, digits, _ and -, at most 64");
  (this->*read)(map, id);
  map.Finish();
}

bool Loader::Enter(Kind kind, MapReader& map, const std::string& id) {
  const auto [entry, fresh] = draft_.rows.insert({{kind, id}, map.place()});
  if (!fresh) map.Wrong(absl::StrCat("stands already at ", entry->second.ToString()));
  return fresh;
}

void Loader::ReadCommon(MapReader& map, const std::string& id, Row& row, bool named) {
  row.id = id;
  row.origin = map.place().ToString();
  if (named) row.name = ReadTextIn(map, "name");
  if (map.Need("for")) {
    for (const auto& [requirement, place] : map.Strings("for")) row.serves.push_back(requirement);
    if (row.serves.empty()) map.Wrong("'for' must name the requirements that it serves");
  }
  if (map.Need("basis")) {
    const auto basis = map.OneOf("basis", {"protocol", "school_setting"});
    row.basis = basis == 0 ? Basis::kProtocol : Basis::kSchoolSetting;
  }
}

Text Loader::ReadTextIn(MapReader& map, std::string_view key, std::vector<WrittenText>* written) {
  const auto value = map.Need(key);
  if (!value) return {};
  return ReadTextValue(*value, absl::StrCat(map.what(), ": ", std::string(key)), written);
}

Text Loader::ReadTextValue(const Value& value, const std::string& what, std::vector<WrittenText>* written) {
  Text text;
  MapReader languages(value, what, *problems_);
  for (const std::string& language : draft_.languages) {
    const auto part = languages.Take(language);
    if (!part) {
      languages.Wrong(absl::StrCat("the language ", language, " is missing"));
      continue;
    }
    const auto words = ReadString(*part, absl::StrCat(what, " (", language, ")"), *problems_);
    if (!words) continue;
    text[language] = *words;
    if (written != nullptr) written->push_back({language, *words, part->place});
  }
  languages.Finish();
  return text;
}

std::vector<std::string> Loader::ReadReferences(MapReader& map, std::string_view key, Kind kind) {
  std::vector<std::string> ids;
  for (const auto& [id, place] : map.Strings(key)) {
    Refer(kind, id, place, absl::StrCat(map.what(), ": ", std::string(key)));
    ids.push_back(id);
  }
  return ids;
}

std::string Loader::ReadReference(MapReader& map, std::string_view key, Kind kind) {
  if (!map.Has(key)) {
    map.Take(key);
    return "";
  }
  const Place place = map.Take(key)->place;
  const std::string id = map.String(key);
  if (!id.empty()) Refer(kind, id, place, absl::StrCat(map.what(), ": ", std::string(key)));
  return id;
}

std::optional<FactPattern> Loader::ReadFact(const Value& value, const std::string& what) {
  std::string name;
  std::string argument;
  if (value.node.IsScalar()) {
    name = value.node.Scalar();
  } else if (value.node.IsMap() && value.node.size() == 1 && value.node.begin()->second.IsScalar()) {
    name = value.node.begin()->first.Scalar();
    argument = value.node.begin()->second.Scalar();
  } else {
    problems_->Add(value.place, absl::StrCat(what, ": a fact is written `call.spoken` or `record.filed: written_report`"));
    return std::nullopt;
  }
  const FactPattern pattern{FactFromName(name), argument};
  if (pattern.fact == Fact::kNone) {
    problems_->Add(value.place, absl::StrCat(what, ": there is no fact '", name, "'"));
    return std::nullopt;
  }
  if (pattern.fact == Fact::kRecordSaid) {
    draft_.said.push_back({argument, value.place, absl::StrCat(what, ": ", name)});
    return pattern;
  }
  if (argument.empty()) return pattern;
  const auto words = ArgumentWords(pattern.fact);
  if (const auto kind = ArgumentKind(pattern.fact)) {
    Refer(*kind, argument, value.place, absl::StrCat(what, ": ", name));
  } else if (words.empty()) {
    problems_->Add(value.place, absl::StrCat(what, ": the fact ", name, " takes no argument"));
  } else if (std::find(words.begin(), words.end(), argument) == words.end()) {
    const std::vector<std::string> list(words.begin(), words.end());
    problems_->Add(value.place, absl::StrCat(what, ": ", name, ": '", argument, "' is none of ", absl::StrJoin(list, ", ")));
  }
  return pattern;
}

std::vector<FactPattern> Loader::ReadFacts(MapReader& map, std::string_view key) {
  std::vector<FactPattern> facts;
  const auto value = map.Take(key);
  if (!value) return facts;
  const std::string what = absl::StrCat(map.what(), ": ", std::string(key));
  for (const Value& item : ReadList(*value, what, *problems_)) {
    if (auto fact = ReadFact(item, what)) facts.push_back(*std::move(fact));
  }
  return facts;
}

Condition Loader::ReadCondition(const Value& value, const std::string& what, int depth) {
  Condition condition;
  if (depth > kMaxConditionDepth) {
    problems_->Add(value.place, absl::StrCat(what, ": is nested too deep"));
    return condition;
  }
  if (!value.node.IsMap() || value.node.size() != 1) {
    problems_->Add(value.place, absl::StrCat(what, ": a condition has exactly one key, as in {has: W1a}"));
    return condition;
  }
  MapReader map(value, what, *problems_);
  const std::string key = map.entries().front().first;
  const Place place = map.entries().front().second.place;

  using K = Condition::Kind;
  const auto flag = [&](K kind) {
    condition.kind = kind;
    if (!map.Bool(key, true)) map.Wrong(place, absl::StrCat(key, ": write {not: {", key, ": true}}"));
  };
  const auto one = [&](K kind, Kind row) {
    condition.kind = kind;
    condition.argument = ReadReference(map, key, row);
  };
  const auto several = [&](K kind) {
    condition.kind = kind;
    condition.arguments = ReadReferences(map, key, Kind::kIndicator);
    if (condition.arguments.empty()) map.Wrong(place, absl::StrCat(key, ": names none"));
  };
  const auto counted = [&](K kind) {
    condition.kind = kind;
    MapReader inner(*map.Take(key), absl::StrCat(what, ": ", key), *problems_);
    if (inner.Need("count")) condition.count = inner.Int("count", 1, 1, 100);
    if (inner.Need("days")) condition.span = absl::Hours(24) * inner.Int("days", 1, 1, 3660);
    inner.Finish();
  };
  const auto children = [&](K kind) {
    condition.kind = kind;
    for (const Value& item : ReadList(*map.Take(key), absl::StrCat(what, ": ", key), *problems_)) {
      condition.children.push_back(ReadCondition(item, what, depth + 1));
    }
    if (condition.children.empty()) map.Wrong(place, absl::StrCat(key, ": is empty"));
  };

  if (key == "always") flag(K::kAlways);
  else if (key == "has") one(K::kHas, Kind::kIndicator);
  else if (key == "has_any") several(K::kHasAny);
  else if (key == "file_has") one(K::kFileHas, Kind::kIndicator);
  else if (key == "file_has_any") several(K::kFileHasAny);
  else if (key == "groups_within") counted(K::kGroupsWithin);
  else if (key == "reporters_within") counted(K::kReportersWithin);
  else if (key == "deteriorating") flag(K::kDeteriorating);
  else if (key == "returned") flag(K::kReturned);
  else if (key == "any_indicator") flag(K::kAnyIndicator);
  else if (key == "claimed_at_least") one(K::kClaimedAtLeast, Kind::kLevel);
  else if (key == "level_at_least") one(K::kLevelAtLeast, Kind::kLevel);
  else if (key == "last_level_is") one(K::kLastLevelIs, Kind::kLevel);
  else if (key == "all") children(K::kAll);
  else if (key == "any") children(K::kAny);
  else if (key == "not") {
    condition.kind = K::kNot;
    condition.children.push_back(ReadCondition(*map.Take(key), what, depth + 1));
  }
  map.Finish();
  return condition;
}

void Loader::ReadIndicator(MapReader& map, const std::string& id) {
  IndicatorRow row;
  ReadCommon(map, id, row);
  if (map.Need("kind")) row.kind = map.OneOf("kind", {"factor", "signal"}) == 1 ? IndicatorRow::Kind::kSignal : IndicatorRow::Kind::kFactor;
  row.group = map.String("group");
  if (row.kind == IndicatorRow::Kind::kSignal && row.group.empty()) map.Wrong("a signal needs its 'group'");
  if (row.kind == IndicatorRow::Kind::kFactor && !row.group.empty()) map.Wrong("a factor has no 'group'");
  if (const auto examples = map.Need("examples")) {
    MapReader by_language(*examples, absl::StrCat(map.what(), ": examples"), *problems_);
    for (const std::string& language : draft_.languages) {
      for (const auto& [example, place] : by_language.Strings(language)) row.examples[language].push_back(example);
      if (row.examples[language].empty()) by_language.Wrong(absl::StrCat("the language ", language, " is missing"));
    }
    by_language.Finish();
  }
  for (const auto& [cue, place] : map.Strings("text_cues")) row.text_cues.push_back(cue);
  row.deterioration = map.Bool("deterioration");
  row.read_by = ReadReferences(map, "read_by", Kind::kRole);
  if (const auto once = map.Take("counts_once")) {
    MapReader reader(*once, absl::StrCat(map.what(), ": counts_once"), *problems_);
    if (reader.Need("record")) row.counts_once = ReadReference(reader, "record", Kind::kRecord);
    reader.Finish();
    // What is seen is acted on at once; only a judgement of what a child is can wait for somebody who may judge.
    if (row.kind == IndicatorRow::Kind::kSignal) map.Wrong("a signal counts at once; 'counts_once' belongs to a factor");
  }
  if (Enter(Kind::kIndicator, map, id)) draft_.pack.indicators.emplace(id, std::move(row));
}

void Loader::ReadRule(MapReader& map, const std::string& id) {
  RuleRow row;
  ReadCommon(map, id, row);
  if (const auto when = map.Need("when")) row.when = ReadCondition(*when, absl::StrCat(map.what(), ": when"), 0);
  row.propose = ReadReference(map, "propose", Kind::kLevel);
  row.starts = ReadReferences(map, "starts", Kind::kClock);
  row.advice = ReadReference(map, "advice", Kind::kText);
  if (row.propose.empty() && row.starts.empty()) map.Wrong("neither proposes a level nor starts a clock");
  const auto [entry, fresh] = rules_.insert({id, map.place()});
  if (!fresh) return map.Wrong(absl::StrCat("stands already at ", entry->second.ToString()));
  draft_.pack.rules.push_back(std::move(row));
}

void Loader::ReadLevel(MapReader& map, const std::string& id) {
  LevelRow row;
  ReadCommon(map, id, row);
  if (map.Need("rank")) row.rank = map.Int("rank", 0, 0, 100);
  row.starts = ReadReferences(map, "starts", Kind::kClock);
  row.final_starts = ReadReferences(map, "final_starts", Kind::kClock);
  row.ladder = ReadReference(map, "alerts", Kind::kLadder);
  row.supervised = map.Bool("supervised");
  row.lowered_face_to_face = map.Bool("lowered_face_to_face");
  row.custody = ReadReference(map, "custody", Kind::kCustody);
  if (Enter(Kind::kLevel, map, id)) draft_.pack.levels.push_back(std::move(row));
}

void Loader::ReadDue(MapReader& map, ClockRow& clock) {
  const std::string what = absl::StrCat(map.what(), ": due_after");
  bool due = false;
  if (const auto value = map.Take("due_after")) {
    due = true;
    if (value->node.IsMap()) {
      MapReader days(*value, what, *problems_);
      if (days.Need("school_days")) clock.due_school_days = days.Int("school_days", 1, 1, 400);
      days.Finish();
    } else if (!value->node.IsScalar() || value->node.Scalar() != "never") {
      // Unreadable: as good as any, so that one mistake is not reported as several.
      clock.due_after = ReadSpan(*value, what, *problems_).value_or(absl::InfiniteDuration());
    }
  }
  if (const auto value = map.Take("due_after_level")) {
    MapReader levels(*value, absl::StrCat(map.what(), ": due_after_level"), *problems_);
    for (const auto& [level, span] : levels.entries()) {
      Refer(Kind::kLevel, level, span.place, levels.what());
      if (const auto length = levels.Span(level)) clock.due_after_level[level] = *length;
    }
    levels.Finish();
  }
  clock.due_after_night = map.Span("due_after_night");
  if (const auto value = map.Take("due_at")) {
    due = true;
    const std::string text = value->node.IsScalar() ? value->node.Scalar() : "";
    clock.due_at = ParseTimeOfDay(text);
    if (!clock.due_at) map.Wrong(value->place, absl::StrCat("due_at: '", text, "' is no time of day; write it as in \"18:00\""));
  }
  if (!due) map.Wrong("'due_after' or 'due_at' is missing; a clock that is never due says `due_after: never`");
  clock.before_dismissal = map.Bool("before_dismissal");
}

void Loader::ReadExpiry(MapReader& map, ClockRow& clock) {
  const auto value = map.Take("on_expiry");
  const bool due = clock.due_after || clock.due_at || clock.due_school_days > 0;
  if (!value) {
    // A real-time clock is watched by the service that started it (break-glass).
    if (due && !clock.real_time) map.Wrong("'on_expiry' is missing: say who is told when it is not met");
    return;
  }
  if (!due) map.Wrong(value->place, "'on_expiry' of a clock that is never due");
  MapReader expiry(*value, absl::StrCat(map.what(), ": on_expiry"), *problems_);
  clock.expiry_ladder = ReadReference(expiry, "alert", Kind::kLadder);
  clock.expiry_proposes = ReadReference(expiry, "propose", Kind::kLevel);
  clock.expiry_adds = ReadReference(expiry, "adds", Kind::kIndicator);
  clock.expiry_opens_gap = expiry.Bool("gap");
  clock.expiry_reopens_alert = expiry.Bool("reopen_alert");
  expiry.Finish();
  if (clock.expiry_ladder.empty() && clock.expiry_proposes.empty() && clock.expiry_adds.empty() && !clock.expiry_opens_gap && !clock.expiry_reopens_alert) {
    expiry.Wrong("does nothing");
  }
}

void Loader::CheckClock(MapReader& map, const ClockRow& clock) {
  if (clock.met_by.empty()) map.Wrong("'met_by' is missing: there is no way to meet it");
  if (clock.warn_before.empty() != clock.warn_ladder.empty()) map.Wrong("'warn_before' and 'warns' stand together or not at all");
  if (clock.review_every.has_value() == clock.review_ladder.empty()) map.Wrong("'review_every' and 'reviews' stand together or not at all");
  if (clock.review_every && *clock.review_every <= absl::ZeroDuration()) map.Wrong("'review_every' is zero");
  if (clock.repeat_every && (*clock.repeat_every <= absl::ZeroDuration() || clock.repeats_daily || clock.one_per != ClockRow::OnePer::kCase)) {
    map.Wrong("'repeat_every' is a span, of a clock that is one_per: case, and stands without repeats_daily");
  }
  if (clock.repeat_on_school_days && !clock.repeat_every) map.Wrong("'repeat_on_school_days' says something of 'repeat_every', which is missing");
  if (clock.only_supervised && clock.starts_on.empty()) map.Wrong("'only_supervised' says something of 'starts_on', which is missing");

  std::vector<absl::Duration> spans;
  if (clock.due_after) spans.push_back(*clock.due_after);
  if (clock.due_after_night) spans.push_back(*clock.due_after_night);
  for (const auto& [level, span] : clock.due_after_level) spans.push_back(span);
  const bool due = clock.due_after || clock.due_at || clock.due_school_days > 0;
  if (!clock.warn_before.empty() && !due) map.Wrong("warns before a due time that it does not have");
  if (spans.empty()) return;
  const absl::Duration shortest = *std::min_element(spans.begin(), spans.end());
  for (const absl::Duration warning : clock.warn_before) {
    if (warning <= shortest) continue;
    map.Wrong(map.Take("warn_before")->place,
              absl::StrCat("warn_before ", absl::FormatDuration(warning), " is longer than the clock runs (",
                           absl::FormatDuration(shortest), ")"));
  }
}

void Loader::ReadClock(MapReader& map, const std::string& id) {
  ClockRow row;
  ReadCommon(map, id, row);
  row.starts_on = ReadFacts(map, "starts_on");
  row.only_supervised = map.Bool("only_supervised");
  const auto from = map.OneOf("starts_from", {"now", "discovered_time", "arrival_time", "shift_end", "observed_time"});
  row.from = static_cast<ClockRow::From>(from.value_or(0));
  ReadDue(map, row);
  row.real_time = map.Bool("real_time");
  if (map.Need("one_per")) row.one_per = static_cast<ClockRow::OnePer>(map.OneOf("one_per", {"trigger", "case", "report"}).value_or(0));
  row.repeats_daily = map.Bool("repeats_daily");
  row.repeat_every = map.Span("repeat_every");
  row.repeat_on_school_days = map.Bool("repeat_on_school_days");
  if (const auto warnings = map.Take("warn_before")) {
    const std::string what = absl::StrCat(map.what(), ": warn_before");
    for (const Value& item : ReadList(*warnings, what, *problems_)) {
      if (const auto span = ReadSpan(item, what, *problems_)) row.warn_before.push_back(*span);
    }
    // The engine warns in order: the earliest, which is the longest before, first.
    std::sort(row.warn_before.rbegin(), row.warn_before.rend());
  }
  row.warn_ladder = ReadReference(map, "warns", Kind::kLadder);
  row.warn_quiet_at_night = map.Bool("warn_quiet_at_night");
  row.review_every = map.Span("review_every");
  row.review_ladder = ReadReference(map, "reviews", Kind::kLadder);
  row.met_by = ReadFacts(map, "met_by");
  row.cancelled_by = ReadFacts(map, "cancelled_by");
  ReadExpiry(map, row);
  CheckClock(map, row);
  if (Enter(Kind::kClock, map, id)) draft_.pack.clocks.emplace(id, std::move(row));
}

void Loader::ReadLadder(MapReader& map, const std::string& id) {
  LadderRow row;
  ReadCommon(map, id, row);
  bool calls = false;
  bool texts = false;
  if (const auto steps = map.Need("steps")) {
    const std::string what = absl::StrCat(map.what(), ": steps");
    for (const Value& item : ReadList(*steps, what, *problems_)) {
      MapReader reader(item, what, *problems_);
      LadderStep step;
      for (const auto& [target, place] : reader.Strings("ring")) {
        step.ring.push_back(target);
        if (std::find(kCaseTargets.begin(), kCaseTargets.end(), target) != kCaseTargets.end()) continue;
        if (absl::StartsWith(target, std::string(kOnCall))) {
          Refer(Kind::kSchedule, target.substr(kOnCall.size()), place, absl::StrCat(what, ": ", target));
        } else {
          Refer(Kind::kRole, target, place, absl::StrCat(what, ": ring"));
        }
      }
      if (step.ring.empty()) reader.Wrong("a step rings somebody");
      for (const auto& [way, place] : reader.Strings("by")) {
        if (way == "call") step.call = true;
        else if (way == "sms") step.sms = true;
        else reader.Wrong(place, absl::StrCat("by: '", way, "' is none of call, sms"));
      }
      if (!step.call && !step.sms) reader.Wrong("a step says 'by' what: call, sms or both");
      if (reader.Need("wait")) step.wait = reader.Span("wait").value_or(absl::ZeroDuration());
      reader.Finish();
      calls = calls || step.call;
      texts = texts || step.sms;
      row.steps.push_back(std::move(step));
    }
    if (row.steps.empty()) map.Wrong("has no steps");
  }
  if (map.Need("then")) row.endless = map.OneOf("then", {"again", "stop"}) == 0;
  row.empty_round_wait = map.Span("empty_round_wait").value_or(row.empty_round_wait);
  if (row.endless) {
    const bool waits = std::all_of(row.steps.begin(), row.steps.end(), [](const LadderStep& step) { return step.wait > absl::ZeroDuration(); });
    if (!waits || row.empty_round_wait <= absl::ZeroDuration()) map.Wrong("is without end and does not wait; each step needs its wait");
  }
  row.takeable = map.Bool("takeable");
  row.bridges = map.Bool("bridges");
  row.quiet_at_night = map.Bool("quiet_at_night");
  row.call_text = ReadReference(map, "call_text", Kind::kText);
  row.sms_text = ReadReference(map, "sms_text", Kind::kText);
  if (calls && row.call_text.empty()) map.Wrong("calls and has no 'call_text'");
  if (texts && row.sms_text.empty()) map.Wrong("sends an SMS and has no 'sms_text'");
  if (row.bridges && !row.takeable) map.Wrong("bridges whoever takes it, and nobody can take it");
  row.priority = map.Int("priority", 0, 0, 1000);
  row.emergency = map.Bool("emergency");
  row.raised_on = ReadFacts(map, "raised_on");
  row.closed_by = ReadFacts(map, "closed_by");
  if (Enter(Kind::kLadder, map, id)) draft_.pack.ladders.emplace(id, std::move(row));
}

std::vector<CustodyRow::Cover> Loader::ReadCover(MapReader& map, std::string_view key) {
  std::vector<CustodyRow::Cover> cover;
  const auto value = map.Take(key);
  if (!value) return cover;
  const std::string what = absl::StrCat(map.what(), ": ", std::string(key));
  for (const Value& item : ReadList(*value, what, *problems_)) {
    MapReader reader(item, what, *problems_);
    for (const auto& [role, count] : reader.entries()) {
      CustodyRow::Cover part;
      part.count = reader.Int(role, 1, 1, 10);
      if (role != kAnyAdult) part.role = role;
      if (role != kAnyAdult && role != kSchoolAdult) Refer(Kind::kRole, role, count.place, what);
      cover.push_back(part);
    }
  }
  return cover;
}

void Loader::ReadCustody(MapReader& map, const std::string& id) {
  CustodyRow row;
  ReadCommon(map, id, row);
  row.cover = ReadCover(map, "cover");
  if (row.cover.empty()) map.Wrong("'cover' must say which adults a shift needs");
  row.night_cover = ReadCover(map, "night_cover");
  if (row.night_cover.empty()) row.night_cover = row.cover;
  row.longest_shift = map.Span("longest_shift").value_or(row.longest_shift);
  row.longest_night_shift = map.Span("longest_night_shift").value_or(row.longest_night_shift);
  row.check_in_every = map.Span("check_in_every").value_or(row.check_in_every);
  for (const absl::Duration span : {row.longest_shift, row.longest_night_shift, row.check_in_every}) {
    if (span <= absl::ZeroDuration()) map.Wrong("a span is zero");
  }
  if (Enter(Kind::kCustody, map, id)) draft_.pack.custody.emplace(id, std::move(row));
}

FieldRow Loader::ReadField(const Value& value, const std::string& record) {
  using Type = FieldRow::Type;
  FieldRow field;
  MapReader map(value, absl::StrCat(record, ": field"), *problems_);
  field.id = map.NeedString("id");
  field.name = ReadTextIn(map, "name");
  if (map.Need("type")) {
    const auto type = map.OneOf("type", {"text", "boolean", "time", "number", "person", "choice", "list", "people", "record"});
    field.type = static_cast<Type>(type.value_or(0));
  }
  field.required = map.Bool("required");
  if (const auto condition = map.Take("required_if")) {
    MapReader reader(*condition, absl::StrCat(map.what(), " ", field.id, ": required_if"), *problems_);
    if (reader.entries().size() == 1) {
      field.required_if = reader.entries().front().first;
      field.required_if_value = reader.Bool(field.required_if);
    } else {
      reader.Wrong("names one boolean field and its value");
    }
  }
  for (const auto& [choice, place] : map.Strings("choices")) field.choices.push_back(choice);
  if ((field.type == Type::kChoice) == field.choices.empty()) map.Wrong("'choices' belong to the type choice, and only to it");
  field.max_bytes = map.Int("max_bytes", field.max_bytes, 1, kMaxFieldBytes);
  const bool words = field.type == Type::kText || field.type == Type::kList;
  if (words && map.Has("private")) map.Wrong("text is always private; the line is not needed");
  field.sealed = words || map.Bool("private");
  field.read_by = ReadReferences(map, "read_by", Kind::kRole);
  if (!field.read_by.empty() && !field.sealed) map.Wrong("'read_by' belongs to a private field; what is not private stands in the log");
  field.of = ReadReference(map, "of", Kind::kRecord);
  if ((field.type == Type::kRecord) == field.of.empty()) map.Wrong("'of' belongs to the type record, and only to it");
  if (field.type != Type::kNumber && (map.Has("least") || map.Has("most"))) map.Wrong("'least' and 'most' belong to the type number");
  field.least = map.Int("least", field.least, -1'000'000, 1'000'000);
  field.most = map.Int("most", field.most, field.least, 1'000'000);
  field.within = map.Span("within");
  if (field.within && field.type != Type::kTime) map.Wrong("'within' belongs to the type time");
  map.Finish();
  return field;
}

// A field of the form that has one of the types; a problem when there is none.
void Loader::NeedField(MapReader& map, const RecordRow& row, const Place& place, const std::string& what, const std::string& id,
                       std::initializer_list<FieldRow::Type> types) {
  const FieldRow* field = row.FindField(id);
  if (field == nullptr) return map.Wrong(place, absl::StrCat(what, ": the form has no field '", id, "'"));
  if (std::find(types.begin(), types.end(), field->type) == types.end()) map.Wrong(place, absl::StrCat(what, ": the field '", id, "' is of another type"));
  if (field->sealed) map.Wrong(place, absl::StrCat(what, ": the field '", id, "' is private and the engine cannot read it"));
}

void Loader::ReadRecord(MapReader& map, const std::string& id) {
  using Type = FieldRow::Type;
  RecordRow row;
  ReadCommon(map, id, row);
  if (const auto fields = map.Need("fields")) {
    for (const Value& item : ReadList(*fields, absl::StrCat(map.what(), ": fields"), *problems_)) {
      FieldRow field = ReadField(item, map.what());
      const auto same = [&](const FieldRow& other) { return other.id == field.id; };
      if (std::any_of(row.fields.begin(), row.fields.end(), same)) {
        map.Wrong(item.place, absl::StrCat("the field '", field.id, "' is written twice"));
        continue;
      }
      row.fields.push_back(std::move(field));
    }
    if (row.fields.empty()) map.Wrong("has no fields");
    for (const FieldRow& field : row.fields) {
      if (field.required_if.empty()) continue;
      const auto is_asked = [&](const FieldRow& other) { return other.id == field.required_if && other.type == Type::kBoolean; };
      if (std::any_of(row.fields.begin(), row.fields.end(), is_asked)) continue;
      map.Wrong(fields->place, absl::StrCat("field ", field.id, ": required_if names no boolean field '", field.required_if, "'"));
    }
  }
  row.written_by = ReadReferences(map, "written_by", Kind::kRole);
  if (row.written_by.empty()) map.Wrong("'written_by' is missing: a record needs an owner");
  row.read_by = ReadReferences(map, "read_by", Kind::kRole);
  row.acknowledged_by = ReadReference(map, "acknowledged_by", Kind::kRole);
  row.filed_by = map.String("filed_by");
  row.command = map.String("command");
  row.attaches = static_cast<RecordRow::Attaches>(map.OneOf("attaches_to", {"case", "student", "school", "class"}).value_or(0));
  row.needs = ReadReferences(map, "needs", Kind::kRecord);
  row.needs_since_leave = map.Bool("needs_since_leave");
  if (const auto excused = map.Take("excused")) {
    MapReader reader(*excused, absl::StrCat(map.what(), ": excused"), *problems_);
    row.excused_by = reader.NeedString("by");
    NeedField(reader, row, excused->place, reader.what(), row.excused_by, {Type::kBoolean});
    row.excused_roles = ReadReferences(reader, "roles", Kind::kRole);
    if (row.excused_roles.empty()) reader.Wrong("'roles' says who may");
    reader.Finish();
    if (row.needs.empty()) map.Wrong(excused->place, "excused from nothing: there is no 'needs'");
  }
  if (const auto value = map.Take("signed")) {
    MapReader reader(*value, absl::StrCat(map.what(), ": signed"), *problems_);
    RecordRow::Signed is_signed;
    is_signed.field = reader.NeedString("field");
    NeedField(reader, row, value->place, reader.what(), is_signed.field, {Type::kPeople});
    is_signed.at_least = reader.Int("at_least", 2, 1, 20);
    is_signed.roles = ReadReferences(reader, "roles", Kind::kRole);
    if (is_signed.roles.empty()) reader.Wrong("'roles' says who signs");
    reader.Finish();
    row.is_signed = std::move(is_signed);
  }
  if (const auto value = map.Take("roster")) {
    MapReader reader(*value, absl::StrCat(map.what(), ": roster"), *problems_);
    RecordRow::Roster roster;
    roster.adults = reader.NeedString("adults");
    NeedField(reader, row, value->place, reader.what(), roster.adults, {Type::kPeople});
    roster.helper = reader.String("helper");
    if (!roster.helper.empty()) NeedField(reader, row, value->place, reader.what(), roster.helper, {Type::kPerson});
    roster.at_least = reader.Int("at_least", 3, 1, 50);
    roster.adults_at_least = reader.Int("adults_at_least", 2, 1, 50);
    roster.led_by = ReadReferences(reader, "led_by", Kind::kRole);
    reader.Finish();
    row.roster = std::move(roster);
  }
  if (const auto value = map.Take("reports")) {
    MapReader reader(*value, absl::StrCat(map.what(), ": reports"), *problems_);
    RecordRow::Reports reports;
    reports.field = reader.NeedString("field");
    NeedField(reader, row, value->place, reader.what(), reports.field, {Type::kBoolean, Type::kChoice});
    reports.value = reader.String("value", "true");
    reports.signals = ReadReferences(reader, "signals", Kind::kIndicator);
    reports.channel = reader.NeedString("channel");
    reader.Finish();
    row.reports = std::move(reports);
  }
  if (const auto value = map.Take("scored")) {
    MapReader reader(*value, absl::StrCat(map.what(), ": scored"), *problems_);
    RecordRow::Scored scored{.instrument = reader.NeedString("instrument"), .answers = reader.NeedString("answers")};
    NeedField(reader, row, value->place, reader.what(), scored.instrument, {Type::kChoice});
    if (row.FindField(scored.answers) == nullptr) reader.Wrong(absl::StrCat("the form has no field '", scored.answers, "'"));
    const auto into = [&](std::string_view key, std::string& field, std::initializer_list<Type> types) {
      field = reader.String(key);
      const FieldRow* found = field.empty() ? nullptr : row.FindField(field);
      if (!field.empty() && (found == nullptr || std::find(types.begin(), types.end(), found->type) == types.end())) reader.Wrong(absl::StrCat("'", field, "' is no such field"));
    };
    into("total", scored.total, {Type::kNumber});
    into("void", scored.voided, {Type::kBoolean});
    into("critical", scored.critical, {Type::kBoolean});
    into("result", scored.result, {Type::kChoice});
    reader.Finish();
    row.scored = std::move(scored);
  }
  row.registers = static_cast<RecordRow::Registers>(map.OneOf("registers", {"nothing", "entry", "exit"}).value_or(0));
  row.becomes = static_cast<RecordRow::Becomes>(map.OneOf("becomes", {"same", "on_leave"}).value_or(0));
  const bool of_case = row.attaches == RecordRow::Attaches::kCase;
  if (!of_case && (!row.needs.empty() || row.roster || row.registers != RecordRow::Registers::kNothing || row.becomes != RecordRow::Becomes::kSame)) {
    map.Wrong("needs, roster, registers and becomes are about a case; this record is about none");
  }
  if (Enter(Kind::kRecord, map, id)) draft_.pack.records.emplace(id, std::move(row));
}

void Loader::ReadRole(MapReader& map, const std::string& id) {
  RoleRow row;
  ReadCommon(map, id, row);
  row.scope = static_cast<RoleRow::Scope>(map.OneOf("scope", {"school", "grade", "class"}).value_or(0));
  for (const auto& [permission, place] : map.Strings("may")) {
    if (std::find(kPermissions.begin(), kPermissions.end(), permission) == kPermissions.end()) {
      map.Wrong(place, absl::StrCat("may: there is no permission '", permission, "'"));
    }
    row.may.push_back(permission);
  }
  row.security = map.Bool("security");
  row.staff = map.Bool("staff", true);
  row.at_least = map.Int("at_least", 0, 0, 100);
  if (Enter(Kind::kRole, map, id)) draft_.pack.roles.emplace(id, std::move(row));
}

void Loader::ReadSchedule(MapReader& map, const std::string& id) {
  ScheduleRow row;
  ReadCommon(map, id, row);
  map.Need("fallback_role");
  row.fallback_role = ReadReference(map, "fallback_role", Kind::kRole);
  if (Enter(Kind::kSchedule, map, id)) draft_.pack.schedules.emplace(id, std::move(row));
}

void Loader::ReadDuty(MapReader& map, const std::string& id) {
  using Every = DutyRow::Every;
  DutyRow row;
  ReadCommon(map, id, row);
  row.owner = ReadReferences(map, "owner", Kind::kRole);
  if (row.owner.empty()) map.Wrong("'owner' is missing: somebody owes it");
  row.scope = static_cast<DutyRow::Scope>(map.OneOf("scope", {"school", "class"}).value_or(0));
  if (const auto every = map.Need("every"); every && every->node.IsMap()) {
    row.every = Every::kEvent;
    MapReader reader(*every, absl::StrCat(map.what(), ": every"), *problems_);
    if (reader.Need("after")) row.event = ReadReference(reader, "after", Kind::kRecord);
    reader.Finish();
  } else if (every) {
    row.every = static_cast<Every>(map.OneOf("every", {"school_day", "school_week", "month", "term", "school_year"}).value_or(0));
  }
  map.Need("record");
  row.record = ReadReference(map, "record", Kind::kRecord);
  if (const auto only = map.Take("only")) {
    MapReader reader(*only, absl::StrCat(map.what(), ": only"), *problems_);
    row.record_field = reader.NeedString("field");
    row.record_value = reader.NeedString("value");
    reader.Finish();
  }
  if (const auto due = map.Need("due")) {
    MapReader reader(*due, absl::StrCat(map.what(), ": due"), *problems_);
    row.due_weekday = reader.OneOf("weekday", {"", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}).value_or(0);
    row.due_time = reader.TimeOfDay("time").value_or(row.due_time);
    row.due_after = reader.Span("after");
    row.due_before_end = reader.Span("before_end");
    row.event_due = reader.String("field");
    row.answers = reader.String("answers");
    reader.Finish();
    const int ways = (row.due_weekday > 0 ? 1 : 0) + (row.due_after ? 1 : 0) + (row.due_before_end ? 1 : 0);
    if (row.every == Every::kEvent) {
      if (!row.due_after) reader.Wrong("what is owed after an event says 'after' how long (its 'field' may say another time)");
      if (row.due_before_end || row.due_weekday > 0) reader.Wrong("what is owed after an event has no weekday and no end");
    } else {
      if (ways > 1) reader.Wrong("says one of weekday, after, before_end");
      if (row.due_weekday > 0 && row.every != Every::kSchoolWeek) reader.Wrong("a weekday belongs to a school_week");
      if (!row.event_due.empty() || !row.answers.empty()) reader.Wrong("'field' and 'answers' belong to what is owed after an event");
    }
  }
  row.acknowledged_by = ReadReference(map, "acknowledged_by", Kind::kRole);
  if (const auto late = map.Take("late")) {
    const std::string what = absl::StrCat(map.what(), ": late");
    for (const Value& item : ReadList(*late, what, *problems_)) {
      MapReader reader(item, what, *problems_);
      DutyRow::Step step;
      step.after = reader.Span("after").value_or(absl::ZeroDuration());
      const bool remind = reader.Bool("remind");
      step.tell = ReadReferences(reader, "tell", Kind::kRole);
      if (remind == !step.tell.empty()) reader.Wrong("a step says `remind: true` or `tell: [role]`");
      if (!row.late.empty() && step.after <= row.late.back().after) reader.Wrong("a step comes later than the one before");
      reader.Finish();
      row.late.push_back(std::move(step));
    }
  }
  row.notice = ReadReference(map, "notice", Kind::kLadder);
  if (row.late.empty() != row.notice.empty()) map.Wrong("'late' and its 'notice' stand together or not at all");
  if (const auto accounts = map.Take("accounts_for")) {
    MapReader reader(*accounts, absl::StrCat(map.what(), ": accounts_for"), *problems_);
    DutyRow::Accounts of;
    if (reader.Need("people")) of.people = static_cast<DutyRow::Accounts::People>(reader.OneOf("people", {"students", "register", "staff"}).value_or(0));
    of.grade = reader.String("grade");
    if (reader.Need("by")) of.record = ReadReference(reader, "by", Kind::kRecord);
    of.field = reader.String("field");
    reader.Finish();
    if (row.scope != DutyRow::Scope::kSchool) reader.Wrong("belongs to a duty of the school");
    row.accounts = std::move(of);
  }
  const auto [entry, fresh] = duties_.insert({id, map.place()});
  if (!fresh) return map.Wrong(absl::StrCat("stands already at ", entry->second.ToString()));
  draft_.duty_places[id] = map.place();
  draft_.pack.duties.emplace(id, std::move(row));
}

std::vector<int> Loader::ReadItems(MapReader& map, std::string_view key, int most) {
  std::vector<int> items;
  for (const auto& [text, place] : map.Strings(key)) {
    const std::size_t dash = text.find('-');
    const int from = std::atoi(text.substr(0, dash).c_str());
    const int to = dash == std::string::npos ? from : std::atoi(text.substr(dash + 1).c_str());
    if (from < 1 || to < from || to > most) {
      map.Wrong(place, absl::StrCat(std::string(key), ": '", text, "' is no item from 1 to ", most, ", nor a stretch of them as 1-15"));
      continue;
    }
    for (int item = from; item <= to; ++item) items.push_back(item);
  }
  return items;
}

void Loader::ReadInstrument(MapReader& map, const std::string& id) {
  InstrumentRow row;
  ReadCommon(map, id, row);
  if (map.Need("items")) row.items = map.Int("items", 1, 1, 1000);
  if (const auto scales = map.Take("scales")) {
    const std::string what = absl::StrCat(map.what(), ": scales");
    for (const Value& item : ReadList(*scales, what, *problems_)) {
      MapReader reader(item, what, *problems_);
      InstrumentRow::Scale scale;
      scale.id = reader.NeedString("id");
      scale.name = ReadTextIn(reader, "name");
      scale.items = ReadItems(reader, "items", row.items);
      if (scale.items.empty()) reader.Wrong("has no items");
      reader.Finish();
      row.scales.push_back(std::move(scale));
    }
  }
  row.validity = ReadItems(map, "validity", row.items);
  row.void_at_least = map.Int("void_at_least", 0, 0, 1000);
  row.scale_high = map.Int("scale_high", 0, 0, 1000);
  row.plan_at_least = map.Int("plan_at_least", 0, 0, 1000);
  row.critical = ReadItems(map, "critical", row.items);
  if (const auto outcomes = map.Take("outcomes")) {
    const std::string what = absl::StrCat(map.what(), ": outcomes");
    for (const Value& item : ReadList(*outcomes, what, *problems_)) {
      MapReader reader(item, what, *problems_);
      InstrumentRow::Outcome outcome;
      outcome.any = ReadItems(reader, "any", row.items);
      if (outcome.any.empty()) reader.Wrong("'any' names the items that it looks at");
      outcome.and_any = ReadItems(reader, "and_any", row.items);
      outcome.refused_counts = reader.Bool("refused_counts");
      outcome.result = reader.NeedString("result");
      reader.Finish();
      row.outcomes.push_back(std::move(outcome));
    }
  }
  if (row.scales.empty() && row.outcomes.empty()) map.Wrong("has neither scales nor outcomes");
  if (row.validity.empty() != (row.void_at_least == 0)) map.Wrong("'validity' and 'void_at_least' stand together or not at all");
  draft_.pack.instruments.emplace(id, std::move(row));
}

void Loader::ReadDocument(MapReader& map, const std::string& id) {
  DocumentRow row;
  ReadCommon(map, id, row);
  Refer(Kind::kRecord, id, map.place(), map.what());
  if (const auto parts = map.Need("parts")) {
    const std::string what = absl::StrCat(map.what(), ": parts");
    for (const Value& item : ReadList(*parts, what, *problems_)) {
      MapReader reader(item, what, *problems_);
      DocumentRow::Part part;
      part.name = ReadTextIn(reader, "name");
      for (const auto& [says, place] : reader.Strings("says")) {
        part.says.push_back(says);
        draft_.document_says.push_back({id, says, place, what});
      }
      if (part.says.empty()) reader.Wrong("'says' names the fields that stand in it");
      reader.Finish();
      row.parts.push_back(std::move(part));
    }
  }
  if (const auto signatures = map.Take("signatures")) {
    const std::string what = absl::StrCat(map.what(), ": signatures");
    for (const Value& item : ReadList(*signatures, what, *problems_)) {
      MapReader reader(item, what, *problems_);
      DocumentRow::Signature signature;
      signature.name = ReadTextIn(reader, "name");
      signature.field = reader.String("field");
      if (!signature.field.empty()) draft_.document_says.push_back({id, signature.field, reader.place(), what});
      reader.Finish();
      row.signatures.push_back(std::move(signature));
    }
  }
  row.notes = ReadReferences(map, "notes", Kind::kText);
  if (const auto copy = map.Take("guardian_copy")) {
    MapReader reader(*copy, absl::StrCat(map.what(), ": guardian_copy"), *problems_);
    row.copy = DocumentRow::Copy();
    if (reader.Need("valid")) row.copy->valid = reader.Span("valid").value_or(absl::Hours(1));
    if (row.copy->valid <= absl::ZeroDuration() || row.copy->valid > absl::Hours(24 * 400)) reader.Wrong("'valid' is a span of at most 400 days");
    row.copy->text = ReadReference(reader, "text", Kind::kText);
    if (row.copy->text.empty()) reader.Wrong("'text' names what stands beside the code");
    reader.Finish();
  }
  const auto [entry, fresh] = draft_.pack.documents.emplace(id, std::move(row));
  if (!fresh) map.Wrong("stands twice");
}

// No row of the protocol: words alone.
void Loader::ReadChoice(MapReader& map, const std::string& id) {
  Text text;
  for (const std::string& language : draft_.languages) text[language] = map.NeedString(language);
  map.Take("basis");
  map.Take("for");
  if (!draft_.pack.choices.emplace(id, std::move(text)).second) map.Wrong("stands twice");
}

void Loader::ReadText(MapReader& map, const std::string& id) {
  MessageText row;
  ReadCommon(map, id, row, /*named=*/false);
  row.disclosure = map.OneOf("disclosure", {"leaves", "inside"}) == 1 ? Disclosure::kInside : Disclosure::kLeaves;
  row.answers_report = map.Bool("answers_report");
  if (row.answers_report && draft_.pack.ReportAnswer() != nullptr) map.Wrong("another text answers reports already");
  std::vector<WrittenText> written;
  row.text = ReadTextIn(map, "text", &written);
  if (!Enter(Kind::kText, map, id)) return;
  draft_.pack.texts.emplace(id, std::move(row));
  draft_.written_texts.emplace(id, std::move(written));
}

}  // namespace

namespace {

// `common`: what the files alone give, when there is an overlay.
absl::StatusOr<std::shared_ptr<const Pack>> Load(const Pack* common, const PackFiles& files, const PackFiles& overlay, const DigestFunction& digest) {
  std::string resolved;
  for (const auto& [name, text] : files) absl::StrAppend(&resolved, name, "\n", text.size(), "\n", text);
  for (const auto& [name, text] : overlay) absl::StrAppend(&resolved, "overlay ", name, "\n", text.size(), "\n", text);
  if (resolved.size() > kMaxPackBytes) return absl::InvalidArgumentError("the pack is larger than 2 MiB");

  Problems problems;
  Loader loader(problems);
  try {
    for (const auto& [name, text] : files) loader.ReadFile(name, text);
    for (const auto& [name, text] : overlay) loader.ReadOverlayFile(name, text);
    loader.ReadSections();
    if (common != nullptr && problems.empty()) {
      for (const Loosening& loosening : FindLoosened(*common, loader.draft().pack)) {
        const Place place = loader.PlaceInOverlay(loosening.section, loosening.id).value_or(Place{"overlay", 0});
        problems.Add(place, absl::StrCat(loosening.section, " ", loosening.id, ": ", loosening.why, "; the documents' rule can be tightened only"));
      }
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("the pack cannot be read: ", error.what()));
  }
  if (!loader.draft().languages.empty()) CheckWhole(loader.draft(), problems);
  if (!problems.empty()) return absl::InvalidArgumentError(problems.ToString());

  auto pack = std::make_shared<Pack>(std::move(loader.draft().pack));
  pack->digest = digest(resolved).substr(0, kDigestDigits);
  return std::shared_ptr<const Pack>(std::move(pack));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Pack>> LoadPack(const PackFiles& files, const DigestFunction& digest) { return Load(nullptr, files, {}, digest); }

absl::StatusOr<std::shared_ptr<const Pack>> LoadPackWithOverlay(const PackFiles& files, const PackFiles& overlay, const DigestFunction& digest) {
  auto common = LoadPack(files, digest);
  if (!common.ok() || overlay.empty()) return common;
  return Load(common->get(), files, overlay, digest);
}

absl::StatusOr<std::shared_ptr<const Pack>> LoadPackWithOverlay(const Pack& common, const PackFiles& files, const PackFiles& overlay, const DigestFunction& digest) {
  return Load(&common, files, overlay, digest);
}

}  // namespace vigil::domain
