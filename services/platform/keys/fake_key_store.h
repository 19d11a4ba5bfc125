#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "platform/keys/key_store.h"

namespace vigil {

// The bucket in memory, shared by the stores of several services. Outlives them. Thread-safe.
class FakeKeyBucket {
 public:
  // `random` outlives the bucket.
  explicit FakeKeyBucket(Random& random);

  // A store as another process would have it.
  std::unique_ptr<KeyStore> Connect();

  // While unavailable, stores that were there before answer from memory; one opened meanwhile knows nothing.
  void SetAvailable(bool available);

  // What is stored, and the same put back later: a backup, restored.
  using Copy = std::map<std::string, std::string, std::less<>>;
  Copy CopyAll();
  void PutBack(const Copy& copy);

 private:
  friend class FakeKeyStore;
  std::mutex mutex_;
  Random& random_;
  const SealingKey installation_key_;
  bool available_ = true;
  std::map<std::string, std::string, std::less<>> wrapped_;  // by person; what is stored
};

}  // namespace vigil
