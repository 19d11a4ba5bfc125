#include "notification/break_glass/list_keeper.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/on_call.h"
#include "platform/logging/log.h"

namespace vigil::break_glass {
namespace {

constexpr std::string_view kMayTake = "alert.take";

std::string KeyOf(const std::string& school, const std::string& person) { return absl::StrCat(school, "/", person); }

bool MayTake(const domain::Pack& pack, const domain::Person& person) {
  return std::any_of(person.roles.begin(), person.roles.end(), [&](const std::string& role) {
    const auto row = pack.roles.find(role);
    return row != pack.roles.end() && std::find(row->second.may.begin(), row->second.may.end(), kMayTake) != row->second.may.end();
  });
}

}  // namespace

ListKeeper::ListKeeper(EmergencyList* list, KeyStore* keys) : list_(list), keys_(keys) {}

ListKeeper::~ListKeeper() { Stop(); }

void ListKeeper::Note(const AppliedCommit& applied) {
  if (applied.file != nullptr) return;
  const std::string& school = applied.commit.school;
  for (const domain::Event& event : applied.commit.events) {
    const auto* change = std::get_if<domain::DirectoryChanged>(&event.body);
    if (change == nullptr) {
      if (!school.empty()) changed_.insert(school);
      continue;
    }
    const domain::Pack& pack = *applied.school_entry.pack();
    for (const domain::Person& person : change->people) {
      const std::string key = KeyOf(school, person.person_id);
      if (person.kind == domain::PersonKind::kStaff && person.contact && MayTake(pack, person)) {
        contacts_[key] = {person.contact->person, person.contact->content};
        changed_.insert(school);
      } else if (contacts_.erase(key) > 0) {
        changed_.insert(school);
      }
    }
    for (const std::string& person : change->removed) {
      if (contacts_.erase(KeyOf(school, person)) > 0) changed_.insert(school);
    }
  }
}

ListedSchool ListKeeper::Resolve(Machine& machine, const std::string& school, const domain::LadderRow& ladder, bool* complete) {
  const domain::SchoolState& state = machine.SchoolFor(school);
  ListedSchool listed{.name = state.school_name, .duty_phone = state.duty_phone, .language = state.language, .people = {}};
  const std::optional<ListedSchool> before = list_->Find(school);
  // Nobody's case: the list is for any.
  domain::FileState nobody;
  nobody.school = school;
  nobody.current.emplace();
  const domain::AlertState alert;
  for (const domain::LadderStep& step : ladder.steps) {
    for (const std::string& person : domain::ResolveStep(*machine.PackOf(school), state, nobody, alert, step, machine.Now()).reachable) {
      const bool listed_already = std::any_of(listed.people.begin(), listed.people.end(), [&](const ListedPerson& p) { return p.person == person; });
      const auto contact = contacts_.find(KeyOf(school, person));
      if (listed_already || listed.people.size() >= kMostPeopleOfSchool) continue;
      if (contact == contacts_.end()) {
        // Not seen in this life of ours, which may have begun in the middle of the log: what the list has of them stays.
        if (!before) continue;
        const auto known = std::find_if(before->people.begin(), before->people.end(), [&](const ListedPerson& p) { return p.person == person; });
        if (known != before->people.end()) listed.people.push_back(*known);
        continue;
      }
      const absl::StatusOr<SealingKey> key = keys_->Find(contact->second.subject);
      if (!key.ok()) {
        if (!absl::IsNotFound(key.status())) *complete = false;
        continue;  // erased
      }
      const absl::StatusOr<std::string> opened = key->Open(contact->second.content, contact->second.subject);
      const nlohmann::json parsed = opened.ok() ? nlohmann::json::parse(*opened, nullptr, false) : nlohmann::json();
      if (!parsed.is_object()) continue;
      ListedPerson entry{.person = person, .phone = Secret<std::string>(parsed.value("phone", "")), .language = parsed.value("language", "")};
      if (!entry.phone.reveal().empty()) listed.people.push_back(std::move(entry));
    }
  }
  return listed;
}

void ListKeeper::Refresh(Machine& machine, bool everybody) {
  // A key that is not in memory would be waited for.
  if (!machine.caught_up() || !machine.connected() || !keys_->ready()) return;
  if (everybody) {
    for (const auto& [id, school] : machine.schools()) {
      if (!id.empty()) changed_.insert(id);
    }
  }
  for (auto it = changed_.begin(); it != changed_.end();) {
    bool complete = true;
    // Held: rows of it are looked at.
    const std::shared_ptr<const domain::Pack> pack = machine.PackOf(*it);
    const domain::LadderRow* ladder = pack->EmergencyLadder();
    if (ladder == nullptr) {
      it = changed_.erase(it);
      continue;
    }
    ListedSchool listed = Resolve(machine, *it, *ladder, &complete);
    // What cannot be read now is better as it was.
    if (complete) list_->Put(*it, std::move(listed));
    it = complete ? changed_.erase(it) : std::next(it);
  }
}

void ListKeeper::Start(Machine* machine) {
  thread_ = std::thread([this, machine] { Run(machine); });
}

void ListKeeper::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ListKeeper::Run(Machine* machine) {
  absl::Time everybody = absl::InfinitePast();
  absl::Status said;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, absl::ToChronoNanoseconds(kSaveInterval), [this] { return stopping_; })) {
    lock.unlock();
    const absl::Time now = machine->clock()->NowReal();
    const bool all = now - everybody >= kRosterInterval || now < everybody;
    if (all && machine->caught_up()) everybody = now;
    machine->loop()->Post([this, machine, all] { Refresh(*machine, all); });
    const absl::Status saved = list_->Save();
    if (!saved.ok() && saved != said) log::Error("the emergency list cannot be kept", {{"reason", saved}});
    said = saved;
    lock.lock();
  }
}

}  // namespace vigil::break_glass
