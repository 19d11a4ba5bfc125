#include "gateway/event_streams.h"

#include <cstdio>
#include <utility>
#include <vector>

#include "platform/logging/log.h"
#include "vigil/audit/v1/audit.pb.h"

namespace vigil::gateway {

namespace {

constexpr std::string_view kMethod = "/vigil.audit.v1.AuditService/StreamEvents";
// Milliseconds after which a client that lost its stream comes back.
constexpr char kRetry[] = "retry: 1000\n\n";
constexpr char kComment[] = ":\n\n";

std::string EventOf(const audit::v1::TimelineRow& row, const Transcoder& transcoder) {
  char id[64];
  std::snprintf(id, sizeof(id), "id: %02u-%llu-%u\ndata: ", row.position().partition(),
                static_cast<unsigned long long>(row.position().sequence()), row.position().index());
  std::string event = id;
  transcoder.Print(row, event);
  event += "\n\n";
  return event;
}

}  // namespace

// One stream. The client's end and audit's end may come in either order, from any thread.
class EventStreams::Stream {
 public:
  explicit Stream(std::shared_ptr<HttpResponder> responder) : responder_(std::move(responder)) {}

  bool Write(std::string text) { return responder_->Write(std::move(text)); }
  void Close() { responder_->Close(); }

  void ClientGone() {
    Upstream::Cancel cancel;
    {
      std::lock_guard lock(mutex_);
      client_gone_ = true;
      cancel = std::exchange(cancel_, nullptr);
    }
    if (cancel) cancel();
  }
  void Started(Upstream::Cancel cancel) {
    {
      std::lock_guard lock(mutex_);
      if (!client_gone_) {
        cancel_ = std::move(cancel);
        return;
      }
    }
    cancel();
  }

 private:
  const std::shared_ptr<HttpResponder> responder_;
  std::mutex mutex_;
  bool client_gone_ = false;
  Upstream::Cancel cancel_;
};

EventStreams::EventStreams(Upstream& audit, const Transcoder& transcoder, metrics::Gauge open,
                           absl::Duration keep_alive)
    : audit_(audit), transcoder_(transcoder), open_(open) {
  if (keep_alive == absl::InfiniteDuration()) return;
  keep_alive_ = std::thread([this, keep_alive] {
    std::unique_lock lock(mutex_);
    while (!stop_changed_.wait_for(lock, absl::ToChronoNanoseconds(keep_alive), [this] { return stopping_; })) {
      lock.unlock();
      KeepAlive();
      lock.lock();
    }
  });
}

EventStreams::~EventStreams() {
  std::unordered_set<std::shared_ptr<Stream>> streams;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    streams = streams_;
  }
  stop_changed_.notify_all();
  if (keep_alive_.joinable()) keep_alive_.join();
  for (const auto& stream : streams) stream->Close();
}

bool EventStreams::Open(const Wanted& wanted, const Upstream::Metadata& metadata,
                        std::shared_ptr<HttpResponder> responder) {
  auto stream = std::make_shared<Stream>(responder);
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || streams_.size() >= kMaxEventStreams) return false;
    streams_.insert(stream);
    open_.Set(static_cast<double>(streams_.size()));
  }
  responder->StartStream(
      200, {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}},
      [stream] { stream->ClientGone(); });
  stream->Write(kRetry);

  audit::v1::StreamEventsRequest request;
  request.set_school(wanted.school);
  request.set_after(wanted.after);
  request.set_language(wanted.language);
  stream->Started(audit_.Stream(
      kMethod, request.SerializeAsString(), metadata,
      [this, stream](std::string message) {
        audit::v1::TimelineRow row;
        if (!row.ParseFromString(message)) {
          log::Error("audit sent a row that cannot be read");
          return false;
        }
        return stream->Write(EventOf(row, transcoder_));
      },
      [this, stream](absl::Status status) {
        if (!status.ok() && status.code() != absl::StatusCode::kCancelled)
          log::Info("an event stream ended", {{"status", status}});
        stream->Close();
        Forget(stream);
      }));
  return true;
}

void EventStreams::KeepAlive() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    std::lock_guard lock(mutex_);
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const auto& stream : streams) stream->Write(kComment);
}

size_t EventStreams::size() const {
  std::lock_guard lock(mutex_);
  return streams_.size();
}

void EventStreams::Forget(const std::shared_ptr<Stream>& stream) {
  std::lock_guard lock(mutex_);
  streams_.erase(stream);
  open_.Set(static_cast<double>(streams_.size()));
}

}  // namespace vigil::gateway
