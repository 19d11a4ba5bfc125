#include "vigil/requirements/requirements.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "vigil/embedded.h"

namespace vigil {
namespace {

constexpr std::size_t kColumns = 5;

const std::set<std::string>& Covers() {
  static const auto& covers = *new std::set<std::string>{"enforced", "timed", "notified", "recorded", "reported", "document only", "later", "open"};
  return covers;
}

std::vector<std::string> ListIn(std::string_view cell) {
  std::vector<std::string> items;
  for (const absl::string_view part : absl::StrSplit(absl::string_view(cell.data(), cell.size()), ',')) {
    const std::string item(absl::StripAsciiWhitespace(part));
    if (!item.empty() && item != "-") items.push_back(item);
  }
  return items;
}

// "ORG-01": capitals, a dash, two digits.
bool IsId(const std::string& text) {
  const std::size_t dash = text.find('-');
  return dash != std::string::npos && dash >= 2 && text.size() == dash + 3 && absl::ascii_isupper(static_cast<unsigned char>(text[0])) &&
         absl::ascii_isdigit(static_cast<unsigned char>(text[dash + 1])) && absl::ascii_isdigit(static_cast<unsigned char>(text[dash + 2]));
}

}  // namespace

absl::StatusOr<std::vector<RequirementRow>> ParseRequirements(std::string_view page) {
  std::vector<RequirementRow> rows;
  std::set<std::string> seen;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(absl::string_view(page.data(), page.size()), '\n')) {
    ++number;
    if (line.empty() || line.front() != '|') continue;
    std::vector<std::string> cells;
    for (const absl::string_view cell : absl::StrSplit(line, '|')) cells.emplace_back(absl::StripAsciiWhitespace(cell));
    // Before the first bar and after the last.
    if (cells.size() < 2) continue;
    cells.erase(cells.begin());
    cells.pop_back();
    if (cells.empty() || !IsId(cells[0])) continue;
    if (cells.size() != kColumns) return absl::InvalidArgumentError(absl::StrCat("line ", number, ": a row has ", kColumns, " columns"));
    RequirementRow row{.id = cells[0], .cover = ListIn(cells[1]), .rows = ListIn(cells[2]), .tests = ListIn(cells[3]), .note = cells[4]};
    if (!seen.insert(row.id).second) return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", row.id, " stands twice"));
    if (row.cover.empty()) return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", row.id, " says nothing of its cover"));
    for (const std::string& cover : row.cover) {
      if (!Covers().contains(cover)) return absl::InvalidArgumentError(absl::StrCat("line ", number, ": '", cover, "' is no kind of cover"));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::map<std::string, int> CountRequirements(const std::vector<RequirementRow>& rows) {
  std::map<std::string, int> counts{{"tested", 0}};
  for (const std::string& cover : Covers()) counts[cover] = 0;
  for (const RequirementRow& row : rows) {
    for (const std::string& cover : row.cover) ++counts[cover];
    if (!row.tests.empty()) ++counts["tested"];
  }
  return counts;
}

int RunRequirements(bool json) {
  const auto rows = ParseRequirements(embedded::kRequirements);
  if (!rows.ok()) {
    std::fprintf(stderr, "vigil: docs/requirements.md: %s\n", std::string(rows.status().message()).c_str());
    return 1;
  }
  const std::map<std::string, int> counts = CountRequirements(*rows);
  if (json) {
    nlohmann::json out{{"total", rows->size()}, {"counts", counts}, {"requirements", nlohmann::json::array()}};
    for (const RequirementRow& row : *rows) {
      out["requirements"].push_back({{"id", row.id}, {"cover", row.cover}, {"rows", row.rows}, {"tests", row.tests}, {"note", row.note}});
    }
    std::printf("%s\n", out.dump(2).c_str());
    return 0;
  }
  for (const RequirementRow& row : *rows) {
    std::printf("%-8s  %-40s  %s%s%s\n", row.id.c_str(), absl::StrJoin(row.cover, ", ").c_str(), absl::StrJoin(row.tests, ", ").c_str(),
                row.note.empty() ? "" : "  ", row.note.c_str());
  }
  std::printf("\n%zu requirements:", rows->size());
  for (const auto& [cover, count] : counts) std::printf(" %s %d", cover.c_str(), count);
  std::printf("\n");
  return 0;
}

}  // namespace vigil
