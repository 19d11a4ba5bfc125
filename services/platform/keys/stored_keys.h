// The bucket of people's keys as it is stored: what the store of keys, a backup and a restore have in common.
//
// A key is a message on $KV.vigil-keys.<name>, one revision each; the name is the base32 of the first 16 bytes of SHA-256 over
// "vigil person key\n" and the person's id, the body the key wrapped by the installation's. A message with the header KV-Operation says that a
// key was here and is erased. This form never changes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/crypto/seal.h"
#include "platform/log/nats_client.h"

namespace vigil {

inline constexpr std::size_t kWrappedKeyBytes = kSealingKeyBytes + kSealOverheadBytes;
inline constexpr std::size_t kKeyNameBytes = 16;
inline constexpr char kKeyErasedMark[] = "DEL";

using KeyName = std::array<char, kKeyNameBytes>;

KeyName KeyNameOf(std::string_view person_id);
std::string KeyNameText(const KeyName& name);
std::optional<KeyName> ParseKeyName(std::string_view text);
std::string KeySubject(const KeyName& name);

// The hash by which an erasure names a key: SHA-256 of its wrapped form.
std::string HashOfWrapped(std::string_view wrapped);

struct StoredKey {
  std::uint64_t revision = 0;
  bool erased = false;
  std::string wrapped;  // empty if erased
};

// A message as STREAM.MSG.GET gives it; nullopt: there is none. Unavailable.
absl::StatusOr<std::optional<StoredKey>> ParseStoredKey(const NatsClient::Reply& reply);
// The revision of a key just stored, or why not: kAborted: the subject has another last revision.
absl::StatusOr<std::uint64_t> ParseKeyStored(const NatsClient::Reply& reply);

struct NamedKey {
  KeyName name;
  bool erased = false;
  std::string wrapped;
};

// All of the bucket as it stands now: at most one a name, in no order. Unavailable: it cannot be read within `patience`.
absl::StatusOr<std::vector<NamedKey>> ReadKeyBucket(NatsOptions options, absl::Duration patience);

// Stores these where nothing is stored under their names yet; what is there already, byte for byte, is passed over. AlreadyExists: something
// else is there. Needs the permissions of a writer of keys (nats_key_store.h).
absl::Status WriteKeyBucket(NatsOptions options, const std::vector<NamedKey>& keys);

}  // namespace vigil
