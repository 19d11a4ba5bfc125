// Whose keys were given up, as a list that is kept with every copy: from it a restore knows of an erasure that happened after the keys were copied.
// It holds ids and hashes, nothing that anybody could read anything with.
//
// Signed (copy.h), a JSON object a line: {"school", "person", "keys": [{"person", "hash": hex, "gone": bool}]}. `gone`: when the copy was made the
// key was no longer stored. An erasure of the log that took no effect where it landed stays here as one whose keys are not gone, and is not
// carried out.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "audit/ledger/note.h"
#include "platform/crypto/sign.h"
#include "platform/keys/stored_keys.h"
#include "vigil/log/v1/events.plain.h"

namespace vigil {

class Erasures {
 public:
  struct Key {
    std::string person;  // as in Sealed
    std::string hash;    // HashOfWrapped
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    std::map<Key, bool> keys;  // gone
    bool in_log = false;       // Add has said it; not stored
  };
  using Name = std::pair<std::string, std::string>;  // school, person

  // What the log says.
  void Add(const std::string& school, const domain::PersonErased& erased);
  // What another list says.
  void Merge(const Erasures& other);
  // Keys that these do not hold are gone.
  void NoteStored(const std::vector<NamedKey>& stored);

  bool empty() const { return entries_.empty(); }
  const std::map<Name, Entry>& entries() const { return entries_; }
  // The keys that were given up and are gone: name in the bucket, and hash.
  std::set<std::pair<KeyName, std::string>> Gone() const;

  std::string Text(const SigningKey& key) const;
  static absl::StatusOr<Erasures> Parse(std::string_view text, const NoteVerifier& key, std::string_view what);

 private:
  std::map<Name, Entry> entries_;
};

}  // namespace vigil
