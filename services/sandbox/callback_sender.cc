#include "sandbox/callback_sender.h"

#include <optional>
#include <utility>

#include "platform/crypto/encoding.h"
#include "platform/crypto/hash.h"
#include "sandbox/requests.h"

namespace vigil::sandbox {

CallbackSender::CallbackSender(Options options, TimerQueue& timers)
    : options_(std::move(options)),
      timers_(timers),
      client_({.ca_file = options_.ca_file, .max_in_flight = 128, .max_queued = kMaxPendingCallbacks}) {}

CallbackStatistics CallbackSender::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void CallbackSender::Send(std::vector<Callback> callbacks) {
  for (Callback& callback : callbacks) {
    Outgoing outgoing{std::move(callback.url), CallbackJson(callback)};
    {
      const std::lock_guard lock(mutex_);
      if (statistics_.pending >= kMaxPendingCallbacks) {
        ++statistics_.failed;
        continue;
      }
      ++statistics_.pending;
      Lane& lane = lanes_[callback.record];
      lane.waiting.push_back(outgoing);
      if (lane.waiting.size() > 1) continue;
    }
    Post(callback.record, outgoing);
  }
}

void CallbackSender::Post(std::uint64_t record, const Outgoing& outgoing) {
  HttpClientRequest request;
  request.method = "POST";
  request.url = outgoing.url;
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("X-Sandbox-Signature", "sha256=" + HexEncode(AsView(HmacSha256(options_.secret, outgoing.body))));
  request.body = outgoing.body;
  request.timeout = options_.timeout;
  client_.Send(std::move(request),
               [this, record](const absl::StatusOr<HttpResponse>& answer) { OnAnswer(record, answer); });
}

void CallbackSender::OnAnswer(std::uint64_t record, const absl::StatusOr<HttpResponse>& answer) {
  if (absl::IsCancelled(answer.status())) return;
  const bool delivered = answer.ok() && answer->status / 100 == 2;
  const bool worth_another = !answer.ok() || answer->status >= 500;
  std::optional<Outgoing> next;
  {
    const std::lock_guard lock(mutex_);
    Lane& lane = lanes_.at(record);
    if (worth_another && lane.attempts < options_.retry_delays.size()) {
      ++statistics_.retried;
      timers_.After(options_.retry_delays[lane.attempts++], [this, record] { TryAgain(record); });
      return;
    }
    ++(delivered ? statistics_.delivered : statistics_.failed);
    --statistics_.pending;
    lane.attempts = 0;
    lane.waiting.pop_front();
    if (lane.waiting.empty()) {
      lanes_.erase(record);
    } else {
      next = lane.waiting.front();
    }
  }
  if (next) Post(record, *next);
}

void CallbackSender::TryAgain(std::uint64_t record) {
  Outgoing outgoing;
  {
    const std::lock_guard lock(mutex_);
    outgoing = lanes_.at(record).waiting.front();
  }
  Post(record, outgoing);
}

}  // namespace vigil::sandbox
