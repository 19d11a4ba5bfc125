#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gateway/transcoder/field_error.h"
#include "gateway/transcoder/message_plan.h"
#include "gateway/transcoder/route_table.h"

namespace vigil {

// JSON of the HTTP edge <-> messages, wholly by descriptors and the field option vigil.api.v1.rule.
//
// The JSON: snake_case; enums in lower case without their prefix; 64-bit integers as numbers; times RFC 3339, written
// in UTC; durations "3.5s"; bytes base64. Written are all fields, also those that hold their default, but for unset
// messages, `optional`s and oneof members. Read is no more than what the messages say: an unknown field, a repeated
// name, a wrong type, what is longer than its limit are errors. `null` is as good as absent. A map<string, string> with
// any_scalar takes any value: strings as they are, all else as its compact JSON text; it is written back as strings.
//
// After Create it is immutable, so safe to share between threads.
class Transcoder {
 public:
  Transcoder() = default;

  // Makes ready for the requests and responses of all routes of `table`, and for `others`, which are to be printed.
  // InvalidArgument names the field that cannot be said in JSON or whose rule does not fit it. To be called once.
  absl::Status Create(const RouteTable& table, const std::vector<const google::protobuf::Descriptor*>& others = {});

  // Fills `request`, an empty message of the route's input type, from the path's captures, the query (without '?', GET
  // and DELETE only) and the body (empty is as good as {}). Returns what is wrong, at most kMaxFieldErrors, in the
  // document's order; none if all is well. `request` is worth nothing when there are errors.
  std::vector<FieldError> Read(const RouteTable::Match& match, std::string_view query, std::string_view body,
                               google::protobuf::Message& request) const;

  // Reads a body alone into a message of any type made ready.
  std::vector<FieldError> ReadBody(std::string_view body, google::protobuf::Message& message) const;

  // Appends `message`, whose type was made ready, as JSON.
  void Print(const google::protobuf::Message& message, std::string& out) const;

  const MessagePlans& plans() const { return plans_; }

 private:
  MessagePlans plans_;
};

// "%E5%BC%A0" -> "张". With `form`, '+' is a space. False if an escape is broken or the outcome is no UTF-8 text or
// holds U+0000.
bool PercentDecode(std::string_view text, bool form, std::string& out);

}  // namespace vigil
