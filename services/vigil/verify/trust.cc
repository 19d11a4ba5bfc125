#include "vigil/verify/trust.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "machine/batch_codec.h"
#include "platform/crypto/encoding.h"

namespace vigil {

using nlohmann::json;

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return std::string(absl::StripAsciiWhitespace(text.str()));
}

absl::StatusOr<Trust> ReadTrust(const std::string& home) { return ReadTrust(home + "/trust", home + "/installation.json"); }

absl::StatusOr<Trust> ReadTrust(const std::string& directory, const std::string& installation_file) {
  Trust trust;
  absl::StatusOr<std::string> installation = ReadTextFile(installation_file);
  if (!installation.ok()) return installation.status();
  const json parsed = json::parse(*installation, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || !parsed.contains("id") || !parsed["id"].is_string()) return absl::DataLossError("installation.json names no installation");
  trust.installation = parsed["id"].get<std::string>();
  absl::StatusOr<std::string> sources = ReadTextFile(directory + "/sources");
  if (!sources.ok()) return sources.status();
  absl::StatusOr<TrustedSources> parsed_sources = ParseTrustedSources(*sources);
  if (!parsed_sources.ok()) return parsed_sources.status();
  trust.sources = *std::move(parsed_sources);
  absl::StatusOr<std::string> checkpoint = ReadTextFile(directory + "/checkpoint.pub");
  if (!checkpoint.ok()) return checkpoint.status();
  absl::StatusOr<VerifyKey> key = VerifyKey::FromBytes(HexDecode(*checkpoint).value_or(""));
  if (!key.ok()) return key.status();
  absl::StatusOr<NoteVerifier> verifier = NoteVerifier::Create(LedgerKeyName(trust.installation), *key);
  if (!verifier.ok()) return verifier.status();
  trust.checkpoint_key = *std::move(verifier);
  return trust;
}

}  // namespace vigil
