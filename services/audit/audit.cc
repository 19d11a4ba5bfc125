#include "audit/audit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "audit/summary.h"
#include "domain/planted.h"
#include "platform/logging/log.h"
#include "platform/metrics/metric_names.h"
#include "platform/rpc/problem.h"

namespace vigil::audit {
namespace {

// Most commits of one sync, so that a large backlog is served bit by bit.
constexpr std::size_t kMaxCommitsPerSync = 2000;
// A disk that is full or fails is tried again after this.
constexpr absl::Duration kTryAgainAfter = absl::Seconds(1);
// A case that was opened a moment ago may not have come through the log yet.
constexpr absl::Duration kWaitForCase = absl::Milliseconds(300);
constexpr int kRowsPerRead = 200;
constexpr std::uint32_t kMaxPageSize = 1000;
constexpr char kEverySchool[] = "*";

absl::Status CheckPartition(std::uint32_t partition) {
  return partition < kPartitions ? absl::OkStatus() : absl::NotFoundError("no such partition");
}

// "pp-sequence-index". nullopt: it is none.
struct LogPosition {
  int partition = 0;
  domain::CommitPosition position;
};
std::optional<LogPosition> ParsePosition(std::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(text.data(), text.size()), '-');
  LogPosition parsed;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &parsed.partition) || !absl::SimpleAtoi(parts[1], &parsed.position.sequence) ||
      !absl::SimpleAtoi(parts[2], &parsed.position.index) || parsed.partition < 0 || parsed.partition >= kPartitions) {
    return std::nullopt;
  }
  return parsed;
}

// 回避 is silent: to who is off a matter, it is not there.
bool IsRecused(const StoredCommit& commit, const std::string& person) {
  return std::find(commit.recused.begin(), commit.recused.end(), person) != commit.recused.end();
}

// A size that the tree does not have is the caller's mistake.
absl::Status Asked(std::string_view field, const absl::Status& status) {
  return absl::IsOutOfRange(status) ? rpc::InvalidField(field, "is no size that the tree has or had") : status;
}

std::vector<std::string> Bytes(const std::vector<Digest>& hashes) {
  std::vector<std::string> bytes;
  for (const Digest& hash : hashes) bytes.push_back(AsString(hash));
  return bytes;
}

}  // namespace

Audit::Audit(std::unique_ptr<Ledger> ledger, std::unique_ptr<TimelineStore> store, Loop* worker,
             const Clock* real_clock, metrics::Registry* registry, AuditOptions options)
    : ledger_(std::move(ledger)),
      store_(std::move(store)),
      worker_(worker),
      real_clock_(real_clock),
      options_(options) {
  for (int partition = 0; partition < kPartitions; ++partition) {
    const auto p = static_cast<std::size_t>(partition);
    stored_at_start_[p] = std::min(ledger_->Position(static_cast<std::uint32_t>(partition)), store_->Position(partition));
    if (registry == nullptr) continue;
    size_[p] = registry->Get(metrics::kLedgerSize, {absl::StrCat(partition)});
    size_[p].Set(static_cast<double>(ledger_->Size(static_cast<std::uint32_t>(partition))));
  }
}

Audit::~Audit() = default;

LoopHooks Audit::worker_hooks() {
  return {.on_wake = [this] { return OnWorkerWake(); }};
}

void Audit::Attach(Machine* machine) {
  loop_ = machine->loop();
  common_ = {machine->packs().common()};
}

// ------------------------------------------------------------------------------------------------ packs

void Audit::OnPackAdopted(const SchoolEntry& school) {
  if (caught_up_) return TellWorker(school);
  changed_packs_.insert(&school);
}

// Only what is in force at the end of the past is worth resolving.
void Audit::OnCaughtUp() {
  caught_up_ = true;
  for (const SchoolEntry* school : std::exchange(changed_packs_, {})) TellWorker(*school);
}

void Audit::TellWorker(const SchoolEntry& school) {
  worker_->Post([this, id = school.state.school, packs = school.all_packs()]() mutable { packs_[id] = std::move(packs); });
}

const Packs& Audit::PacksOf(std::string_view school) const {
  const auto own = packs_.find(school);
  return own == packs_.end() ? common_ : own->second;
}

