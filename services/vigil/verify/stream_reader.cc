#include "vigil/verify/stream_reader.h"

#include <optional>
#include <utility>

namespace vigil {

absl::StatusOr<std::unique_ptr<StreamReader>> StreamReader::Open(Log& log, int partition, std::uint64_t last_sequence, const TrustedSources& sources) {
  std::unique_ptr<StreamReader> reader(new StreamReader(partition, sources));
  absl::StatusOr<std::unique_ptr<MessageReader>> messages = MessageReader::Open(log, partition, 1, last_sequence);
  if (!messages.ok()) return messages.status();
  reader->messages_ = *std::move(messages);
  return reader;
}

absl::StatusOr<bool> StreamReader::Next(StreamCommit& commit) {
  while (commits_.empty()) {
    LogMessage message;
    const absl::StatusOr<bool> more = messages_->Next(message);
    if (!more.ok() || !*more) return more;
    std::optional<DecodedBatch> batch = chains_.Believe(message);
    if (!batch) continue;
    for (std::uint32_t i = 0; i < batch->commits.size(); ++i) commits_.push_back({message.sequence, i, std::move(batch->commits[i])});
  }
  commit = std::move(commits_.front());
  commits_.pop_front();
  return true;
}

}  // namespace vigil
