#include "domain/pack/pack.h"

#include <algorithm>

namespace vigil::domain {

int Pack::Rank(std::string_view level) const {
  if (level.empty()) return 0;
  for (const LevelRow& row : levels) {
    if (row.id == level) return row.rank;
  }
  return -1;
}

const LevelRow& Pack::Level(int rank) const {
  const int highest = static_cast<int>(levels.size()) - 1;
  return levels.at(static_cast<std::size_t>(std::clamp(rank, 0, highest)));
}

int Pack::SupervisedRank() const {
  for (const LevelRow& row : levels) {
    if (row.supervised) return row.rank;
  }
  // No level calls for it: a rank that nothing reaches.
  return static_cast<int>(levels.size());
}

const ClockRow* Pack::FindClock(std::string_view clock) const {
  const auto found = clocks.find(std::string(clock));
  return found == clocks.end() ? nullptr : &found->second;
}

const LadderRow* Pack::FindLadder(std::string_view ladder) const {
  const auto found = ladders.find(std::string(ladder));
  return found == ladders.end() ? nullptr : &found->second;
}

const LadderRow* Pack::EmergencyLadder() const {
  for (const auto& [name, row] : ladders) {
    if (row.emergency) return &row;
  }
  return nullptr;
}

std::string Pack::ChoiceName(std::string_view field, std::string_view choice, std::string_view language) const {
  for (const std::string& key : {std::string(field).append("-").append(choice), std::string(choice)}) {
    const auto found = choices.find(key);
    if (found == choices.end()) continue;
    const auto words = found->second.find(std::string(language));
    if (words != found->second.end()) return words->second;
  }
  return "";
}

bool Pack::ShowsIndicator(std::string_view role, std::string_view indicator) const {
  const auto row = indicators.find(std::string(IndicatorId(indicator)));
  if (row == indicators.end() || row->second.read_by.empty()) return true;
  return std::find(row->second.read_by.begin(), row->second.read_by.end(), role) != row->second.read_by.end();
}

const MessageText* Pack::ReportAnswer() const {
  for (const auto& [key, text] : texts) {
    if (text.answers_report) return &text;
  }
  return nullptr;
}

const FieldRow* RecordRow::FindField(std::string_view field) const {
  for (const FieldRow& row : fields) {
    if (row.id == field) return &row;
  }
  return nullptr;
}

}  // namespace vigil::domain
