#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/http/problem.h"

namespace vigil {

// How FieldError is used here: `field` is the path as the caller wrote it (`student.id`, `shifts[2].from_time`), empty
// when the document as a whole is meant; `reason` never repeats the value, which may be about a child.

// The most errors one answer lists; a caller mends these first.
inline constexpr size_t kMaxFieldErrors = 10;

// Where a value stands in the document, as a chain on the stack; written out only when there is an error.
struct FieldPath {
  const FieldPath* parent = nullptr;
  std::string_view name;  // The member's name; empty for an array's element.
  size_t index = 0;       // The element's index when `name` is empty.

  std::string ToString() const;
};

// Gathers errors up to kMaxFieldErrors.
class FieldErrors {
 public:
  void Add(const FieldPath& path, std::string reason) {
    if (!full()) errors_.push_back({path.ToString(), std::move(reason)});
  }
  bool full() const { return errors_.size() >= kMaxFieldErrors; }
  bool empty() const { return errors_.empty(); }
  std::vector<FieldError> Take() { return std::move(errors_); }

 private:
  std::vector<FieldError> errors_;
};

}  // namespace vigil
