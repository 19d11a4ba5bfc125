#include "vigil/verify/message_reader.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace vigil {
namespace {

constexpr std::chrono::seconds kPatience{20};

}  // namespace

MessageReader::MessageReader(int partition, std::uint64_t first_sequence, std::uint64_t last_sequence)
    : partition_(partition), last_sequence_(last_sequence), read_(first_sequence - 1) {}

MessageReader::~MessageReader() { subscription_.reset(); }

absl::StatusOr<std::unique_ptr<MessageReader>> MessageReader::Open(Log& log, int partition, std::uint64_t first_sequence, std::uint64_t last_sequence) {
  if (first_sequence == 0) return absl::InvalidArgumentError("sequences begin at 1");
  std::unique_ptr<MessageReader> reader(new MessageReader(partition, first_sequence, last_sequence));
  if (last_sequence < first_sequence) return reader;
  absl::StatusOr<std::unique_ptr<Subscription>> subscription = log.Follow(partition, first_sequence, [raw = reader.get()](LogMessage message) {
    const std::lock_guard lock(raw->mutex_);
    if (message.sequence > raw->last_sequence_) return;
    raw->messages_.push_back(std::move(message));
    raw->came_.notify_one();
  });
  if (!subscription.ok()) return subscription.status();
  reader->subscription_ = *std::move(subscription);
  return reader;
}

absl::StatusOr<bool> MessageReader::Next(LogMessage& message) {
  if (read_ >= last_sequence_) return false;
  std::unique_lock lock(mutex_);
  if (!came_.wait_for(lock, kPatience, [&] { return !messages_.empty(); })) {
    return absl::UnavailableError(absl::StrCat("the log sent nothing after message ", read_, " of partition ", partition_));
  }
  message = std::move(messages_.front());
  messages_.pop_front();
  read_ = message.sequence;
  return true;
}

std::optional<DecodedBatch> SourceChains::Believe(const LogMessage& message) {
  const auto source = std::find_if(sources_.begin(), sources_.end(), [&](const auto& known) { return known.first == message.source; });
  if (source == sources_.end()) {
    ++skipped_;
    return std::nullopt;
  }
  absl::StatusOr<DecodedBatch> batch = DecodeBatch(message.body, partition_, message.source, source->second);
  std::string& last = chain_[message.source];
  if (!batch.ok() || batch->previous_hash != last) {
    ++skipped_;
    return std::nullopt;
  }
  last = BatchHash(message.body);
  return *std::move(batch);
}

}  // namespace vigil
