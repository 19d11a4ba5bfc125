#include "vigil/event_stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "platform/http/fetch.h"
#include "platform/http/url.h"
#include "vigil/display.h"

namespace vigil {
namespace {

constexpr absl::Duration kFirstWait = absl::Milliseconds(100);
constexpr absl::Duration kLongestWait = absl::Seconds(2);

constexpr int kTooManyRequests = 429;
constexpr int kServerErrors = 500;

}  // namespace

bool EventLines::Take(std::string_view line) {
  if (line.empty()) {
    const bool complete = has_data_;
    const std::string data = std::move(data_);
    data_.clear();
    has_data_ = false;
    return !complete || handler_(last_id_, data);
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) data_.push_back('\n');
    data_ += value;
    has_data_ = true;
  } else if (field == "id") {
    last_id_ = value;
  }
  return true;
}

void EventLines::Reset() {
  data_.clear();
  has_data_ = false;
}

absl::Status FollowEvents(const Connection& connection, const EventStreamOptions& options, const EventLines::Handler& handler,
                          const std::function<bool()>& keep_going) {
  bool ended = false;
  // A commit's rows share an id. A stream that breaks among them is asked for again from the commit before, and what was had is skipped.
  std::string complete = options.after;
  std::string current;
  int had = 0;
  int to_skip = 0;
  EventLines lines([&](std::string_view id, std::string_view data) {
    if (id == current && to_skip > 0) {
      --to_skip;
      return true;
    }
    to_skip = 0;
    if (id != current) {
      if (!current.empty()) complete = current;
      current = id;
      had = 0;
    }
    ++had;
    ended = !handler(id, data);
    return !ended;
  });
  bool reached = false;
  absl::Duration wait = kFirstWait;
  while (keep_going()) {
    FetchRequest request;
    request.url = connection.url + "/api/v1/events";
    if (!options.school.empty()) request.url += "?school=" + PercentEncode(options.school);
    request.ca_file = connection.ca_file;
    request.bearer_token = connection.token;
    request.timeout = absl::InfiniteDuration();
    request.headers.Set("Accept", "text/event-stream");
    request.headers.Set("Accept-Language", std::string(LanguageTag(connection.language)));
    // Nothing before the first: then its other rows, if any, are the price of not starting "now" once more.
    to_skip = complete.empty() ? 0 : had;
    if (const std::string& from = complete.empty() ? current : complete; !from.empty()) request.headers.Set("Last-Event-ID", from);
    request.keep_going = keep_going;
    request.on_line = [&](std::string_view line) {
      reached = true;
      wait = kFirstWait;
      return lines.Take(line);
    };
    lines.Reset();
    const absl::StatusOr<HttpResponse> answer = Fetch(request);
    if (ended || !keep_going()) return absl::OkStatus();
    if (answer.ok()) {
      const bool again = answer->status < 300 || answer->status == kTooManyRequests || answer->status >= kServerErrors;
      if (!again) return absl::PermissionDeniedError(DisplayProblem(answer->status, answer->body, connection.language));
      reached = true;
    } else if (!reached) {
      return answer.status();
    }
    absl::SleepFor(wait);
    wait = std::min(2 * wait, kLongestWait);
  }
  return absl::OkStatus();
}

}  // namespace vigil
