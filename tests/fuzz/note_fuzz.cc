#include <array>

#include "audit/ledger/note.h"
#include "fuzz/fuzz.h"

namespace vigil::fuzz {
namespace {

const NoteSigner& Signer() {
  static const NoteSigner signer = [] {
    const SigningKey key = SigningKey::FromSeed(std::string(32, '\x07')).value();
    return NoteSigner::Create("vigil.example/ledger", key).value();
  }();
  return signer;
}
constexpr std::string_view kOrigin = "vigil.example/ledger/07";

std::string SignedCheckpoint(std::uint64_t size) {
  return Signer().Sign(FormatCheckpoint({.origin = std::string(kOrigin), .size = size, .root = {}})).value();
}

}  // namespace

void Try(std::string_view input) {
  if (const auto checkpoint = ParseCheckpoint(input); checkpoint.ok()) {
    const auto again = ParseCheckpoint(FormatCheckpoint(*checkpoint));
    Promise(again.ok() && again->size == checkpoint->size && again->root == checkpoint->root && again->origin == checkpoint->origin,
            "a checkpoint comes back");
  }
  (void)ParseNote(input);
  (void)NoteVerifier::FromText(input);
  (void)NoteSigner::FromText(input);
  const std::array<NoteVerifier, 1> keys{Signer().verifier()};
  if (const auto text = OpenNote(input, keys); text.ok()) {
    // Whoever has no key can at most repeat what was signed.
    bool signed_here = false;
    for (const std::uint64_t size : {0u, 1u, 4096u}) signed_here |= *text == FormatCheckpoint({.origin = std::string(kOrigin), .size = size, .root = {}});
    Promise(signed_here, "nobody else's text has our signature");
  }
  (void)OpenCheckpoint(input, Signer().verifier(), kOrigin);
}

std::vector<std::string> Seeds() {
  return {SignedCheckpoint(0), SignedCheckpoint(1), SignedCheckpoint(4096), SignedCheckpoint(1) + SignedCheckpoint(1), "origin\n18446744073709551616\nAA==\n",
          "vigil.example/ledger+00000000+AAAA"};
}

}  // namespace vigil::fuzz
