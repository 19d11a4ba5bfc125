// Writes streams as they were: every subject, in the order of the sequences. Only `vigil repair` and `vigil restore` may; they sign and connect
// as each source, and so need the installation's secrets.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "platform/crypto/hash.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"
#include "vigil/log/v1/commit.plain.h"
#include "vigil/verify/message_reader.h"
#include "vigil/verify/trust.h"

namespace vigil {

// A source's own connection and signing key.
struct Source {
  std::unique_ptr<Log> log;
  std::optional<SigningKey> key;
};
using Sources = std::map<std::string, Source>;

// The source that says what a repair or a restore has to say.
inline constexpr std::string_view kRepairSource = "intake";
// What stands where a message stood that no reader believed: nobody believes this either, and positions stay.
inline constexpr char kFiller[] = "vigil repair: here stood a message that no reader believed";

// Connects as each source that `trust` names. NotFound, InvalidArgument: a secret; Unavailable: the log cannot be reached.
absl::StatusOr<Sources> OpenSources(const std::string& home, const std::string& nats_url, const std::string& nats_ca, const Trust& trust);

// One partition. Not thread-safe; several partitions may be written at once. Messages of one source in a row are on their way together, as the broker
// takes a connection's messages in their order; between sources it waits. So an error may belong to an earlier call; Flush tells of all.
class StreamWriter {
 public:
  // `sources` outlives it.
  StreamWriter(Sources& sources, int partition) : sources_(sources), partition_(partition) {}
  ~StreamWriter();
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;

  // Takes note of a message that stands there: what comes after it goes on from it. The batch, if it is believed.
  std::optional<DecodedBatch> Note(const LogMessage& message);

  // Appends what `message` is, byte for byte, and takes note of it. Aborted: it was stored at another sequence: somebody else writes.
  absl::Status Append(const LogMessage& message);
  // The same of commits, signed again into the batch that they were (a batch is the same bytes whenever it is signed).
  absl::Status AppendCommits(std::uint64_t sequence, const std::string& source, std::vector<std::string> commits);
  absl::Status AppendFiller(std::uint64_t sequence);

  // Everything so far is stored where it belongs.
  absl::Status Flush();

  // Appends one event of a school, or of nobody, as kRepairSource; `cause` makes its id.
  absl::Status Say(std::uint64_t sequence, std::string_view person, const std::string& cause, const std::string& school, domain::Event event);

  // The last word, whereupon services go on: this stream is whole until `whole_until`. Both of these are stored when they return.
  absl::Status SayReopened(absl::Time stream_created, std::uint64_t whole_until, std::uint64_t ledger_size, const Digest& ledger_root);

 private:
  absl::Status Store(std::uint64_t sequence, const std::string& source, std::string body);

  Sources& sources_;
  const int partition_;
  std::string source_in_flight_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int in_flight_ = 0;    // under mutex_
  absl::Status failed_;  // the first; under mutex_
  std::map<std::string, std::string> chain_;
  std::map<std::string, std::uint64_t> last_of_;
  absl::Time last_recorded_ = absl::InfinitePast();
};

}  // namespace vigil
