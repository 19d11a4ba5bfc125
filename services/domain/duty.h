// Duties: what a school owes again and again, or after an event. A duty of a period is opened for each that owes it, done by a record, and
// otherwise told of, step by step. Opening and lateness are commits of escalation-timer, computed here; doing is a consequence of the record.
// Pure. Everything stands in the file of the school's own matters, so that no child's file pays for it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "domain/file.h"

namespace vigil::domain {

struct DutiesDue {
  // To be committed now, together; empty: nothing.
  std::vector<Event> events;
  // When to look again.
  absl::Time wake = absl::InfiniteFuture();
};

// Costs as much as there are rows and open duties; asked for the school's file only.
DutiesDue NextDuties(const Pack& pack, const SchoolState& school, const FileState& file, absl::Time now);

absl::Status CheckDutyOpened(const FileState& file, const DutyOpened& e, const Commit& commit, const FoldContext& context);
absl::Status CheckDutyLate(const FileState& file, const DutyLate& e, const Commit& commit, const FoldContext& context);
void NoteDutyOpened(FileState& file, const DutyOpened& e);
void NoteDutyLate(FileState& file, const DutyLate& e);

// A record that closes a duty with people to account for is refused while one of them is not (SCR-02, REG-03).
absl::Status CheckDutyRecord(const FileState& file, const RecordFiled& filed, const FoldContext& context);
// Meets the oldest open duty that the record does, accounts for people, opens what it calls for.
void NoteDutyRecord(FileState& file, const RecordFiled& filed, const Commit& commit, const FoldContext& context);
void NoteDutyAcknowledged(FileState& file, const std::string& record_id, absl::Time now);

// The oldest open duty that this record would do; null: none.
const DutyState* DutyDoneBy(const Pack& pack, const FileState& file, const RecordFiled& filed);
// Who is not accounted for yet. `population`: of the register, as the file cannot know it.
std::vector<std::string> Unaccounted(const DutyRow& row, const DutyState& duty, const SchoolState& school, const std::vector<std::string>& population);

// The people who owe it: the first of the row's roles that somebody at work has, of the class or its grade where the role is of one.
std::vector<std::string> DutyOwners(const Pack& pack, const SchoolState& school, const DutyRow& row, std::string_view subject);

// The clock id of the alert that tells of a late step, and whom that alert tells.
std::string DutyAlertCause(const DutyLate& e);
std::vector<std::string> DutyTold(const Pack& pack, const SchoolState& school, const FileState& file, std::string_view cause);

bool IsDone(const DutyState& duty);

}  // namespace vigil::domain
