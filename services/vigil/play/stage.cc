#include "vigil/play/stage.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "platform/http/fetch.h"
#include "platform/http/url.h"
#include "vigil/command_table.h"
#include "vigil/display.h"
#include "vigil/request_builder.h"
#include "vigil/sample/sample_command.h"

namespace vigil {
namespace {

using nlohmann::json;

// Check-ins are due every 30 minutes of domain time (15 at the highest level); a guard answers well before.
constexpr absl::Duration kCheckInEvery = absl::Minutes(10);
constexpr absl::Duration kCheckInDue = absl::Minutes(30);
constexpr double kFastest = 20'000;
constexpr double kFastestWatching = 5'000;
constexpr double kSlowestWatching = 60;
// Near its goal the clock slows down, so that it does not run past though we are held up: the goal is never nearer than half of this in
// real time, until the speed is low enough for that not to matter.
constexpr double kSecondsAhead = 0.4;
constexpr double kNearSpeed = 1'200;
constexpr absl::Duration kBetweenTries = absl::Milliseconds(200);
constexpr absl::Duration kIdle = absl::Milliseconds(350);

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

const CommandRow* FindRow(std::string_view command) {
  for (const CommandRow& row : CommandTable()) {
    if (row.command == command) return &row;
  }
  return nullptr;
}

bool IsTemporary(const HttpResponse& answer) { return answer.status == 429 || answer.status >= 502; }

}  // namespace

Stage::Stage(StageOptions options, const SampleSchool& school, const SigningKey& token_key, LiveEvents& events, Narrator& narrator)
    : options_(std::move(options)),
      school_(school),
      token_key_(token_key),
      events_(events),
      narrator_(narrator),
      token_expiry_(SampleTokenExpiry()),
      last_event_real_(absl::Now()) {}

std::string Stage::TokenOf(std::string_view person) const {
  const SamplePerson* found = school_.Find(person);
  return found == nullptr ? "" : SampleToken(token_key_, school_, found->id, found->role, token_expiry_);
}

absl::StatusOr<json> Stage::Ask(const Connection& connection, ApiRequest request) {
  const absl::Time end = absl::Now() + options_.patience;
  for (;;) {
    if (options_.interrupted()) return absl::CancelledError("interrupted");
    const absl::StatusOr<HttpResponse> answer = Call(connection, request);
    if (answer.ok() && !IsTemporary(*answer)) {
      if (answer->status / 100 != 2) return absl::FailedPreconditionError(DisplayProblem(answer->status, answer->body, connection.language));
      json body = json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
      if (body.is_discarded()) return absl::InternalError("the gateway's answer is not JSON");
      return body;
    }
    if (absl::Now() > end) {
      return absl::UnavailableError(answer.ok() ? DisplayProblem(answer->status, answer->body, connection.language) : std::string(answer.status().message()));
    }
    absl::SleepFor(kBetweenTries);
  }
}

absl::StatusOr<json> Stage::Get(const std::string& path) { return Ask(options_.connection, {.path = path}); }

absl::StatusOr<json> Stage::Command(std::string_view command, std::string_view as, const std::vector<std::string>& path_values, const json& body) {
  const CommandRow* row = FindRow(command);
  if (row == nullptr) return absl::InvalidArgumentError(absl::StrCat("no such command: ", View(command)));
  CommandInput input{.positional = path_values};
  absl::StatusOr<ApiRequest> request = BuildRequest(*row, input, absl::InfinitePast());
  if (!request.ok()) return request.status();
  if (row->method != "GET") request->body = body.dump();
  if (row->method == "POST") request->idempotency_key = RandomKey();
  Connection connection = options_.connection;
  connection.token = TokenOf(as);
  if (connection.token.empty()) return absl::InvalidArgumentError(absl::StrCat("nobody is called ", View(as)));
  Mark();
  absl::StatusOr<json> answer = Ask(connection, *std::move(request));
  if (!answer.ok()) return absl::Status(answer.status().code(), absl::StrCat(View(command), ": ", answer.status().message()));
  return answer;
}

absl::Status Stage::Phone(std::string_view person, const json& behaviour) {
  const SamplePerson* found = school_.Find(person);
  if (found == nullptr) return absl::InvalidArgumentError(absl::StrCat("nobody is called ", View(person)));
  FetchRequest request{.method = "POST", .url = options_.sandbox_url + "/v1/phones/" + PercentEncode(found->phone) + "/behaviour"};
  request.headers.Set("Content-Type", "application/json");
  request.body = behaviour.dump();
  const absl::Time end = absl::Now() + options_.patience;
  for (;;) {
    const absl::StatusOr<HttpResponse> answer = Fetch(request);
    if (answer.ok() && answer->status / 100 == 2) return absl::OkStatus();
    if (absl::Now() > end || options_.interrupted()) return absl::UnavailableError("the phone network cannot be reached");
    absl::SleepFor(kBetweenTries);
  }
}

// ------------------------------------------------------------------------------------------------ time

absl::Status Stage::ReadClock(const json& clock) {
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, clock.value("now_time", ""), &clock_domain_, &error)) return absl::InternalError("the clock says no time");
  clock_real_ = absl::Now();
  speed_ = clock.value("speed", 1.0);
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> Stage::Now() {
  if (speed_ <= 0) {
    absl::StatusOr<json> clock = Get("/api/v1/clock");
    if (!clock.ok()) return clock.status();
    if (absl::Status status = ReadClock(*clock); !status.ok()) return status;
  }
  return clock_domain_ + (absl::Now() - clock_real_) * speed_;
}

