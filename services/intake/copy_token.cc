// The sealed text: version (1 byte, 1), length and text of the case id, length and text of the record id, issued (8 bytes, Unix milliseconds),
// expires (8 bytes, Unix seconds), both big-endian. Never changed; another form gets another version.
#include "intake/copy_token.h"

#include <cstdint>

#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil::intake {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kMaxIdBytes = 32;
constexpr std::string_view kPurpose = "vigil guardian's copy v1";

SealingKey KeyOf(const SealingKey& installation_key) {
  return *SealingKey::FromBytes(AsView(HmacSha256(installation_key.bytes().reveal(), kPurpose)));
}

void PutId(std::string& out, std::string_view id) {
  out.push_back(static_cast<char>(id.size()));
  out.append(id);
}

void PutNumber(std::string& out, std::int64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> shift)));
}

bool TakeId(std::string_view& in, std::string& id) {
  if (in.empty()) return false;
  const auto size = static_cast<std::uint8_t>(in.front());
  if (size == 0 || size > kMaxIdBytes || in.size() < 1U + size) return false;
  id = in.substr(1, size);
  in.remove_prefix(1U + size);
  return true;
}

bool TakeNumber(std::string_view& in, std::int64_t& number) {
  if (in.size() < 8) return false;
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<std::uint8_t>(in[static_cast<std::size_t>(i)]);
  number = static_cast<std::int64_t>(value);
  in.remove_prefix(8);
  return true;
}

}  // namespace

std::string MintCopyToken(const SealingKey& installation_key, const CopyClaims& claims, Random& random) {
  std::string text(1, kVersion);
  PutId(text, std::string_view(claims.case_id).substr(0, kMaxIdBytes));
  PutId(text, std::string_view(claims.record_id).substr(0, kMaxIdBytes));
  PutNumber(text, absl::ToUnixMillis(claims.issued_time));
  PutNumber(text, absl::ToUnixSeconds(claims.expires_time));
  return Base64UrlEncode(KeyOf(installation_key).Seal(text, kPurpose, random));
}

absl::StatusOr<CopyClaims> OpenCopyToken(const SealingKey& installation_key, std::string_view token, absl::Time now) {
  const absl::Status none = absl::NotFoundError("this address opens nothing");
  if (token.size() > kMaxCopyTokenBytes) return none;
  const auto sealed = Base64UrlDecode(token);
  if (!sealed) return none;
  const auto opened = KeyOf(installation_key).Open(*sealed, kPurpose);
  if (!opened.ok()) return none;
  std::string_view in = *opened;
  if (in.empty() || in.front() != kVersion) return none;
  in.remove_prefix(1);
  CopyClaims claims;
  std::int64_t issued = 0;
  std::int64_t expires = 0;
  if (!TakeId(in, claims.case_id) || !TakeId(in, claims.record_id) || !TakeNumber(in, issued) || !TakeNumber(in, expires) || !in.empty()) return none;
  claims.issued_time = absl::FromUnixMillis(issued);
  claims.expires_time = absl::FromUnixSeconds(expires);
  if (now >= claims.expires_time) return none;
  return claims;
}

}  // namespace vigil::intake
