#include "risk-rules/risk_rules.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/classify.h"
#include "domain/file.h"

namespace vigil {
namespace {

constexpr char kActor[] = "risk";
// A severe report goes before everything else that is ready.
constexpr int kSeverePriority = 100;
constexpr int kPriority = 50;

}  // namespace

Service::Plan RiskRules::PlanFor(const FileEntry& file, const domain::SchoolState&, absl::Time) {
  if (!domain::HasOpenCase(file.state)) return {};
  const std::vector<domain::ReportState>& reports = file.state.current->reports;
  const auto report = std::find_if(reports.begin(), reports.end(), [](const domain::ReportState& r) { return !r.classified; });
  if (report == reports.end()) return {};

  const domain::ReportFacts facts = domain::FactsOf(*report);
  const domain::Pack& pack = file.pack();
  domain::Classification found = domain::Classify(pack, file.pack_in_force(), facts, &file.state);
  const bool supervised = pack.Rank(found.level) >= pack.SupervisedRank();

  Plan plan;
  plan.priority = supervised ? kSeverePriority : kPriority;
  plan.due = Draft{.cause = absl::StrCat("classify/", file.state.file, "/", report->report_id),
                   .cause_id = report->report_id,
                   .school = file.state.school,
                   .file = file.state.file,
                   .actor = {.person = kActor},
                   .events = {{domain::ClassifiedEvent(pack, report->report_id, facts, std::move(found), &file.state)}}};
  return plan;
}

}  // namespace vigil
