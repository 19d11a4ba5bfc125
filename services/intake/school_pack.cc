// A school's own pack: an overlay over the common one. It is checked here, once, off the loop; what decides by it is every service, from the
// position in the log where it is adopted. Cases that are open keep the version under which they were opened (ORG-21); what asks less anywhere
// than the pack in force waits for a second person (ORG-22).
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "contract/time_conversion.h"
#include "domain/pack/overlay.h"
#include "domain/school.h"
#include "domain/school_time.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/once.h"
#include "platform/logging/log.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {
namespace {

constexpr std::string_view kWrite = "pack.write";
constexpr std::string_view kRead = "pack.read";
// State of a refusal: what stands instead.
constexpr std::string_view kWaits = "proposed";
constexpr std::string_view kNothingWaits = "in_force";

void FillChanges(const domain::Pack& before, const domain::Pack& after, google::protobuf::RepeatedPtrField<v1::PackChange>* changes) {
  for (domain::PackChange& change : domain::DiffPacks(before, after)) {
    v1::PackChange* view = changes->Add();
    view->set_section(change.section);
    view->set_id(change.id);
    view->set_change(NameOf(change.what));
    for (std::string& key : change.keys) view->add_keys(std::move(key));
  }
}

// "overlay.yaml:12: what is wrong", a line each, as the fields of a refusal.
absl::Status RefusalOf(const absl::Status& mistakes) {
  std::vector<rpc::FieldError> errors;
  for (const absl::string_view line : absl::StrSplit(mistakes.message(), '\n', absl::SkipEmpty())) {
    const std::size_t colon = line.find(": ");
    const bool placed = colon != absl::string_view::npos && absl::StrContains(line.substr(0, colon), ".yaml:");
    if (placed) {
      errors.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
    } else {
      errors.push_back({"overlay", std::string(line)});
    }
  }
  return rpc::InvalidFields(std::move(errors));
}

// What the state alone says: without looking into any pack.
v1::SchoolPack ViewOf(const domain::SchoolState& school, const domain::Pack& common) {
  v1::SchoolPack view;
  view.set_school(school.school);
  view.set_digest(school.pack.empty() ? common.digest : school.pack);
  view.set_common_id(common.id);
  view.set_common_version(common.version);
  view.set_common_digest(common.digest);
  if (const domain::PackVersion* version = domain::FindPackVersion(school, school.pack); version != nullptr) {
    view.set_overlay(version->overlay);
    view.set_proposed_by(version->proposed_by);
    view.set_adopted_by(version->adopted_by);
    contract::TimeToProto(version->adopted_time, view.mutable_adopted_time());
  }
  if (const domain::PackVersion* version = domain::FindPackVersion(school, school.proposed_pack); version != nullptr) {
    v1::PackProposal* proposed = view.mutable_proposed();
    proposed->set_digest(version->digest);
    proposed->set_overlay(version->overlay);
    proposed->set_proposed_by(version->proposed_by);
    contract::TimeToProto(version->proposed_time, proposed->mutable_proposed_time());
    for (const std::string& line : version->asks_less) proposed->add_asks_less(line);
  }
  return view;
}

absl::Status AsConflict(const absl::Status& status, const domain::SchoolState& school) {
  if ((!absl::IsFailedPrecondition(status) && !absl::IsAborted(status)) || rpc::ReadProblem(status)) return status;
  return rpc::NotInState(std::string_view(status.message().data(), status.message().size()), school.proposed_pack.empty() ? kNothingWaits : kWaits, {});
}

}  // namespace

v1::SchoolPack SchoolPackAnswer(const domain::SchoolState& school, const domain::Pack& common) { return ViewOf(school, common); }

void Intake::PutPack(const Caller& caller, const v1::PutPackRequest& request, Reply<v1::SchoolPack> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, kWrite, request.school()); !may.ok()) return reply(may);
    const domain::SchoolState* state = machine_->FindSchool(request.school());
    if (state == nullptr || state->people.empty()) return reply(absl::NotFoundError("no such school"));
    // Nothing but space is no overlay.
    const std::string overlay = absl::StripAsciiWhitespace(request.overlay()).empty() ? "" : request.overlay();
    const domain::PackVersion* in_force = domain::FindPackVersion(*state, state->pack);
    if ((in_force == nullptr ? "" : in_force->overlay) == overlay && state->proposed_pack.empty()) return ShowPack(request.school(), std::move(reply));
    // Checking takes a while: not on the loop.
    dependencies_.worker->Post([this, caller, id = request.school(), overlay, in_force = machine_->PackOf(request.school()), version = state->pack,
                                reply = std::move(reply)]() mutable {
      auto proposed = machine_->packs().Resolve(overlay);
      if (!proposed.ok()) return reply(absl::IsInvalidArgument(proposed.status()) ? RefusalOf(proposed.status()) : proposed.status());
      domain::PackProposed event{.digest = (*proposed)->digest, .overlay = overlay, .common = machine_->common_pack().digest};
      event.asks_less = domain::AsksLess(*in_force, **proposed);
      machine_->loop()->Post([this, caller, id, version, event = std::move(event), held = *proposed, reply = std::move(reply)]() mutable {
        SubmitPack(
            caller, id,
            // `held` keeps what was resolved until this process has adopted it.
            [this, caller, version, event = std::move(event), held = std::move(held)](const SchoolEntry& school) -> absl::StatusOr<std::vector<domain::Event>> {
              // What it asks less of was said of another pack.
              if (school.state.pack != version) return absl::AbortedError("the pack was changed meanwhile: look at it again");
              std::vector<domain::Event> events{domain::Event{event}};
              if (event.asks_less.empty()) events.push_back(domain::Event{domain::PackAdopted{.digest = event.digest, .forgotten = UnusedVersions(school)}});
              return events;
            },
            std::move(reply));
      });
    });
  });
}

