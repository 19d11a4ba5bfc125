#pragma once

#include <string>

#include "platform/rpc/tls.h"

namespace vigil::test {

// An authority of the test's own and certificates that it signs (P-256, for 127.0.0.1 and the name), as files in a folder that goes with it.
class Certificates {
 public:
  Certificates();
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // A certificate whose common name is `service`.
  rpc::TlsFiles For(const std::string& service);

 private:
  struct Authority;
  std::string folder_;
  Authority* authority_;
};

}  // namespace vigil::test
