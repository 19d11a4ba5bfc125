#include "platform/keys/stored_keys.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/log/nats_admin.h"

namespace vigil {
namespace {

constexpr int kWrongLastSequence = 10071;
constexpr int kNoMessageFound = 10037;
constexpr std::size_t kMostInFlight = 256;
constexpr absl::Duration kConnectPatience = absl::Seconds(5);
constexpr char kOperationHeader[] = "KV-Operation";

absl::StatusOr<std::unique_ptr<NatsClient>> Connect(NatsOptions options) {
  absl::StatusOr<std::unique_ptr<NatsClient>> client = NatsClient::Open(std::move(options));
  if (!client.ok()) return client.status();
  const absl::Time end = absl::Now() + kConnectPatience;
  while (!(*client)->connected() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
  if (!(*client)->connected()) return absl::UnavailableError("the key bucket cannot be reached");
  return client;
}

}  // namespace

KeyName KeyNameOf(std::string_view person_id) {
  const Digest digest = Sha256Hasher().Update("vigil person key\n").Update(person_id).Finish();
  KeyName name;
  std::copy_n(AsView(digest).begin(), kKeyNameBytes, name.begin());
  return name;
}

std::string KeyNameText(const KeyName& name) { return Base32Encode(std::string_view(name.data(), name.size())); }

std::optional<KeyName> ParseKeyName(std::string_view text) {
  const std::optional<std::string> decoded = Base32Decode(text);
  if (!decoded || decoded->size() != kKeyNameBytes) return std::nullopt;
  KeyName name;
  std::copy(decoded->begin(), decoded->end(), name.begin());
  return name;
}

std::string KeySubject(const KeyName& name) { return absl::StrCat("$KV.", kKeyBucket, ".", KeyNameText(name)); }

std::string HashOfWrapped(std::string_view wrapped) { return AsString(Sha256(wrapped)); }

absl::StatusOr<std::optional<StoredKey>> ParseStoredKey(const NatsClient::Reply& reply) {
  if (!reply.ok()) return reply.status();
  const nlohmann::json answer = nlohmann::json::parse(*reply, nullptr, false);
  if (!answer.is_object()) return absl::UnavailableError("the key bucket's answer is not JSON");
  if (answer.contains("error")) {
    if (answer["error"].value("err_code", 0) == kNoMessageFound) return std::nullopt;
    return absl::UnavailableError(absl::StrCat("key bucket: ", answer["error"].value("description", "refused")));
  }
  const nlohmann::json message = answer.value("message", nlohmann::json::object());
  StoredKey stored;
  stored.revision = message.value("seq", std::uint64_t{0});
  stored.wrapped = Base64Decode(message.value("data", "")).value_or("");
  stored.erased = Base64Decode(message.value("hdrs", "")).value_or("").find(kOperationHeader) != std::string::npos;
  return stored;
}

absl::StatusOr<std::uint64_t> ParseKeyStored(const NatsClient::Reply& reply) {
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

absl::StatusOr<std::vector<NamedKey>> ReadKeyBucket(NatsOptions options, absl::Duration patience) {
  absl::StatusOr<std::unique_ptr<NatsClient>> client = Connect(std::move(options));
  if (!client.ok()) return client.status();
  std::mutex mutex;
  std::condition_variable changed;
  bool whole = false;
  std::map<KeyName, NamedKey> keys;
  NatsClient::FollowSpec spec;
  spec.stream = absl::StrCat("KV_", kKeyBucket);
  spec.contiguous = false;
  spec.handler = [&](const NatsClient::Message& message) {
    const std::optional<KeyName> name = ParseKeyName(message.subject.substr(message.subject.rfind('.') + 1));
    const bool erased = !message.key_value_operation.empty();
    if (!name || (!erased && message.body.size() != kWrappedKeyBytes)) return;  // not one of ours
    const std::lock_guard lock(mutex);
    keys[*name] = {*name, erased, erased ? std::string() : std::string(message.body)};
  };
  spec.caught_up = [&] {
    const std::lock_guard lock(mutex);
    whole = true;
    changed.notify_one();
  };
  std::unique_ptr<Subscription> subscription = (*client)->Follow(std::move(spec));
  {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, absl::ToChronoNanoseconds(patience), [&] { return whole; })) whole = false;
  }
  subscription.reset();
  if (!whole) return absl::UnavailableError("the key bucket could not be read to its end in time");
  std::vector<NamedKey> all;
  all.reserve(keys.size());
  for (auto& [name, key] : keys) all.push_back(std::move(key));
  return all;
}

absl::Status WriteKeyBucket(NatsOptions options, const std::vector<NamedKey>& keys) {
  absl::StatusOr<std::unique_ptr<NatsClient>> client = Connect(std::move(options));
  if (!client.ok()) return client.status();
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t in_flight = 0;
  absl::Status first;
  std::vector<std::size_t> there;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return in_flight < kMostInFlight; });
      if (!first.ok()) break;
      ++in_flight;
    }
    NatsClient::Headers headers{{"Nats-Expected-Last-Subject-Sequence", "0"}};
    if (keys[i].erased) headers.emplace_back(kOperationHeader, kKeyErasedMark);
    (*client)->Request(KeySubject(keys[i].name), headers, keys[i].erased ? "" : keys[i].wrapped, [&, i](const NatsClient::Reply& reply) {
      const absl::Status stored = ParseKeyStored(reply).status();
      const std::lock_guard lock(mutex);
      if (absl::IsAborted(stored)) {
        there.push_back(i);
      } else {
        first.Update(stored);
      }
      --in_flight;
      changed.notify_all();
    });
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return in_flight == 0; });
  }
  if (!first.ok()) return first;
  for (const std::size_t i : there) {
    const auto stored = ParseStoredKey(
        (*client)->Call(absl::StrCat("$JS.API.STREAM.MSG.GET.KV_", kKeyBucket), nlohmann::json{{"last_by_subj", KeySubject(keys[i].name)}}.dump()));
    if (!stored.ok()) return stored.status();
    if (!*stored || (*stored)->erased != keys[i].erased || (*stored)->wrapped != keys[i].wrapped) {
      return absl::AlreadyExistsError("the key bucket holds another key for a person of the backup");
    }
  }
  return absl::OkStatus();
}

}  // namespace vigil
