#include "audit/ledger/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <memory>

namespace vigil {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Looking the algorithm up costs more than a short hash, so each thread keeps a context that knows it.
EVP_MD_CTX* Context() {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  return context.get();
}

const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

}  // namespace

Digest HashPieces(std::initializer_list<std::string_view> pieces) {
  Digest digest;
  EVP_MD_CTX* context = Context();
  // These calls fail only without memory or without the algorithm; a wrong digest must not be the answer to that.
  bool ok = EVP_DigestInit_ex(context, Algorithm(), nullptr) == 1;
  for (const std::string_view piece : pieces) ok = ok && EVP_DigestUpdate(context, piece.data(), piece.size()) == 1;
  ok = ok && EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1;
  if (!ok) std::abort();
  return digest;
}

}  // namespace vigil