absl::Status Stage::SetSpeed(double speed) {
  if (speed == speed_) return absl::OkStatus();
  ApiRequest request{.method = "PUT", .path = "/api/v1/clock"};
  request.body = json{{"speed", speed}}.dump();
  absl::StatusOr<json> clock = Ask(options_.connection, std::move(request));
  if (!clock.ok()) return clock.status();
  return ReadClock(*clock);
}

// As fast as check-ins can be answered in good time even if one takes three times as long as they did of late.
double Stage::WatchingSpeed() const {
  const double speed = absl::FDivDuration(kCheckInDue - kCheckInEvery, 3 * round_trip_ * static_cast<double>(std::max<std::size_t>(1, watched_.size())));
  return std::clamp(speed, kSlowestWatching, kFastestWatching);
}

absl::Status Stage::AdvanceTo(absl::Time time) {
  for (;;) {
    absl::StatusOr<absl::Time> now = Now();
    if (!now.ok()) return now.status();
    if (*now >= time) {
      // A clock that was slowed down waits for the time that it had already shown: what counts is what it says now.
      speed_ = 0;
      now = Now();
      if (!now.ok()) return now.status();
      if (*now >= time) return absl::OkStatus();
    }
    double speed = watched_.empty() ? kFastest : WatchingSpeed();
    speed = std::min(speed, std::max(kNearSpeed, absl::ToDoubleSeconds(time - *now) / kSecondsAhead));
    // A change is a commit: small ones are not worth it.
    if (speed <= speed_ * 0.5 || speed > speed_ * 1.5) {
      if (absl::Status status = SetSpeed(speed); !status.ok()) return status;
    }
    const absl::Duration left = (time - *now) / speed_;
    if (absl::Status status = Pump(std::min(left, absl::Milliseconds(5))); !status.ok()) return status;
  }
}

// ------------------------------------------------------------------------------------------------ watching

void Stage::Watch(const std::string& case_id) {
  const absl::StatusOr<absl::Time> now = Now();
  watched_[case_id] = {now.ok() ? *now : absl::InfinitePast()};
}

void Stage::Unwatch(const std::string& case_id) { watched_.erase(case_id); }

absl::Status Stage::CheckIn(const std::string& case_id, Watched& watched) {
  const absl::Time began = absl::Now();
  const std::string path = "/api/v1/cases/" + PercentEncode(case_id);
  constexpr int kTries = 10;
  absl::Status last;
  for (int i = 0; i < kTries; ++i) {
    // The place's screen shows its code; the guard reads it there.
    absl::StatusOr<json> custody = Get(path + "/custody");
    if (!custody.ok()) return custody.status();
    const json holders = custody->value("holders", json::array());
    if (!custody->value("supervised", false) || holders.empty()) return absl::OkStatus();
    Connection guard = options_.connection;
    guard.token = TokenOf(holders.front().get<std::string>());
    ApiRequest request{.method = "POST", .path = path + ":checkIn"};
    request.body = json{{"in_sight", true}, {"code", custody->value("code", "")}}.dump();
    request.idempotency_key = RandomKey();
    const absl::StatusOr<json> answer = Ask(guard, std::move(request));
    if (answer.ok()) {
      const absl::StatusOr<absl::Time> now = Now();
      if (now.ok()) watched.checked = *now;
      round_trip_ = (round_trip_ + (absl::Now() - began)) / 2;
      return absl::OkStatus();
    }
    // The code has turned, or somebody took over meanwhile.
    last = answer.status();
    if (!absl::IsFailedPrecondition(last)) return last;
  }
  return last;
}

absl::Status Stage::Pump(absl::Duration patience) {
  if (options_.interrupted()) return absl::CancelledError("interrupted");
  for (auto& [case_id, watched] : watched_) {
    const absl::StatusOr<absl::Time> now = Now();
    if (!now.ok()) return now.status();
    if (*now - watched.checked < kCheckInEvery) continue;
    if (absl::Status status = CheckIn(case_id, watched); !status.ok()) return status;
  }
  bool any = false;
  while (std::optional<LiveEvent> event = events_.Next(any ? absl::ZeroDuration() : std::max(patience, absl::ZeroDuration()))) {
    any = true;
    last_event_real_ = absl::Now();
    narrator_.Tell(*event);
    history_.push_back(*std::move(event));
  }
  if (!any && absl::Now() - last_event_real_ > kIdle) narrator_.Flush(/*routine=*/false);
  return events_.status();
}

absl::Status Stage::Await(std::string_view what, const Matches& matches, int count) {
  const absl::Time end = absl::Now() + options_.patience;
  std::size_t looked = mark_;
  int found = 0;
  for (;;) {
    for (; looked < history_.size(); ++looked) {
      if (history_[looked].has_effect && matches(history_[looked]) && ++found >= count) return absl::OkStatus();
    }
    if (absl::Now() > end) return absl::DeadlineExceededError(absl::StrCat("did not happen: ", View(what)));
    if (absl::Status status = Pump(absl::Milliseconds(20)); !status.ok()) return status;
  }
}

}  // namespace vigil
