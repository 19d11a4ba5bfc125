// A school's own matters as outsiders read them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "domain/pack/pack.h"
#include "intake/caller.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/log/v1/commit.plain.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::intake {

// Counts of children below this, and not none, are not told (PRV-08).
inline constexpr int kSmallestCell = 5;

// What the file of its own matters is called, for ever.
std::string SchoolFileId(std::string_view school);

// By the form's readers; its author reads what they wrote (read_records.cc).
bool MayReadRecord(const domain::Pack& pack, const Caller& caller, const domain::RecordState& record);
bool MayReadField(const domain::Pack& pack, const Caller& caller, const domain::RecordState& record, std::string_view id);

// The codes of a report as the caller is shown them: by each indicator's readers, its reporter sees what they reported.
std::vector<std::string> ReadableIndicators(const domain::Pack& pack, const Caller& caller, const domain::FileState& file, const domain::ReportState& report);
// The value of a field that the caller may read, without the items of a list that are indicators for others' eyes.
std::string ReadableValue(const domain::Pack& pack, const Caller& caller, const domain::RecordState& record, std::string_view id, const std::string& value);

void FillRecord(const domain::RecordState& record, v1::Record* view);

// What the caller of a command on the school's file is told: the record that it filed or acknowledged.
v1::Record SchoolRecordAnswer(const domain::FileState& file, const domain::Commit& commit);

// `register_ids`: the students on the register, for duties that account for them.
void FillDuty(const domain::Pack& pack, const domain::SchoolState& school, const domain::DutyState& duty, absl::Time now,
              const std::vector<std::string>& register_ids, v1::Duty* view);

void FillRegisterEntry(const domain::Pack& pack, const domain::FileState& file, absl::Time now, v1::RegisterEntry* view);

// `cases`: files of the school. Walks the whole directory: for a request, never for a commit.
v1::Readiness ReadinessOf(const domain::Pack& pack, const domain::SchoolState& school, const std::vector<const domain::FileState*>& cases, absl::Time now);

// Cases opened from `from` on and before `to`; duties as they stand.
v1::Statistics StatisticsOf(const domain::Pack& pack, const domain::SchoolState& school, const domain::FileState* school_file,
                            const std::vector<const domain::FileState*>& cases, absl::Time from, absl::Time to, absl::Time now);

}  // namespace vigil::intake
