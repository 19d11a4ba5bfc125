// Drives a service from the log: follows every partition, folds commits into files and schools, carries out what the service says should
// happen, and appends its commits, one message in flight a partition (group commit).
//
// The way of a commit: Draft (a command's decision, or a plan's) -> gathered while a message is in flight -> decided against the newest state,
// severe first, one a file -> signed batch, appended with the last sequence of our subject that we have read -> read back -> applied. Only
// then is a caller answered and only then is an effect carried out. A commit that is void where it landed is decided again.
//
// Everything but the constructor, Submit and the accessors marked so runs on the loop's thread.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "domain/file.h"
#include "domain/pack/pack.h"
#include "machine/batch_codec.h"
#include "machine/crash_marker.h"
#include "machine/incarnation.h"
#include "machine/loop.h"
#include "machine/pack_library.h"
#include "platform/clock/clock.h"
#include "platform/crypto/sign.h"
#include "platform/log/log.h"

namespace vigil {

// Partition of a school: the first four bits of the SHA-256 of its id. Never changes.
int PartitionOf(std::string_view school);

// A school as it has been folded, and the packs that its own state names. On the loop's thread.
class SchoolEntry {
 public:
  explicit SchoolEntry(const PackLibrary* library) : library_(library) {}

  domain::SchoolState state;

  // The version in force, by which what the school owes and every new case is decided. Resolved when it is first asked for. What cannot be
  // resolved, as the common pack is no longer the one that it was written for, is the common pack, with an alarm.
  const std::shared_ptr<const domain::Pack>& pack() const;
  // All that decide about anything now: the one in force first, then those under which a case may still be open.
  std::vector<std::shared_ptr<const domain::Pack>> all_packs() const;
  // The version under which an open case stands; the common pack where the school has none of that name.
  std::shared_ptr<const domain::Pack> Version(const std::string& digest) const;
  // Its state names other packs now.
  void ForgetPacks();

 private:
  std::shared_ptr<const domain::Pack> Resolve(const std::string& digest) const;

  const PackLibrary* const library_;
  mutable std::shared_ptr<const domain::Pack> in_force_;
  mutable std::map<std::string, std::shared_ptr<const domain::Pack>> versions_;
};

struct FileEntry {
  domain::FileState state;
  int partition = 0;
  // The school that it is of; set with its first commit.
  SchoolEntry* school = nullptr;

  // What decides about it now: the version under which its open case was opened; without one, and for the file of a school's own matters, the
  // one in force. Follows from the states alone.
  const domain::Pack& pack() const { return case_pack != nullptr ? *case_pack : *school->pack(); }
  const domain::Pack& pack_in_force() const { return *school->pack(); }
  // For who goes on with it on another thread, or later.
  std::shared_ptr<const domain::Pack> shared_pack() const { return case_pack != nullptr ? case_pack : school->pack(); }

  // Internal to the machine: the pack of the open case, and its name there.
  std::shared_ptr<const domain::Pack> case_pack;
  std::string case_version;
  // Internal to the machine: when the plan asked to be looked at, whether it waits to be carried out, whether a commit of ours is on its way.
  absl::Time wake = absl::InfiniteFuture();
  bool ready = false;
  bool in_flight = false;
  // A commit of it ended a process twice: nothing automatic happens to it any more, and commands are refused.
  bool quarantined = false;
  // Internal to Snapshots: the last one that it is in.
  std::uint32_t snapshot = 0;
};

// One commit in the making.
struct Draft {
  // What makes the commit's id, with source and school: same cause, same id. Unique in the school, so a plan's names its file.
  std::string cause;
  std::string cause_id;
  std::string school;
  std::string file;  // empty: concerns the school
  domain::Actor actor;
  std::vector<domain::Event> events;
  std::string request_hash;
  std::uint64_t expected_version = 0;
  std::string traceparent;
};

struct AppliedCommit {
  int partition;
  domain::CommitPosition position;
  const domain::Commit& commit;
  const std::string& bytes;
  const domain::Applied& applied;
  // Null for commits that concern the school.
  FileEntry* file;
  // As it is after the commit.
  const SchoolEntry& school_entry;
  const domain::SchoolState& school;
};

// What a service adds to the common fold.
class Service {
 public:
  struct Plan {
    // What should happen now; nullopt: nothing.
    std::optional<Draft> due;
    // When to look again if nothing is committed meanwhile.
    absl::Time wake = absl::InfiniteFuture();
    // Higher goes first in a batch.
    int priority = 0;
  };

