#include "unit/platform/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace vigil::test {

struct Certificates::Authority {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  long serial = 1;
};

namespace {

void AddExtension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  if (extension == nullptr) std::abort();
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* Make(EVP_PKEY* key, const std::string& name, long serial, X509* issuer, EVP_PKEY* issuer_key) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, issuer == nullptr ? subject : X509_get_subject_name(issuer));
  if (issuer == nullptr) {
    AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    AddExtension(certificate, issuer, NID_subject_alt_name, "DNS:" + name + ",IP:127.0.0.1");
  }
  if (X509_sign(certificate, issuer == nullptr ? key : issuer_key, EVP_sha256()) == 0) std::abort();
  return certificate;
}

void WriteKey(const std::string& path, EVP_PKEY* key) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
}

void WriteCertificate(const std::string& path, X509* certificate) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
}

}  // namespace

Certificates::Certificates() : authority_(new Authority) {
  std::string pattern = (std::filesystem::temp_directory_path() / "vigil-certificates-XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
  authority_->key = EVP_EC_gen("P-256");
  authority_->certificate = Make(authority_->key, "test authority", authority_->serial, nullptr, nullptr);
  WriteCertificate(folder_ + "/ca.pem", authority_->certificate);
}

Certificates::~Certificates() {
  X509_free(authority_->certificate);
  EVP_PKEY_free(authority_->key);
  delete authority_;
  std::filesystem::remove_all(folder_);
}

rpc::TlsFiles Certificates::For(const std::string& service) {
  const rpc::TlsFiles files{folder_ + "/ca.pem", folder_ + "/" + service + ".pem", folder_ + "/" + service + ".key"};
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = Make(key, service, ++authority_->serial, authority_->certificate, authority_->key);
  WriteKey(files.key, key);
  WriteCertificate(files.certificate, certificate);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return files;
}

}  // namespace vigil::test
