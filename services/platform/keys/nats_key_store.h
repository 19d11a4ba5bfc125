#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "platform/keys/key_store.h"
#include "platform/log/nats_client.h"

namespace vigil {

// Keys in the NATS bucket kKeyBucket (made by CreateKeyBucket), all of it followed into memory from the start: about 150 bytes a person. In
// the bucket a person is a hash of the id. `random` outlives the store. Its user needs, beyond NatsClient's permissions: publish
// `$KV.vigil-keys.>`, `$JS.API.STREAM.MSG.GET.KV_vigil-keys`, and, to erase, `$JS.API.STREAM.MSG.DELETE.KV_vigil-keys`; a user that only reads
// needs the second alone.
absl::StatusOr<std::unique_ptr<KeyStore>> OpenNatsKeyStore(NatsOptions options, SealingKey installation_key, Random& random);

}  // namespace vigil
