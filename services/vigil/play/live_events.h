#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "vigil/api_client.h"
#include "vigil/event_stream.h"

namespace vigil {

// A row of the live event stream.
struct LiveEvent {
  std::string id;
  absl::Time time;  // domain time
  std::string type;
  std::string case_id;
  std::string actor;  // person id or service
  std::string summary;
  bool has_effect = true;  // false: void where it landed
  std::map<std::string, std::string, std::less<>> detail;

  // A member of `detail`, or empty.
  const std::string& Detail(std::string_view name) const;
};

// nullopt: not a row.
std::optional<LiveEvent> ParseLiveEvent(std::string_view id, std::string_view row);

// The live event stream, followed on a thread of its own. One reader.
class LiveEvents {
 public:
  LiveEvents(Connection connection, EventStreamOptions options);
  ~LiveEvents();
  LiveEvents(const LiveEvents&) = delete;
  LiveEvents& operator=(const LiveEvents&) = delete;

  // The next event, waiting at most `patience`.
  std::optional<LiveEvent> Next(absl::Duration patience);
  // Why the stream ended for good, if it did.
  absl::Status status();

 private:
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<LiveEvent> events_;
  absl::Status status_;
  std::thread thread_;
};

}  // namespace vigil