  virtual ~Service() = default;
  // After each commit, void ones included, in log order.
  virtual void OnCommit(const AppliedCommit&) {}
  // What should happen for a file; pure but for the service's own side tables. Asked after each commit on the file, at `wake`, and when a
  // batch is formed. A service that only follows keeps this.
  virtual Plan PlanFor(const FileEntry&, const domain::SchoolState&, absl::Time /*now*/) { return {}; }
  // A commit of this file was passed over, as it ended a process twice: people must act by hand. On the loop's thread; perhaps more than once.
  virtual void OnQuarantine(FileEntry& /*file*/) {}
  // Once, when every partition has been read to the end that it had at the start.
  virtual void OnCaughtUp() {}
  // A school's pack is another from here on. On the loop's thread, also while the past is read.
  virtual void OnPackAdopted(const SchoolEntry& /*school*/) {}
  // What the service keeps of a partition that does not follow from its files and schools, for a snapshot; and the same given back before
  // OnCaughtUp, instead of the commits that it came from. An error: the log is read instead.
  virtual std::string SaveTables(int /*partition*/) { return {}; }
  virtual absl::Status LoadTables(int /*partition*/, std::string_view /*tables*/) { return absl::OkStatus(); }
};

struct MachineOptions {
  std::string installation;
  // The key of this service's batches; null: it writes nothing.
  std::optional<SigningKey> signing_key;
  std::vector<std::pair<std::string, VerifyKey>> trusted_sources;
  // What an earlier life of this service had read, if that is known.
  KnownPositions known;
  // Outlives the machine. Null: a commit that ends the process is folded again and again (tests).
  CrashMarker* crash_marker = nullptr;
  // Set in a rehearsal: follows clock_set events.
  RehearsalClock* rehearsal_clock = nullptr;
};

struct MachineStatistics {
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> own_batches{0};
  std::atomic<std::uint64_t> void_commits{0};
  std::atomic<std::uint64_t> refused_messages{0};  // forged, replayed, malformed
  std::atomic<std::uint64_t> conflicts{0};
  std::atomic<std::uint64_t> quarantined_files{0};
  std::atomic<int> stopped_partitions{0};  // their stream is not the one that was known
};

class Machine {
 public:
  // What a caller gets: the commit as applied, with the file right after it.
  struct Outcome {
    const domain::Commit& commit;
    const domain::Applied& applied;
    FileEntry* file;
    domain::CommitPosition position;
    int partition;
  };
  using Done = std::function<void(absl::StatusOr<Outcome>)>;
  // Decides against the newest state; on the loop's thread. May be called again. An empty draft (no events) means nothing to do.
  using Decide = std::function<absl::StatusOr<Draft>()>;

  // All outlive it.
  Machine(const PackLibrary* packs, Log* log, Clock* clock, Loop* loop, Service* service, MachineOptions options);
  ~Machine();

