#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform/crypto/hash.h"
#include "platform/crypto/secret.h"
#include "platform/crypto/sign.h"

// Signed notes (c2sp.org/signed-note) and the log checkpoints written in them (c2sp.org/tlog-checkpoint), so that an
// outsider can check a ledger with anybody's tools. All types here are immutable values, thread-safe.
namespace vigil {

inline constexpr std::size_t kMaxNoteBytes = 1 << 20;
inline constexpr std::size_t kMaxNoteSignatures = 100;
inline constexpr std::size_t kNoteKeyIdBytes = 4;

// A public key with the name that its notes are signed with.
class NoteVerifier {
 public:
  // InvalidArgument: the name is empty or holds a space or a plus.
  static absl::StatusOr<NoteVerifier> Create(std::string_view name, const VerifyKey& key);
  // "<name>+<key id in hex>+<base64 of 0x01 ‖ key>", as such keys are published. InvalidArgument if it is anything
  // else.
  static absl::StatusOr<NoteVerifier> FromText(std::string_view text);
  std::string ToText() const;

  const std::string& name() const { return name_; }
  const std::string& key_id() const { return key_id_; }  // SHA-256(name ‖ "\n" ‖ 0x01 ‖ key)[:4]
  bool Verify(std::string_view text, std::string_view signature) const { return key_.Verify(text, signature); }

 private:
  NoteVerifier(std::string_view name, const VerifyKey& key);
  std::string name_;
  std::string key_id_;
  VerifyKey key_;
};

class NoteSigner {
 public:
  static absl::StatusOr<NoteSigner> Create(std::string_view name, const SigningKey& key);
  // "PRIVATE+KEY+<name>+<key id in hex>+<base64 of 0x01 ‖ seed>".
  static absl::StatusOr<NoteSigner> FromText(std::string_view text);
  Secret<std::string> ToText() const;

  // The whole note: text, blank line, signature line. InvalidArgument: the text is empty, does not end in a newline, or
  // could not be read back (ParseNote).
  absl::StatusOr<std::string> Sign(std::string_view text) const;

  const NoteVerifier& verifier() const { return verifier_; }

 private:
  NoteSigner(const NoteVerifier& verifier, const SigningKey& key) : verifier_(verifier), key_(key) {}
  NoteVerifier verifier_;
  SigningKey key_;
};

struct NoteSignature {
  std::string name;
  std::string key_id;     // kNoteKeyIdBytes
  std::string signature;  // not verified
};

struct Note {
  std::string text;  // what is signed, with its last newline
  std::vector<NoteSignature> signatures;
};

// InvalidArgument: not a note (not UTF-8, control characters, no blank line, a signature line that is none, too long).
absl::StatusOr<Note> ParseNote(std::string_view message);

// The text of a note signed by at least one of `keys`. Signatures of other keys are ignored.
// InvalidArgument: not a note. Unauthenticated: no signature of these keys, or one of theirs that is wrong.
absl::StatusOr<std::string> OpenNote(std::string_view message, std::span<const NoteVerifier> keys);

// A log's size and root.
struct Checkpoint {
  std::string origin;  // which log: one line
  std::uint64_t size = 0;
  Digest root{};
  bool operator==(const Checkpoint&) const = default;
};

std::string FormatCheckpoint(const Checkpoint& checkpoint);  // three lines, ready to be signed
// InvalidArgument unless `text` is a checkpoint's. Further lines are allowed and ignored, as the specification wants.
absl::StatusOr<Checkpoint> ParseCheckpoint(std::string_view text);
// A checkpoint signed by `key` for the log `origin`. Errors of OpenNote; PermissionDenied: signed, but for another log.
absl::StatusOr<Checkpoint> OpenCheckpoint(std::string_view message, const NoteVerifier& key, std::string_view origin);

// How Vigil names its logs and the key that signs them: vigil/<installation>/partition-07, vigil/<installation>/audit.
std::string LedgerOrigin(std::string_view installation, std::uint32_t partition);
std::string LedgerKeyName(std::string_view installation);

}  // namespace vigil
