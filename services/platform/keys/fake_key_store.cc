#include "platform/keys/fake_key_store.h"

#include <utility>

#include "platform/keys/stored_keys.h"

namespace vigil {

class FakeKeyStore final : public KeyStore {
 public:
  explicit FakeKeyStore(FakeKeyBucket& bucket) : bucket_(bucket), knows_(bucket.available_) {}

  absl::StatusOr<KeyRef> EnsureKey(std::string_view person_id) override { return EnsureWith(person_id, nullptr); }

  void EnsureKeys(std::vector<std::string> person_ids, std::function<void(absl::Status)> done) override {
    for (const std::string& person_id : person_ids) {
      if (absl::StatusOr<KeyRef> key = EnsureKey(person_id); !key.ok()) return done(key.status());
    }
    done(absl::OkStatus());
  }

  absl::StatusOr<SealingKey> Find(std::string_view person_id) override {
    std::lock_guard lock(bucket_.mutex_);
    const auto found = bucket_.wrapped_.find(person_id);
    if (Knows() && found != bucket_.wrapped_.end()) return Unwrap(person_id, found->second);
    if (!bucket_.available_) return absl::UnavailableError("the key bucket is away");
    return absl::NotFoundError("this person has no key");
  }

  absl::Status Erase(std::string_view person_id) override {
    std::lock_guard lock(bucket_.mutex_);
    if (!bucket_.available_) return absl::UnavailableError("the key bucket is away");
    if (const auto found = bucket_.wrapped_.find(person_id); found != bucket_.wrapped_.end()) bucket_.wrapped_.erase(found);
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> KeyHash(std::string_view person_id) override {
    std::lock_guard lock(bucket_.mutex_);
    const auto found = bucket_.wrapped_.find(person_id);
    if (Knows() && found != bucket_.wrapped_.end()) return HashOfWrapped(found->second);
    if (!bucket_.available_) return absl::UnavailableError("the key bucket is away");
    return absl::NotFoundError("this person has no key");
  }

  absl::Status EraseKey(std::string_view person_id, std::string_view key_hash) override {
    const absl::StatusOr<std::string> present = KeyHash(person_id);
    if (absl::IsNotFound(present.status())) return absl::OkStatus();
    if (!present.ok()) return present.status();
    return *present == key_hash ? Erase(person_id) : absl::OkStatus();
  }

  absl::StatusOr<KeyRef> Adopt(std::string_view person_id, std::string_view wrapped) override {
    if (absl::StatusOr<SealingKey> key = Unwrap(person_id, wrapped); !key.ok()) return key.status();
    const std::string copy(wrapped);
    return EnsureWith(person_id, &copy);
  }

  bool ready() const override {
    std::lock_guard lock(bucket_.mutex_);
    return Knows();
  }

  PreparedKey Prepare(std::string_view person_id) override {
    SealingKey key = SealingKey::Generate(bucket_.random_);
    std::string wrapped = WrapKey(bucket_.installation_key_, key, person_id, bucket_.random_);
    return {std::move(key), std::move(wrapped)};
  }

  absl::StatusOr<SealingKey> Unwrap(std::string_view person_id, std::string_view wrapped) const override {
    return UnwrapKey(bucket_.installation_key_, wrapped, person_id);
  }

 private:
  // Under the bucket's mutex.
  bool Knows() const {
    knows_ = knows_ || bucket_.available_;
    return knows_;
  }

  absl::StatusOr<KeyRef> EnsureWith(std::string_view person_id, const std::string* wanted) {
    std::lock_guard lock(bucket_.mutex_);
    const auto found = bucket_.wrapped_.find(person_id);
    const bool there = Knows() && found != bucket_.wrapped_.end();
    if (!there && !bucket_.available_) return absl::UnavailableError("the key bucket is away");
    std::string wrapped = there ? found->second : wanted != nullptr ? *wanted : Prepare(person_id).wrapped;
    absl::StatusOr<SealingKey> key = Unwrap(person_id, wrapped);
    if (!key.ok()) return key.status();
    if (!there) bucket_.wrapped_.emplace(person_id, std::move(wrapped));
    return KeyRef{*std::move(key), !there};
  }

  FakeKeyBucket& bucket_;
  mutable bool knows_;
};

FakeKeyBucket::FakeKeyBucket(Random& random) : random_(random), installation_key_(SealingKey::Generate(random)) {}

std::unique_ptr<KeyStore> FakeKeyBucket::Connect() {
  std::lock_guard lock(mutex_);
  return std::make_unique<FakeKeyStore>(*this);
}

FakeKeyBucket::Copy FakeKeyBucket::CopyAll() {
  std::lock_guard lock(mutex_);
  return wrapped_;
}

void FakeKeyBucket::PutBack(const Copy& copy) {
  std::lock_guard lock(mutex_);
  for (const auto& [person, wrapped] : copy) wrapped_[person] = wrapped;
}

void FakeKeyBucket::SetAvailable(bool available) {
  std::lock_guard lock(mutex_);
  available_ = available;
}

}  // namespace vigil