// ------------------------------------------------------------------------------------------------ folding

void Audit::OnCommit(const AppliedCommit& applied) {
  if (applied.position.sequence <= stored_at_start_[static_cast<std::size_t>(applied.partition)]) return;
  // A message's commits are handed over together: the task runs when all of it has been folded.
  if (folded_.empty()) loop_->Post([this] { HandOver(); });
  folded_.push_back({.partition = applied.partition,
                     .position = applied.position,
                     .recorded_time = applied.commit.recorded_time,
                     .file = applied.commit.file,
                     .school = applied.commit.school,
                     .bytes = applied.bytes,
                     .notes = NotesOf(applied)});
}

void Audit::HandOver() {
  std::vector<Folded> folded = std::move(folded_);
  folded_.clear();
  bool idle = false;
  {
    const std::lock_guard lock(mutex_);
    idle = handed_over_.empty();
    handed_over_.insert(handed_over_.end(), std::make_move_iterator(folded.begin()), std::make_move_iterator(folded.end()));
  }
  if (!idle) return;
  worker_->Post([this] {
    const std::lock_guard lock(mutex_);
    queue_.insert(queue_.end(), std::make_move_iterator(handed_over_.begin()), std::make_move_iterator(handed_over_.end()));
    handed_over_.clear();
  });
}

// ------------------------------------------------------------------------------------------------ storing

absl::Time Audit::OnWorkerWake() {
  const absl::Time now = real_clock_->NowReal();
  if (!queue_.empty() && store_at_ <= now) Store();
  std::erase_if(waiting_, [&](const WaitingTimeline& waiting) { return AnswerTimeline(waiting, waiting.give_up <= now); });
  absl::Time next = queue_.empty() ? absl::InfiniteFuture() : store_at_;
  for (const WaitingTimeline& waiting : waiting_) next = std::min(next, waiting.give_up);
  return next;
}

void Audit::Store() {
  // Whole messages only: the ledger takes them so.
  std::size_t count = std::min(queue_.size(), kMaxCommitsPerSync);
  const auto same_message = [](const Folded& a, const Folded& b) {
    return a.partition == b.partition && a.position.sequence == b.position.sequence;
  };
  while (count < queue_.size() && same_message(queue_[count - 1], queue_[count])) ++count;
  const auto middle = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Folded> commits(std::make_move_iterator(queue_.begin()), std::make_move_iterator(middle));
  queue_.erase(queue_.begin(), middle);

  absl::Status stored = AppendToLedger(commits);
  absl::StatusOr<std::vector<StoredCommit>> added = stored.ok() ? AddToStore(commits) : stored;
  if (!added.ok()) {
    log::Error("the ledger or the timeline cannot be written; trying again", {{"reason", added.status()}});
    queue_.insert(queue_.begin(), std::make_move_iterator(commits.begin()), std::make_move_iterator(commits.end()));
    store_at_ = real_clock_->NowReal() + kTryAgainAfter;
    return;
  }
  for (const Folded& commit : commits) {
    const auto partition = static_cast<std::uint32_t>(commit.partition);
    size_[partition].Set(static_cast<double>(ledger_->Size(partition)));
  }
  Broadcast(*added);
  store_at_ = real_clock_->NowReal() + options_.gather;
}

absl::Status Audit::AppendToLedger(const std::vector<Folded>& commits) {
  std::vector<LedgerCommit> message;
  for (std::size_t i = 0; i < commits.size();) {
    const Folded& first = commits[i];
    const auto partition = static_cast<std::uint32_t>(first.partition);
    message.clear();
    for (; i < commits.size() && commits[i].partition == first.partition && commits[i].position.sequence == first.position.sequence; ++i) {
      if (Planted("ledger-leaves-out-commits") && i % 5 == 4) continue;
      message.push_back({.file = commits[i].file, .school = commits[i].school, .recorded_time = commits[i].recorded_time, .bytes = commits[i].bytes});
    }
    if (first.position.sequence <= ledger_->AppendedPosition(partition)) continue;
    // Messages between that no reader believes: they have no leaf, but their place.
    for (std::uint64_t skipped = ledger_->AppendedPosition(partition) + 1; skipped < first.position.sequence; ++skipped) {
      if (absl::Status s = ledger_->Append({.partition = partition, .sequence = skipped, .commits = {}}); !s.ok()) return s;
    }
    if (absl::Status s = ledger_->Append({.partition = partition, .sequence = first.position.sequence, .commits = message}); !s.ok()) return s;
  }
  return ledger_->Commit();
}

