#include "audit/ledger/note.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "platform/crypto/encoding.h"

namespace vigil {
namespace {

constexpr char kEd25519 = 1;                                  // the signature type of signed-note
constexpr std::string_view kSignatureLine = "\xE2\x80\x94 ";  // an em dash and a space
constexpr std::string_view kPrivateKey = "PRIVATE+KEY+";

// Takes the first code point off valid or invalid UTF-8; nullopt when it is invalid.
std::optional<char32_t> TakeCodePoint(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return std::nullopt;
  char32_t point = length == 1 ? first : first & (0x7F >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    point = (point << 6) | (byte(i) & 0x3F);
  }
  constexpr char32_t kShortest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < kShortest[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return std::nullopt;
  text.remove_prefix(length);
  return point;
}

bool IsSpace(char32_t point) {
  return (point >= 0x09 && point <= 0x0D) || point == 0x20 || point == 0x85 || point == 0xA0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 || point == 0x202F ||
         point == 0x205F || point == 0x3000;
}

bool IsName(std::string_view text) {
  if (text.empty()) return false;
  while (!text.empty()) {
    const std::optional<char32_t> point = TakeCodePoint(text);
    if (!point || IsSpace(*point) || *point == '+' || *point < 0x20) return false;
  }
  return true;
}

bool IsNoteText(std::string_view text) {
  while (!text.empty()) {
    const std::optional<char32_t> point = TakeCodePoint(text);
    if (!point || (*point < 0x20 && *point != '\n')) return false;
  }
  return true;
}

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed note: ", absl::string_view(what.data(), what.size())));
}

// "<name>+<id>+<base64 of type and key>": the name, the id and the key's bytes. Unicode is for the caller to check.
struct KeyText {
  std::string_view name;
  std::string id;
  std::string key;
};

std::optional<KeyText> ParseKeyText(std::string_view text) {
  const std::size_t first = text.find('+');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find('+', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view id_text = text.substr(first + 1, second - first - 1);
  std::optional<std::string> id = HexDecode(id_text);
  std::optional<std::string> key = Base64Decode(text.substr(second + 1));
  // Only lower case, so that a key has one spelling.
  if (!id || id->size() != kNoteKeyIdBytes || HexEncode(*id) != id_text) return std::nullopt;
  if (!key || key->empty() || key->front() != kEd25519) return std::nullopt;
  return KeyText{text.substr(0, first), *std::move(id), key->substr(1)};
}

}  // namespace

NoteVerifier::NoteVerifier(std::string_view name, const VerifyKey& key) : name_(name), key_(key) {
  Sha256Hasher hasher;
  hasher.Update(name).Update("\n").Update(std::string_view(&kEd25519, 1)).Update(key.bytes());
  key_id_ = AsString(hasher.Finish()).substr(0, kNoteKeyIdBytes);
}

absl::StatusOr<NoteVerifier> NoteVerifier::Create(std::string_view name, const VerifyKey& key) {
  if (!IsName(name)) return absl::InvalidArgumentError("a note key's name has no spaces and no plus, and is not empty");
  return NoteVerifier(name, key);
}

absl::StatusOr<NoteVerifier> NoteVerifier::FromText(std::string_view text) {
  const std::optional<KeyText> parsed = ParseKeyText(text);
  if (!parsed) return absl::InvalidArgumentError("not a note key");
  absl::StatusOr<VerifyKey> key = VerifyKey::FromBytes(parsed->key);
  if (!key.ok()) return key.status();
  absl::StatusOr<NoteVerifier> verifier = Create(parsed->name, *key);
  if (verifier.ok() && verifier->key_id() != parsed->id)
    return absl::InvalidArgumentError("the note key's id is not its own");
  return verifier;
}

std::string NoteVerifier::ToText() const {
  return absl::StrCat(name_, "+", HexEncode(key_id_), "+", Base64Encode(std::string(1, kEd25519) + key_.bytes()));
}

absl::StatusOr<NoteSigner> NoteSigner::Create(std::string_view name, const SigningKey& key) {
  absl::StatusOr<NoteVerifier> verifier = NoteVerifier::Create(name, key.verify_key());
  if (!verifier.ok()) return verifier.status();
  return NoteSigner(*verifier, key);
}

absl::StatusOr<NoteSigner> NoteSigner::FromText(std::string_view text) {
  if (!text.starts_with(kPrivateKey)) return absl::InvalidArgumentError("not a private note key");
  const std::optional<KeyText> parsed = ParseKeyText(text.substr(kPrivateKey.size()));
  if (!parsed) return absl::InvalidArgumentError("not a private note key");
  absl::StatusOr<SigningKey> key = SigningKey::FromSeed(parsed->key);
  if (!key.ok()) return key.status();
  absl::StatusOr<NoteSigner> signer = Create(parsed->name, *key);
  if (signer.ok() && signer->verifier().key_id() != parsed->id) {
    return absl::InvalidArgumentError("the private note key's id is not its own");
  }
  return signer;
}

Secret<std::string> NoteSigner::ToText() const {
  return Secret<std::string>(absl::StrCat(absl::string_view(kPrivateKey.data(), kPrivateKey.size()), verifier_.name(),
                                          "+", HexEncode(verifier_.key_id()), "+",
                                          Base64Encode(std::string(1, kEd25519) + key_.seed().reveal())));
}

absl::StatusOr<std::string> NoteSigner::Sign(std::string_view text) const {
  if (text.empty() || text.back() != '\n') return Malformed("the text does not end in a newline");
  if (!IsNoteText(text)) return Malformed("the text is not UTF-8 without control characters");
  std::string note(text);
  note += "\n";
  note += kSignatureLine;
  note += verifier_.name() + " " + Base64Encode(verifier_.key_id() + key_.Sign(text)) + "\n";
  if (note.size() > kMaxNoteBytes) return Malformed("the text is too long");
  return note;
}

absl::StatusOr<Note> ParseNote(std::string_view message) {
  if (message.size() > kMaxNoteBytes) return Malformed("too long");
  if (!IsNoteText(message)) return Malformed("not UTF-8 without control characters");
  const std::size_t blank = message.rfind("\n\n");
  if (blank == std::string_view::npos) return Malformed("no blank line before the signatures");
  Note note{std::string(message.substr(0, blank + 1)), {}};
  std::string_view rest = message.substr(blank + 2);
  if (rest.empty() || rest.back() != '\n') return Malformed("no signature, or one cut off");
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.starts_with(kSignatureLine)) return Malformed("a line after the blank one is not a signature");
    line.remove_prefix(kSignatureLine.size());
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || !IsName(line.substr(0, space)))
      return Malformed("a signature without a name");
    const std::optional<std::string> bytes = Base64Decode(line.substr(space + 1));
    if (!bytes || bytes->size() <= kNoteKeyIdBytes) return Malformed("a signature that is not base64, or too short");
    if (note.signatures.size() == kMaxNoteSignatures) return Malformed("too many signatures");
    note.signatures.push_back(
        {std::string(line.substr(0, space)), bytes->substr(0, kNoteKeyIdBytes), bytes->substr(kNoteKeyIdBytes)});
  }
  return note;
}

