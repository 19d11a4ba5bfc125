// Who asks, as the gateway has verified and passed on in request metadata.
#pragma once

#include <cstdint>
#include <string>

namespace vigil::intake {

struct Caller {
  std::string person;
  std::string role;
  // "*": every school.
  std::string school;
  // Empty: none was given.
  std::string idempotency_key;
  // SHA-256 of the canonical body, hex.
  std::string body_hash;
  // The version of If-Match; 0: none.
  std::uint64_t expected_version = 0;
  std::string traceparent;
  // The first of Accept-Language; empty: none was asked for.
  std::string language;
};

}  // namespace vigil::intake
