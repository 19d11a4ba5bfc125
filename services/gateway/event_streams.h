#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>

#include "absl/time/time.h"
#include "gateway/transcoder/transcoder.h"
#include "gateway/upstream.h"
#include "platform/http/server.h"
#include "platform/metrics/metrics.h"

namespace vigil::gateway {

// A comment is sent this often, so that neither side nor anything between takes silence for the end.
inline constexpr absl::Duration kKeepAlive = absl::Seconds(15);
// More open streams than this are answered 503.
inline constexpr size_t kMaxEventStreams = 2'000;

// Streams of server-sent events: what audit streams as timeline rows, each with its position as id ("03-1208-0":
// partition, sequence, index), so that a client which sends Last-Event-ID goes on where it stopped. A stream ends with
// the client, with audit, or when the client reads so slowly that the server disconnects it; a client then comes back
// by itself. Thread-safe.
class EventStreams {
 public:
  struct Wanted {
    std::string school;    // Empty: all.
    std::string after;     // Last-Event-ID; empty: from now on.
    std::string language;  // Of summaries.
  };

  // `audit` and `transcoder`, which is ready for vigil.audit.v1.TimelineRow, must outlive it. With an infinite
  // `keep_alive` only KeepAlive() sends comments.
  EventStreams(Upstream& audit, const Transcoder& transcoder, metrics::Gauge open,
               absl::Duration keep_alive = kKeepAlive);
  ~EventStreams();
  EventStreams(const EventStreams&) = delete;
  EventStreams& operator=(const EventStreams&) = delete;

  // Answers with a stream, or false when there are too many; then nothing has been answered.
  bool Open(const Wanted& wanted, const Upstream::Metadata& metadata, std::shared_ptr<HttpResponder> responder);

  // Sends a comment on every stream.
  void KeepAlive();

  size_t size() const;

 private:
  class Stream;

  void Forget(const std::shared_ptr<Stream>& stream);

  Upstream& audit_;
  const Transcoder& transcoder_;
  const metrics::Gauge open_;
  mutable std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stopping_ = false;
  std::unordered_set<std::shared_ptr<Stream>> streams_;
  std::thread keep_alive_;
};

}  // namespace vigil::gateway