absl::StatusOr<std::string> OpenNote(std::string_view message, std::span<const NoteVerifier> keys) {
  absl::StatusOr<Note> note = ParseNote(message);
  if (!note.ok()) return note.status();
  bool signed_by_known = false;
  for (const NoteSignature& signature : note->signatures) {
    for (const NoteVerifier& key : keys) {
      if (key.name() != signature.name || key.key_id() != signature.key_id) continue;
      if (!key.Verify(note->text, signature.signature)) {
        return absl::UnauthenticatedError(absl::StrCat("the signature of ", key.name(), " is wrong"));
      }
      signed_by_known = true;
    }
  }
  if (!signed_by_known) return absl::UnauthenticatedError("the note is not signed by a known key");
  return std::move(note->text);
}

std::string FormatCheckpoint(const Checkpoint& checkpoint) {
  return absl::StrCat(checkpoint.origin, "\n", checkpoint.size, "\n", Base64Encode(AsView(checkpoint.root)), "\n");
}

absl::StatusOr<Checkpoint> ParseCheckpoint(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == 0 || end == std::string_view::npos)
      return Malformed("a checkpoint has no empty line and ends in a newline");
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  if (lines.size() < 3) return Malformed("a checkpoint has origin, size and root");
  Checkpoint checkpoint;
  checkpoint.origin = std::string(lines[0]);
  const absl::string_view size(lines[1].data(), lines[1].size());
  if (!std::all_of(size.begin(), size.end(), [](char c) { return c >= '0' && c <= '9'; }) ||
      (size.size() > 1 && size.front() == '0') || !absl::SimpleAtoi(size, &checkpoint.size)) {
    return Malformed("a checkpoint's size is a decimal number without leading zeros");
  }
  const std::optional<std::string> root = Base64Decode(lines[2]);
  if (!root || root->size() != checkpoint.root.size()) return Malformed("a checkpoint's root is base64 of 32 bytes");
  std::copy(root->begin(), root->end(), checkpoint.root.begin());
  return checkpoint;
}

absl::StatusOr<Checkpoint> OpenCheckpoint(std::string_view message, const NoteVerifier& key, std::string_view origin) {
  absl::StatusOr<std::string> text = OpenNote(message, std::span(&key, 1));
  if (!text.ok()) return text.status();
  absl::StatusOr<Checkpoint> checkpoint = ParseCheckpoint(*text);
  if (checkpoint.ok() && checkpoint->origin != origin) {
    return absl::PermissionDeniedError(absl::StrCat("a checkpoint of ", checkpoint->origin, ", not of ",
                                                    absl::string_view(origin.data(), origin.size())));
  }
  return checkpoint;
}

std::string LedgerOrigin(std::string_view installation, std::uint32_t partition) {
  return absl::StrFormat("vigil/%s/partition-%02d", std::string(installation), partition);
}

std::string LedgerKeyName(std::string_view installation) { return "vigil/" + std::string(installation) + "/audit"; }

}  // namespace vigil
