#include "supervisor/custodians.h"

#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "platform/crypto/random.h"
#include "platform/custody/custody.h"
#include "supervisor/files.h"

namespace vigil::installation {
namespace {

// A certificate, its key, or what follows from another secret: EnsureSecrets and WriteConfigs make them again.
bool CanBeMadeAgain(const std::string& name) {
  if (name.ends_with(".crt") || name.ends_with(".new") || name == "redis.url") return true;
  std::set<std::string> leaves{"nats.key", std::string(kOperatorCertificate) + ".key"};
  for (const Service& service : kServices) leaves.insert(std::string(service.name) + ".key");
  return leaves.contains(name);
}

}  // namespace

absl::Status EnsureCustodians(const Layout& layout, const Installation& installation) {
  std::error_code error;
  if (std::filesystem::exists(layout.trust(kCustodiansFile), error)) return absl::OkStatus();
  if (absl::Status made = MakeDirectory(layout.custodians("")); !made.ok()) return made;
  SystemRandom random;
  std::vector<Custodian> custodians;
  for (int number = 1; number <= kCustodians; ++number) {
    const std::string name = absl::StrCat("custodian-", number);
    const BoxSecretKey key = BoxSecretKey::Generate(random);
    const Secret<std::string> text = CustodianFile(name, installation.id, key);
    if (absl::Status written = WriteFile(layout.custodians(name + ".key"), text.reveal()); !written.ok()) return written;
    custodians.push_back({name, key.public_key()});
  }
  return WriteFile(layout.trust(kCustodiansFile), CustodiansText(custodians));
}

absl::Status SealToCustodians(const Layout& layout) {
  absl::StatusOr<std::string> text = ReadFile(layout.trust(kCustodiansFile));
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<Custodian>> custodians = ParseCustodians(*text);
  if (!custodians.ok()) return custodians.status();
  Secrets secrets;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(layout.secret(""), error)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || CanBeMadeAgain(name)) continue;
    absl::StatusOr<std::string> content = ReadFile(entry.path());
    if (!content.ok()) return content.status();
    secrets.emplace(name, Secret<std::string>(*std::move(content)));
  }
  if (error) return absl::UnavailableError(absl::StrCat("cannot list ", layout.secret("").string(), ": ", error.message()));
  if (absl::Status made = MakeDirectory(layout.custodians("")); !made.ok()) return made;
  SystemRandom random;
  return WriteFile(layout.custodians(kSealedSecretsFile), SealSecrets(secrets, *custodians, random));
}

}  // namespace vigil::installation