  // Follows every partition from the start (or after a restored snapshot). Unavailable: the broker does not answer. A partition whose stream
  // is not the one that was known is not followed: it stands still, and `stopped` says so, until CheckStreams finds it whole.
  absl::Status Start();
  // The connection was lost: nothing more is appended and nothing that comes is believed until CheckStreams has been here. Thread-safe.
  void Hold() { held_ = true; }
  bool held() const { return held_; }
  // Holds each partition's stream against what was read from it; then the machine goes on, but for partitions that are not what they were.
  // OK also then. Unavailable: the broker does not answer; nothing has changed. Blocks; not on the loop. One caller at a time.
  absl::Status CheckStreams();
  // Thread-safe.
  bool stopped(int partition) const { return partitions_[static_cast<std::size_t>(partition)].stopped; }
  bool any_stopped() const { return statistics_.stopped_partitions > 0; }
  // A partition that stood still from the start is whole: this process must begin anew to read it.
  bool needs_restart() const { return needs_restart_; }
  // The last of each partition that was read. Thread-safe.
  KnownPositions known() const;
  LoopHooks hooks();

  // For Snapshots, on the loop's thread: where a partition stands, and the same before Start.
  struct PartitionHead {
    std::uint64_t sequence = 0;
    absl::Time last_recorded = absl::InfinitePast();
    std::uint64_t own_last_sequence = 0;
    std::map<std::string, std::string, std::less<>> chain;
    std::optional<domain::ClockSet> clock;
    // By which the stream is known again.
    KnownPosition known = {};
  };
  PartitionHead HeadOf(int partition) const;
  void RestoreHead(int partition, const PartitionHead& head);
  void RestoreSchool(domain::SchoolState school);
  void RestoreFile(int partition, domain::FileState file);
  const std::vector<FileEntry*>& FilesOf(int partition) const { return partitions_[static_cast<std::size_t>(partition)].files; }
  // `hook` is called before a commit is applied to a file; empty: nothing is.
  void BeforeChange(std::function<void(FileEntry&)> hook) { before_change_ = std::move(hook); }
  std::string_view source() const { return source_; }

  // Thread-safe: decides and appends; `done` runs on the loop's thread, once.
  void Submit(int partition, int priority, Decide decide, Done done);
  // On the loop's thread: the same without a hop.
  void SubmitHere(int partition, int priority, Decide decide, Done done);

  // On the loop's thread.
  FileEntry* FindFile(const std::string& file);
  FileEntry& FileFor(const std::string& file, int partition);
  const domain::SchoolState* FindSchool(const std::string& school) const;
  const domain::SchoolState& SchoolFor(const std::string& school);
  // The pack in force in the school; of a school that nobody knows, the common one.
  const std::shared_ptr<const domain::Pack>& PackOf(const std::string& school) const;
  const std::unordered_map<std::string, FileEntry>& files() const { return files_; }
  const std::unordered_map<std::string, SchoolEntry>& schools() const { return schools_; }
  // Asks the plan of a file again (a side table changed).
  void Replan(FileEntry& file);
  absl::Time Now() const { return clock_->Now(); }

  // Thread-safe.
  bool caught_up() const { return caught_up_; }
  bool connected() const { return log_->connected() && !held_; }
  // How many messages of a partition are known to be unread; NoteEnd says what is known.
  std::uint64_t Lag(int partition) const;
  void NoteEnd(int partition, std::uint64_t last_sequence);
  // Commands whose commit has not been read back yet.
  int waiting_commands() const { return waiting_; }
  // At the end of the process: those that wait, and all that still come, are answered with `status`. What is on its way may be stored all the
  // same.
  void Refuse(absl::Status status);
  // The pack as installed, without what any school has laid over it.
  const domain::Pack& common_pack() const { return *packs_->common(); }
  const PackLibrary& packs() const { return *packs_; }
  Clock* clock() const { return clock_; }
  Loop* loop() const { return loop_; }
  Log* log() const { return log_; }
  MachineStatistics& statistics() { return statistics_; }