absl::StatusOr<std::vector<StoredCommit>> Audit::AddToStore(const std::vector<Folded>& commits) {
  std::vector<StoredCommit> added;
  if (absl::Status begun = store_->Begin(); !begun.ok()) return begun;
  for (const Folded& commit : commits) {
    if (commit.position.sequence <= store_->Position(commit.partition)) continue;
    const absl::StatusOr<v1::Timeline> rows = RowsOf(commit.partition, commit.position, commit.bytes, commit.notes);
    StoredCommit stored{.partition = commit.partition,
                        .position = commit.position,
                        .school = commit.school,
                        .case_id = commit.notes.case_id,
                        .recused = commit.notes.recused};
    if (rows.ok()) stored.rows = rows->SerializeAsString();
    if (absl::Status s = store_->Add(stored); !s.ok()) {
      store_->GiveUp();
      return s;
    }
    added.push_back(std::move(stored));
  }
  if (absl::Status ended = store_->End(); !ended.ok()) {
    store_->GiveUp();
    return ended;
  }
  return added;
}

// ------------------------------------------------------------------------------------------------ answering

absl::Status Audit::Authorize(const Caller& caller, std::string_view permission, std::string_view school) const {
  const domain::Pack& pack = *PacksOf(school).front();
  const auto role = pack.roles.find(caller.role);
  if (role == pack.roles.end() || std::find(role->second.may.begin(), role->second.may.end(), permission) == role->second.may.end()) {
    return absl::PermissionDeniedError("this role may not do that");
  }
  if (caller.school != kEverySchool && caller.school != school) return absl::PermissionDeniedError("another school's");
  return absl::OkStatus();
}

// A partition holds several schools; its hashes say nothing of them.
absl::Status Audit::AuthorizePartition(const Caller& caller, std::uint32_t partition) const {
  if (absl::Status may = Authorize(caller, "audit.read", caller.school); !may.ok()) return may;
  return CheckPartition(partition);
}

void Audit::OnWorker(std::function<void()> task) {
  // What has been folded is read by whoever asks after it: not a sync later.
  worker_->Post([this, task = std::move(task)] {
    if (!queue_.empty() && store_at_ <= real_clock_->NowReal() + options_.gather) Store();
    task();
  });
}

void Audit::GetTimeline(const Caller& caller, const v1::GetTimelineRequest& request, Reply<v1::Timeline> reply) {
  OnWorker([this, caller, request, reply = std::move(reply)]() mutable {
    WaitingTimeline waiting{caller, request, std::move(reply), real_clock_->NowReal() + kWaitForCase};
    if (!AnswerTimeline(waiting, false)) waiting_.push_back(std::move(waiting));
  });
}

bool Audit::AnswerTimeline(const WaitingTimeline& waiting, bool last_try) {
  const absl::StatusOr<std::vector<StoredCommit>> commits = store_->OfCase(waiting.request.case_());
  if (!commits.ok()) {
    waiting.reply(commits.status());
    return true;
  }
  if (commits->empty()) {
    if (last_try) waiting.reply(absl::NotFoundError("no such case"));
    return last_try;
  }
  if (absl::Status may = Authorize(waiting.caller, "case.read", commits->front().school); !may.ok()) {
    waiting.reply(may);
    return true;
  }
  if (IsRecused(commits->back(), waiting.caller.person)) {
    waiting.reply(absl::NotFoundError("no such case"));
    return true;
  }
  v1::Timeline timeline;
  for (const StoredCommit& commit : *commits) {
    if (!timeline.MergeFromString(commit.rows)) {
      waiting.reply(absl::DataLossError("a row of the timeline does not parse"));
      return true;
    }
  }
  for (v1::TimelineRow& row : *timeline.mutable_events()) {
    HideIndicators(PacksOf(row.school()), waiting.caller.role, waiting.caller.person, &row);
    row.set_summary(Summary(PacksOf(row.school()), row, waiting.request.language()));
  }
  waiting.reply(std::move(timeline));
  return true;
}

