// What people read of a commit, in no language: a row an event, and a row for what followed from it in the fold (a clock started,
// supervision began). Names, numbers and words of people are in Sealed fields, which never get into a row; nor do ids of students.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "machine/machine.h"
#include "vigil/audit/v1/audit.pb.h"

namespace vigil::audit {

using Detail = std::map<std::string, std::string>;

// What only the fold knows about a commit, taken when it is applied.
struct FoldNotes {
  // When it was recorded, as the fold takes it: in a partition time does not go back.
  absl::Time time;
  bool is_void = false;
  std::string case_id;
  // People who are off the matter, this commit included.
  std::vector<std::string> recused;
  // By event, in order: what the state adds to what the event says (an alert's ladder, an attempt's person).
  std::vector<Detail> of_events;
  struct Consequence {
    std::string type;
    Detail detail;
  };
  std::vector<Consequence> consequences;
};

FoldNotes NotesOf(const AppliedCommit& applied);

// RFC 3339 in UTC.
std::string TimeText(absl::Time time);

// Rows of one commit from its bytes, as they stand in the log. DataLoss: it is no commit.
absl::StatusOr<v1::Timeline> RowsOf(int partition, domain::CommitPosition position, const std::string& bytes, const FoldNotes& notes);

}  // namespace vigil::audit
