// Whom to ring when the system itself is in trouble: a small file beside the service, enough from a cold start with the log and the cache down
// (INT-08). It is kept up to date from the directory while all is well.
//
// On disk: XChaCha20-Poly1305 under the installation's key, associated data "vigil emergency list 1", over JSON
// {"schools": {id: {"name", "duty_phone", "language", "people": [{"person", "phone", "language"}]}}}, people in the order of ringing.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "platform/crypto/random.h"
#include "platform/crypto/seal.h"
#include "platform/crypto/secret.h"

namespace vigil::break_glass {

inline constexpr std::size_t kMostPeopleOfSchool = 20;

struct ListedPerson {
  std::string person;
  Secret<std::string> phone;
  std::string language;  // a tag; empty: the school's
};

struct ListedSchool {
  std::string name;
  std::string duty_phone;
  std::string language;
  std::vector<ListedPerson> people;
};

// Thread-safe.
class EmergencyList {
 public:
  // `random` outlives it. Nothing is read before Load.
  EmergencyList(std::string path, SealingKey installation_key, Random* random);

  // NotFound: there is no file yet. DataLoss: it is damaged or of another installation; the list is then empty, and the next Save replaces it.
  absl::Status Load();
  // Nothing to do: Ok. Waits for the disk; from one thread at a time.
  absl::Status Save();

  std::optional<ListedSchool> Find(std::string_view school) const;
  std::size_t size() const;
  void Put(const std::string& school, ListedSchool entry);

 private:
  const std::string path_;
  const SealingKey key_;
  Random* const random_;
  mutable std::mutex mutex_;
  std::map<std::string, ListedSchool, std::less<>> schools_;
  bool changed_ = false;
};

}  // namespace vigil::break_glass
