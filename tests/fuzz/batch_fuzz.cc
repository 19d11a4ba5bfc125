#include "fuzz/fuzz.h"
#include "machine/batch_codec.h"
#include "platform/crypto/sign.h"

namespace vigil::fuzz {
namespace {

const SigningKey& Key() {
  static const SigningKey key = SigningKey::FromSeed(std::string(32, '\x05')).value();
  return key;
}
constexpr int kPartition = 7;
const std::vector<std::vector<std::string>>& Signed() {
  static const std::vector<std::vector<std::string>> batches{{"commit"}, {"one", "two", ""}, {std::string(300, 'c')}};
  return batches;
}

}  // namespace

void Try(std::string_view input) {
  (void)DecodeOwnBatch(input);
  (void)BatchHash(input);
  const auto batch = DecodeBatch(input, kPartition, "intake", Key().verify_key());
  if (!batch.ok()) return;
  bool signed_here = false;
  for (const std::vector<std::string>& commits : Signed()) signed_here |= batch->commits == commits;
  Promise(signed_here, "only what its source signed is a batch");
  Promise(!DecodeBatch(input, kPartition + 1, "intake", Key().verify_key()).ok(), "a batch belongs to one partition");
  Promise(!DecodeBatch(input, kPartition, "risk", Key().verify_key()).ok(), "a batch belongs to one source");
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const std::vector<std::string>& commits : Signed()) seeds.push_back(EncodeBatch(kPartition, "intake", std::string(32, '\0'), commits, Key()));
  return seeds;
}

}  // namespace vigil::fuzz
