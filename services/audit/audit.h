// The ledger and the timeline, built from the log.
//
// The way of a commit: folded on the machine's loop, which only notes what the fold knows -> queued -> on the worker: ledger, one sync of
// the disk, timeline table -> served and streamed. All that is served is on disk; while a sync runs, what comes gathers for the next. The
// ledger and the table each know how far they are, so a restart, which reads the log from its beginning, skips what is there.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "audit/ledger/ledger.h"
#include "audit/rows.h"
#include "audit/summary.h"
#include "audit/timeline_store.h"
#include "machine/loop.h"
#include "machine/machine.h"
#include "platform/clock/clock.h"
#include "platform/metrics/metrics.h"
#include "vigil/audit/v1/audit.pb.h"

namespace vigil::audit {

// Who asks, as the gateway has verified.
struct Caller {
  std::string person;
  std::string role;
  std::string school;  // "*": every school
};

template <typename Response>
using Reply = std::function<void(absl::StatusOr<Response>)>;

// Where a stream's rows go. Called on the worker.
class RowSink {
 public:
  virtual ~RowSink() = default;
  // Takes one; false: there is room for no more now, and EventStreams::Continue will be called when there is.
  virtual bool Offer(v1::TimelineRow row) = 0;
  // No more rows.
  virtual void End(absl::Status status) = 0;
};

struct AuditOptions {
  // Least time between two syncs of the disk, so that a stream of commits shares them. Real time.
  absl::Duration gather = absl::Milliseconds(100);
};

class Audit final : public Service {
 public:
  // All outlive it; `registry` may be null. `worker` runs its hooks() and must be stopped before this ends. `real_clock` is the worker's.
  Audit(std::unique_ptr<Ledger> ledger, std::unique_ptr<TimelineStore> store, Loop* worker,
        const Clock* real_clock, metrics::Registry* registry, AuditOptions options = {});
  ~Audit() override;

  // Once, after it was given to the machine and before that starts.
  void Attach(Machine* machine);
  LoopHooks worker_hooks();

  // On the machine's loop.
  void OnCommit(const AppliedCommit& applied) override;
  void OnPackAdopted(const SchoolEntry& school) override;
  void OnCaughtUp() override;

  // From any thread; replies come on the worker.
  void GetTimeline(const Caller& caller, const v1::GetTimelineRequest& request, Reply<v1::Timeline> reply);
  void GetCheckpoint(const Caller& caller, const v1::GetCheckpointRequest& request, Reply<v1::Checkpoint> reply);
  void GetEntry(const Caller& caller, const v1::GetEntryRequest& request, Reply<v1::Entry> reply);
  void ListEntries(const Caller& caller, const v1::ListEntriesRequest& request, Reply<v1::ListEntriesResponse> reply);
  void GetInclusion(const Caller& caller, const v1::GetInclusionRequest& request, Reply<v1::Proof> reply);
  void GetConsistency(const Caller& caller, const v1::GetConsistencyRequest& request, Reply<v1::Proof> reply);

  // A stream lives until Close. Continue: its sink has room again.
  void OpenStream(const Caller& caller, const v1::StreamEventsRequest& request, std::shared_ptr<RowSink> sink);
  void Continue(const RowSink* sink);
  void Close(const RowSink* sink);

  const Ledger& ledger() const { return *ledger_; }

 private:
  // A commit on its way to the worker.
  struct Folded {
    int partition = 0;
    domain::CommitPosition position;
    absl::Time recorded_time;
    std::string file;
    std::string school;
    std::string bytes;
    FoldNotes notes;
  };
  struct Stream {
    std::shared_ptr<RowSink> sink;
    std::string school;  // empty: all
    std::string language;
    std::string person;
    std::string role;
    // Up to where it has been given rows; the rest is read from the table while it is not live.
    std::int64_t cursor = 0;
    bool live = false;
  };
  struct WaitingTimeline {
    Caller caller;
    v1::GetTimelineRequest request;
    Reply<v1::Timeline> reply;
    absl::Time give_up;
  };

  absl::Status Authorize(const Caller& caller, std::string_view permission, std::string_view school) const;
  absl::Status AuthorizePartition(const Caller& caller, std::uint32_t partition) const;
  void HandOver();

  // On the worker.
  absl::Time OnWorkerWake();
  void Store();
  absl::Status AppendToLedger(const std::vector<Folded>& commits);
  absl::StatusOr<std::vector<StoredCommit>> AddToStore(const std::vector<Folded>& commits);
  bool AnswerTimeline(const WaitingTimeline& waiting, bool last_try);
  void Broadcast(const std::vector<StoredCommit>& commits);
  // False: its sink is full.
  bool Give(Stream& stream, const StoredCommit& commit);
  void Pump(const RowSink* sink);
  v1::Entry EntryFor(const Caller& caller, LedgerEntry entry) const;
  void OnWorker(std::function<void()> task);

  // Of the school, the one in force first; of any other, the common one.
  const Packs& PacksOf(std::string_view school) const;
  void TellWorker(const SchoolEntry& school);

  const std::unique_ptr<Ledger> ledger_;
  const std::unique_ptr<TimelineStore> store_;
  Loop* const worker_;
  const Clock* const real_clock_;
  const AuditOptions options_;
  std::array<metrics::Gauge, kPartitions> size_;

  // On the machine's loop.
  Loop* loop_ = nullptr;
  bool caught_up_ = false;
  // Schools whose pack changed while the past was read.
  std::set<const SchoolEntry*> changed_packs_;
  std::array<std::uint64_t, kPartitions> stored_at_start_{};
  std::vector<Folded> folded_;

  std::mutex mutex_;
  std::vector<Folded> handed_over_;

  // On the worker.
  Packs common_;
  std::map<std::string, Packs, std::less<>> packs_;
  std::vector<Folded> queue_;
  absl::Time store_at_ = absl::InfinitePast();
  std::vector<WaitingTimeline> waiting_;
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace vigil::audit
