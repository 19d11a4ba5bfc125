// Commits read back: the fold keeps where something stands, the log keeps the bytes.
#include <mutex>

#include "intake/intake.h"
#include "intake/names.h"
#include "machine/batch_codec.h"
#include "platform/log/log.h"
#include "platform/rpc/problem.h"

namespace vigil::intake {

struct Intake::LogReading {
  std::function<void(absl::StatusOr<LogCommits>)> done;
  std::vector<std::unique_ptr<Subscription>> subscriptions;

  std::mutex mutex;
  LogCommits found;
  std::set<std::uint64_t> waiting;
};

void Intake::ReadCommits(int partition, const std::set<LogPlace>& places, std::function<void(absl::StatusOr<LogCommits>)> done) {
  if (places.empty()) return done(LogCommits());
  if (!machine_->connected()) return done(rpc::UnavailableFor("the log cannot be reached", kRetryAfter));
  const auto reading = std::make_shared<LogReading>();
  reading->done = std::move(done);
  for (const auto& [sequence, index] : places) reading->waiting.insert(sequence);
  const auto finish = [this, reading] {
    machine_->loop()->Post([reading] {
      reading->subscriptions.clear();
      reading->done(std::move(reading->found));
    });
  };
  const std::set<std::uint64_t> sequences = reading->waiting;
  for (const std::uint64_t sequence : sequences) {
    auto subscription = machine_->log()->Follow(partition, sequence, [reading, places, sequence, finish](const LogMessage& message) {
      const std::lock_guard lock(reading->mutex);
      if (reading->waiting.erase(sequence) == 0) return;  // only the first message was asked for
      const auto batch = message.sequence == sequence ? DecodeOwnBatch(message.body) : absl::StatusOr<DecodedBatch>(absl::NotFoundError(""));
      if (batch.ok()) {
        for (const auto& place : places) {
          if (place.first != sequence || place.second >= static_cast<std::uint32_t>(batch->commits.size())) continue;
          log::v1::Commit commit;
          if (commit.ParseFromString(batch->commits[place.second])) reading->found[place] = std::move(commit);
        }
      }
      if (reading->waiting.empty()) finish();
    });
    if (!subscription.ok()) {
      const std::lock_guard lock(reading->mutex);
      if (reading->waiting.erase(sequence) != 0 && reading->waiting.empty()) finish();
      continue;
    }
    reading->subscriptions.push_back(*std::move(subscription));
  }
}

}  // namespace vigil::intake
