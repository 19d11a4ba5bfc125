#include "platform/keys/nats_key_store.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "platform/crypto/encoding.h"
#include "platform/keys/stored_keys.h"
#include "platform/log/nats_admin.h"

namespace vigil {
namespace {

constexpr std::size_t kMaxCreatesInFlight = 256;
constexpr int kMaxAttempts = 4;  // of an action that others keep overtaking

using Name = KeyName;
using Wrapped = std::array<char, kWrappedKeyBytes>;

Name NameOf(std::string_view person_id) { return KeyNameOf(person_id); }
std::string SubjectOf(const Name& name) { return KeySubject(name); }

struct Entry {
  std::uint64_t revision = 0;
  bool erased = false;
  Wrapped wrapped{};
};

class NatsKeyStore final : public KeyStore {
 public:
  NatsKeyStore(std::unique_ptr<NatsClient> client, SealingKey installation_key, Random& random)
      : installation_key_(std::move(installation_key)), random_(random), client_(std::move(client)) {
    NatsClient::FollowSpec spec;
    spec.stream = absl::StrCat("KV_", kKeyBucket);
    spec.contiguous = false;
    spec.handler = [this](const NatsClient::Message& message) { OnStored(message); };
    spec.caught_up = [this] { ready_ = true; };
    subscription_ = client_->Follow(std::move(spec));
  }

  absl::StatusOr<KeyRef> EnsureKey(std::string_view person_id) override { return Wait(person_id, std::nullopt); }

  absl::StatusOr<KeyRef> Adopt(std::string_view person_id, std::string_view wrapped) override {
    if (absl::StatusOr<SealingKey> key = Unwrap(person_id, wrapped); !key.ok()) return key.status();
    return Wait(person_id, std::string(wrapped));
  }

  void EnsureKeys(std::vector<std::string> person_ids, std::function<void(absl::Status)> done) override {
    std::erase_if(person_ids, [&](const std::string& person_id) {
      const std::optional<Entry> entry = Cached(NameOf(person_id));
      return entry && !entry->erased;
    });
    if (person_ids.empty()) return done(absl::OkStatus());
    auto import = std::make_shared<Import>();
    import->person_ids = std::move(person_ids);
    import->done = std::move(done);
    const std::size_t width = std::min(kMaxCreatesInFlight, import->person_ids.size());
    import->running = width;
    for (std::size_t i = 0; i < width; ++i) NextOf(import);
  }

  absl::StatusOr<SealingKey> Find(std::string_view person_id) override {
    const Name name = NameOf(person_id);
    if (const std::optional<Entry> entry = Cached(name)) {
      if (entry->erased) return absl::NotFoundError("this person's key was erased");
      return Unwrap(person_id, std::string_view(entry->wrapped.data(), entry->wrapped.size()));
    }
    const absl::StatusOr<std::optional<StoredKey>> loaded = ParseStoredKey(client_->Call(GetSubject(), GetRequest(name)));
    if (!loaded.ok()) return loaded.status();
    if (!*loaded) return absl::NotFoundError("this person has no key");
    Remember(name, (*loaded)->revision, (*loaded)->erased, (*loaded)->wrapped);
    if ((*loaded)->erased) return absl::NotFoundError("this person's key was erased");
    return Unwrap(person_id, (*loaded)->wrapped);
  }

  absl::Status Erase(std::string_view person_id) override { return EraseIf(person_id, std::nullopt); }
  absl::Status EraseKey(std::string_view person_id, std::string_view key_hash) override { return EraseIf(person_id, key_hash); }

  absl::StatusOr<std::string> KeyHash(std::string_view person_id) override {
    if (const absl::Status known = Find(person_id).status(); !known.ok()) return known;
    const std::optional<Entry> entry = Cached(NameOf(person_id));
    if (!entry || entry->erased) return absl::NotFoundError("this person's key was erased");
    return HashOfWrapped(std::string_view(entry->wrapped.data(), entry->wrapped.size()));
  }

