// What is printed: words, in one language, without layout. Whoever makes the pages of it needs no key and knows nothing of schools.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vigil::document {

// Of one document: all its words together, and its pages. What is longer is refused, not cut.
inline constexpr std::size_t kMaxDocumentBytes = 512 * 1024;
inline constexpr int kMaxPages = 60;

struct Line {
  std::string label;
  std::string value;
};

struct Section {
  std::string heading;  // empty: without one
  std::vector<Line> lines;
  // A table: as many cells a row as there are columns.
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

struct Signature {
  std::string label;
  std::string name;  // empty: a line is left to sign on
};

// All text is plain text in UTF-8: nothing in it is markup. Line feeds are kept.
struct Document {
  std::string language;  // a tag, "zh-CN"
  std::string letterhead;
  std::string title;
  std::string number;
  std::vector<std::string> marks;
  std::vector<Line> head;
  std::vector<Section> sections;
  std::vector<Signature> signatures;
  std::vector<std::string> notes;
  std::string copy_url;       // shown as a QR code and in letters; empty: none
  std::string copy_words;     // beside the code
  std::string page_words;     // "{page}" and "{pages}" are numbers
  std::string printed_words;  // at the foot of each page
  std::string unknown_words;  // when characters are in no font; "{count}" is how many
  std::string date_words;     // where one signs
};

// For a pipe between two programs of one build. Decode: InvalidArgument, also for what is no UTF-8 or over kMaxDocumentBytes.
std::string Encode(const Document& document);
absl::StatusOr<Document> Decode(std::string_view bytes);

}  // namespace vigil::document
