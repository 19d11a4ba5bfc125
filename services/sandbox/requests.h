#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/http/problem.h"
#include "sandbox/phone_network.h"

// JSON in and out of the sandbox network, as the outside contract writes it. Unknown fields are errors: the programs
// that speak to this network are ours to test.
namespace vigil::sandbox {

inline constexpr std::size_t kMaxIdBytes = 200;
inline constexpr std::size_t kMaxTextBytes = 16 * 1024;
inline constexpr std::size_t kMaxSaid = 20;
inline constexpr std::size_t kMaxUrlBytes = 2048;
inline constexpr int kMaxGatheredDigits = 20;
inline constexpr absl::Duration kMaxDelay = absl::Hours(1);

// The value counts only where there are no errors.
template <class T>
struct Parsed {
  T value;
  std::vector<FieldError> errors;
};

Parsed<CallRequest> ParseCall(std::string_view json);
Parsed<MessageRequest> ParseMessage(std::string_view json);
Parsed<Behaviour> ParseBehaviour(std::string_view json);
Parsed<std::string> ParseReply(std::string_view json);
Parsed<Faults> ParseFaults(std::string_view json);

// A phone number as we take it: an optional '+', then 3 to 20 digits.
bool IsPhoneNumber(std::string_view text);

std::string CallbackJson(const Callback& callback);
std::string IdJson(std::string_view id);
// {"received":[…]}
std::string ReceivedJson(const std::vector<Received>& received);
// The same, each with `sequence` and `number`, and `next`, which is what to ask for after.
std::string ReceivedPageJson(const std::vector<Received>& received, std::uint64_t after);
std::string FaultsJson(const Faults& faults);

}  // namespace vigil::sandbox
