#include "vigil/verify/stream_reader.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "machine/batch_codec.h"

namespace vigil {
namespace {

constexpr std::chrono::seconds kPatience{20};

}  // namespace

StreamReader::StreamReader(int partition, std::uint64_t last_sequence, const TrustedSources& sources)
    : partition_(partition), last_sequence_(last_sequence), sources_(sources) {}

StreamReader::~StreamReader() { subscription_.reset(); }

absl::StatusOr<std::unique_ptr<StreamReader>> StreamReader::Open(Log& log, int partition, std::uint64_t last_sequence, const TrustedSources& sources) {
  std::unique_ptr<StreamReader> reader(new StreamReader(partition, last_sequence, sources));
  if (last_sequence == 0) return reader;
  absl::StatusOr<std::unique_ptr<Subscription>> subscription = log.Follow(partition, 1, [raw = reader.get()](LogMessage message) {
    const std::lock_guard lock(raw->mutex_);
    if (message.sequence > raw->last_sequence_) return;
    raw->messages_.push_back(std::move(message));
    raw->came_.notify_one();
  });
  if (!subscription.ok()) return subscription.status();
  reader->subscription_ = *std::move(subscription);
  return reader;
}

void StreamReader::Believe(LogMessage message) {
  const auto source = std::find_if(sources_.begin(), sources_.end(), [&](const auto& known) { return known.first == message.source; });
  if (source == sources_.end()) {
    ++skipped_;
    return;
  }
  absl::StatusOr<DecodedBatch> batch = DecodeBatch(message.body, partition_, message.source, source->second);
  std::string& last = chain_[message.source];
  if (!batch.ok() || batch->previous_hash != last) {
    ++skipped_;
    return;
  }
  last = BatchHash(message.body);
  for (std::uint32_t i = 0; i < batch->commits.size(); ++i) commits_.push_back({message.sequence, i, std::move(batch->commits[i])});
}

absl::StatusOr<bool> StreamReader::Next(StreamCommit& commit) {
  while (commits_.empty()) {
    if (read_ >= last_sequence_) return false;
    LogMessage message;
    {
      std::unique_lock lock(mutex_);
      if (!came_.wait_for(lock, kPatience, [&] { return !messages_.empty(); })) {
        return absl::UnavailableError(absl::StrCat("the log sent nothing after message ", read_, " of partition ", partition_));
      }
      message = std::move(messages_.front());
      messages_.pop_front();
    }
    read_ = message.sequence;
    Believe(std::move(message));
  }
  commit = std::move(commits_.front());
  commits_.pop_front();
  return true;
}

}  // namespace vigil
