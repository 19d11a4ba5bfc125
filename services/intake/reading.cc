// Cases, clocks and custody as they are now.
#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "domain/file.h"
#include "intake/intake.h"
#include "intake/names.h"
#include "intake/views.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "platform/rpc/problem.h"
#include "vigil/state/v1/state.convert.h"

namespace vigil::intake {
namespace {

constexpr absl::Duration kPlaceCodePeriod = absl::Minutes(10);

}  // namespace

domain::FileState Intake::ClosedEpisode(const domain::FileState& file, const std::string& case_id) const {
  if (dependencies_.answers != nullptr) {
    const auto found = dependencies_.answers->Find(EpisodeKey(case_id));
    state::v1::FileState kept;
    if (found.ok() && *found && kept.ParseFromString((*found)->response)) {
      domain::FileState episode = contract::FromProto(kept);
      // Whose file it is, is what is known now.
      episode.student = file.student;
      return episode;
    }
  }
  domain::FileState episode{.file = file.file, .school = file.school, .student = file.student, .version = file.version};
  episode.current.emplace();
  episode.current->case_id = case_id;
  episode.current->phase = domain::CasePhase::kClosed;
  episode.current->code = domain::SpokenCode(case_id);
  for (const domain::ClosedCase& past : file.past) {
    if (past.case_id != case_id) continue;
    episode.current->opened_time = past.opened_time;
    episode.current->closed_time = past.closed_time;
    episode.current->provisional = past.highest;
  }
  return episode;
}

absl::Status Intake::ReadCase(const Caller& caller, const std::string& case_id, const std::function<void(const domain::FileState&)>& read) {
  if (absl::Status ready = Ready(); !ready.ok()) return ready;
  const auto known = files_by_case_.find(case_id);
  if (known == files_by_case_.end()) return NoSuchCase();
  const domain::FileState& file = known->second->state;
  if (file.current && file.current->case_id == case_id) {
    if (absl::Status may = AuthorizeCase(caller, "case.read", file); !may.ok()) return may;
    read(file);
    return absl::OkStatus();
  }
  if (absl::Status may = Authorize(caller, "case.read", file.school); !may.ok()) return may;
  const domain::FileState episode = ClosedEpisode(file, case_id);
  if (absl::Status may = AuthorizeCase(caller, "case.read", episode); !may.ok()) return may;
  read(episode);
  return absl::OkStatus();
}

void Intake::GetCase(const Caller& caller, const v1::CaseRequest& request, Reply<v1::Case> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    v1::Case view;
    const absl::Status found = ReadCase(caller, request.case_(), [&](const domain::FileState& file) { FillCase(PackOfCase(file), file, caller, &view); });
    if (!found.ok()) return reply(found);
    reply(std::move(view));
  });
}

void Intake::ListCases(const Caller& caller, const v1::ListCasesRequest& request, Reply<v1::ListCasesResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    if (absl::Status ready = Ready(); !ready.ok()) return reply(ready);
    if (absl::Status may = Authorize(caller, "case.list", request.school()); !may.ok()) return reply(may);
    if (machine_->FindSchool(request.school()) == nullptr) return reply(absl::NotFoundError("no such school"));
    std::vector<rpc::FieldError> errors;
    if (!request.level().empty() && PackOf(request.school()).Rank(request.level()) < 0) errors.push_back({"level", "unknown level"});
    if (request.page_size() < 0 || request.page_size() > 500) errors.push_back({"page_size", "is 1 to 500"});
    static const std::vector<std::string> kStates = {"open", "handed_over", "on_leave", "returned", "closed"};
    if (!request.state().empty() && std::find(kStates.begin(), kStates.end(), request.state()) == kStates.end()) {
      errors.push_back({"state", "is one of open, handed_over, on_leave, returned, closed"});
    }
    std::size_t skip = 0;
    if (!request.page_token().empty() && (request.page_token().size() > 9 || !absl::SimpleAtoi(request.page_token(), &skip))) {
      errors.push_back({"page_token", "is not from a previous answer"});
    }
    if (!errors.empty()) return reply(rpc::InvalidFields(std::move(errors)));
    const std::size_t page = request.page_size() == 0 ? 50 : static_cast<std::size_t>(request.page_size());
    v1::ListCasesResponse response;
    const auto it = files_by_school_.find(request.school());
    // The token counts files from the oldest, so a page stays where it was while new cases come.
    std::size_t position = it == files_by_school_.end() ? 0 : it->second.size();
    if (!request.page_token().empty()) position = std::min(position, skip);
    while (position > 0) {
      --position;
      const FileEntry& file = *it->second[position];
      if (!file.state.current || !AuthorizeCase(caller, "case.list", file.state).ok()) continue;
      if (!request.state().empty() && PhaseName(file.state.current->phase) != request.state()) continue;
      if (!request.level().empty() && domain::EffectiveLevel(file.pack(), file.state).id != request.level()) continue;
      if (static_cast<std::size_t>(response.cases_size()) == page) {
        response.set_next_page_token(std::to_string(position + 1));
        break;
      }
      FillCase(file.pack(), file.state, caller, response.add_cases());
    }
    reply(std::move(response));
  });
}

void Intake::ListClocks(const Caller& caller, const v1::CaseRequest& request, Reply<v1::ListClocksResponse> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    v1::ListClocksResponse response;
    const absl::Status found = ReadCase(caller, request.case_(), [&](const domain::FileState& file) { FillClocks(file, response.mutable_clocks()); });
    if (!found.ok()) return reply(found);
    reply(std::move(response));
  });
}

void Intake::GetCustody(const Caller& caller, const v1::CaseRequest& request, Reply<v1::Custody> reply) {
  machine_->loop()->Post([this, caller, request, reply = std::move(reply)] {
    v1::Custody custody;
    const absl::Status found = ReadCase(caller, request.case_(), [&](const domain::FileState& file) {
      FillCustody(file, &custody);
      if (custody.supervised() && Authorize(caller, "shifts.plan", file.school).ok()) custody.set_code(PlaceCode(request.case_(), machine_->Now()));
    });
    if (!found.ok()) return reply(found);
    reply(std::move(custody));
  });
}

std::string Intake::PlaceCode(const std::string& case_id, absl::Time now) const {
  const std::int64_t period = absl::ToUnixSeconds(now) / absl::ToInt64Seconds(kPlaceCodePeriod);
  const Digest digest = HmacSha256(dependencies_.check_in_key, absl::StrCat("place/", case_id, "/", period));
  const int number = (digest[0] << 16 | digest[1] << 8 | digest[2]) % 10000;
  return absl::StrFormat("%04d", number);
}

bool Intake::PlaceCodeMatches(const std::string& case_id, const std::string& code, absl::Time now) const {
  // The one before is still right: it changes while one walks to the phone.
  return ConstantTimeEqual(code, PlaceCode(case_id, now)) || ConstantTimeEqual(code, PlaceCode(case_id, now - kPlaceCodePeriod));
}

}  // namespace vigil::intake
