#include "vigil/play/live_events.h"

#include <nlohmann/json.hpp>

#include "absl/time/clock.h"

namespace vigil {
namespace {

using nlohmann::json;

// The first connection may come a moment before the gateway's port does.
constexpr absl::Duration kPatienceForGateway = absl::Seconds(30);

}  // namespace

const std::string& LiveEvent::Detail(std::string_view name) const {
  static const std::string kNothing;
  const auto it = detail.find(name);
  return it == detail.end() ? kNothing : it->second;
}

std::optional<LiveEvent> ParseLiveEvent(std::string_view id, std::string_view row) {
  const json parsed = json::parse(row, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return std::nullopt;
  try {
    LiveEvent event;
    event.id = id;
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, parsed.value("time", ""), &event.time, &error)) return std::nullopt;
    event.type = parsed.value("type", "");
    event.case_id = parsed.value("case_id", "");
    event.summary = parsed.value("summary", "");
    event.has_effect = !parsed.value("void", false);
    if (parsed.contains("actor") && parsed["actor"].is_object()) event.actor = parsed["actor"].value("person", "");
    if (parsed.contains("detail") && parsed["detail"].is_object()) {
      for (const auto& [name, value] : parsed["detail"].items()) event.detail[name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    return event;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

LiveEvents::LiveEvents(Connection connection, EventStreamOptions options) {
  thread_ = std::thread([this, connection = std::move(connection), options = std::move(options)] {
    const auto take = [this](std::string_view id, std::string_view data) {
      if (std::optional<LiveEvent> event = ParseLiveEvent(id, data)) {
        const std::lock_guard lock(mutex_);
        events_.push_back(*std::move(event));
        came_.notify_one();
      }
      return !stop_;
    };
    const absl::Time end = absl::Now() + kPatienceForGateway;
    absl::Status status = FollowEvents(connection, options, take, [this] { return !stop_.load(); });
    while (!status.ok() && !absl::IsPermissionDenied(status) && !stop_ && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(100));
      status = FollowEvents(connection, options, take, [this] { return !stop_.load(); });
    }
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  });
}

LiveEvents::~LiveEvents() {
  stop_ = true;
  thread_.join();
}

std::optional<LiveEvent> LiveEvents::Next(absl::Duration patience) {
  std::unique_lock lock(mutex_);
  came_.wait_for(lock, absl::ToChronoNanoseconds(patience), [&] { return !events_.empty(); });
  if (events_.empty()) return std::nullopt;
  LiveEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

absl::Status LiveEvents::status() {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace vigil
