#include "vigil/play/narrator.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "vigil/embedded.h"
#include "vigil/names.h"

namespace vigil {
namespace {

using nlohmann::json;

constexpr int kTimeColumn = 14;

const json& Narration() {
  static const json narration = json::parse(embedded::kNarration);
  return narration;
}

absl::TimeZone SchoolZone() {
  absl::TimeZone zone;
  if (!absl::LoadTimeZone("Asia/Shanghai", &zone)) zone = absl::FixedTimeZone(8 * 60 * 60);
  return zone;
}

// How an event is told, or null: it is not.
const json* FormOf(const LiveEvent& event) {
  const auto row = Narration().find(event.type);
  if (row == Narration().end()) return nullptr;
  const json* form = &*row;
  if (row->contains("by")) {
    const auto chosen = row->find(event.Detail(row->at("by").get<std::string>()));
    const auto other = row->find("");
    if (chosen != row->end()) {
      form = &*chosen;
    } else if (other != row->end()) {
      form = &*other;
    } else {
      return nullptr;
    }
  }
  if (form->value("quiet", false)) return nullptr;
  if (form->contains("unless")) {
    for (const auto& [name, value] : form->at("unless").items()) {
      if (event.Detail(name) == value.get<std::string>()) return nullptr;
    }
  }
  return form;
}

}  // namespace

Narrator::Narrator(const SampleSchool& school, Language language, Print print) : school_(school), language_(language), print_(std::move(print)) {}

void Narrator::Follow(std::string_view case_id, std::string_view called) { cases_.emplace(case_id, called); }

void Narrator::Heading(std::string_view text) {
  Flush();
  print_("");
  print_(absl::StrCat("── ", absl::string_view(text.data(), text.size()), " ", "──"));
}

std::string Narrator::SchoolClock(absl::Time time) const {
  const absl::TimeZone zone = SchoolZone();
  const int day = static_cast<int>(absl::ToCivilDay(time, zone) - absl::ToCivilDay(first_day_, zone)) + 1;
  const std::string clock = absl::FormatTime("%H:%M", time, zone);
  return language_ == Language::kChinese ? absl::StrCat("第", day, "天 ", clock) : absl::StrCat("day ", day, ", ", clock);
}

std::string Narrator::Called(std::string_view person) const {
  const SamplePerson* found = school_.Find(person);
  if (found == nullptr) return std::string(person);
  return language_ == Language::kChinese ? found->label_zh : found->label_en;
}

// {name} is the detail's text; {kind:name} what the id in it is called; {step+1} counts from one; {actor} who did it.
std::string Narrator::Filled(std::string_view form, const LiveEvent& event) const {
  std::string text;
  for (std::size_t i = 0; i < form.size();) {
    if (form[i] != '{') {
      text.push_back(form[i++]);
      continue;
    }
    const std::size_t end = form.find('}', i);
    const std::string_view place = form.substr(i + 1, end - i - 1);
    i = end + 1;
    const std::size_t colon = place.find(':');
    if (place == "people" || place == "count") {
      absl::StrAppend(&text, "{", absl::string_view(place.data(), place.size()), "}");  // the fold fills these
    } else if (place == "actor") {
      text += Called(event.actor);
    } else if (place.ends_with("+1")) {
      int number = 0;
      if (!absl::SimpleAtoi(event.Detail(place.substr(0, place.size() - 2)), &number)) number = 0;
      absl::StrAppend(&text, number + 1);
    } else if (colon == std::string_view::npos) {
      text += event.Detail(place);
    } else {
      const std::string_view kind = place.substr(0, colon);
      const std::string& value = event.Detail(place.substr(colon + 1));
      absl::Time time;
      std::string error;
      if (kind == "person") {
        text += Called(value);
      } else if (kind == "time") {
        text += absl::ParseTime(absl::RFC3339_full, value, &time, &error) ? SchoolClock(time) : value;
      } else {
        const std::string name = NameOf(kind, value, language_);
        // A row of the pack that has no shorter name here: the server's own words, which have the pack's.
        if (name == value && !event.summary.empty()) return event.summary;
        text += name;
      }
    }
  }
  return text;
}

void Narrator::Line(absl::Time time, std::string_view case_id, std::string_view text) {
  const auto called = cases_.find(case_id);
  print_(absl::StrCat(Padded(SchoolClock(time), kTimeColumn), called == cases_.end() ? "" : called->second, absl::string_view(text.data(), text.size())));
}

void Narrator::Flush(bool routine) {
  for (const Fold& fold : std::exchange(folds_, {})) {
    if (fold.routine && !routine) {
      folds_.push_back(fold);
      continue;
    }
    std::string text = fold.text;
    const auto put = [&](std::string_view place, const std::string& value) {
      if (const std::size_t at = text.find(place); at != std::string::npos) text.replace(at, place.size(), value);
    };
    put("{people}", absl::StrJoin(fold.people, language_ == Language::kChinese ? "、" : ", "));
    put("{count}", absl::StrCat(fold.count));
    Line(fold.first, fold.case_id, text);
  }
}

void Narrator::Tell(const LiveEvent& event) {
  if (event.type == "attempt_intended") attempts_[event.Detail("attempt_id")] = {event.Detail("person"), event.Detail("alert_id")};
  if (event.type == "alert_taken" && event.has_effect) taken_.insert(event.Detail("alert_id"));
  if (!event.has_effect || !cases_.contains(event.case_id)) return;
  const json* form = FormOf(event);
  if (form == nullptr) return;
  const std::string words = form->at(language_ == Language::kChinese ? "zh" : "en").get<std::string>();
  std::string text = Filled(words, event);
  if (!form->contains("fold")) {
    Flush();
    return Line(event.time, event.case_id, text);
  }
  std::string person = event.Detail("person");
  if (form->at("fold") == "attempt") {
    const auto attempt = attempts_.find(event.Detail("attempt_id"));
    if (attempt == attempts_.end()) return;
    // Phones that ring on after somebody took it tell nothing any more.
    if (form->value("while_open", false) && taken_.contains(attempt->second.alert)) return;
    person = attempt->second.person;
  }
  // What is routine goes on beside routine of another case; anything else ends what was folded before it.
  const std::string key = absl::StrCat(event.case_id, "/", words);
  auto fold = std::find_if(folds_.begin(), folds_.end(), [&](const Fold& open) { return open.key == key; });
  if (fold == folds_.end()) {
    const bool routine = form->value("routine", false);
    if (!routine) Flush();
    folds_.push_back({.key = key, .text = std::move(text), .case_id = event.case_id, .routine = routine, .first = event.time});
    fold = std::prev(folds_.end());
  }
  ++fold->count;
  const std::string called = Called(person);
  if (std::find(fold->people.begin(), fold->people.end(), called) == fold->people.end()) fold->people.push_back(called);
}

}  // namespace vigil
