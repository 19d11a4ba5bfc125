#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vigil {

// The ordered log as the broker keeps it: kPartitions streams of opaque messages. What is in a message, who signed it and whether it may be
// believed are a layer above.
//
// Subject of a message: vigil.<pp>.<source>, e.g. vigil.07.intake. Stream of partition 7: VIGIL-07.
inline constexpr int kPartitions = 16;
inline constexpr std::size_t kMaxLogMessageBytes = 1000 * 1024;  // below the broker's max_payload of 1 MiB, with room for headers

struct LogMessage {
  int partition = 0;
  std::uint64_t sequence = 0;  // 1 is the first of a stream
  std::string source;          // the last token of the subject
  std::string body;
  absl::Time stored_time;  // the broker's clock; for display and metrics, never for a decision
};

// What became of an append. The status tells what to do:
//   OK                  stored at `sequence`.
//   kAborted            refused, not stored: `expected_last_sequence` is not the last of the subject. Read on and decide again.
//   kUnavailable        UNKNOWN: it may have been stored, now or in a moment (also when the connection is down). Read back before deciding
//                       again; the next append with the same expected sequence is refused if this one was stored after all.
//   kResourceExhausted  refused, not stored: no space.
//   kInvalidArgument    refused, not stored: body over kMaxLogMessageBytes, or no such partition.
//   kFailedPrecondition refused by the stream for another reason, not stored, and will be again.
struct AppendOutcome {
  absl::Status status;
  std::uint64_t sequence = 0;
};

struct StreamInfo {
  std::uint64_t first_sequence = 0;  // 1, or last_sequence + 1 of an empty stream
  std::uint64_t last_sequence = 0;   // 0: nothing was ever stored
  std::uint64_t bytes = 0;           // of file, of all replicas' one copy
  absl::Time created_time;           // another time than before: the stream is not the one that was known
};

// Ends when destroyed; after the destructor has returned the handler does not run and will not run again (unless it is the handler that
// destroyed it: then it does not run again).
class Subscription {
 public:
  virtual ~Subscription() = default;
};

// Thread-safe. A Log outlives its subscriptions. Everything that a Log calls back (done, handler, listener) runs one at a time, must not
// block and must not destroy the Log; it may call any method but Info and Read.
class Log {
 public:
  virtual ~Log() = default;

  // Appends to the subject of `partition` and of this Log's own source, unless the last sequence of that subject in the stream is not
  // `expected_last_sequence` (0: it has no message yet). `done` runs exactly once, on a library thread, at the latest when the append timeout
  // has passed or the Log is destroyed; never inside Append. Not ordered with deliveries: the message itself may arrive before or after.
  virtual void Append(int partition, std::uint64_t expected_last_sequence, std::string body, std::function<void(AppendOutcome)> done) = 0;

  // Delivers every message of the partition, of all sources, from `first_sequence` (>= 1) on: in order, each sequence exactly once, for ever,
  // across lost connections and restarts of the broker. Handlers of all partitions run on ONE thread. If the
  // stream ends before `first_sequence`, it waits for it (whether the stream is the one that was known is for the caller to check with Info).
  // Returns at once also while the broker is away; InvalidArgument for a partition or sequence that cannot be.
  virtual absl::StatusOr<std::unique_ptr<Subscription>> Follow(int partition, std::uint64_t first_sequence,
                                                               std::function<void(LogMessage)> handler) = 0;

  // Asks the broker; blocks at most the request timeout, so not from a callback. kUnavailable: it did not answer. kNotFound: no such stream.
  virtual absl::StatusOr<StreamInfo> Info(int partition) = 0;

  // One message as it is stored now. Blocks as Info does. kNotFound: there is none at `sequence`.
  virtual absl::StatusOr<LogMessage> Read(int partition, std::uint64_t sequence) = 0;

  // Whether the broker is reachable as far as is known now.
  virtual bool connected() const = 0;

  // `listener` is called with true after each (re)connection and with false after each loss, on a library thread, and once at registration
  // with the present state, before OnConnection returns. One listener; a new one replaces it; empty removes it.
  virtual void OnConnection(std::function<void(bool connected)> listener) = 0;

  // The source this Log writes as.
  virtual std::string_view source() const = 0;
};

// "VIGIL-07", "vigil.07.intake".
std::string StreamName(int partition);
std::string SubjectName(int partition, std::string_view source);

}  // namespace vigil