void Audit::GetCheckpoint(const Caller& caller, const v1::GetCheckpointRequest& request, Reply<v1::Checkpoint> reply) {
  OnWorker([this, caller, request, reply = std::move(reply)] {
    if (absl::Status may = AuthorizePartition(caller, request.partition()); !may.ok()) return reply(may);
    v1::Checkpoint checkpoint;
    checkpoint.set_text(ledger_->SignedCheckpoint(request.partition()));
    reply(std::move(checkpoint));
  });
}

v1::Entry Audit::EntryFor(const Caller& caller, LedgerEntry entry) const {
  v1::Entry view;
  view.set_leaf(entry.id.leaf);
  view.set_sequence(entry.sequence);
  view.set_index(entry.index);
  view.set_leaf_hash(AsString(entry.leaf_hash));
  // Of another school only the hash, which every proof needs.
  if (caller.school == kEverySchool || caller.school == entry.school) view.set_commit(std::move(entry.bytes));
  return view;
}

void Audit::GetEntry(const Caller& caller, const v1::GetEntryRequest& request, Reply<v1::Entry> reply) {
  OnWorker([this, caller, request, reply = std::move(reply)] {
    if (absl::Status may = AuthorizePartition(caller, request.partition()); !may.ok()) return reply(may);
    absl::StatusOr<LedgerEntry> entry = ledger_->Entry({request.partition(), request.leaf()});
    if (!entry.ok()) return reply(entry.status());
    reply(EntryFor(caller, *std::move(entry)));
  });
}

void Audit::ListEntries(const Caller& caller, const v1::ListEntriesRequest& request, Reply<v1::ListEntriesResponse> reply) {
  OnWorker([this, caller, request, reply = std::move(reply)] {
    if (absl::Status may = AuthorizePartition(caller, request.partition()); !may.ok()) return reply(may);
    const std::uint32_t wanted = request.page_size() == 0 ? kMaxPageSize : std::min(request.page_size(), kMaxPageSize);
    v1::ListEntriesResponse response;
    response.set_size(ledger_->Size(request.partition()));
    if (request.from() < response.size()) {
      absl::StatusOr<std::vector<LedgerEntry>> entries = ledger_->Entries(request.partition(), request.from(), wanted);
      if (!entries.ok()) return reply(entries.status());
      for (LedgerEntry& entry : *entries) *response.add_entries() = EntryFor(caller, std::move(entry));
    }
    reply(std::move(response));
  });
}

void Audit::GetInclusion(const Caller& caller, const v1::GetInclusionRequest& request, Reply<v1::Proof> reply) {
  OnWorker([this, caller, request, reply = std::move(reply)] {
    if (absl::Status may = AuthorizePartition(caller, request.partition()); !may.ok()) return reply(may);
    const std::uint64_t size = request.size() == 0 ? ledger_->Size(request.partition()) : request.size();
    const auto entry = ledger_->Entry({request.partition(), request.leaf()});
    if (!entry.ok()) return reply(entry.status());
    const auto root = ledger_->Root(request.partition(), size);
    if (!root.ok()) return reply(Asked("size", root.status()));
    const auto hashes = ledger_->InclusionProof(request.partition(), request.leaf(), size);
    if (!hashes.ok()) return reply(Asked("size", hashes.status()));
    v1::Proof proof;
    for (std::string& hash : Bytes(*hashes)) proof.add_hashes(std::move(hash));
    proof.set_leaf_hash(AsString(entry->leaf_hash));
    proof.set_root(AsString(*root));
    proof.set_size(size);
    reply(std::move(proof));
  });
}

