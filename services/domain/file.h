// A student's crisis file as a fold over its commits: the one account of what a case is, shared by every service.
//
// Apply() is pure: no I/O, no clock, no decryption; time, ids and positions come in with the commit. A commit was decided on what its
// writer had read; Check() is evaluated again where the commit landed, and a commit that fails there is void: no effect, by the same
// rule in every reader. The first event of a commit is its decision and carries the guard; the others are its consequences.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "domain/clocks.h"
#include "domain/pack/pack.h"
#include "vigil/log/v1/commit.plain.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::domain {

// Version of apply() and of the intents; stands in every commit.
inline constexpr std::uint32_t kEngineVersion = 1;

struct CommitPosition {
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
};

struct FoldContext {
  // The version under which the file's open case was opened; without one, and for what a school owes, the version in force in the school.
  const Pack& pack;
  const SchoolState& school;
  CommitPosition position;
};

// What an application did besides changing the state; the timeline shows it and alerts are raised from it.
struct Applied {
  // Not OK: the commit is void.
  absl::Status guard;
  std::vector<FactDetail> facts;
  std::vector<ClockChange> clocks;
  // Ordinal of the trigger that the commit opened; 0: none.
  int new_trigger = 0;
};

// FailedPrecondition: not in this state. Aborted: the caller had seen an older version. NotFound: no such case, alert or clock.
absl::Status Check(const FileState& file, const Commit& commit, const FoldContext& context);

Applied Apply(FileState& file, const Commit& commit, const FoldContext& context);

// Makes ids for what a commit brings into being, from the commit's own id: same cause, same id.
using IdSource = std::function<std::string(std::string_view purpose)>;

// The alerts that a commit must raise, to be appended to it before it is written: a trigger's ladder, the ladder of a clock's expiry,
// warning or review, and ladders raised on facts. An alert is raised in the very commit that calls for it, so none can be missing.
std::vector<Event> AlertsToRaise(const FileState& before, const Commit& draft, const FoldContext& context, const IdSource& ids);

const AlertState* FindAlert(const FileState& file, std::string_view alert_id);
const ClockState* FindClock(const FileState& file, std::string_view clock_id);
bool HasOpenCase(const FileState& file);

// What people read to each other on the phone: the end of a case's id, or of a report's while it has no case.
std::string SpokenCode(std::string_view id);

// With a guardian, an authority or at home: not the school's to supervise.
bool IsAway(const CaseState& c);

// Reason of a gap in which somebody holds the child, but not all whom the level asks for.
inline constexpr std::string_view kCoverMissing = "cover_missing";

// Whom those who hold the child lack at `t`, by role of the level's custody row ("" is any adult); none while nobody has to hold it, while
// nobody does (that is a gap of its own) and on the way to hospital (GUA-22, GUA-23).
std::vector<std::string> MissingCover(const Pack& pack, const SchoolState& school, const FileState& file, absl::Time t);

// When time alone makes the cover incomplete, because more is asked for at night: the beginning of that night. InfiniteFuture: it does not.
absl::Time CoverFailsAt(const Pack& pack, const SchoolState& school, const FileState& file, absl::Time now);

// Whether these adults may together make up a shift at the file's level (GUA-22), at `t`; else what is missing.
absl::Status CheckShift(const Pack& pack, const SchoolState& school, const FileState& file, const std::vector<std::string>& staff,
                        absl::Time t);

// The highest level of the case: provisional counts, and never lowers the final one (ASM-03).
const LevelRow& EffectiveLevel(const Pack& pack, const FileState& file);

}  // namespace vigil::domain
