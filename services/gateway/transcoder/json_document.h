#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/transcoder/field_error.h"

namespace vigil {

// Deepest nesting of objects and arrays that a request may have.
inline constexpr int kMaxJsonDepth = 16;
// Longest member name that is echoed in an error, in bytes.
inline constexpr size_t kMaxEchoedNameBytes = 64;

// One strictly read JSON text, flat: a value is followed by the values inside it. Nodes are in document order, so the
// children of node i start at i + 1, and the sibling after a node is its `end`. Strings live in the document: it must
// outlive every view of it. Not thread-safe.
class JsonDocument {
 public:
  enum class Kind : uint8_t { kNull, kBool, kInteger, kUnsigned, kDouble, kString, kArray, kObject };

  struct Node {
    std::string_view key;   // Member name, if inside an object.
    std::string_view text;  // The string's value; the digits as written for kDouble; the repeated name for an object
                            // with a duplicate key.
    union {
      bool boolean = false;
      int64_t integer;  // kInteger: negative numbers
      uint64_t unsigned_integer;
      double number;
    };
    uint32_t end = 0;  // Index just after this value and all inside it.
    Kind kind = Kind::kNull;
    bool duplicate_key = false;  // An object in which a name stands twice: `text` is that name.
  };

  JsonDocument() = default;
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

  // Reads `text` (UTF-8). Returns what is wrong with it if it is no JSON text, is nested deeper than kMaxJsonDepth, is
  // not UTF-8 or holds U+0000; the document is then empty. A duplicate name is not refused here but marked, so that it
  // is reported with the other errors.
  std::optional<FieldError> Parse(std::string_view text);

  const std::vector<Node>& nodes() const { return nodes_; }

  // Appends the value at `index` as compact JSON.
  void AppendCompact(uint32_t index, std::string& out) const;
  // The first object at or inside `index` that has a duplicate name, or nullptr.
  const Node* FindDuplicate(uint32_t index) const;

 private:
  friend class JsonDocumentBuilder;

  std::vector<Node> nodes_;
  std::string strings_;  // Reserved once for the length of the input, so the views into it stay good.
};

// Appends `value` (UTF-8) quoted and escaped.
void AppendJsonString(std::string_view value, std::string& out);

bool IsUtf8(std::string_view text);

}  // namespace vigil