void Audit::GetConsistency(const Caller& caller, const v1::GetConsistencyRequest& request, Reply<v1::Proof> reply) {
  OnWorker([this, caller, request, reply = std::move(reply)] {
    if (absl::Status may = AuthorizePartition(caller, request.partition()); !may.ok()) return reply(may);
    const std::uint64_t to = request.to() == 0 ? ledger_->Size(request.partition()) : request.to();
    const auto old_root = ledger_->Root(request.partition(), request.from());
    if (!old_root.ok()) return reply(Asked("from", old_root.status()));
    const auto root = ledger_->Root(request.partition(), to);
    if (!root.ok()) return reply(Asked("to", root.status()));
    const auto hashes = ledger_->ConsistencyProof(request.partition(), request.from(), to);
    if (!hashes.ok()) return reply(Asked("from", hashes.status()));
    v1::Proof proof;
    for (std::string& hash : Bytes(*hashes)) proof.add_hashes(std::move(hash));
    proof.set_old_root(AsString(*old_root));
    proof.set_root(AsString(*root));
    proof.set_size(to);
    reply(std::move(proof));
  });
}

// ------------------------------------------------------------------------------------------------ streaming

void Audit::OpenStream(const Caller& caller, const v1::StreamEventsRequest& request, std::shared_ptr<RowSink> sink) {
  OnWorker([this, caller, request, sink = std::move(sink)]() mutable {
    const std::string school = request.school().empty() && caller.school != kEverySchool ? caller.school : request.school();
    if (absl::Status may = Authorize(caller, "events.read", school); !may.ok()) return sink->End(may);
    auto stream = std::make_unique<Stream>();
    stream->school = school;
    stream->language = request.language();
    stream->person = caller.person;
    stream->role = caller.role;
    stream->cursor = store_->LastOrdinal();
    if (!request.after().empty()) {
      const std::optional<LogPosition> after = ParsePosition(request.after());
      if (!after) return sink->End(rpc::InvalidField("after", "is no position"));
      const absl::StatusOr<std::int64_t> ordinal = store_->OrdinalOf(after->partition, after->position);
      if (!ordinal.ok()) return sink->End(ordinal.status());
      stream->cursor = *ordinal;
    }
    stream->sink = std::move(sink);
    const RowSink* opened = stream->sink.get();
    streams_.push_back(std::move(stream));
    Pump(opened);
  });
}

void Audit::Continue(const RowSink* sink) {
  worker_->Post([this, sink] { Pump(sink); });
}

void Audit::Close(const RowSink* sink) {
  worker_->Post([this, sink] { std::erase_if(streams_, [&](const auto& stream) { return stream->sink.get() == sink; }); });
}

bool Audit::Give(Stream& stream, const StoredCommit& commit) {
  bool room = true;
  v1::Timeline timeline;
  if (!IsRecused(commit, stream.person) && timeline.ParseFromString(commit.rows)) {
    for (v1::TimelineRow& row : *timeline.mutable_events()) {
      HideIndicators(PacksOf(row.school()), stream.role, stream.person, &row);
      row.set_summary(Summary(PacksOf(row.school()), row, stream.language));
      room = stream.sink->Offer(std::move(row)) && room;
    }
  }
  stream.cursor = commit.ordinal;
  return room;
}

void Audit::Broadcast(const std::vector<StoredCommit>& commits) {
  for (const auto& stream : streams_) {
    for (const StoredCommit& commit : commits) {
      if (!stream->live) break;  // it is behind, and reads the table when it has room
      if (stream->school.empty() || stream->school == commit.school) stream->live = Give(*stream, commit);
    }
  }
}

void Audit::Pump(const RowSink* sink) {
  const auto it = std::find_if(streams_.begin(), streams_.end(), [&](const auto& stream) { return stream->sink.get() == sink; });
  if (it == streams_.end() || (*it)->live) return;
  Stream& stream = **it;
  const auto commits = store_->After(stream.cursor, stream.school, kRowsPerRead);
  if (!commits.ok()) {
    stream.sink->End(commits.status());
    streams_.erase(it);
    return;
  }
  for (const StoredCommit& commit : *commits) {
    if (!Give(stream, commit)) return;
  }
  if (commits->size() < kRowsPerRead) {
    stream.live = true;
  } else {
    Continue(sink);  // others have their turn between
  }
}

}  // namespace vigil::audit
