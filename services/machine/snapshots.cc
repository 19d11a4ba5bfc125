#include "machine/snapshots.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "platform/crypto/hash.h"
#include "platform/logging/log.h"
#include "vigil/log/v1/events.convert.h"
#include "vigil/state/v1/snapshot.pb.h"
#include "vigil/state/v1/state.convert.h"

namespace vigil {
namespace {

constexpr std::string_view kContext = "vigil snapshot v1\n";
constexpr std::size_t kChunkBytes = 1024 * 1024;

std::string Signable(std::string_view head) { return absl::StrCat(std::string(kContext), std::string(head)); }

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<std::int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

// What concerns the installation itself stands in partition 0, under no school.
int PartitionOfState(const std::string& school) { return school.empty() ? 0 : PartitionOf(school); }

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

}  // namespace

struct Snapshots::Work {
  int partition = 0;
  state::v1::SnapshotHead head;
  state::v1::SnapshotFiles files;  // of the chunk being filled
  std::size_t bytes = 0;
  std::vector<std::string> chunks;  // but the first
  std::size_t next = 0;             // in the partition's files
  std::size_t end = 0;              // those that came later are not in it
  bool abandoned = false;
};

Snapshots::Snapshots(Machine* machine, Service* service, SnapshotStore* store, Loop* loop, Loop* worker, SigningKey key,
                     SnapshotOptions options)
    : machine_(machine), service_(service), store_(store), loop_(loop), worker_(worker), key_(std::move(key)), options_(std::move(options)) {
  saved_time_.fill(absl::InfinitePast());
}

Snapshots::~Snapshots() = default;

std::string Snapshots::Name(int partition) const {
  return absl::StrFormat("%s/%02d", std::string(machine_->source()), partition);
}

// ------------------------------------------------------------------------------------------------ taking over

int Snapshots::Restore(Log& log) {
  int restored = 0;
  for (int partition = 0; partition < kPartitions; ++partition) {
    const absl::Status status = RestorePartition(log, partition);
    if (status.ok()) {
      ++restored;
    } else if (absl::IsUnavailable(status)) {
      log::Warn("snapshots cannot be reached; the log is read instead", {{"reason", status}});
      return restored;
    } else if (!absl::IsNotFound(status)) {
      log::Info("a snapshot is not used; the log is read instead", {{"partition", partition}, {"reason", status}});
    }
  }
  return restored;
}

absl::Status Snapshots::RestorePartition(Log& log, int partition) {
  const absl::StatusOr<Snapshot> snapshot = store_->Get(Name(partition));
  if (!snapshot.ok()) return snapshot.status();
  state::v1::Signed envelope;
  state::v1::SnapshotHead head;
  if (snapshot->chunks.empty() || !envelope.ParseFromString(snapshot->chunks.front()) ||
      !key_.verify_key().Verify(Signable(envelope.head()), envelope.signature()) || !head.ParseFromString(envelope.head())) {
    return absl::DataLossError("not signed by this service");
  }
  if (head.source() != machine_->source() || head.partition() != static_cast<std::uint32_t>(partition)) {
    return absl::DataLossError("of another service or partition");
  }
  if (head.program() != options_.program) return absl::FailedPreconditionError("made by another version of the program");
  if (head.pack() != machine_->common_pack().digest) return absl::FailedPreconditionError("made with another pack");
  const KnownPosition known{.created_time = FromTimestamp(head.stream_created_time()), .sequence = head.sequence(), .hash = head.last_hash()};
  // No repair is believed here: what it put back need not stand where it stood.
  if (const absl::StatusOr<CheckedStream> stream = CheckStream(log, partition, known, {}, false); !stream.ok()) return stream.status();
  if (static_cast<std::size_t>(head.chunk_hashes_size()) + 1 != snapshot->chunks.size()) return absl::DataLossError("chunks are missing");
  // All is looked at before anything is taken over.
  std::vector<state::v1::SnapshotFiles> files(snapshot->chunks.size() - 1);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string& chunk = snapshot->chunks[i + 1];
    if (AsString(Sha256(chunk)) != head.chunk_hashes(static_cast<int>(i)) || !files[i].ParseFromString(chunk)) {
      return absl::DataLossError("a chunk is not as it was written");
    }
  }
  if (absl::Status tables = service_->LoadTables(partition, head.tables()); !tables.ok()) return tables;

  Machine::PartitionHead machine_head{.sequence = head.sequence(),
                                      .last_recorded = FromTimestamp(head.last_recorded_time()),
                                      .own_last_sequence = head.own_last_sequence()};
  for (const state::v1::SnapshotSource& source : head.sources()) machine_head.chain[source.source()] = source.hash();
  if (head.has_clock()) machine_head.clock = contract::FromProto(head.clock());
  machine_->RestoreHead(partition, machine_head);
  for (const state::v1::SchoolState& school : head.schools()) machine_->RestoreSchool(contract::FromProto(school));
  for (const state::v1::SnapshotFiles& chunk : files) {
    for (const state::v1::FileState& file : chunk.files()) machine_->RestoreFile(partition, contract::FromProto(file));
  }
  saved_sequence_[static_cast<std::size_t>(partition)] = head.sequence();
  return absl::OkStatus();
}

