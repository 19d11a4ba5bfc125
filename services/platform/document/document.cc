#include "platform/document/document.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace vigil::document {

using nlohmann::json;

// Found by the JSON library through the types' namespace.
void to_json(json& out, const Line& line) { out = json::array({line.label, line.value}); }
void from_json(const json& in, Line& line) {
  in.at(0).get_to(line.label);
  in.at(1).get_to(line.value);
}
void to_json(json& out, const Signature& signature) { out = json::array({signature.label, signature.name}); }
void from_json(const json& in, Signature& signature) {
  in.at(0).get_to(signature.label);
  in.at(1).get_to(signature.name);
}
void to_json(json& out, const Section& section) { out = json::array({section.heading, section.lines, section.columns, section.rows}); }
void from_json(const json& in, Section& section) {
  in.at(0).get_to(section.heading);
  in.at(1).get_to(section.lines);
  in.at(2).get_to(section.columns);
  in.at(3).get_to(section.rows);
}

std::string Encode(const Document& d) {
  return json::array({d.language, d.letterhead, d.title, d.number, d.marks, d.head, d.sections, d.signatures, d.notes, d.copy_url, d.copy_words, d.page_words,
                      d.printed_words, d.unknown_words, d.date_words})
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<Document> Decode(std::string_view bytes) {
  if (bytes.size() > kMaxDocumentBytes) return absl::InvalidArgumentError("the document is too long");
  const json in = json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  if (!in.is_array() || in.size() != 15) return absl::InvalidArgumentError("this is no document");
  Document d;
  try {
    std::size_t next = 0;
    const auto read = [&](auto&... fields) { (in.at(next++).get_to(fields), ...); };
    read(d.language, d.letterhead, d.title, d.number, d.marks, d.head, d.sections, d.signatures, d.notes, d.copy_url, d.copy_words, d.page_words, d.printed_words,
         d.unknown_words, d.date_words);
  } catch (const json::exception&) {
    return absl::InvalidArgumentError("this is no document");
  }
  for (const Section& section : d.sections) {
    for (const auto& row : section.rows) {
      if (row.size() != section.columns.size()) return absl::InvalidArgumentError("a row has other columns than its table");
    }
  }
  return d;
}

}  // namespace vigil::document
