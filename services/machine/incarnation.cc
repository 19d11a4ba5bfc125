#include "machine/incarnation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "machine/batch_codec.h"
#include "platform/crypto/encoding.h"
#include "platform/durable_file/durable_file.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil {
namespace {

// How far back the repair's word is looked for: services begin to write again one after the other.
constexpr std::uint64_t kMostMessagesSinceRepair = 1000;

// The repair that this very stream tells of, if it is another than the one that is known: until where the stream was whole.
absl::StatusOr<std::optional<std::uint64_t>> WholeUntil(Log& log, int partition, const KnownPosition& known, const StreamInfo& info,
                                                        const std::vector<std::pair<std::string, VerifyKey>>& trusted) {
  const std::uint64_t oldest = info.last_sequence - std::min(info.last_sequence, kMostMessagesSinceRepair);
  for (std::uint64_t sequence = info.last_sequence; sequence > oldest; --sequence) {
    const absl::StatusOr<LogMessage> message = log.Read(partition, sequence);
    if (!message.ok()) return message.status();
    const auto source = std::find_if(trusted.begin(), trusted.end(), [&](const auto& entry) { return entry.first == message->source; });
    if (source == trusted.end()) continue;
    const auto batch = DecodeBatch(message->body, partition, message->source, source->second);
    if (!batch.ok()) continue;
    for (const std::string& bytes : batch->commits) {
      log::v1::Commit commit;
      if (!commit.ParseFromString(bytes)) continue;
      for (const log::v1::Event& event : commit.events()) {
        if (!event.has_log_reopened()) continue;
        const log::v1::LogReopened& reopened = event.log_reopened();
        const absl::Time created = absl::FromUnixSeconds(reopened.created_time().seconds()) + absl::Nanoseconds(reopened.created_time().nanos());
        if (created != info.created_time || reopened.incarnation() == known.incarnation) return std::nullopt;
        return reopened.whole_until();
      }
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<CheckedStream> CheckStream(Log& log, int partition, const KnownPosition& known,
                                          const std::vector<std::pair<std::string, VerifyKey>>& trusted, bool fresh) {
  const absl::StatusOr<StreamInfo> info = log.Info(partition);
  if (!info.ok()) return info.status();
  CheckedStream checked{.created_time = info->created_time, .last_sequence = info->last_sequence};
  if (known.sequence == 0) return checked;
  absl::Status differs;
  if (info->last_sequence < known.sequence) {
    differs = absl::DataLossError(absl::StrCat("the stream ends at ", info->last_sequence, "; it was read to ", known.sequence));
  } else {
    const absl::StatusOr<LogMessage> message = log.Read(partition, known.sequence);
    if (!message.ok() && !absl::IsNotFound(message.status())) return message.status();
    if (!message.ok() || BatchHash(message->body) != known.hash) {
      differs = absl::DataLossError(absl::StrCat("the stream has another message at ", known.sequence, " than was read from it"));
    }
  }
  if (differs.ok() && info->created_time == known.created_time) return checked;
  const absl::StatusOr<std::optional<std::uint64_t>> whole_until = WholeUntil(log, partition, known, *info, trusted);
  if (!whole_until.ok()) return whole_until.status();
  if (differs.ok()) {
    if (*whole_until) return checked;
    return absl::DataLossError("the stream was made anew, and not by `vigil repair`");
  }
  if (!*whole_until || **whole_until >= known.sequence) return differs;
  if (!fresh) return absl::DataLossError(absl::StrCat("messages after ", **whole_until, " are lost for good, and this process has read some: start it again"));
  checked.forget = true;
  return checked;
}

absl::StatusOr<KnownPositions> LoadPositions(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWhole(path);
  if (!text.ok()) return text.status();
  const nlohmann::json parsed = nlohmann::json::parse(*text, nullptr, false);
  const absl::Status damaged = absl::DataLossError(absl::StrCat(path, " cannot be read"));
  if (!parsed.is_object()) return damaged;
  KnownPositions positions;
  for (const auto& [name, entry] : parsed.items()) {
    int partition = -1;
    if (!absl::SimpleAtoi(name, &partition) || partition < 0 || partition >= kPartitions || !entry.is_object()) return damaged;
    const auto created = entry.find("created");
    const auto sequence = entry.find("sequence");
    const auto hash = entry.find("hash");
    if (created == entry.end() || !created->is_number_integer() || sequence == entry.end() || !sequence->is_number_unsigned() || hash == entry.end() ||
        !hash->is_string()) {
      return damaged;
    }
    KnownPosition& position = positions[static_cast<std::size_t>(partition)];
    position.created_time = absl::FromUnixNanos(created->get<std::int64_t>());
    position.sequence = sequence->get<std::uint64_t>();
    const std::optional<std::string> bytes = HexDecode(hash->get<std::string>());
    if (!bytes) return damaged;
    position.hash = *bytes;
    position.incarnation = entry.value("incarnation", "");
  }
  return positions;
}

absl::Status SavePositions(const std::string& path, const KnownPositions& positions) {
  nlohmann::json all = nlohmann::json::object();
  for (int partition = 0; partition < kPartitions; ++partition) {
    const KnownPosition& position = positions[static_cast<std::size_t>(partition)];
    if (position.created_time == absl::InfinitePast()) continue;
    all[absl::StrCat(partition)] = {{"created", absl::ToUnixNanos(position.created_time)}, {"sequence", position.sequence}, {"hash", HexEncode(position.hash)}, {"incarnation", position.incarnation}};
  }
  return WriteDurably(path, all.dump());
}

}  // namespace vigil