void Intake::ApprovePack(const Caller& caller, const v1::ReviewPackRequest& request, Reply<v1::SchoolPack> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, kWrite, request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    const std::string key = CommitIdOf(request.school(), CauseOf(caller, request.school()));
    Once<v1::SchoolPack>(caller, key, std::move(reply), [this, caller, request](Reply<v1::SchoolPack> answer) {
      SubmitPack(
          caller, request.school(),
          [this, caller, digest = request.digest()](const SchoolEntry& school) -> absl::StatusOr<std::vector<domain::Event>> {
            const domain::PackVersion* version = domain::FindPackVersion(school.state, digest);
            if (version != nullptr && school.state.proposed_pack == digest && version->proposed_by == caller.person) {
              return absl::PermissionDeniedError("who proposed it cannot approve it: a second person must");
            }
            return std::vector<domain::Event>{domain::Event{domain::PackAdopted{.digest = digest, .forgotten = UnusedVersions(school)}}};
          },
          std::move(answer));
    });
  });
}

void Intake::RejectPack(const Caller& caller, const v1::ReviewPackRequest& request, Reply<v1::SchoolPack> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, kWrite, request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    const std::string key = CommitIdOf(request.school(), CauseOf(caller, request.school()));
    Once<v1::SchoolPack>(caller, key, std::move(reply), [this, caller, request](Reply<v1::SchoolPack> answer) {
      SubmitPack(
          caller, request.school(),
          [digest = request.digest()](const SchoolEntry&) -> absl::StatusOr<std::vector<domain::Event>> {
            return std::vector<domain::Event>{domain::Event{domain::PackRejected{.digest = digest}}};
          },
          std::move(answer));
    });
  });
}

void Intake::SubmitPack(const Caller& caller, const std::string& school,
                        std::function<absl::StatusOr<std::vector<domain::Event>>(const SchoolEntry&)> decide, Reply<v1::SchoolPack> reply) {
  if (!machine_->connected()) return reply(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  machine_->SubmitHere(
      PartitionOf(school), 0,
      [this, caller, school, cause = CauseOf(caller, school), decide = std::move(decide)]() -> absl::StatusOr<Draft> {
        auto events = decide(machine_->schools().at(school));
        if (!events.ok()) return events.status();
        Draft draft{.cause = cause, .school = school, .actor = {.person = caller.person, .role = caller.role}};
        draft.request_hash = caller.idempotency_key.empty() ? "" : caller.body_hash;
        draft.traceparent = caller.traceparent;
        draft.events = *std::move(events);
        return draft;
      },
      [this, caller, school, reply = std::move(reply)](const absl::StatusOr<Machine::Outcome>& outcome) mutable {
        const domain::SchoolState& state = machine_->SchoolFor(school);
        if (!outcome.ok()) return reply(AsConflict(outcome.status(), state));
        log::Info("a school's pack has changed", {{"school", log::Id(school)}, {"in_force", log::Id(state.pack)}, {"proposed", log::Id(state.proposed_pack)}});
        // With a key the answer is remembered as the log gives it, without what would have to be worked out again.
        if (!caller.idempotency_key.empty()) return reply(ViewOf(state, machine_->common_pack()));
        ShowPack(school, std::move(reply));
      });
}

// Only of those that were in force before the one that is: a report that opens a case under that one may be on its way.
std::vector<std::string> Intake::UnusedVersions(const SchoolEntry& school) const {
  std::set<std::string> used{school.state.pack, school.state.proposed_pack};
  if (const auto files = files_by_school_.find(school.state.school); files != files_by_school_.end()) {
    for (const FileEntry* file : files->second) {
      if (domain::HasOpenCase(file->state)) used.insert(file->state.current->pack);
    }
  }
  std::vector<std::string> unused;
  for (const domain::PackVersion& version : school.state.packs) {
    if (!used.contains(version.digest)) unused.push_back(version.digest);
  }
  return unused;
}

void Intake::GetPack(const Caller& caller, const v1::GetPackRequest& request, Reply<v1::SchoolPack> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)]() mutable {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, kRead, request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    ShowPack(request.school(), std::move(reply));
  });
}

void Intake::ShowPack(const std::string& school, Reply<v1::SchoolPack> reply) {
  v1::SchoolPack view = ViewOf(machine_->SchoolFor(school), machine_->common_pack());
  dependencies_.worker->Post([this, view = std::move(view), in_force = machine_->PackOf(school), reply = std::move(reply)]() mutable {
    FillChanges(machine_->common_pack(), *in_force, view.mutable_changes());
    if (view.has_proposed()) {
      const auto proposed = machine_->packs().Resolve(view.proposed().overlay());
      // It stands in the log for another common pack: its text is shown all the same.
      if (proposed.ok()) FillChanges(*in_force, **proposed, view.mutable_proposed()->mutable_changes());
    }
    reply(std::move(view));
  });
}

}  // namespace vigil::intake
