#include "gateway/documents.h"

#include <algorithm>

#include "absl/time/time.h"

namespace vigil::gateway {

namespace {

constexpr absl::Duration kTryAgain = absl::Seconds(2);
constexpr size_t kMaxCopyTokenBytes = 256;

}  // namespace

document::Document ForPrinter(const document::v1::Document& from, std::string_view public_url) {
  document::Document to;
  to.language = from.language();
  to.letterhead = from.letterhead();
  to.title = from.title();
  to.number = from.number();
  to.marks.assign(from.marks().begin(), from.marks().end());
  for (const document::v1::Line& line : from.head()) to.head.push_back({line.label(), line.value()});
  for (const document::v1::Section& section : from.sections()) {
    document::Section& added = to.sections.emplace_back();
    added.heading = section.heading();
    for (const document::v1::Line& line : section.lines()) added.lines.push_back({line.label(), line.value()});
    added.columns.assign(section.columns().begin(), section.columns().end());
    for (const document::v1::Row& row : section.rows()) added.rows.emplace_back(row.cells().begin(), row.cells().end());
  }
  for (const document::v1::Signature& signature : from.signatures())
    to.signatures.push_back({signature.label(), signature.name()});
  to.notes.assign(from.notes().begin(), from.notes().end());
  if (!from.copy_path().empty() && !public_url.empty()) {
    to.copy_url = std::string(public_url) + from.copy_path();
    to.copy_words = from.copy_words();
  }
  to.page_words = from.page_words();
  to.printed_words = from.printed_words();
  to.unknown_words = from.unknown_words();
  to.date_words = from.date_words();
  return to;
}

HttpResponse PdfResponse(std::string pdf, std::string_view file_name, bool to_keep) {
  std::string name;
  for (const char c : file_name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    name.push_back(plain ? c : '-');
  }
  HttpResponse response;
  response.headers.Add("Content-Type", "application/pdf");
  response.headers.Add("Content-Disposition",
                       std::string(to_keep ? "attachment" : "inline") + "; filename=\"" + name + ".pdf\"");
  response.headers.Add("Cache-Control", "no-store");
  response.headers.Add("Referrer-Policy", "no-referrer");
  response.headers.Add("Content-Security-Policy", "frame-ancestors 'none'");
  response.headers.Add("X-Robots-Tag", "noindex, nofollow");
  response.body = std::move(pdf);
  return response;
}

Problem PrintProblem(const absl::Status& status) {
  Problem problem;
  problem.status = absl::IsOutOfRange(status) ? 413 : absl::IsInvalidArgument(status) || absl::IsInternal(status) ? 500 : 503;
  if (problem.status != 500) problem.detail = std::string(status.message());
  if (problem.status == 503) problem.retry_after = kTryAgain;
  return problem;
}

HttpResponse CopyRefusal(int status) {
  const bool gone = status == 404;
  HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "text/html; charset=utf-8");
  response.headers.Add("Cache-Control", "no-store");
  response.headers.Add("Referrer-Policy", "no-referrer");
  response.headers.Add("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  response.headers.Add("X-Robots-Tag", "noindex, nofollow");
  if (!gone && status != 405) response.headers.Add("Retry-After", "5");
  response.body = std::string("<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
                              "content=\"width=device-width\"><title>文书 / document</title>") +
                  (gone ? "<p>此二维码打不开文书：可能已过期或已收回。请向经办老师索取。</p><p>This code opens no document: it may have "
                          "expired or been withdrawn. Please ask the teacher in charge.</p>"
                        : "<p>现在打不开，请稍后再试，或向经办老师索取。</p><p>Not available at the moment. Please try again "
                          "shortly, or ask the teacher in charge.</p>") +
                  "</html>\n";
  return response;
}

bool IsCopyToken(std::string_view text) {
  return !text.empty() && text.size() <= kMaxCopyTokenBytes && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace vigil::gateway
