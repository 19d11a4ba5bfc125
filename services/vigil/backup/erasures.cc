#include "vigil/backup/erasures.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "platform/crypto/encoding.h"
#include "vigil/backup/copy.h"

namespace vigil {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kTitle = "vigil erasures v1\n";

}  // namespace

void Erasures::Add(const std::string& school, const domain::PersonErased& erased) {
  Entry& entry = entries_[{school, erased.person_id}];
  entry.in_log = true;
  for (const domain::ErasedKey& key : erased.keys) entry.keys.try_emplace({key.person, key.key_hash}, false);
}

void Erasures::Merge(const Erasures& other) {
  for (const auto& [name, theirs] : other.entries_) {
    Entry& entry = entries_[name];
    for (const auto& [key, gone] : theirs.keys) {
      bool& ours = entry.keys[key];
      ours = ours || gone;
    }
  }
}

void Erasures::NoteStored(const std::vector<NamedKey>& stored) {
  std::map<KeyName, std::string> hashes;
  for (const NamedKey& key : stored) {
    if (!key.erased) hashes[key.name] = HashOfWrapped(key.wrapped);
  }
  for (auto& [name, entry] : entries_) {
    for (auto& [key, gone] : entry.keys) {
      const auto present = hashes.find(KeyNameOf(key.person));
      gone = gone || present == hashes.end() || present->second != key.hash;
    }
  }
}

std::set<std::pair<KeyName, std::string>> Erasures::Gone() const {
  std::set<std::pair<KeyName, std::string>> all;
  for (const auto& [name, entry] : entries_) {
    for (const auto& [key, gone] : entry.keys) {
      if (gone) all.emplace(KeyNameOf(key.person), key.hash);
    }
  }
  return all;
}

std::string Erasures::Text(const SigningKey& key) const {
  std::string body;
  for (const auto& [name, entry] : entries_) {
    ordered_json keys = ordered_json::array();
    for (const auto& [erased, gone] : entry.keys) keys.push_back({{"person", erased.person}, {"hash", HexEncode(erased.hash)}, {"gone", gone}});
    absl::StrAppend(&body, ordered_json{{"school", name.first}, {"person", name.second}, {"keys", keys}}.dump(), "\n");
  }
  return SignText(kTitle, body, key);
}

absl::StatusOr<Erasures> Erasures::Parse(std::string_view text, const NoteVerifier& key, std::string_view what) {
  absl::StatusOr<std::string> body = OpenSigned(kTitle, text, key, what);
  if (!body.ok()) return body.status();
  Erasures erasures;
  try {
    for (const absl::string_view line : absl::StrSplit(*body, '\n', absl::SkipEmpty())) {
      const json parsed = json::parse(line.begin(), line.end());
      Entry& entry = erasures.entries_[{parsed.at("school").get<std::string>(), parsed.at("person").get<std::string>()}];
      for (const json& one : parsed.at("keys")) {
        const auto hash = HexDecode(one.at("hash").get<std::string>());
        if (!hash) return absl::DataLossError(absl::StrCat(std::string(what), " has a key without a hash"));
        entry.keys[{one.at("person").get<std::string>(), *hash}] = one.at("gone").get<bool>();
      }
    }
  } catch (const json::exception&) {
    return absl::DataLossError(absl::StrCat(std::string(what), " is not a list of erasures"));
  }
  return erasures;
}

}  // namespace vigil
