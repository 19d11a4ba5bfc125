#include <gtest/gtest.h>

#include <set>
#include <string>
#include <type_traits>

#include "platform/crypto/derive.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/crypto/nkey.h"
#include "platform/crypto/random.h"
#include "platform/crypto/seal.h"
#include "platform/crypto/secret.h"
#include "platform/crypto/sign.h"

namespace vigil {
namespace {

std::string FromHex(std::string_view hex) { return HexDecode(hex).value(); }

template <typename T>
concept Comparable = requires(const T& a, const T& b) { a == b; };
template <typename T>
concept Streamable = requires(const T& a, std::ostream& out) { out << a; };

TEST(SecretTest, CannotBeComparedOrStreamed) {
  static_assert(!Comparable<Secret<std::string>>);
  static_assert(!Streamable<Secret<std::string>>);
  static_assert(!std::is_convertible_v<Secret<std::string>, std::string>);
  EXPECT_EQ(::testing::PrintToString(Secret<std::string>("hunter2")), "[secret]");
}

TEST(SecretTest, AMovedSecretIsGoneFromWhereItWas) {
  Secret<std::string> from("hunter2");
  const Secret<std::string> to(std::move(from));
  EXPECT_EQ(to.reveal(), "hunter2");
  EXPECT_EQ(from.reveal().find("hunter2"), std::string::npos);  // NOLINT(bugprone-use-after-move): this is what is tested
}

TEST(HashTest, AgreesWithThePublishedVectors) {
  EXPECT_EQ(HexEncode(AsView(Sha256("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexEncode(AsView(Sha256(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hasher().Update("a").Update("").Update("bc").Finish(), Sha256("abc"));
  // RFC 4231, cases 2 and 6 (a key longer than a block).
  EXPECT_EQ(HexEncode(AsView(HmacSha256("Jefe", "what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexEncode(AsView(HmacSha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(EncodingTest, AgreesWithRfc4648) {
  EXPECT_EQ(Base64Encode("foob"), "Zm9vYg==");
  EXPECT_EQ(Base64Encode("fooba"), "Zm9vYmE=");
  EXPECT_EQ(Base64Encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64Encode(""), "");
  EXPECT_EQ(Base64UrlEncode("\xfb\xff"), "-_8");
  EXPECT_EQ(Base32Encode("foobar"), "mzxw6ytboi");
  EXPECT_EQ(HexEncode(std::string("\x00\xff", 2)), "00ff");
}

TEST(EncodingTest, EveryLengthComesBack) {
  SeededRandom random(7);
  for (std::size_t length = 0; length < 70; ++length) {
    const std::string bytes = random.Bytes(length);
    EXPECT_EQ(Base64Decode(Base64Encode(bytes)), bytes);
    EXPECT_EQ(Base64UrlDecode(Base64UrlEncode(bytes)), bytes);
    EXPECT_EQ(Base32Decode(Base32Encode(bytes)), bytes);
    EXPECT_EQ(HexDecode(HexEncode(bytes)), bytes);
  }
}

TEST(EncodingTest, OneTextForTheSameBytes) {
  for (const char* text : {"Zm9vYg=", "Zm9vYg", "Zm9vYh==", "Zm9v Yg==", "====", "Zm9v====", "Z", "Zm9vYg==\n"}) {
    EXPECT_EQ(Base64Decode(text), std::nullopt) << text;
  }
  for (const char* text : {"-_9", "-_8=", "A", "+/8"}) EXPECT_EQ(Base64UrlDecode(text), std::nullopt) << text;
  for (const char* text : {"mzxw6ytbo", "MZXW6", "a", "mzxw6yq1", "abc"}) EXPECT_EQ(Base32Decode(text), std::nullopt) << text;
  for (const char* text : {"0", "0g", "0x"}) EXPECT_EQ(HexDecode(text), std::nullopt) << text;
}

TEST(EncodingTest, ConstantTimeEqualCompares) {
  EXPECT_TRUE(ConstantTimeEqual("same", "same"));
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_FALSE(ConstantTimeEqual("same", "sama"));
  EXPECT_FALSE(ConstantTimeEqual("same", "sam"));
}

TEST(SignTest, AgreesWithRfc8032) {
  const auto key = SigningKey::FromSeed(FromHex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(HexEncode(key->verify_key().bytes()), "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
  const std::string signature = key->Sign(FromHex("af82"));
  EXPECT_EQ(HexEncode(signature),
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
  EXPECT_TRUE(key->verify_key().Verify(FromHex("af82"), signature));
}

TEST(SignTest, RefusesWhatWasAltered) {
  SeededRandom random(1);
  const SigningKey key = SigningKey::Generate(random);
  const SigningKey other = SigningKey::Generate(random);
  std::string signature = key.Sign("text");
  EXPECT_FALSE(key.verify_key().Verify("Text", signature));
  EXPECT_FALSE(other.verify_key().Verify("text", signature));
  EXPECT_FALSE(key.verify_key().Verify("text", signature.substr(0, 63)));
  signature[10] = static_cast<char>(signature[10] ^ 1);
  EXPECT_FALSE(key.verify_key().Verify("text", signature));
  EXPECT_FALSE(SigningKey::FromSeed("short").ok());
  EXPECT_FALSE(VerifyKey::FromBytes("short").ok());
}

TEST(SealTest, OpensOnlyWithTheSameKeyAndPlace) {
  SeededRandom random(2);
  const SealingKey key = SealingKey::Generate(random);
  const std::string sealed = key.Seal("小明", "s1/name", random);
  EXPECT_EQ(sealed.size(), std::string("小明").size() + kSealOverheadBytes);
  EXPECT_EQ(key.Open(sealed, "s1/name").value(), "小明");
  EXPECT_EQ(key.Open(sealed, "s2/name").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(SealingKey::Generate(random).Open(sealed, "s1/name").ok());
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = static_cast<char>(altered[i] ^ 4);
    EXPECT_FALSE(key.Open(altered, "s1/name").ok()) << i;
    EXPECT_FALSE(key.Open(sealed.substr(0, i), "s1/name").ok()) << i;
  }
  EXPECT_NE(key.Seal("小明", "s1/name", random), sealed) << "a nonce was used twice";
  EXPECT_EQ(key.Open(key.Seal("", "", random), "").value(), "");
}

TEST(SealTest, AWrappedKeyComesBackOnlyForItsPerson) {
  SeededRandom random(3);
  const SealingKey installation = SealingKey::Generate(random);
  const SealingKey person = SealingKey::Generate(random);
  const std::string wrapped = WrapKey(installation, person, "p1", random);
  EXPECT_EQ(UnwrapKey(installation, wrapped, "p1")->Open(person.Seal("x", "", random), "").value(), "x");
  EXPECT_FALSE(UnwrapKey(installation, wrapped, "p2").ok());
  EXPECT_FALSE(UnwrapKey(person, wrapped, "p1").ok());
}

TEST(NkeyTest, AgreesWithTheNatsTools) {
  // A pair from the documentation of the nkeys library.
  const auto key = DecodeNkeySeed("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(EncodeNkeyPublic(key->verify_key()), "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
  EXPECT_EQ(EncodeNkeySeed(*key).reveal(), "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY");
}

TEST(NkeyTest, ComesBackAndRefusesMistypedOnes) {
  SeededRandom random(4);
  for (int i = 0; i < 20; ++i) {
    const SigningKey key = SigningKey::Generate(random);
    std::string text = EncodeNkeySeed(key).reveal();
    EXPECT_EQ(text.substr(0, 2), "SU");
    EXPECT_EQ(EncodeNkeyPublic(key.verify_key())[0], 'U');
    EXPECT_EQ(DecodeNkeySeed(text)->verify_key(), key.verify_key());
    EXPECT_EQ(DecodeNkeyPublic(EncodeNkeyPublic(key.verify_key())).value(), key.verify_key());
    EXPECT_FALSE(DecodeNkeyPublic(text).ok());
    std::swap(text[20], text[21]);
    if (text != EncodeNkeySeed(key).reveal()) {
      EXPECT_FALSE(DecodeNkeySeed(text).ok());
    }
  }
}

TEST(DeriveTest, TheSamePartsGiveTheSameIdForEver) {
  // Pinned: an id that changes between releases would make an old request look new.
  EXPECT_EQ(DeriveId('r', {"school-1", "caller", "key"}), "rdr2rxv6ywvd6h4");
  EXPECT_EQ(DeriveId('r', {"school-1", "caller", "key"}).size(), 15U);
  const std::set<std::string> ids = {DeriveId('r', {"ab", "c"}), DeriveId('r', {"a", "bc"}), DeriveId('r', {"abc"}),
                                     DeriveId('r', {"abc", ""}), DeriveId('c', {"abc"}),     DeriveId('r', {})};
  EXPECT_EQ(ids.size(), 6U);
}

TEST(RandomTest, ASeedReplaysAndTheSystemDoesNot) {
  SeededRandom a(5);
  SeededRandom b(5);
  SeededRandom c(6);
  const std::string first = a.Bytes(32);
  EXPECT_EQ(first, b.Bytes(32));
  EXPECT_NE(first, c.Bytes(32));
  EXPECT_NE(first, a.Bytes(32));
  SystemRandom system;
  EXPECT_NE(system.Bytes(32), system.Bytes(32));
}

}  // namespace
}  // namespace vigil
