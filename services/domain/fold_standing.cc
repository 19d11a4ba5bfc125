// What stands for longer than a moment: the groups that records name, and the file of a school's own matters.
#include <utility>

#include "domain/duty.h"
#include "domain/fold.h"

namespace vigil::domain {

void Fold::operator()(const RosterFellShort& e) const {
  for (RosterState& roster : current().rosters) {
    if (roster.kind == e.kind) roster.fell_short = true;
  }
  Raise(Fact::kRosterShort, e.kind);
}

void Fold::operator()(const SchoolFileOpened&) const {
  file.file = commit.file;
  file.school = commit.school;
  file.duties.emplace();
  // Not a child's: it is where the school's notices are raised.
  file.current = CaseState{.phase = CasePhase::kOpen, .opened_time = now()};
  current().pack = VersionInForce();
}

void Fold::operator()(const DutyOpened& e) const { NoteDutyOpened(file, e); }
void Fold::operator()(const DutyLate& e) const { NoteDutyLate(file, e); }

}  // namespace vigil::domain
