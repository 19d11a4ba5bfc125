#include "notification/contact_book.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace vigil::notification {
namespace {

std::string KeyOf(const std::string& school, const std::string& person) { return absl::StrCat(school, "/", person); }

}  // namespace

void ContactBook::Note(const std::string& school, const domain::DirectoryChanged& change) {
  for (const domain::Person& person : change.people) {
    const std::string key = KeyOf(school, person.person_id);
    if (person.kind == domain::PersonKind::kStudent || !person.contact) {
      entries_.erase(key);
      continue;
    }
    entries_[key] = {.subject = person.contact->person, .sealed = person.contact->content, .contact = {}};
  }
  for (const std::string& person : change.removed) entries_.erase(KeyOf(school, person));
}

std::vector<ContactBook::SealedContact> ContactBook::Sealed() const {
  std::vector<SealedContact> all;
  all.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) {
    const std::size_t slash = key.find('/');  // a school's id has none
    all.push_back({.school = key.substr(0, slash), .person = key.substr(slash + 1), .subject = entry.subject, .sealed = entry.sealed});
  }
  return all;
}

void ContactBook::Put(SealedContact contact) {
  entries_[KeyOf(contact.school, contact.person)] = {.subject = std::move(contact.subject), .sealed = std::move(contact.sealed), .contact = {}};
}

absl::StatusOr<const Contact*> ContactBook::Find(const std::string& school, const std::string& person) {
  const auto it = entries_.find(KeyOf(school, person));
  if (it == entries_.end()) return absl::NotFoundError("no contact on record");
  Entry& entry = it->second;
  const absl::StatusOr<SealingKey> key = keys_->Find(entry.subject);
  if (!key.ok()) {
    if (absl::IsNotFound(key.status())) {
      entry.contact = {};
      entry.opened = false;
    }
    return key.status();
  }
  if (!entry.opened) {
    absl::StatusOr<std::string> text = key->Open(entry.sealed, entry.subject);
    if (!text.ok()) return text.status();
    const Secret<std::string> opened(*std::move(text));
    const nlohmann::json contact = nlohmann::json::parse(opened.reveal(), nullptr, false);
    if (!contact.is_object()) return absl::DataLossError("a contact is not what it should be");
    const auto field = [&](const char* name) {
      const auto value = contact.find(name);
      return value != contact.end() && value->is_string() ? value->get<std::string>() : std::string();
    };
    entry.contact = {.name = Secret<std::string>(field("name")), .phone = Secret<std::string>(field("phone")), .language = field("language")};
    entry.opened = true;
  }
  return &entry.contact;
}

}  // namespace vigil::notification
