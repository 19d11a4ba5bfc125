#include "audit/ledger/note.h"

#include <gtest/gtest.h>

#include <string>

#include "audit/ledger/merkle.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"

namespace vigil {
namespace {

// The published example of Go's sumdb/note, whose format became signed-note.
constexpr char kPeterPrivate[] = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
constexpr char kPeter[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr char kEnoch[] = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const std::string kText =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n";
const std::string kPeterLine =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const std::string kEnochLine =
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

NoteVerifier Verifier(const char* text) { return NoteVerifier::FromText(text).value(); }

TEST(NoteTest, SignsThePublishedExampleByteForByte) {
  EXPECT_EQ(NoteSigner::FromText(kPeterPrivate).value().Sign(kText).value(), kText + "\n" + kPeterLine);
}

TEST(NoteTest, OpensThePublishedExample) {
  const NoteVerifier both[] = {Verifier(kPeter), Verifier(kEnoch)};
  EXPECT_EQ(OpenNote(kText + "\n" + kPeterLine, std::span(both, 1)).value(), kText);
  EXPECT_EQ(OpenNote(kText + "\n" + kPeterLine + kEnochLine, both).value(), kText);
  EXPECT_EQ(OpenNote(kText + "\n" + kEnochLine + kPeterLine, std::span(both, 1)).value(), kText)
      << "others' signatures are ignored";
}

TEST(NoteTest, KeysReadBackAsTheyWereWritten) {
  EXPECT_EQ(Verifier(kPeter).ToText(), kPeter);
  EXPECT_EQ(NoteSigner::FromText(kPeterPrivate).value().ToText().reveal(), kPeterPrivate);
  EXPECT_EQ(NoteSigner::FromText(kPeterPrivate).value().verifier().ToText(), kPeter);
}

TEST(NoteTest, NoPartOrChangeOfAKeyIsAKey) {
  for (const std::string& text : {std::string(kPeter), std::string(kPeterPrivate)}) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string altered = text;
      ++altered[i];
      EXPECT_FALSE(NoteVerifier::FromText(altered).ok()) << altered;
      EXPECT_FALSE(NoteSigner::FromText(altered).ok()) << altered;
      EXPECT_FALSE(NoteVerifier::FromText(text.substr(0, i)).ok());
      EXPECT_FALSE(NoteSigner::FromText(text.substr(0, i)).ok());
    }
  }
  // Right hashes, wrong key: a length of 35 bytes, and another type.
  EXPECT_FALSE(
      NoteVerifier::FromText("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==").ok());
  EXPECT_FALSE(NoteVerifier::FromText("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").ok());
}

TEST(NoteTest, NamesHaveNoSpacesAndNoPlus) {
  SeededRandom random(1);
  const SigningKey key = SigningKey::Generate(random);
  for (const char* name : {"", "a b", "a+b", "a\nb", "a\xE3\x80\x80z", "a\xC2\xA0z", "a\xFFz", "a\xE2\x80\xA8z"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(NoteSigner::Create(name, key).status())) << name;
  }
  EXPECT_TRUE(NoteSigner::Create("学校/audit", key).ok());
}

TEST(NoteTest, NothingMalformedIsOpened) {
  const NoteVerifier peter = Verifier(kPeter);
  std::string many;
  for (int i = 0; i < 101; ++i) many += kPeterLine;
  for (const std::string& message :
       {std::string(), kText, kText + "\n", kText + "\n" + kPeterLine.substr(0, kPeterLine.size() - 1),
        "\x01" + kText + "\n" + kPeterLine, "\xFF" + kText + "\n" + kPeterLine, "\xC0\x80" + kText + "\n" + kPeterLine,
        "\xED\xA0\x80" + kText + "\n" + kPeterLine, kText + kPeterLine, kText + "\n— Bad Name " + kPeterLine.substr(17),
        kText + "\n" + kPeterLine + "Unexpected line.\n", kText + "\n" + kPeterLine + "\n", kText + "\n" + many,
        kText + "\n— PeterNeumann x08goA=\n", kText + "\n— PeterNeumann x08g\n",
        kText + "\n-- PeterNeumann" + kPeterLine.substr(16)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(OpenNote(message, std::span(&peter, 1)).status())) << message;
  }
}

TEST(NoteTest, NoBitOfASignedNoteCanChange) {
  const NoteVerifier peter = Verifier(kPeter);
  const std::string note = kText + "\n" + kPeterLine;
  for (std::size_t i = 0; i < note.size() * 8; ++i) {
    std::string altered = note;
    altered[i / 8] = static_cast<char>(altered[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(OpenNote(altered, std::span(&peter, 1)).ok()) << "bit " << i;
  }
}

TEST(NoteTest, AWrongSignatureOfAKnownKeySpoilsTheNote) {
  const NoteVerifier both[] = {Verifier(kPeter), Verifier(kEnoch)};
  std::string wrong = kEnochLine;
  std::swap(wrong[60], wrong[61]);
  EXPECT_TRUE(absl::IsUnauthenticated(OpenNote(kText + "\n" + kPeterLine + wrong, both).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(OpenNote(kText + "\n" + kEnochLine, std::span(both, 1)).status()));
}

TEST(NoteTest, OnlyTextThatCanBeReadBackIsSigned) {
  const NoteSigner signer = NoteSigner::FromText(kPeterPrivate).value();
  for (const char* text : {"", "no newline", "bell\x07\n", "\xFF\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(signer.Sign(text).status())) << text;
  }
  const NoteVerifier peter = Verifier(kPeter);
  EXPECT_EQ(OpenNote(signer.Sign("a\n\nb\n").value(), std::span(&peter, 1)).value(), "a\n\nb\n");
}

TEST(CheckpointTest, IsThreeLinesAndASignature) {
  const NoteSigner signer = NoteSigner::FromText(kPeterPrivate).value();
  const Checkpoint checkpoint{LedgerOrigin("rehearsal", 7), 20852163, merkle::LeafHash("")};
  EXPECT_EQ(FormatCheckpoint(checkpoint),
            "vigil/rehearsal/partition-07\n20852163\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n");
  const std::string note = signer.Sign(FormatCheckpoint(checkpoint)).value();
  EXPECT_EQ(OpenCheckpoint(note, signer.verifier(), "vigil/rehearsal/partition-07").value(), checkpoint);
  EXPECT_TRUE(
      absl::IsPermissionDenied(OpenCheckpoint(note, signer.verifier(), "vigil/rehearsal/partition-08").status()));
}

TEST(CheckpointTest, FurtherLinesAreIgnoredAndEverythingElseRefused) {
  const std::string root = "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n";
  EXPECT_EQ(ParseCheckpoint("o\n0\n" + root).value().size, 0u);
  EXPECT_EQ(ParseCheckpoint("o\n18446744073709551615\n" + root + "more\n").value().size, 18446744073709551615u);
  for (const std::string& text :
       {std::string(), std::string("o\n1\n"), "\n1\n" + root, "o\n01\n" + root, "o\n+1\n" + root, "o\n 1\n" + root,
        "o\n-1\n" + root, "o\n\n" + root, "o\n18446744073709551616\n" + root, "o\n1\nAAAA\n" + std::string(),
        "o\n1\n" + root.substr(1), "o\n1\n" + root + "\n", "o\n1\n" + root.substr(0, root.size() - 1)}) {
    EXPECT_FALSE(ParseCheckpoint(text).ok()) << text;
  }
}

}  // namespace
}  // namespace vigil
