// Whoever carries calls and messages to people's telephones.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "platform/crypto/secret.h"

namespace vigil::notification {

struct CallOrder {
  // The idempotency key: the same id again places nothing more.
  std::string id;
  Secret<std::string> to;
  std::string language;  // of the text, a tag
  std::string text;
  bool gather = false;  // waits for one key
  // Telephone that key 1 connects to; empty: none.
  Secret<std::string> bridge_to;
  // Goes before every order that is not.
  bool urgent = false;
};

struct MessageOrder {
  std::string id;
  Secret<std::string> to;
  std::string text;
  bool urgent = false;
};

// Thread-safe. What becomes of an order after it was accepted arrives as callbacks at the gateway, not here.
class Provider {
 public:
  // OK                accepted, or accepted before under this id.
  // InvalidArgument   this order will never be accepted (a number that is none).
  // Otherwise         refused, not reached or no answer in time: it may be placed again, here under the same id, elsewhere under another.
  using Done = std::function<void(absl::Status)>;

  virtual ~Provider() = default;
  // As recorded with each attempt; lower-case letters, digits and '-'.
  virtual std::string_view name() const = 0;
  // Neither blocks. `done` runs once, on any thread, also within the call, and must not block.
  virtual void PlaceCall(const CallOrder& order, Done done) = 0;
  virtual void PlaceMessage(const MessageOrder& order, Done done) = 0;
};

}  // namespace vigil::notification
