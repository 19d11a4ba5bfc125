// Records with a form, as the fold sees them: what must be there before, who signed, which group it names, what it brings about. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "domain/file.h"

namespace vigil::domain {

// FailedPrecondition: something that it needs is missing, or its signatures or members do not count. NotFound: what it corrects is not there.
absl::Status CheckRecord(const FileState& file, const RecordFiled& filed, const Commit& commit, const FoldContext& context);

// Notes the record: what it corrects, the group it names, the register, the phase of the case. Raises nothing.
void NoteRecord(FileState& file, const RecordFiled& filed, const Commit& commit, const FoldContext& context);

// What it said in choices and yes or no: `kind.field=value`, for clocks and ladders.
std::vector<std::string> WhatItSaid(const RecordRow& row, const RecordFiled& filed);

// Who of a group counts (GUA-05): different people, of the school, at work, not the student it is about, nor off the matter.
struct RosterCount {
  int members = 0;
  int adults = 0;
  bool led = true;

  bool Enough(const RecordRow::Roster& roster) const {
    return members >= roster.at_least && adults >= roster.adults_at_least && led;
  }
};
RosterCount CountRoster(const SchoolState& school, const FileState& file, const RecordRow::Roster& roster, const std::vector<std::string>& members);

// The groups of the open case that have fallen short and are not yet known to have.
std::vector<RosterFellShort> RostersShort(const Pack& pack, const SchoolState& school, const FileState& file);
absl::Status CheckRosterFellShort(const FileState& file, const RosterFellShort& e, const FoldContext& context);

const RecordState* FindRecord(const FileState& file, std::string_view record_id);

}  // namespace vigil::domain
