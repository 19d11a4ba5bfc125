#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform/crypto/random.h"
#include "platform/crypto/seal.h"

namespace vigil {

struct KeyRef {
  SealingKey key;
  bool created = false;  // by this call; false: it was there
};

// A key that exists only here, and its form to travel beside what it seals.
struct PreparedKey {
  SealingKey key;
  std::string wrapped;
};

// A data key for each person. What is written about a person is sealed by it; to erase the person is to erase it. Stored wrapped by the
// installation's key, with the person's id as associated data, so that a wrapped key moved to another person does not open.
//
// Errors everywhere: kUnavailable: the store cannot be reached, and the answer is not in memory (a key may or may not have been created; ask
// again). kDataLoss: what is stored is not of this installation's key. Thread-safe. Not from a callback of the log (it may wait).
class KeyStore {
 public:
  virtual ~KeyStore() = default;

  // The person's key, created durably if there is none. Two that race get the same key.
  virtual absl::StatusOr<KeyRef> EnsureKey(std::string_view person_id) = 0;

  // The same for many, pipelined; afterwards Find finds them all in memory. `done` runs once, on a library thread or before this returns, with
  // the first error if any.
  virtual void EnsureKeys(std::vector<std::string> person_ids, std::function<void(absl::Status)> done) = 0;

  // The person's key: from memory at once; if it is not there, after one round trip. kNotFound: there is none, or it was erased.
  virtual absl::StatusOr<SealingKey> Find(std::string_view person_id) = 0;

  // Erases the key for good, its bytes overwritten; every store forgets it within moments. May be repeated. A person erased who comes again
  // gets another key, which opens nothing of before.
  virtual absl::Status Erase(std::string_view person_id) = 0;

  // The hash by which an erasure names this very key: SHA-256 of its wrapped form, which says nothing about it. Errors as Find's.
  virtual absl::StatusOr<std::string> KeyHash(std::string_view person_id) = 0;

  // Erases the person's key if it is the one of that hash. OK also if there is none, or another: whoever came again since keeps theirs.
  virtual absl::Status EraseKey(std::string_view person_id, std::string_view key_hash) = 0;

  // Makes `wrapped` (of Prepare, here or in another process of the installation) the person's key, durably. When the person has a key
  // already, that one is returned, `created` false, and what `wrapped` sealed must be sealed again.
  virtual absl::StatusOr<KeyRef> Adopt(std::string_view person_id, std::string_view wrapped) = 0;

  // Whether everything that was stored at start is in memory.
  virtual bool ready() const = 0;

  // A new key that is not stored, for the time when the store cannot be reached: it travels in the outbox with what it seals, and is adopted
  // when that is appended.
  virtual PreparedKey Prepare(std::string_view person_id) = 0;
  virtual absl::StatusOr<SealingKey> Unwrap(std::string_view person_id, std::string_view wrapped) const = 0;
};

}  // namespace vigil
