#include "vigil/play/story.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "vigil/request_builder.h"

namespace vigil {
namespace {

using nlohmann::json;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::TimeZone SchoolZone() {
  absl::TimeZone zone;
  if (!absl::LoadTimeZone("Asia/Shanghai", &zone)) zone = absl::FixedTimeZone(8 * 60 * 60);
  return zone;
}

absl::StatusOr<absl::Time> OnDay(absl::CivilDay day, std::string_view clock) {
  absl::Time time;
  std::string error;
  const std::string text = absl::StrCat(absl::FormatCivilTime(day), " ", View(clock));
  if (!absl::ParseTime("%Y-%m-%d %H:%M", text, SchoolZone(), &time, &error)) return absl::InvalidArgumentError(absl::StrCat(text, ": ", error));
  return time;
}

}  // namespace

absl::StatusOr<absl::Time> StoryTime(std::string_view text, absl::Time first_day) {
  const std::size_t space = text.find(' ');
  if (space != 1 || text[0] < '1' || text[0] > '9') return absl::InvalidArgumentError(absl::StrCat("not a day and a time: ", View(text)));
  return OnDay(absl::ToCivilDay(first_day, SchoolZone()) + (text[0] - '1'), text.substr(space + 1));
}

absl::Time StoryBegins(absl::Time now, std::string_view time_of_day, const std::vector<int>& weekdays) {
  constexpr absl::Duration kMargin = absl::Minutes(5);
  for (absl::CivilDay day = absl::ToCivilDay(now, SchoolZone());; ++day) {
    const absl::StatusOr<absl::Time> begins = OnDay(day, time_of_day);
    if (!begins.ok()) return now;
    const int iso_weekday = static_cast<int>(absl::GetWeekday(day)) + 1;
    if (*begins >= now + kMargin && std::find(weekdays.begin(), weekdays.end(), iso_weekday) != weekdays.end()) return *begins;
  }
}

Story::Story(const json& script, const SampleSchool& school, Stage& stage, Narrator& narrator, Language language)
    : script_(script), school_(school), stage_(stage), narrator_(narrator), language_(language) {}

std::string Story::PersonId(std::string_view name) const { return absl::StrCat(school_.id, "-", View(name)); }

json Story::Resolved(const json& value) const {
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (text.starts_with('$')) return PersonId(std::string_view(text).substr(1));
    if (text.starts_with('@')) {
      const absl::StatusOr<absl::Time> time = StoryTime(std::string_view(text).substr(1), first_day_);
      return time.ok() ? TimeText(*time) : text;
    }
    return value;
  }
  if (!value.is_structured()) return value;
  json resolved = value;
  for (auto& item : resolved) item = Resolved(item);
  return resolved;
}

std::string Story::CaseId(const json& step) const {
  const auto found = cases_.find(step.value("case", ""));
  return found == cases_.end() ? "" : found->second;
}

absl::Status Story::Begin() {
  for (const auto* people : {&school_.staff, &school_.guardians}) {
    for (const SamplePerson& person : *people) {
      if (absl::Status status = stage_.Phone(person.id, script_.at("phones")); !status.ok()) return status;
    }
  }
  const absl::StatusOr<absl::Time> now = stage_.Now();
  if (!now.ok()) return now.status();
  const json& day = script_.at("first_day");
  first_day_ = StoryBegins(*now, day.at("begins").get<std::string>(), day.at("weekdays").get<std::vector<int>>());
  narrator_.SetFirstDay(first_day_);
  return stage_.AdvanceTo(first_day_);
}

absl::Status Story::Play() {
  if (absl::Status status = Begin(); !status.ok()) return status;
  for (const json& step : script_.at("steps")) {
    if (absl::Status status = PlayStep(step); !status.ok()) return status;
  }
  narrator_.Flush();
  return stage_.SetSpeed(1);
}

