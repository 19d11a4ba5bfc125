#include "platform/custody/custody.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/seal.h"

namespace vigil {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr char kFileWord[] = "vigil-custodian-key";
constexpr char kPlace[] = "vigil installation secrets v1";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::StatusOr<std::vector<Custodian>> ParseCustodians(std::string_view text) {
  std::vector<Custodian> custodians;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(View(text), '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty() || line.front() == '#') continue;
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    const auto bytes = words.size() == 2 ? HexDecode(words[1]) : std::nullopt;
    absl::StatusOr<BoxPublicKey> key = bytes ? BoxPublicKey::FromBytes(*bytes) : absl::InvalidArgumentError("");
    if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat("custodians, line ", number, ": expected a name and a public key in hex"));
    custodians.push_back({words[0], *key});
  }
  if (custodians.empty()) return absl::InvalidArgumentError("custodians: none");
  return custodians;
}

std::string CustodiansText(const std::vector<Custodian>& custodians) {
  std::string text;
  for (const Custodian& custodian : custodians) absl::StrAppend(&text, custodian.name, " ", HexEncode(custodian.key.bytes()), "\n");
  return text;
}

Secret<std::string> CustodianFile(std::string_view name, std::string_view installation, const BoxSecretKey& key) {
  return Secret<std::string>(absl::StrCat("# ", View(name), " of installation ", View(installation),
                                          ". Keep this away from the machine and from its backups; it opens them (vigil restore --custodian).\n", kFileWord, " ",
                                          HexEncode(key.bytes().reveal()), "\n"));
}

absl::StatusOr<BoxSecretKey> ParseCustodianFile(std::string_view text) {
  for (const absl::string_view line : absl::StrSplit(View(text), '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(absl::StripAsciiWhitespace(line), ' ', absl::SkipEmpty());
    if (words.size() != 2 || words[0] != kFileWord) continue;
    const auto bytes = HexDecode(std::string_view(words[1].data(), words[1].size()));
    if (!bytes) break;
    const Secret<std::string> hidden(*bytes);
    return BoxSecretKey::FromBytes(hidden.reveal());
  }
  return absl::InvalidArgumentError(absl::StrCat("no line \"", kFileWord, " …\" in the custodian's file"));
}

std::string SealSecrets(const Secrets& secrets, const std::vector<Custodian>& custodians, Random& random) {
  const SealingKey key = SealingKey::Generate(random);
  json list = json::array();
  for (const Custodian& custodian : custodians) {
    list.push_back({{"name", custodian.name},
                    {"public_key", HexEncode(custodian.key.bytes())},
                    {"sealed_key", Base64Encode(custodian.key.Seal(key.bytes().reveal()))}});
  }
  json files = json::object();
  for (const auto& [name, content] : secrets) files[name] = Base64Encode(content.reveal());
  return nlohmann::ordered_json{{"format", kFormat}, {"custodians", list}, {"secrets", Base64Encode(key.Seal(files.dump(), kPlace, random))}}.dump(1) + "\n";
}

absl::StatusOr<Secrets> OpenSecrets(std::string_view sealed, const BoxSecretKey& custodian) {
  const absl::Status damaged = absl::DataLossError("the sealed secrets are not what was sealed");
  const json parsed = json::parse(sealed, nullptr, false);
  if (!parsed.is_object() || parsed.value("format", 0) != kFormat) return damaged;
  try {
    for (const json& one : parsed.at("custodians")) {
      if (one.at("public_key").get<std::string>() != HexEncode(custodian.public_key().bytes())) continue;
      const auto box = Base64Decode(one.at("sealed_key").get<std::string>());
      const auto bytes = Base64Decode(parsed.at("secrets").get<std::string>());
      if (!box || !bytes) return damaged;
      absl::StatusOr<std::string> opened_key = custodian.Open(*box);
      if (!opened_key.ok()) return damaged;
      const Secret<std::string> hidden(*std::move(opened_key));
      const absl::StatusOr<SealingKey> key = SealingKey::FromBytes(hidden.reveal());
      if (!key.ok()) return damaged;
      const absl::StatusOr<std::string> opened = key->Open(*bytes, kPlace);
      if (!opened.ok()) return damaged;
      Secrets secrets;
      const json files = json::parse(*opened);
      for (const auto& [name, content] : files.items()) {
        auto decoded = Base64Decode(content.get<std::string>());
        // A name is a file below the secrets' directory, and nothing else.
        if (!decoded || name.empty() || name.front() == '.' || name.find('/') != std::string::npos) return damaged;
        secrets.emplace(name, Secret<std::string>(*std::move(decoded)));
      }
      return secrets;
    }
  } catch (const json::exception&) {
    return damaged;
  }
  return absl::PermissionDeniedError("the secrets are not sealed to this custodian");
}

}  // namespace vigil
