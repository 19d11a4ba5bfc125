// The first byte says whether the rest is a pack of its own or an overlay on the pack that we ship.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "domain/pack/loader.h"
#include "domain/pack/overlay.h"
#include "fuzz/fuzz.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"

namespace vigil::fuzz {
namespace {

std::string Hash(std::string_view text) { return HexEncode(AsView(Sha256(text))); }

const domain::PackFiles& Shipped() {
  static const domain::PackFiles files = [] {
    domain::PackFiles read;
    for (const auto& entry : std::filesystem::directory_iterator(PACK_DIRECTORY)) {
      if (entry.path().extension() != ".yaml") continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      read[entry.path().filename().string()] = std::move(text).str();
    }
    return read;
  }();
  return files;
}

}  // namespace

void Try(std::string_view input) {
  if (input.empty() || input.size() > 64 * 1024) return;
  const domain::PackFiles files{{"school.yaml", std::string(input.substr(1))}};
  if (input.front() != 'o') return (void)domain::LoadPack(files, Hash);
  static const std::shared_ptr<const domain::Pack> base = domain::LoadPack(Shipped(), Hash).value();
  const auto resolved = domain::LoadPackWithOverlay(Shipped(), files, Hash);
  if (resolved.ok()) Promise(domain::FindLoosened(*base, **resolved).empty(), "an overlay never loosens the protocol");
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds{
      "o", "oclocks:\n  written_report:\n    due_after: 12h\n", "oclocks:\n  written_report:\n    due_after: 48h\n", "oindicators: [1, {a: &x b, c: *x}]\n",
      "oclocks: {written_report: {due_after: 99999999999999999999h}}\n", "oladders:\n  severe_ladder:\n    then: stop\n", "p---\n...\n---\n", "p? [a]: b\n"};
  for (const auto& [name, text] : Shipped()) seeds.push_back("p" + text.substr(0, 4096));
  return seeds;
}

}  // namespace vigil::fuzz
