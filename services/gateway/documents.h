// Documents at the edge: what a service says one holds, as the printer wants it, and what is answered.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "gateway/transcoder/problem.h"
#include "platform/document/document.h"
#include "platform/http/message.h"
#include "vigil/document/v1/document.pb.h"

namespace vigil::gateway {

inline constexpr std::string_view kCopyPrefix = "/d/";

// `public_url`: where this installation is reached from outside, without a slash at its end; empty: the guardian's copy has no address.
document::Document ForPrinter(const document::v1::Document& document, std::string_view public_url);

// `to_keep`: saved as a file; else shown, as a phone does that has scanned the code.
HttpResponse PdfResponse(std::string pdf, std::string_view file_name, bool to_keep);

// Why there is no PDF, of a printer's status.
Problem PrintProblem(const absl::Status& status);

// A page for a person with a phone, in both languages: 404 opens nothing (any more), 429 and 503 try again.
HttpResponse CopyRefusal(int status);

// What can be the token of an address; anything else is not asked for.
bool IsCopyToken(std::string_view text);

}  // namespace vigil::gateway