 private:
  struct Pending {
    Decide decide;
    Done done;
    int tries = 0;
  };
  struct InFlight {
    std::string message;
    std::string hash;
    std::uint64_t expected_last = 0;
    // Per commit: the command that waits for it (empty done for plans) and its file.
    std::vector<Pending> commands;
    std::vector<FileEntry*> files;
    std::vector<std::string> schools;
  };
  struct Partition {
    int number = 0;
    std::unique_ptr<Subscription> subscription;
    std::uint64_t sequence = 0;
    std::uint64_t end_at_start = 0;
    std::atomic<std::uint64_t> known_end{0};
    absl::Time last_recorded = absl::InfinitePast();
    std::uint64_t own_last_sequence = 0;
    std::map<std::string, std::string, std::less<>> chain;
    std::optional<domain::ClockSet> clock;
    std::vector<FileEntry*> files;
    // A message was read in this life.
    std::atomic<bool> begun{false};
    std::optional<InFlight> in_flight;
    bool outcome_unknown = false;
    // By priority, highest first.
    std::map<int, std::deque<Pending>, std::greater<>> commands;
    std::map<int, std::deque<FileEntry*>, std::greater<>> ready;
    // A batch is formed after the tasks at hand, so that what is ready together goes together.
    bool wants_batch = false;
    std::atomic<std::uint64_t> read{0};
    // Its stream is not the one that was known: nothing is read from it and nothing appended.
    std::atomic<bool> stopped{false};
    // What came while the stream was not yet held against what is known.
    std::vector<LogMessage> unchecked;
    KnownPosition known;  // under known_mutex_
  };
  struct Wake {
    absl::Time at;
    FileEntry* file;
    bool operator>(const Wake& other) const { return at > other.at; }
  };

  void OnMessage(LogMessage message);
  void OnOutcome(int partition, const std::string& hash, AppendOutcome outcome);
  void ApplyCommit(Partition& partition, std::uint64_t sequence, std::uint32_t index, const std::string& bytes, const Pending* waiting,
                   FileEntry* in_flight_file);
  void PlanFile(FileEntry& file);
  void FormBatch(Partition& partition);
  void Append(Partition& partition);
  void GiveBack(Partition& partition);
  void Resend(Partition& partition);
  bool AddCommit(Partition& partition, InFlight& batch, std::vector<std::string>& commits, std::size_t& bytes, Draft draft, Pending* pending);
  absl::Time OnWake();
  void NoticeCaughtUp();
  absl::Status FollowFrom(Partition& partition, std::uint64_t sequence);
  void StopPartition(Partition& partition, const absl::Status& why);
  void GoOn();
  void Quarantine(Partition& partition, const domain::Commit& commit, domain::CommitPosition position);
  void Quarantined(FileEntry& file);
  void TellOfQuarantine();
  void SetRehearsalClock(const domain::ClockSet& set);

  SchoolEntry& SchoolEntryFor(const std::string& school);
  // After the file changed: the pack of its open case, if that is another now.
  void TakePack(FileEntry& file);
  void OnPackAdopted(Partition& partition, SchoolEntry& school);

  const PackLibrary* const packs_;
  Log* const log_;
  Clock* const clock_;
  Loop* const loop_;
  Service* const service_;
  MachineOptions options_;
  std::string source_;
  std::atomic<int> waiting_{0};  // ends after the commands that count themselves
  absl::Status refusal_;
  std::array<Partition, kPartitions> partitions_;
  std::unordered_map<std::string, FileEntry> files_;
  std::function<void(FileEntry&)> before_change_;
  std::unordered_map<std::string, SchoolEntry> schools_;
  std::priority_queue<Wake, std::vector<Wake>, std::greater<>> wakes_;
  std::atomic<bool> caught_up_{false};
  std::atomic<bool> held_{false};
  std::atomic<bool> needs_restart_{false};
  mutable std::mutex known_mutex_;
  absl::Time resend_at_ = absl::InfiniteFuture();
  // Passed over in this life, and not yet told of in the log.
  std::vector<std::pair<int, domain::CommitQuarantined>> untold_;
  std::vector<std::pair<std::string, std::string>> untold_files_;  // school and file of each
  MachineStatistics statistics_;
};

}  // namespace vigil
