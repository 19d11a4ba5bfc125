#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "vigil/api_client.h"

namespace vigil {

// Takes the lines of a text/event-stream and puts events together (WHATWG HTML, section 9.2.6). Not thread-safe.
class EventLines {
 public:
  using Handler = std::function<bool(std::string_view id, std::string_view data)>;
  explicit EventLines(Handler handler) : handler_(std::move(handler)) {}

  // A line without its end. False: the handler wants no more.
  bool Take(std::string_view line);
  // Forgets an event that was cut off.
  void Reset();

  const std::string& last_id() const { return last_id_; }

 private:
  Handler handler_;
  std::string data_;
  bool has_data_ = false;
  std::string last_id_;
};

struct EventStreamOptions {
  std::string school;  // empty: all that the token may see
  std::string after;   // id of the last event seen; empty: from now on
};

// Follows /api/v1/events on the calling thread, across lost connections and restarts, each event once and in order, until the handler
// returns false or `keep_going` (asked about once a second) does: then OK. Otherwise what the gateway refused, or why it could not be
// reached in the beginning.
absl::Status FollowEvents(const Connection& connection, const EventStreamOptions& options, const EventLines::Handler& handler,
                          const std::function<bool()>& keep_going);

}  // namespace vigil