// ------------------------------------------------------------------------------------------------ taking one

void Snapshots::Consider() {
  if (work_ != nullptr || !machine_->caught_up()) return;
  const absl::Time now = machine_->clock()->NowReal();
  int due = -1;
  std::uint64_t most = 0;
  for (int partition = 0; partition < kPartitions; ++partition) {
    const auto p = static_cast<std::size_t>(partition);
    const Machine::PartitionHead head = machine_->HeadOf(partition);
    if (machine_->stopped(partition) || head.known.sequence != head.sequence) continue;
    const std::uint64_t messages = head.sequence - saved_sequence_[p];
    if (messages < options_.least_messages || messages <= most || now - saved_time_[p] < options_.interval) continue;
    due = partition;
    most = messages;
  }
  if (due >= 0) Begin(due);
}

void Snapshots::Begin(int partition) {
  work_ = std::make_unique<Work>();
  work_->partition = partition;
  work_->end = machine_->FilesOf(partition).size();
  const Machine::PartitionHead now = machine_->HeadOf(partition);
  state::v1::SnapshotHead& head = work_->head;
  head.set_program(options_.program);
  head.set_pack(machine_->common_pack().digest);
  head.set_source(std::string(machine_->source()));
  head.set_partition(static_cast<std::uint32_t>(partition));
  head.set_sequence(now.sequence);
  *head.mutable_stream_created_time() = ToTimestamp(now.known.created_time);
  head.set_last_hash(now.known.hash);
  *head.mutable_last_recorded_time() = ToTimestamp(now.last_recorded);
  head.set_own_last_sequence(now.own_last_sequence);
  for (const auto& [source, hash] : now.chain) {
    state::v1::SnapshotSource& added = *head.add_sources();
    added.set_source(source);
    added.set_hash(hash);
  }
  if (now.clock) contract::ToProto(*now.clock, head.mutable_clock());
  for (const auto& [id, school] : machine_->schools()) {
    if (PartitionOfState(id) == partition) contract::ToProto(school.state, head.add_schools());
  }
  head.set_tables(service_->SaveTables(partition));

  ++epoch_;
  machine_->BeforeChange([this](FileEntry& file) {
    if (file.partition == work_->partition && file.snapshot != epoch_) Save(file);
  });
  loop_->Post([this] { SaveSlice(); });
}

void Snapshots::SaveSlice() {
  const std::vector<FileEntry*>& files = machine_->FilesOf(work_->partition);
  for (std::size_t saved = 0; saved < options_.slice && work_->next < work_->end; ++work_->next) {
    FileEntry& file = *files[work_->next];
    if (file.snapshot == epoch_) continue;
    Save(file);
    ++saved;
  }
  if (work_->next < work_->end) {
    loop_->Post([this] { SaveSlice(); });
  } else {
    Finish();
  }
}

void Snapshots::Save(FileEntry& file) {
  file.snapshot = epoch_;
  if (file.state.file.empty()) return;  // nothing had been written about it when this began
  // What was passed over is not in its state, and why is known by the log alone.
  if (file.quarantined) work_->abandoned = true;
  state::v1::FileState& saved = *work_->files.add_files();
  contract::ToProto(file.state, &saved);
  work_->bytes += saved.ByteSizeLong();
  if (work_->bytes >= kChunkBytes) CloseChunk();
}

void Snapshots::CloseChunk() {
  if (work_->files.files_size() == 0) return;
  work_->chunks.push_back(work_->files.SerializeAsString());
  work_->head.add_chunk_hashes(AsString(Sha256(work_->chunks.back())));
  work_->files.Clear();
  work_->bytes = 0;
}

void Snapshots::Finish() {
  machine_->BeforeChange(nullptr);
  CloseChunk();
  // What is left, the signature and the store, is not the loop's work. The work stays until the answer, so that there is one at a time.
  worker_->Post([this] {
    state::v1::Signed envelope;
    envelope.set_head(work_->head.SerializeAsString());
    envelope.set_signature(key_.Sign(Signable(envelope.head())));
    Snapshot snapshot{.position = work_->head.sequence(), .chunks = {envelope.SerializeAsString()}};
    for (std::string& chunk : work_->chunks) snapshot.chunks.push_back(std::move(chunk));
    const absl::Status put = work_->abandoned ? store_->Remove(Name(work_->partition)) : store_->Put(Name(work_->partition), snapshot);
    loop_->Post([this, put] {
      const auto partition = static_cast<std::size_t>(work_->partition);
      saved_time_[partition] = machine_->clock()->NowReal();
      if (put.ok()) {
        saved_sequence_[partition] = work_->head.sequence();
        if (!work_->abandoned) ++written_;
      } else if (!absl::IsUnavailable(put)) {
        log::Warn("a snapshot was not written", {{"partition", work_->partition}, {"reason", put}});
      }
      work_.reset();
    });
  });
}

}  // namespace vigil
