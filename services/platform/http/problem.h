#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/http/message.h"

namespace vigil {

// One thing that is wrong with a request: the JSON path of the field ("student.id", "say[0].text") and why.
struct FieldError {
  std::string field;
  std::string reason;
};

// An RFC 9457 `application/problem+json` answer: {"type":"about:blank","title","status","detail"?,"errors"?}.
// Text that is not UTF-8 is replaced, never refused.
HttpResponse ProblemResponse(int status, std::string_view detail, const std::vector<FieldError>& errors = {});

// A 200-like answer with a JSON body that is already serialized.
HttpResponse JsonResponse(int status, std::string body);

}  // namespace vigil