  bool ready() const override { return ready_; }

  PreparedKey Prepare(std::string_view person_id) override {
    SealingKey key = SealingKey::Generate(random_);
    std::string wrapped = WrapKey(installation_key_, key, person_id, random_);
    return {std::move(key), std::move(wrapped)};
  }

  absl::StatusOr<SealingKey> Unwrap(std::string_view person_id, std::string_view wrapped) const override {
    return UnwrapKey(installation_key_, wrapped, person_id);
  }

 private:
  using Ensured = std::function<void(absl::StatusOr<KeyRef>)>;

  struct Import {
    std::mutex mutex;
    std::vector<std::string> person_ids;
    std::size_t next = 0;
    std::size_t running = 0;
    absl::Status status;
    std::function<void(absl::Status)> done;
  };

  static std::string GetSubject() { return absl::StrCat("$JS.API.STREAM.MSG.GET.KV_", kKeyBucket); }
  static std::string GetRequest(const Name& name) { return nlohmann::json{{"last_by_subj", SubjectOf(name)}}.dump(); }

  // First the bytes are overwritten, then the mark is set that makes every store forget: a crash in between leaves a key that nobody can read
  // again from the bucket, and Erase, repeated, sets the mark. `key_hash`: only that very key.
  absl::Status EraseIf(std::string_view person_id, std::optional<std::string_view> key_hash) {
    const Name name = NameOf(person_id);
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const absl::StatusOr<std::optional<StoredKey>> loaded = ParseStoredKey(client_->Call(GetSubject(), GetRequest(name)));
      if (!loaded.ok()) return loaded.status();
      if (*loaded && (*loaded)->erased) {
        Remember(name, (*loaded)->revision, true, "");
        return absl::OkStatus();
      }
      if (*loaded && key_hash && HashOfWrapped((*loaded)->wrapped) != *key_hash) return absl::OkStatus();
      if (*loaded) {
        const NatsClient::Reply deleted = client_->Call(absl::StrCat("$JS.API.STREAM.MSG.DELETE.KV_", kKeyBucket),
                                                        nlohmann::json{{"seq", (*loaded)->revision}}.dump());
        if (!deleted.ok()) return deleted.status();
        const nlohmann::json answer = nlohmann::json::parse(*deleted, nullptr, false);
        if (!answer.is_object() || !answer.value("success", false)) continue;  // gone meanwhile: look again
      }
      const absl::StatusOr<std::uint64_t> marked = ParseKeyStored(
          client_->Call(SubjectOf(name), "", {{"KV-Operation", kKeyErasedMark}, {"Nats-Expected-Last-Subject-Sequence", "0"}}));
      if (marked.ok()) {
        Remember(name, *marked, true, "");
        return absl::OkStatus();
      }
      if (!absl::IsAborted(marked.status())) return marked.status();
    }
    return absl::UnavailableError("others kept writing this person's key");
  }

  std::optional<Entry> Cached(const Name& name) const {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }

  void Remember(const Name& name, std::uint64_t revision, bool erased, std::string_view wrapped) {
    if (!erased && wrapped.size() != kWrappedKeyBytes) return;  // not one of ours
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[name];
    if (revision <= entry.revision) return;
    entry.revision = revision;
    entry.erased = erased;
    entry.wrapped = {};
    if (!erased) std::copy(wrapped.begin(), wrapped.end(), entry.wrapped.begin());
  }

  void OnStored(const NatsClient::Message& message) {
    const std::optional<KeyName> name = ParseKeyName(message.subject.substr(message.subject.rfind('.') + 1));
    if (!name) return;
    Remember(*name, message.sequence, !message.key_value_operation.empty(), message.body);
  }

  absl::StatusOr<KeyRef> Wait(std::string_view person_id, std::optional<std::string> wrapped) {
    std::promise<absl::StatusOr<KeyRef>> promise;
    auto future = promise.get_future();
    Ensure(std::string(person_id), std::move(wrapped), 0, [&](absl::StatusOr<KeyRef> key) { promise.set_value(std::move(key)); });
    return future.get();
  }

