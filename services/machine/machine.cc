#include "machine/machine.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "domain/planted.h"
#include "platform/crypto/derive.h"
#include "platform/crypto/hash.h"
#include "platform/logging/log.h"
#include "domain/school.h"
#include "vigil/log/v1/commit.convert.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil {
namespace {

// Most commits of one batch: decided and folded in well under a millisecond each, so the next severe one does not wait long.
constexpr std::size_t kMaxBatchCommits = 1000;
// A command that keeps losing races is told so.
constexpr int kMaxDecisions = 20;
// How long after an append of unknown outcome the same bytes are offered again (real time).
constexpr absl::Duration kResendAfter = absl::Milliseconds(100);

// The same commit is the same bytes, in every process: maps in the order of their keys.
std::string Serialize(const log::v1::Commit& commit) {
  std::string bytes;
  bytes.reserve(commit.ByteSizeLong());
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  commit.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

bool IsSchoolEvent(const domain::Commit& commit) { return commit.file.empty(); }

}  // namespace

int PartitionOf(std::string_view school) { return Sha256(school)[0] >> 4; }

const std::shared_ptr<const domain::Pack>& SchoolEntry::pack() const {
  if (in_force_ == nullptr) in_force_ = Version(state.pack);
  return in_force_;
}

std::shared_ptr<const domain::Pack> SchoolEntry::Version(const std::string& digest) const {
  if (digest.empty()) return library_->common();
  const auto known = versions_.find(digest);
  return known != versions_.end() ? known->second : versions_.emplace(digest, Resolve(digest)).first->second;
}

std::shared_ptr<const domain::Pack> SchoolEntry::Resolve(const std::string& digest) const {
  const domain::PackVersion* version = domain::FindPackVersion(state, digest);
  if (version == nullptr) return library_->common();
  auto pack = library_->Resolve(version->overlay);
  if (pack.ok()) return *std::move(pack);
  log::Error("a school's own pack cannot be laid over the common one any more; the common one decides: propose it anew",
             {{"school", log::Id(state.school)}, {"pack", log::Id(digest)}, {"written_for", log::Id(version->common)}, {"reason", pack.status()}});
  return library_->common();
}

std::vector<std::shared_ptr<const domain::Pack>> SchoolEntry::all_packs() const {
  std::vector<std::shared_ptr<const domain::Pack>> packs{pack()};
  for (const domain::PackVersion& version : state.packs) {
    if (!version.adopted_by.empty() && version.digest != state.pack) packs.push_back(Version(version.digest));
  }
  return packs;
}

void SchoolEntry::ForgetPacks() {
  in_force_.reset();
  std::erase_if(versions_, [this](const auto& entry) { return domain::FindPackVersion(state, entry.first) == nullptr; });
}

Machine::Machine(const PackLibrary* packs, Log* log, Clock* clock, Loop* loop, Service* service, MachineOptions options)
    : packs_(packs), log_(log), clock_(clock), loop_(loop), service_(service), options_(std::move(options)), source_(log->source()) {
  for (int i = 0; i < kPartitions; ++i) {
    partitions_[static_cast<std::size_t>(i)].number = i;
    partitions_[static_cast<std::size_t>(i)].known = options_.known[static_cast<std::size_t>(i)];
  }
}

Machine::~Machine() = default;

LoopHooks Machine::hooks() {
  return {.on_wake = [this] { return OnWake(); }};
}

absl::Status Machine::Start() {
  // Held against what is known before anything is believed or appended.
  for (Partition& partition : partitions_) {
    const absl::StatusOr<CheckedStream> checked = CheckStream(*log_, partition.number, partition.known, options_.trusted_sources, true);
    if (!checked.ok()) {
      if (!absl::IsDataLoss(checked.status())) return checked.status();
      StopPartition(partition, checked.status());
      continue;
    }
    if (partition.stopped.exchange(false)) --statistics_.stopped_partitions;
    {
      const std::lock_guard lock(known_mutex_);
      if (checked->forget) partition.known = {};
      partition.known.created_time = checked->created_time;
    }
    partition.end_at_start = checked->last_sequence;
    NoteEnd(partition.number, checked->last_sequence);
  }
  for (Partition& partition : partitions_) {
    if (partition.stopped) continue;
    if (absl::Status following = FollowFrom(partition, partition.sequence + 1); !following.ok()) return following;
  }
  held_ = false;
  loop_->Post([this] { NoticeCaughtUp(); });
  return absl::OkStatus();
}

absl::Status Machine::FollowFrom(Partition& partition, std::uint64_t sequence) {
  auto subscription = log_->Follow(partition.number, sequence, [this](LogMessage message) {
    loop_->Dispatch([this, message = std::move(message)]() mutable { OnMessage(std::move(message)); });
  });
  if (!subscription.ok()) return subscription.status();
  partition.subscription = *std::move(subscription);
  return absl::OkStatus();
}

void Machine::StopPartition(Partition& partition, const absl::Status& why) {
  if (!partition.stopped.exchange(true)) ++statistics_.stopped_partitions;
  log::Error("a partition stands still: its stream is not the one that was known, and `vigil repair` must make it whole",
             {{"partition", partition.number}, {"reason", why}});
}

absl::Status Machine::CheckStreams() {
  std::vector<Partition*> whole;
  for (Partition& partition : partitions_) {
    KnownPosition known;
    {
      const std::lock_guard lock(known_mutex_);
      known = partition.known;
    }
    const absl::StatusOr<CheckedStream> checked = CheckStream(*log_, partition.number, known, options_.trusted_sources, !partition.begun);
    if (checked.ok()) {
      const std::lock_guard lock(known_mutex_);
      if (checked->forget) partition.known = {};
      partition.known.created_time = checked->created_time;
      if (partition.stopped && !partition.begun) {
        // It was never read in this life, and the others have been caught up with: its past would be taken for the present.
        needs_restart_ = true;
      } else if (partition.stopped) {
        whole.push_back(&partition);
      }
      NoteEnd(partition.number, checked->last_sequence);
    } else if (!absl::IsDataLoss(checked.status())) {
      return checked.status();
    } else if (!partition.stopped) {
      // What the subscription has brought since is another history's.
      partition.subscription.reset();
      StopPartition(partition, checked.status());
    }
  }
  for (Partition* partition : whole) {
    log::Info("a partition is whole again", {{"partition", partition->number}});
    partition->stopped = false;
    --statistics_.stopped_partitions;
    if (absl::Status following = FollowFrom(*partition, partition->sequence + 1); !following.ok()) return following;
  }
  loop_->Post([this] { GoOn(); });
  return absl::OkStatus();
}

// What came meanwhile is taken now; of a partition that stands still it is dropped.
void Machine::GoOn() {
  if (!log_->connected()) return;  // lost again meanwhile
  held_ = false;
  for (Partition& partition : partitions_) {
    std::vector<LogMessage> messages = std::exchange(partition.unchecked, {});
    if (partition.stopped) continue;
    for (LogMessage& message : messages) OnMessage(std::move(message));
    partition.wants_batch = true;
  }
}

KnownPositions Machine::known() const {
  KnownPositions known;
  const std::lock_guard lock(known_mutex_);
  for (const Partition& partition : partitions_) known[static_cast<std::size_t>(partition.number)] = partition.known;
  return known;
}

void Machine::NoticeCaughtUp() {
  if (caught_up_) return;
  for (const Partition& partition : partitions_) {
    if (partition.sequence < partition.end_at_start) return;
  }
  caught_up_ = true;
  service_->OnCaughtUp();
  TellOfQuarantine();
  // What a restart left undone was not planned while the past was read; now it is.
  if (Planted("forgets-its-work-when-restarted")) return;
  for (auto& [id, file] : files_) PlanFile(file);
}

FileEntry* Machine::FindFile(const std::string& file) {
  const auto it = files_.find(file);
  return it == files_.end() ? nullptr : &it->second;
}

FileEntry& Machine::FileFor(const std::string& file, int partition) {
  const auto [it, is_new] = files_.try_emplace(file);
  FileEntry& entry = it->second;
  if (is_new) {
    entry.partition = partition;
    partitions_[static_cast<std::size_t>(partition)].files.push_back(&entry);
  }
  return entry;
}

Machine::PartitionHead Machine::HeadOf(int partition) const {
  const Partition& p = partitions_[static_cast<std::size_t>(partition)];
  const std::lock_guard lock(known_mutex_);
  return {.sequence = p.sequence,
          .last_recorded = p.last_recorded,
          .own_last_sequence = p.own_last_sequence,
          .chain = p.chain,
          .clock = p.clock,
          .known = p.known};
}

void Machine::RestoreHead(int partition, const PartitionHead& head) {
  Partition& p = partitions_[static_cast<std::size_t>(partition)];
  p.sequence = head.sequence;
  p.read = head.sequence;
  p.last_recorded = head.last_recorded;
  p.own_last_sequence = head.own_last_sequence;
  p.chain = head.chain;
  p.clock = head.clock;
  if (p.clock) SetRehearsalClock(*p.clock);
}

void Machine::RestoreSchool(domain::SchoolState school) {
  SchoolEntry& entry = SchoolEntryFor(school.school);
  entry.state = std::move(school);
  entry.ForgetPacks();
}

void Machine::RestoreFile(int partition, domain::FileState file) {
  FileEntry& entry = FileFor(file.file, partition);
  entry.state = std::move(file);
  entry.school = &SchoolEntryFor(entry.state.school);
  TakePack(entry);
}

void Machine::TakePack(FileEntry& file) {
  const bool open = domain::HasOpenCase(file.state) && !file.state.duties;
  if (!open) {
    file.case_pack.reset();
    file.case_version.clear();
  } else if (file.case_pack == nullptr || file.case_version != file.state.current->pack) {
    file.case_version = file.state.current->pack;
    file.case_pack = file.school->Version(file.case_version);
  }
}

// What the school owes is decided by it at once; its open cases keep theirs.
void Machine::OnPackAdopted(Partition& partition, SchoolEntry& school) {
  school.ForgetPacks();
  service_->OnPackAdopted(school);
  if (!caught_up_) return;
  for (FileEntry* file : partition.files) {
    if (file->school == &school && file->state.duties) PlanFile(*file);
  }
}

void Machine::SetRehearsalClock(const domain::ClockSet& set) {
  if (options_.rehearsal_clock == nullptr) return;
  const ClockBase base{.real = set.real_time, .domain = set.domain_time, .speed = set.speed};
  if (caught_up_) {
    options_.rehearsal_clock->Set(base);
  } else {
    options_.rehearsal_clock->Restore(base);
  }
}

const domain::SchoolState* Machine::FindSchool(const std::string& school) const {
  const auto it = schools_.find(school);
  return it == schools_.end() ? nullptr : &it->second.state;
}

SchoolEntry& Machine::SchoolEntryFor(const std::string& school) {
  SchoolEntry& entry = schools_.try_emplace(school, packs_).first->second;
  if (entry.state.school.empty()) entry.state.school = school;
  return entry;
}

const domain::SchoolState& Machine::SchoolFor(const std::string& school) { return SchoolEntryFor(school).state; }

const std::shared_ptr<const domain::Pack>& Machine::PackOf(const std::string& school) const {
  const auto it = schools_.find(school);
  return it == schools_.end() ? packs_->common() : it->second.pack();
}

std::uint64_t Machine::Lag(int partition) const {
  const Partition& p = partitions_[static_cast<std::size_t>(partition)];
  const std::uint64_t read = p.read;
  const std::uint64_t end = p.known_end;
  return end > read ? end - read : 0;
}

void Machine::NoteEnd(int partition, std::uint64_t last_sequence) { partitions_[static_cast<std::size_t>(partition)].known_end = last_sequence; }

// ------------------------------------------------------------------------------------------------ reading

void Machine::OnMessage(LogMessage message) {
  Partition& partition = partitions_[static_cast<std::size_t>(message.partition)];
  if (partition.stopped) return;
  if (held_) return partition.unchecked.push_back(std::move(message));
  partition.sequence = message.sequence;
  partition.read = message.sequence;
  partition.begun = true;
  const bool own_subject = message.source == source_;
  if (own_subject) partition.own_last_sequence = message.sequence;

  std::optional<InFlight> ours;
  absl::StatusOr<DecodedBatch> batch = absl::DataLossError("unknown source");
  std::string hash = BatchHash(message.body);
  if (own_subject && partition.in_flight && partition.in_flight->hash == hash) {
    batch = DecodeOwnBatch(message.body);
    ours = std::move(partition.in_flight);
    partition.in_flight.reset();
    partition.outcome_unknown = false;
    ++statistics_.own_batches;
  } else {
    const auto trusted = std::find_if(options_.trusted_sources.begin(), options_.trusted_sources.end(),
                                      [&](const auto& source) { return source.first == message.source; });
    if (trusted != options_.trusted_sources.end()) {
      batch = DecodeBatch(message.body, message.partition, message.source, trusted->second);
      if (batch.ok() && batch->previous_hash != partition.chain[message.source] && !Planted("replayed-batches-are-read")) batch = absl::DataLossError("replayed or out of its chain");
    }
  }
  {
    const std::lock_guard lock(known_mutex_);
    // Behind what an earlier life knew, that stays what the stream is held against.
    if (message.sequence >= partition.known.sequence) {
      partition.known.sequence = message.sequence;
      partition.known.hash = hash;
    }
  }
  if (!batch.ok()) {
    ++statistics_.refused_messages;
    log::Error("a message of the log was refused: forged, replayed or damaged",
               {{"partition", message.partition}, {"sequence", message.sequence}, {"reason", batch.status()}});
  } else {
    ++statistics_.batches;
    partition.chain[message.source] = std::move(hash);
    for (std::size_t i = 0; i < batch->commits.size(); ++i) {
      const Pending* waiting = ours && ours->commands[i].done ? &ours->commands[i] : nullptr;
      FileEntry* file = ours ? ours->files[i] : nullptr;
      ApplyCommit(partition, message.sequence, static_cast<std::uint32_t>(i), batch->commits[i], waiting, file);
    }
  }
  if (!caught_up_) NoticeCaughtUp();
  // Somebody else wrote on our subject, or an older batch of ours surfaced: what we have in flight will be refused, and is decided again.
  if (own_subject && !ours && partition.in_flight && partition.in_flight->expected_last < message.sequence) {
    GiveBack(partition);
  }
  partition.wants_batch = true;
}

void Machine::ApplyCommit(Partition& partition, std::uint64_t sequence, std::uint32_t index, const std::string& bytes, const Pending* waiting,
                          FileEntry* in_flight_file) {
  if (in_flight_file != nullptr) in_flight_file->in_flight = false;
  log::v1::Commit proto;
  if (!proto.ParseFromString(bytes)) {
    ++statistics_.refused_messages;
    log::Error("a commit does not parse", {{"partition", partition.number}, {"sequence", sequence}});
    return;
  }
  domain::Commit commit = contract::FromProto(proto);
  // Two sources may decide in one moment and land the other way round. In a partition time does not go back: every reader takes a commit at the
  // latest time recorded before it, so what is folded, and when it was, is the same for all.
  if (!Planted("time-goes-back")) commit.recorded_time = std::max(commit.recorded_time, partition.last_recorded);
  ++statistics_.commits;
  const CommitPlace place{partition.number, sequence, index};
  if (options_.crash_marker != nullptr) {
    if (const int crashes = options_.crash_marker->crashes(place); crashes >= kCrashesOfPoison) {
      partition.last_recorded = std::max(partition.last_recorded, commit.recorded_time);
      Quarantine(partition, commit, {sequence, index});
      if (crashes >= kCrashesOfWorsePoison) return;
      // The ledger's leaf and the like: it is shown as void, unless that is what ends the process.
      const domain::Applied passed_over{.guard = absl::FailedPreconditionError("passed over: it ended this process"), .facts = {}, .clocks = {}};
      SchoolEntry& school = SchoolEntryFor(commit.school);
      FileEntry* const set_aside = commit.file.empty() ? nullptr : &FileFor(commit.file, partition.number);
      if (set_aside != nullptr && set_aside->school == nullptr) set_aside->school = &school;
      options_.crash_marker->Begin(place);
      service_->OnCommit({partition.number, {sequence, index}, commit, bytes, passed_over, set_aside, school, school.state});
      return options_.crash_marker->End();
    }
    options_.crash_marker->Begin(place);
  }
  partition.last_recorded = std::max(partition.last_recorded, commit.recorded_time);
  const domain::CommitPosition position{sequence, index};
  domain::Applied applied;
  FileEntry* file = nullptr;
  SchoolEntry& school = SchoolEntryFor(commit.school);
  if (IsSchoolEvent(commit)) {
    applied.guard = domain::CheckSchool(school.state, commit);
    if (!applied.guard.ok()) ++statistics_.void_commits;
    bool adopted = false;
    for (const domain::Event& event : commit.events) {
      if (!applied.guard.ok()) break;
      domain::ApplyToSchool(school.state, commit, event, position);
      adopted = adopted || std::holds_alternative<domain::PackAdopted>(event.body);
      if (const auto* reopened = std::get_if<domain::LogReopened>(&event.body)) {
        const std::lock_guard lock(known_mutex_);
        partition.known.incarnation = reopened->incarnation;
      }
      if (const auto* set = std::get_if<domain::ClockSet>(&event.body); set != nullptr && partition.number == 0) {
        partition.clock = *set;
        SetRehearsalClock(*set);
      }
    }
    if (adopted) OnPackAdopted(partition, school);
  } else {
    file = &FileFor(commit.file, partition.number);
    file->school = &school;
    if (before_change_) before_change_(*file);
    applied = domain::Apply(file->state, commit, {file->pack(), school.state, position});
    if (!applied.guard.ok()) ++statistics_.void_commits;
    TakePack(*file);
  }
  service_->OnCommit({partition.number, position, commit, bytes, applied, file, school, school.state});
  if (options_.crash_marker != nullptr) options_.crash_marker->End();
  if (file != nullptr && applied.guard.ok()) {
    for (const domain::Event& event : commit.events) {
      if (std::holds_alternative<domain::CommitQuarantined>(event.body)) Quarantined(*file);
    }
  }
  if (file != nullptr && caught_up_) PlanFile(*file);
  if (waiting == nullptr) return;
  if (applied.guard.ok() || Planted("void-told-as-done")) {
    waiting->done(Outcome{commit, applied, file, position, partition.number});
  } else if (waiting->tries < kMaxDecisions) {
    // Void where it landed: the state had moved. Decide again, and tell the caller what that says.
    partition.commands[0].push_back(*waiting);
  } else {
    waiting->done(absl::AbortedError("the case keeps changing; try again"));
  }
}

// As if it were void here; and its file waits for a person.
void Machine::Quarantine(Partition& partition, const domain::Commit& commit, domain::CommitPosition position) {
  ++statistics_.void_commits;
  log::Error("a commit that ended this process twice is passed over, and its file waits for a person: act by hand",
             {{"partition", partition.number}, {"sequence", position.sequence}, {"index", position.index}, {"school", log::Id(commit.school)}, {"file", log::Id(commit.file)}});
  if (commit.file.empty()) return;
  FileEntry& file = FileFor(commit.file, partition.number);
  if (file.state.school.empty()) file.state.school = commit.school;
  if (file.school == nullptr) file.school = &SchoolEntryFor(commit.school);
  if (file.state.file.empty()) file.state.file = commit.file;
  untold_.emplace_back(partition.number,
                       domain::CommitQuarantined{.sequence = position.sequence, .index = position.index, .commit_id = commit.id, .service = source_});
  untold_files_.emplace_back(commit.school, commit.file);
  Quarantined(file);
  if (caught_up_) TellOfQuarantine();
}

void Machine::Quarantined(FileEntry& file) {
  if (!std::exchange(file.quarantined, true)) ++statistics_.quarantined_files;
  service_->OnQuarantine(file);
}

// A follower writes nothing: its alarm is in its own log lines and metrics.
void Machine::TellOfQuarantine() {
  const auto untold = std::exchange(untold_, {});
  const auto files = std::exchange(untold_files_, {});
  if (!options_.signing_key) return;
  for (std::size_t i = 0; i < untold.size(); ++i) {
    Draft draft{.cause = absl::StrCat("quarantine/", untold[i].second.commit_id),
                .school = files[i].first,
                .file = files[i].second,
                .actor = {.person = source_, .role = ""},
                .events = {domain::Event{untold[i].second}}};
    SubmitHere(
        untold[i].first, 1000, [draft = std::move(draft)]() -> absl::StatusOr<Draft> { return draft; },
        [](const absl::StatusOr<Outcome>& outcome) {
          if (!outcome.ok()) log::Warn("a quarantine is not in the log", {{"reason", outcome.status()}});
        });
  }
}

void Machine::Replan(FileEntry& file) {
  PlanFile(file);
  partitions_[static_cast<std::size_t>(file.partition)].wants_batch = true;
}

void Machine::PlanFile(FileEntry& file) {
  if (!options_.signing_key || !caught_up_ || !file.state.current || file.quarantined) return;
  const Service::Plan plan = service_->PlanFor(file, file.school->state, clock_->Now());
  if (plan.due) {
    if (!file.ready && !file.in_flight) {
      Partition& partition = partitions_[static_cast<std::size_t>(file.partition)];
      partition.ready[plan.priority].push_back(&file);
      partition.wants_batch = true;
      file.ready = true;
    }
    return;
  }
  if (plan.wake != absl::InfiniteFuture() && plan.wake != file.wake) {
    file.wake = plan.wake;
    wakes_.push({plan.wake, &file});
  } else {
    file.wake = plan.wake;
  }
}

absl::Time Machine::OnWake() {
  const absl::Time now = clock_->Now();
  while (!wakes_.empty() && wakes_.top().at <= now) {
    const Wake wake = wakes_.top();
    wakes_.pop();
    if (wake.file->wake != wake.at) continue;  // planned anew since
    wake.file->wake = absl::InfiniteFuture();
    PlanFile(*wake.file);
  }
  if (resend_at_ <= clock_->NowReal()) {
    resend_at_ = absl::InfiniteFuture();
    for (Partition& partition : partitions_) Resend(partition);
  }
  for (Partition& partition : partitions_) {
    if (partition.wants_batch) FormBatch(partition);
  }
  absl::Time next = wakes_.empty() ? absl::InfiniteFuture() : wakes_.top().at;
  if (resend_at_ != absl::InfiniteFuture()) {
    next = std::min(next, clock_->Now() + (resend_at_ - clock_->NowReal()) * clock_->Speed());
  }
  return next;
}

// ------------------------------------------------------------------------------------------------ writing

void Machine::Submit(int partition, int priority, Decide decide, Done done) {
  loop_->Post([this, partition, priority, decide = std::move(decide), done = std::move(done)]() mutable {
    SubmitHere(partition, priority, std::move(decide), std::move(done));
  });
}

void Machine::SubmitHere(int partition, int priority, Decide decide, Done done) {
  if (!refusal_.ok()) return done(refusal_);
  if (stopped(partition)) return done(absl::UnavailableError("this part of the log stands still until it has been repaired"));
  // Counted until it has been answered or dropped.
  ++waiting_;
  std::shared_ptr<void> counted(nullptr, [this](void*) { --waiting_; });
  Partition& p = partitions_[static_cast<std::size_t>(partition)];
  p.commands[priority].push_back({std::move(decide), [counted = std::move(counted), done = std::move(done)](absl::StatusOr<Outcome> outcome) {
                                    done(std::move(outcome));
                                  }});
  p.wants_batch = true;
}

void Machine::Refuse(absl::Status status) {
  loop_->Post([this, status = std::move(status)] {
    refusal_ = status;
    for (Partition& partition : partitions_) {
      for (auto& [priority, commands] : std::exchange(partition.commands, {})) {
        for (Pending& pending : commands) pending.done(status);
      }
      if (!partition.in_flight) continue;
      for (Pending& pending : partition.in_flight->commands) {
        if (const Done done = std::exchange(pending.done, nullptr)) done(status);
      }
    }
  });
}

bool Machine::AddCommit(Partition& partition, InFlight& batch, std::vector<std::string>& commits, std::size_t& bytes, Draft draft,
                        Pending* pending) {
  FileEntry* file = draft.file.empty() ? nullptr : &FileFor(draft.file, partition.number);
  if (file != nullptr && file->in_flight) return false;
  const bool quarantines = !draft.events.empty() && std::holds_alternative<domain::CommitQuarantined>(draft.events.front().body);
  // What happened past the log, and a report, are facts whatever became of the file; the rest waits for a person.
  const bool is_fact = !draft.events.empty() && (std::holds_alternative<domain::ReportReceived>(draft.events.front().body) ||
                                                 std::holds_alternative<domain::BreakGlassRung>(draft.events.front().body) ||
                                                 std::holds_alternative<domain::BreakGlassTaken>(draft.events.front().body));
  if (file != nullptr && file->quarantined && !quarantines && !is_fact) {
    if (pending != nullptr) pending->done(absl::FailedPreconditionError("this file is set aside after a fault of the system: act by hand"));
    return true;
  }
  if (file == nullptr && std::find(batch.schools.begin(), batch.schools.end(), draft.school) != batch.schools.end()) return false;
  domain::Commit commit;
  commit.id = DeriveId('m', {source_, draft.school, draft.cause});
  commit.cause_id = std::move(draft.cause_id);
  commit.source = source_;
  commit.school = std::move(draft.school);
  commit.file = std::move(draft.file);
  commit.recorded_time = std::max(clock_->Now(), partition.last_recorded);
  commit.actor = std::move(draft.actor);
  commit.engine = domain::kEngineVersion;
  SchoolEntry& school = SchoolEntryFor(commit.school);
  if (file != nullptr) file->school = &school;
  const domain::Pack& pack = file != nullptr ? file->pack() : *school.pack();
  commit.pack = pack.digest;
  commit.traceparent = std::move(draft.traceparent);
  commit.clock_speed = clock_->Speed() == 1 ? 0 : clock_->Speed();
  commit.request_hash = std::move(draft.request_hash);
  commit.expected_version = draft.expected_version;
  commit.events = std::move(draft.events);
  if (file != nullptr) {
    const domain::FoldContext context{pack, school.state, {}};
    if (absl::Status guard = domain::Check(file->state, commit, context); !guard.ok()) {
      if (pending != nullptr) pending->done(guard);
      return true;
    }
    const std::string id = commit.id;
    std::vector<domain::Event> alerts = domain::AlertsToRaise(file->state, commit, context, [&id](std::string_view purpose) {
      return DeriveId('a', {id, purpose});
    });
    for (domain::Event& alert : alerts) commit.events.push_back(std::move(alert));
  } else if (absl::Status guard = domain::CheckSchool(school.state, commit); !guard.ok()) {
    if (pending != nullptr) pending->done(guard);
    return true;
  }
  log::v1::Commit proto;
  contract::ToProto(commit, &proto);
  std::string serialized = Serialize(proto);
  if (serialized.size() > kMaxCommitBytes) {
    if (pending != nullptr) pending->done(absl::InvalidArgumentError("too large for one commit"));
    return true;
  }
  if (bytes + serialized.size() > kMaxBatchBytes || commits.size() >= kMaxBatchCommits) return false;
  bytes += serialized.size();
  commits.push_back(std::move(serialized));
  batch.files.push_back(file);
  batch.schools.push_back(file == nullptr ? commit.school : "");
  if (pending != nullptr) {
    ++pending->tries;
    batch.commands.push_back(std::move(*pending));
  } else {
    batch.commands.emplace_back();
  }
  if (file != nullptr) file->in_flight = true;
  return true;
}

void Machine::FormBatch(Partition& partition) {
  partition.wants_batch = false;
  if (partition.stopped || held_ || partition.in_flight || !options_.signing_key || !caught_up_) return;
  InFlight batch;
  std::vector<std::string> commits;
  std::size_t bytes = 0;

  // Both queues by priority; at equal priority people's commands go first.
  const auto top = [](const auto& queues) { return queues.empty() ? INT32_MIN : queues.begin()->first; };
  std::vector<std::pair<int, Pending>> put_back_commands;
  std::vector<std::pair<int, FileEntry*>> put_back_ready;
  bool full = false;
  while (!full && (!partition.commands.empty() || !partition.ready.empty())) {
    if (top(partition.commands) >= top(partition.ready) && !partition.commands.empty()) {
      const auto it = partition.commands.begin();
      const int priority = it->first;
      Pending pending = std::move(it->second.front());
      it->second.pop_front();
      if (it->second.empty()) partition.commands.erase(it);
      absl::StatusOr<Draft> draft = pending.decide();
      if (!draft.ok()) {
        pending.done(draft.status());
        continue;
      }
      if (draft->events.empty()) continue;
      if (!AddCommit(partition, batch, commits, bytes, *std::move(draft), &pending)) {
        full = commits.size() >= kMaxBatchCommits || bytes > kMaxBatchBytes - kMaxCommitBytes;
        put_back_commands.emplace_back(priority, std::move(pending));
      }
    } else {
      const auto it = partition.ready.begin();
      const int priority = it->first;
      FileEntry* file = it->second.front();
      it->second.pop_front();
      if (it->second.empty()) partition.ready.erase(it);
      if (file->in_flight) {
        file->ready = false;  // planned again when its commit has been read back
        continue;
      }
      Service::Plan plan = service_->PlanFor(*file, file->school->state, clock_->Now());
      if (!plan.due) {
        file->ready = false;
        PlanFile(*file);
        continue;
      }
      if (AddCommit(partition, batch, commits, bytes, *std::move(plan.due), nullptr)) {
        file->ready = false;
      } else {
        full = commits.size() >= kMaxBatchCommits || bytes > kMaxBatchBytes - kMaxCommitBytes;
        put_back_ready.emplace_back(priority, file);
      }
    }
  }
  for (auto it = put_back_commands.rbegin(); it != put_back_commands.rend(); ++it) {
    partition.commands[it->first].push_front(std::move(it->second));
  }
  for (auto it = put_back_ready.rbegin(); it != put_back_ready.rend(); ++it) partition.ready[it->first].push_front(it->second);
  if (commits.empty()) return;
  batch.expected_last = partition.own_last_sequence;
  batch.message = EncodeBatch(partition.number, source_, partition.chain[source_], std::move(commits), *options_.signing_key);
  batch.hash = BatchHash(batch.message);
  partition.in_flight = std::move(batch);
  Append(partition);
}

void Machine::Append(Partition& partition) {
  const InFlight& batch = *partition.in_flight;
  log_->Append(partition.number, batch.expected_last, batch.message,
               [this, loop = loop_, number = partition.number, hash = batch.hash](AppendOutcome outcome) {
                 // Success needs no hop: reading back tells it. The log answers for the last time when it ends, after this machine.
                 if (outcome.status.ok()) return;
                 loop->Post([this, number, hash, outcome = std::move(outcome)]() mutable { OnOutcome(number, hash, std::move(outcome)); });
               });
}

void Machine::OnOutcome(int number, const std::string& hash, AppendOutcome outcome) {
  Partition& partition = partitions_[static_cast<std::size_t>(number)];
  if (!partition.in_flight || partition.in_flight->hash != hash) return;  // read back meanwhile
  // Refused for its sequence: another message stands on our subject, perhaps this very one from an attempt whose answer was lost. Reading on
  // tells; OnMessage gives the commands back if it is another. Unknown: the same bytes are offered again, and can be stored only once.
  ++statistics_.conflicts;
  partition.outcome_unknown = true;
  if (!absl::IsAborted(outcome.status) && !absl::IsUnavailable(outcome.status)) {
    log::Error("an append was refused", {{"partition", number}, {"reason", outcome.status}});
  }
  resend_at_ = std::min(resend_at_, clock_->NowReal() + kResendAfter);
}

void Machine::Resend(Partition& partition) {
  if (!partition.in_flight || !partition.outcome_unknown) return;
  if (!log_->connected() || held_ || partition.stopped) {
    resend_at_ = std::min(resend_at_, clock_->NowReal() + kResendAfter);
    return;
  }
  partition.outcome_unknown = false;
  if (Planted("offered-again-with-another-sequence")) partition.in_flight->expected_last = partition.own_last_sequence;
  Append(partition);
}

void Machine::GiveBack(Partition& partition) {
  InFlight batch = *std::move(partition.in_flight);
  partition.in_flight.reset();
  partition.outcome_unknown = false;
  ++statistics_.conflicts;
  for (std::size_t i = 0; i < batch.commands.size(); ++i) {
    if (batch.files[i] != nullptr) batch.files[i]->in_flight = false;
    if (batch.commands[i].done && !Planted("fenced-commands-are-lost")) {
      partition.commands[0].push_back(std::move(batch.commands[i]));
    } else if (batch.files[i] != nullptr) {
      PlanFile(*batch.files[i]);
    }
  }
  partition.wants_batch = true;
}

}  // namespace vigil
