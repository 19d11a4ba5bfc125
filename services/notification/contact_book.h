// Who can be reached where: the directory's sealed contacts, opened when they are used.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "platform/crypto/secret.h"
#include "platform/keys/key_store.h"
#include "vigil/log/v1/events.plain.h"

namespace vigil::notification {

struct Contact {
  Secret<std::string> name;
  Secret<std::string> phone;  // empty: none on record
  std::string language;       // a tag; empty: the school's
};

// Used by one thread.
class ContactBook {
 public:
  // `keys` outlives it.
  explicit ContactBook(KeyStore* keys) : keys_(keys) {}

  // Staff and guardians are kept; nobody calls a student.
  void Note(const std::string& school, const domain::DirectoryChanged& change);

  // What is on record, sealed as it came; and the same put back.
  struct SealedContact {
    std::string school;
    std::string person;
    std::string subject;
    std::string sealed;
  };
  std::vector<SealedContact> Sealed() const;
  void Put(SealedContact contact);

  // An opened contact stays in memory, but the key is looked for again each time: who is erased is unreachable from then on. The pointer is
  // valid until the next call. NotFound: nothing on record, or erased. Unavailable: the key is not in memory and its store does not answer.
  absl::StatusOr<const Contact*> Find(const std::string& school, const std::string& person);

 private:
  struct Entry {
    std::string subject;
    std::string sealed;
    Contact contact;
    bool opened = false;
  };
  KeyStore* const keys_;
  std::unordered_map<std::string, Entry> entries_;  // by "school/person"
};

}  // namespace vigil::notification