  // `wanted`: the wrapped key to store if there is none; none: a new one.
  void Ensure(std::string person_id, std::optional<std::string> wanted, int attempt, Ensured done) {
    const Name name = NameOf(person_id);
    const std::optional<Entry> entry = Cached(name);
    if (entry && !entry->erased) {
      return done(ToRef(Unwrap(person_id, std::string_view(entry->wrapped.data(), entry->wrapped.size())), false));
    }
    if (attempt >= kMaxAttempts) return done(absl::UnavailableError("others kept writing this person's key"));
    std::string wrapped = wanted ? *wanted : Prepare(person_id).wrapped;
    const std::string body = wrapped;
    client_->Request(
        SubjectOf(name), {{"Nats-Expected-Last-Subject-Sequence", absl::StrCat(entry ? entry->revision : 0)}}, body,
        [this, name, person_id = std::move(person_id), wanted = std::move(wanted), wrapped = std::move(wrapped), attempt,
         done = std::move(done)](const NatsClient::Reply& reply) mutable {
          const absl::StatusOr<std::uint64_t> stored = ParseKeyStored(reply);
          if (stored.ok()) {
            Remember(name, *stored, false, wrapped);
            return done(ToRef(Unwrap(person_id, wrapped), true));
          }
          if (!absl::IsAborted(stored.status())) return done(stored.status());
          // Somebody was quicker, or our memory is behind: read what is there, and decide again.
          client_->Request(GetSubject(), {}, GetRequest(name),
                           [this, name, person_id = std::move(person_id), wanted = std::move(wanted), attempt,
                            done = std::move(done)](const NatsClient::Reply& read) mutable {
                             const absl::StatusOr<std::optional<StoredKey>> loaded = ParseStoredKey(read);
                             if (!loaded.ok()) return done(loaded.status());
                             if (*loaded && !(*loaded)->erased && (*loaded)->wrapped.size() != kWrappedKeyBytes) {
                               return done(absl::DataLossError("the stored key has another size"));
                             }
                             if (*loaded) Remember(name, (*loaded)->revision, (*loaded)->erased, (*loaded)->wrapped);
                             Ensure(std::move(person_id), std::move(wanted), attempt + 1, std::move(done));
                           });
        });
  }

  static absl::StatusOr<KeyRef> ToRef(absl::StatusOr<SealingKey> key, bool created) {
    if (!key.ok()) return key.status();
    return KeyRef{*std::move(key), created};
  }

  // Takes the next person of an import; the last one to find nothing more tells the caller.
  void NextOf(const std::shared_ptr<Import>& import) {
    std::unique_lock lock(import->mutex);
    if (import->next < import->person_ids.size() && import->status.ok()) {
      std::string person_id = import->person_ids[import->next++];
      lock.unlock();
      Ensure(std::move(person_id), std::nullopt, 0, [this, import](const absl::StatusOr<KeyRef>& key) {
        if (!key.ok()) {
          std::lock_guard inner(import->mutex);
          import->status.Update(key.status());
        }
        NextOf(import);
      });
      return;
    }
    if (--import->running > 0) return;
    const absl::Status status = import->status;
    lock.unlock();
    import->done(status);
  }

  const SealingKey installation_key_;
  Random& random_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<Name, Entry> entries_;
  std::atomic<bool> ready_{false};
  // Last, so that they end first: what is under way has its outcome while the rest is still there.
  std::unique_ptr<NatsClient> client_;
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<KeyStore>> OpenNatsKeyStore(NatsOptions options, SealingKey installation_key, Random& random) {
  absl::StatusOr<std::unique_ptr<NatsClient>> client = NatsClient::Open(std::move(options));
  if (!client.ok()) return client.status();
  return std::make_unique<NatsKeyStore>(*std::move(client), std::move(installation_key), random);
}

}  // namespace vigil
