#include "notification/break_glass/emergency_list.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "platform/durable_file/durable_file.h"

namespace vigil::break_glass {
namespace {

using nlohmann::json;

constexpr std::string_view kAssociatedData = "vigil emergency list 1";

std::string TextOf(const json& object, const char* name) {
  const auto value = object.find(name);
  return value != object.end() && value->is_string() ? value->get<std::string>() : std::string();
}

json ToJson(const ListedSchool& school) {
  json people = json::array();
  for (const ListedPerson& person : school.people) {
    people.push_back({{"person", person.person}, {"phone", person.phone.reveal()}, {"language", person.language}});
  }
  return {{"name", school.name}, {"duty_phone", school.duty_phone}, {"language", school.language}, {"people", std::move(people)}};
}

ListedSchool FromJson(const json& object) {
  ListedSchool school{.name = TextOf(object, "name"), .duty_phone = TextOf(object, "duty_phone"), .language = TextOf(object, "language"), .people = {}};
  for (const json& person : object.value("people", json::array())) {
    if (!person.is_object()) continue;
    school.people.push_back(
        {.person = TextOf(person, "person"), .phone = Secret<std::string>(TextOf(person, "phone")), .language = TextOf(person, "language")});
  }
  return school;
}

}  // namespace

EmergencyList::EmergencyList(std::string path, SealingKey installation_key, Random* random)
    : path_(std::move(path)), key_(std::move(installation_key)), random_(random) {}

absl::Status EmergencyList::Load() {
  const absl::StatusOr<std::string> sealed = ReadWhole(path_);
  if (!sealed.ok()) return sealed.status();
  const absl::StatusOr<std::string> text = key_.Open(*sealed, kAssociatedData);
  if (!text.ok()) return text.status();
  const json parsed = json::parse(*text, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("schools") || !parsed["schools"].is_object()) return absl::DataLossError("the emergency list is not what it should be");
  const std::lock_guard lock(mutex_);
  for (const auto& [id, school] : parsed["schools"].items()) {
    if (school.is_object()) schools_[id] = FromJson(school);
  }
  return absl::OkStatus();
}

absl::Status EmergencyList::Save() {
  json schools = json::object();
  {
    const std::lock_guard lock(mutex_);
    if (!changed_) return absl::OkStatus();
    for (const auto& [id, school] : schools_) schools[id] = ToJson(school);
    changed_ = false;
  }
  const Secret<std::string> text(json{{"schools", std::move(schools)}}.dump(-1, ' ', false, json::error_handler_t::replace));
  absl::Status written = WriteDurably(path_, key_.Seal(text.reveal(), kAssociatedData, *random_));
  if (!written.ok()) {
    const std::lock_guard lock(mutex_);
    changed_ = true;
  }
  return written;
}

std::optional<ListedSchool> EmergencyList::Find(std::string_view school) const {
  const std::lock_guard lock(mutex_);
  const auto it = schools_.find(school);
  return it == schools_.end() ? std::nullopt : std::optional(it->second);
}

std::size_t EmergencyList::size() const {
  const std::lock_guard lock(mutex_);
  return schools_.size();
}

void EmergencyList::Put(const std::string& school, ListedSchool entry) {
  const std::lock_guard lock(mutex_);
  const auto [it, is_new] = schools_.try_emplace(school);
  if (!is_new && ToJson(it->second) == ToJson(entry)) return;
  it->second = std::move(entry);
  changed_ = true;
}

}  // namespace vigil::break_glass