absl::Status Story::PlayStep(const json& step) {
  if (step.contains("act")) {
    narrator_.Heading(step.at("act").at(language_ == Language::kChinese ? "zh" : "en").get<std::string>());
    return absl::OkStatus();
  }
  if (step.contains("speed")) return stage_.SetSpeed(step.at("speed").get<double>());
  if (step.contains("advance")) {
    const absl::StatusOr<absl::Time> time = StoryTime(step.at("advance").get<std::string>(), first_day_);
    return time.ok() ? stage_.AdvanceTo(*time) : time.status();
  }
  if (step.contains("phone")) return stage_.Phone(PersonId(step.at("phone").get<std::string>()), step.at("behaviour"));
  if (step.contains("watch")) {
    stage_.Watch(cases_.at(step.at("watch").get<std::string>()));
    return absl::OkStatus();
  }
  if (step.contains("unwatch")) {
    stage_.Unwatch(cases_.at(step.at("unwatch").get<std::string>()));
    return absl::OkStatus();
  }
  if (step.contains("hand_over_to")) return HandOver(CaseId(step), step.at("hand_over_to"));
  if (step.contains("do")) {
    if (absl::Status status = Do(step); !status.ok()) return status;
  }
  return AwaitAll(step);
}

absl::Status Story::Do(const json& step) {
  const std::string command = step.at("do").get<std::string>();
  const std::string name = step.at("case").get<std::string>();
  const bool opens = !cases_.contains(name);
  // Slow enough for people: what somebody does at a time takes place at about that time.
  const absl::StatusOr<json> answer =
      stage_.Command(command, PersonId(step.at("as").get<std::string>()), {opens ? school_.id : CaseId(step)}, Resolved(step.at("body")));
  if (!answer.ok()) return answer.status();
  if (!opens) return absl::OkStatus();
  std::string case_id = answer->value("case_id", "");
  // Accepted while the log was away: the receipt has it later.
  while (case_id.empty()) {
    const absl::StatusOr<json> receipt = stage_.Get(absl::StrCat("/api/v1/schools/", school_.id, "/reports/", answer->value("report_id", "")));
    if (!receipt.ok()) return receipt.status();
    case_id = receipt->value("case_id", "");
  }
  cases_[name] = case_id;
  narrator_.Follow(case_id, script_.at("cases").at(name).at(language_ == Language::kChinese ? "zh" : "en").get<std::string>());
  return absl::OkStatus();
}

absl::Status Story::AwaitAll(const json& step) {
  if (!step.contains("await")) return absl::OkStatus();
  const std::string case_id = CaseId(step);
  for (const json& wanted : step.at("await")) {
    const std::string type = wanted.at("type").get<std::string>();
    const json detail = Resolved(wanted.value("detail", json::object()));
    const auto matches = [&](const LiveEvent& event) {
      if (event.type != type || event.case_id != case_id) return false;
      return std::all_of(detail.items().begin(), detail.items().end(),
                         [&](const auto& item) { return event.Detail(item.key()) == item.value().template get<std::string>(); });
    };
    std::string what = type;
    if (!detail.empty()) absl::StrAppend(&what, " ", detail.dump());
    if (absl::Status status = stage_.Await(what, matches, wanted.value("count", 1)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Both sides confirm: who holds the child offers, each of the next accepts.
absl::Status Story::HandOver(const std::string& case_id, const json& to) {
  const absl::StatusOr<json> custody = stage_.Get(absl::StrCat("/api/v1/cases/", case_id, "/custody"));
  if (!custody.ok()) return custody.status();
  const json holders = custody->value("holders", json::array());
  if (holders.empty()) return absl::FailedPreconditionError("nobody has the child");
  json people = json::array();
  for (const json& name : to) people.push_back(PersonId(name.get<std::string>()));
  if (const absl::StatusOr<json> offered = stage_.Command("offer-shift", holders.front().get<std::string>(), {case_id}, {{"to_staff_ids", people}}); !offered.ok()) {
    return offered.status();
  }
  for (const json& person : people) {
    if (const absl::StatusOr<json> accepted = stage_.Command("accept-shift", person.get<std::string>(), {case_id}, json::object()); !accepted.ok()) {
      return accepted.status();
    }
    const auto matches = [&](const LiveEvent& event) {
      return event.type == "shift_accepted" && event.case_id == case_id && event.Detail("person") == person.get<std::string>();
    };
    if (absl::Status status = stage_.Await("shift_accepted", matches); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace vigil
