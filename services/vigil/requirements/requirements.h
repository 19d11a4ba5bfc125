// The table of docs/requirements.md, which is embedded: what covers each requirement of the two documents, by which rows of the pack, shown by
// which tests. One source of truth: the page itself.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vigil {

struct RequirementRow {
  std::string id;
  // enforced, timed, notified, recorded, reported; or one of: document only, later, open.
  std::vector<std::string> cover;
  // Rows of the pack, "clocks.written_report".
  std::vector<std::string> rows;
  // "Suite.Test".
  std::vector<std::string> tests;
  // Why it is a document only, later or open.
  std::string note;
};

// InvalidArgument: a line that is no row, with its number; an id twice.
absl::StatusOr<std::vector<RequirementRow>> ParseRequirements(std::string_view page);

// How many rows have each cover; "tested": how many name a test.
std::map<std::string, int> CountRequirements(const std::vector<RequirementRow>& rows);

// `vigil requirements`: exit code.
int RunRequirements(bool json);

}  // namespace vigil
