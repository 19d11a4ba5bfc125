#include "supervisor/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "supervisor/files.h"

namespace vigil::installation {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Bio = std::unique_ptr<BIO, Free>;

absl::Status Failure(std::string_view what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  return absl::InternalError(absl::StrCat("OpenSSL: ", absl::string_view(what.data(), what.size()), ": ", text));
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

absl::Status Store(EVP_PKEY* key, const std::filesystem::path& path) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return Failure("writing a key");
  return WriteFile(path, Contents(bio.get()));
}

absl::Status Store(X509* certificate, const std::filesystem::path& path) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return Failure("writing a certificate");
  return WriteFile(path, Contents(bio.get()));
}

absl::StatusOr<Key> LoadKey(const std::filesystem::path& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr) return Failure(absl::StrCat("reading ", path.string()));
  return key;
}

absl::StatusOr<Certificate> LoadCertificate(const std::filesystem::path& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Failure(absl::StrCat("reading ", path.string()));
  return certificate;
}

absl::StatusOr<Key> NewKey() {
  Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Failure("making a key");
  return key;
}

using Extensions = std::vector<std::pair<int, std::string>>;

// `issuer` is null for a certificate that signs itself.
absl::StatusOr<Certificate> Issue(std::string_view organization, std::string_view common_name, EVP_PKEY* subject_key,
                                  X509* issuer, EVP_PKEY* issuer_key, absl::Time from, absl::Time to,
                                  const Extensions& extensions) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof(serial)) != 1) return Failure("drawing a serial number");
  serial[0] &= 0x7f;  // positive
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(serial, sizeof(serial), nullptr), &BN_free);
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(from));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(to));
  X509_set_pubkey(certificate.get(), subject_key);

  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const auto add = [&](const char* field, std::string_view value) {
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                               static_cast<int>(value.size()), -1, 0);
  };
  add("O", organization);
  add("CN", common_name);
  X509* const signer = issuer == nullptr ? certificate.get() : issuer;
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));

  X509V3_CTX context;
  X509V3_set_ctx(&context, signer, certificate.get(), nullptr, nullptr, 0);
  for (const auto& [id, value] : extensions) {
    std::unique_ptr<X509_EXTENSION, Free> extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
    if (extension == nullptr || X509_add_ext(certificate.get(), extension.get(), -1) != 1)
      return Failure(absl::StrCat("adding ", value));
  }
  if (X509_sign(certificate.get(), issuer_key, EVP_sha256()) == 0) return Failure("signing a certificate");
  return certificate;
}

bool StillGood(const std::filesystem::path& certificate_path, X509* authority, EVP_PKEY* authority_key,
               absl::Time now) {
  absl::StatusOr<Certificate> certificate = LoadCertificate(certificate_path);
  if (!certificate.ok()) return false;
  std::time_t renew_time = absl::ToTimeT(now + kRenewBeforeExpiry);
  return X509_check_issued(authority, certificate->get()) == X509_V_OK &&
         X509_verify(certificate->get(), authority_key) == 1 &&
         X509_cmp_time(X509_get0_notAfter(certificate->get()), &renew_time) > 0;
}

// A machine whose clock is set right after installing must not find its certificates in the future.
constexpr absl::Duration kBackdate = absl::Hours(24);
constexpr std::string_view kOrganization = "Vigil";

}  // namespace

absl::Status EnsureAuthority(const std::filesystem::path& key_path, const std::filesystem::path& certificate_path,
                             std::string_view name, absl::Time now) {
  if (LoadKey(key_path).ok() && LoadCertificate(certificate_path).ok()) return absl::OkStatus();
  absl::StatusOr<Key> key = NewKey();
  if (!key.ok()) return key.status();
  absl::StatusOr<Certificate> certificate =
      Issue(kOrganization, absl::StrCat("Vigil installation ", absl::string_view(name.data(), name.size())), key->get(),
            nullptr, key->get(), now - kBackdate, now + kAuthorityLifetime,
            {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
             {NID_key_usage, "critical,keyCertSign,cRLSign"},
             {NID_name_constraints,
              "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0,"
              "permitted;IP:0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF"},
             {NID_subject_key_identifier, "hash"}});
  if (!certificate.ok()) return certificate.status();
  if (absl::Status status = Store(key->get(), key_path); !status.ok()) return status;
  return Store(certificate->get(), certificate_path);
}

absl::Status EnsureLeaf(const std::filesystem::path& authority_key_path, const std::filesystem::path& authority_path,
                        const std::filesystem::path& key_path, const std::filesystem::path& certificate_path,
                        std::string_view name, absl::Time now) {
  absl::StatusOr<Key> authority_key = LoadKey(authority_key_path);
  if (!authority_key.ok()) return authority_key.status();
  absl::StatusOr<Certificate> authority = LoadCertificate(authority_path);
  if (!authority.ok()) return authority.status();
  if (LoadKey(key_path).ok() && StillGood(certificate_path, authority->get(), authority_key->get(), now))
    return absl::OkStatus();

  absl::StatusOr<Key> key = NewKey();
  if (!key.ok()) return key.status();
  absl::StatusOr<Certificate> certificate = Issue(
      kOrganization, name, key->get(), authority->get(), authority_key->get(), now - kBackdate, now + kLeafLifetime,
      {{NID_basic_constraints, "critical,CA:FALSE"},
       {NID_key_usage, "critical,digitalSignature"},
       {NID_ext_key_usage, "serverAuth,clientAuth"},
       {NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"},
       {NID_subject_key_identifier, "hash"},
       {NID_authority_key_identifier, "keyid:always"}});
  if (!certificate.ok()) return certificate.status();
  if (absl::Status status = Store(key->get(), key_path); !status.ok()) return status;
  return Store(certificate->get(), certificate_path);
}

}  // namespace vigil::installation
