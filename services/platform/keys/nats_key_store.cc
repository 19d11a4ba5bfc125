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
#include "platform/crypto/hash.h"
#include "platform/log/nats_admin.h"

namespace vigil {
namespace {

constexpr std::size_t kWrappedBytes = kSealingKeyBytes + kSealOverheadBytes;
constexpr std::size_t kNameBytes = 16;
constexpr std::size_t kMaxCreatesInFlight = 256;
constexpr int kMaxAttempts = 4;  // of an action that others keep overtaking
constexpr int kWrongLastSequence = 10071;
constexpr int kNoMessageFound = 10037;
constexpr std::string_view kDeleted = "DEL";

using Name = std::array<char, kNameBytes>;
using Wrapped = std::array<char, kWrappedBytes>;

Name NameOf(std::string_view person_id) {
  const Digest digest = Sha256Hasher().Update("vigil person key\n").Update(person_id).Finish();
  Name name;
  std::copy_n(AsView(digest).begin(), kNameBytes, name.begin());
  return name;
}

std::string SubjectOf(const Name& name) {
  return absl::StrCat("$KV.", kKeyBucket, ".", Base32Encode(std::string_view(name.data(), name.size())));
}

struct Entry {
  std::uint64_t revision = 0;
  bool erased = false;
  Wrapped wrapped{};
};

// A stored message as STREAM.MSG.GET gives it; nullopt: there is none.
struct Loaded {
  std::uint64_t revision = 0;
  bool erased = false;
  std::string wrapped;
};

absl::StatusOr<std::optional<Loaded>> ParseLoaded(const NatsClient::Reply& reply) {
  if (!reply.ok()) return reply.status();
  const nlohmann::json answer = nlohmann::json::parse(*reply, nullptr, false);
  if (!answer.is_object()) return absl::UnavailableError("the key bucket's answer is not JSON");
  if (answer.contains("error")) {
    if (answer["error"].value("err_code", 0) == kNoMessageFound) return std::nullopt;
    return absl::UnavailableError(absl::StrCat("key bucket: ", answer["error"].value("description", "refused")));
  }
  const nlohmann::json message = answer.value("message", nlohmann::json::object());
  Loaded loaded;
  loaded.revision = message.value("seq", std::uint64_t{0});
  loaded.wrapped = Base64Decode(message.value("data", "")).value_or("");
  loaded.erased = Base64Decode(message.value("hdrs", "")).value_or("").find("KV-Operation") != std::string::npos;
  return loaded;
}

// The revision of a stored key, or why not: kAborted: the subject has another last revision.
absl::StatusOr<std::uint64_t> ParseStored(const NatsClient::Reply& reply) {
  if (!reply.ok()) return reply.status();
  const nlohmann::json answer = nlohmann::json::parse(*reply, nullptr, false);
  if (!answer.is_object()) return absl::UnavailableError("the key bucket's answer is not JSON");
  if (answer.contains("error")) {
    const std::string text = answer["error"].value("description", "refused");
    if (answer["error"].value("err_code", 0) == kWrongLastSequence) return absl::AbortedError(text);
    return absl::UnavailableError(absl::StrCat("key bucket: ", text));
  }
  return answer.value("seq", std::uint64_t{0});
}

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
    const absl::StatusOr<std::optional<Loaded>> loaded = ParseLoaded(client_->Call(GetSubject(), GetRequest(name)));
    if (!loaded.ok()) return loaded.status();
    if (!*loaded) return absl::NotFoundError("this person has no key");
    Remember(name, (*loaded)->revision, (*loaded)->erased, (*loaded)->wrapped);
    if ((*loaded)->erased) return absl::NotFoundError("this person's key was erased");
    return Unwrap(person_id, (*loaded)->wrapped);
  }

  // First the bytes are overwritten, then the mark is set that makes every store forget: a crash in between leaves a key that nobody can read
  // again from the bucket, and Erase, repeated, sets the mark.
  absl::Status Erase(std::string_view person_id) override {
    const Name name = NameOf(person_id);
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const absl::StatusOr<std::optional<Loaded>> loaded = ParseLoaded(client_->Call(GetSubject(), GetRequest(name)));
      if (!loaded.ok()) return loaded.status();
      if (*loaded && (*loaded)->erased) {
        Remember(name, (*loaded)->revision, true, "");
        return absl::OkStatus();
      }
      if (*loaded) {
        const NatsClient::Reply deleted = client_->Call(absl::StrCat("$JS.API.STREAM.MSG.DELETE.KV_", kKeyBucket),
                                                        nlohmann::json{{"seq", (*loaded)->revision}}.dump());
        if (!deleted.ok()) return deleted.status();
        const nlohmann::json answer = nlohmann::json::parse(*deleted, nullptr, false);
        if (!answer.is_object() || !answer.value("success", false)) continue;  // gone meanwhile: look again
      }
      const absl::StatusOr<std::uint64_t> marked = ParseStored(
          client_->Call(SubjectOf(name), "", {{"KV-Operation", std::string(kDeleted)}, {"Nats-Expected-Last-Subject-Sequence", "0"}}));
      if (marked.ok()) {
        Remember(name, *marked, true, "");
        return absl::OkStatus();
      }
      if (!absl::IsAborted(marked.status())) return marked.status();
    }
    return absl::UnavailableError("others kept writing this person's key");
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

  std::optional<Entry> Cached(const Name& name) const {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }

  void Remember(const Name& name, std::uint64_t revision, bool erased, std::string_view wrapped) {
    if (!erased && wrapped.size() != kWrappedBytes) return;  // not one of ours
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[name];
    if (revision <= entry.revision) return;
    entry.revision = revision;
    entry.erased = erased;
    entry.wrapped = {};
    if (!erased) std::copy(wrapped.begin(), wrapped.end(), entry.wrapped.begin());
  }

  void OnStored(const NatsClient::Message& message) {
    const std::optional<std::string> decoded = Base32Decode(message.subject.substr(message.subject.rfind('.') + 1));
    if (!decoded || decoded->size() != kNameBytes) return;
    Name name;
    std::copy(decoded->begin(), decoded->end(), name.begin());
    Remember(name, message.sequence, !message.key_value_operation.empty(), message.body);
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
          const absl::StatusOr<std::uint64_t> stored = ParseStored(reply);
          if (stored.ok()) {
            Remember(name, *stored, false, wrapped);
            return done(ToRef(Unwrap(person_id, wrapped), true));
          }
          if (!absl::IsAborted(stored.status())) return done(stored.status());
          // Somebody was quicker, or our memory is behind: read what is there, and decide again.
          client_->Request(GetSubject(), {}, GetRequest(name),
                           [this, name, person_id = std::move(person_id), wanted = std::move(wanted), attempt,
                            done = std::move(done)](const NatsClient::Reply& read) mutable {
                             const absl::StatusOr<std::optional<Loaded>> loaded = ParseLoaded(read);
                             if (!loaded.ok()) return done(loaded.status());
                             if (*loaded && !(*loaded)->erased && (*loaded)->wrapped.size() != kWrappedBytes) {
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
