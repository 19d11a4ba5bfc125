// How intake names what it makes and keeps: causes, commit ids, the keys of its indexes, and the refusals that several of its files give.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "contract/time_conversion.h"
#include "platform/crypto/derive.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::intake {

// What intake writes as, and thereby part of its commits' ids.
inline constexpr std::string_view kSource = "intake";
inline constexpr absl::Duration kRetryAfter = absl::Seconds(2);
inline constexpr int kReportPriority = 50;
inline constexpr int kUrgentReportPriority = 100;

inline absl::Time TimeOf(bool has, const google::protobuf::Timestamp& t) { return has ? contract::TimeFromProto(t) : absl::InfinitePast(); }

inline absl::Status NoSuchCase() { return absl::NotFoundError("no such case"); }

// The id of the commit that a request makes: under it the answer is remembered.
inline std::string CommitIdOf(const std::string& school, const std::string& cause) { return DeriveId('m', {kSource, school, cause}); }
inline std::string CauseOfReport(const std::string& report_id) { return absl::StrCat("report/", report_id); }

inline std::string NameKey(const std::string& school, const std::string& name, const std::string& class_name) {
  return absl::StrCat(school, "/", name, "/", class_name);
}
inline std::string StudentKey(const std::string& school, const std::string& student) { return absl::StrCat(school, "/", student); }

// The person whose key seals what is written about a file: its student, or, while nobody knows who that is, the file itself.
inline std::string SubjectOf(const domain::FileState& file) { return file.student.empty() ? file.file : absl::StrCat(file.school, ".", file.student); }
inline std::string SubjectOf(const std::string& school, const std::string& person) { return absl::StrCat(school, ".", person); }

// Under what the index of answers keeps the rest of what state forgets. Commits' ids begin with a letter and have no slash.
inline std::string EpisodeKey(const std::string& case_id) { return absl::StrCat("episode/", case_id); }
inline std::string AttachmentKey(const std::string& school, const std::string& id) { return absl::StrCat("attachment/", school, "/", id); }

}  // namespace vigil::intake
