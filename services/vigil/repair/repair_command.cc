#include "vigil/repair/repair_command.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "audit/ledger/note.h"
#include "vigil/log/v1/commit.pb.h"
#include "vigil/repair/stream_writer.h"
#include "vigil/verify/ledger_reader.h"
#include "vigil/verify/trust.h"

namespace vigil {
namespace {

// The ledger of one partition, read and checked against its signed checkpoint.
struct LedgerCopy {
  std::vector<LedgerEntry> entries;
  Checkpoint checkpoint;
};

absl::StatusOr<LedgerCopy> ReadLedger(const Connection& connection, const Trust& trust, int partition) {
  absl::StatusOr<std::string> text = FetchCheckpoint(connection, partition);
  if (!text.ok()) return text.status();
  absl::StatusOr<Checkpoint> checkpoint =
      OpenCheckpoint(*text, *trust.checkpoint_key, LedgerOrigin(trust.installation, static_cast<std::uint32_t>(partition)));
  if (!checkpoint.ok()) return checkpoint.status();
  LedgerCopy copy;
  copy.checkpoint = *checkpoint;
  LedgerReader reader(connection, partition, checkpoint->size);
  const PartitionToVerify what{.partition = static_cast<std::uint32_t>(partition),
                               .installation = trust.installation,
                               .key = *trust.checkpoint_key,
                               .checkpoint = *text,
                               .ledger =
                                   [&](LedgerEntry& entry) {
                                     absl::StatusOr<bool> more = reader.Next(entry);
                                     if (more.ok() && *more) copy.entries.push_back(entry);
                                     return more;
                                   },
                               .stream = {}};
  const absl::StatusOr<PartitionVerification> verified = VerifyPartition(what);
  if (!verified.ok()) return verified.status();
  if (verified->difference) return absl::DataLossError(absl::StrCat("the ledger is not what it signed: ", verified->difference->text));
  return copy;
}

class PartitionRepair {
 public:
  PartitionRepair(Sources& sources, int partition, LedgerCopy ledger)
      : log_(*sources.at(std::string(kRepairSource)).log), writer_(sources, partition), partition_(partition), ledger_(std::move(ledger)) {}

  struct Done {
    std::uint64_t compared = 0;
    std::uint64_t appended = 0;
    std::uint64_t whole_until = 0;
  };

  // `named`: whoever asks for this partition by its number knows that something is lost.
  absl::StatusOr<Done> Run(bool only_look, bool named) {
    const absl::StatusOr<StreamInfo> info = log_.Info(partition_);
    if (!info.ok()) return info.status();
    Done done;
    std::size_t next = 0;
    const std::uint64_t end = ledger_.entries.empty() ? 0 : ledger_.entries.back().sequence;
    for (std::uint64_t sequence = 1; sequence <= std::max(end, info->last_sequence); ++sequence) {
      std::vector<const LedgerEntry*> entries;
      while (next < ledger_.entries.size() && ledger_.entries[next].sequence == sequence) entries.push_back(&ledger_.entries[next++]);
      if (sequence <= info->last_sequence) {
        if (absl::Status same = Compare(sequence, entries, sequence <= end); !same.ok()) return same;
        ++done.compared;
      } else {
        if (!only_look) {
          if (absl::Status appended = Append(sequence, entries); !appended.ok()) return appended;
        }
        ++done.appended;
      }
    }
    if (absl::Status stored = writer_.Flush(); !stored.ok()) return stored;
    done.whole_until = std::max(end, info->last_sequence);
    if (only_look || (done.appended == 0 && !named)) return done;
    const Checkpoint& checkpoint = ledger_.checkpoint;
    if (absl::Status said = writer_.SayReopened(info->created_time, done.whole_until, checkpoint.size, checkpoint.root); !said.ok()) return said;
    return done;
  }

 private:
  // The stream has what the ledger has; what it has beyond is its own, and stays.
  absl::Status Compare(std::uint64_t sequence, const std::vector<const LedgerEntry*>& entries, bool in_ledger) {
    const absl::StatusOr<LogMessage> message = log_.Read(partition_, sequence);
    if (!message.ok()) return message.status();
    const std::optional<DecodedBatch> batch = writer_.Note(*message);
    if (!in_ledger) return absl::OkStatus();
    const std::size_t commits = batch ? batch->commits.size() : 0;
    bool same = commits == entries.size();
    for (std::size_t i = 0; same && i < commits; ++i) same = batch->commits[i] == entries[i]->bytes;
    if (same) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("partition ", partition_, ": message ", sequence,
                                                      " is not what the ledger has there. Nothing was changed; move this stream's files away, and start again"));
  }

  absl::Status Append(std::uint64_t sequence, const std::vector<const LedgerEntry*>& entries) {
    if (entries.empty()) return writer_.AppendFiller(sequence);
    std::vector<std::string> commits;
    log::v1::Commit commit;
    for (const LedgerEntry* entry : entries) commits.push_back(entry->bytes);
    if (!commit.ParseFromString(commits.back())) return absl::DataLossError("a commit of the ledger does not parse");
    return writer_.AppendCommits(sequence, commit.source(), std::move(commits));
  }

  Log& log_;
  StreamWriter writer_;
  const int partition_;
  const LedgerCopy ledger_;
};

}  // namespace

ExitCode RunRepair(const RepairOptions& repair, const RunOptions& options, const Environment& environment) {
  const bool zh = options.connection.language == Language::kChinese;
  const auto fail = [&](const absl::Status& status) {
    std::fprintf(stderr, "vigil repair: %s\n", std::string(status.message()).c_str());
    return absl::IsUnavailable(status) ? kExitUnreachable : kExitRefused;
  };
  const absl::StatusOr<Trust> trust = ReadTrust(environment.Get("VIGIL_HOME"));
  if (!trust.ok()) return fail(trust.status());
  absl::StatusOr<Sources> sources = OpenSources(environment.Get("VIGIL_HOME"), environment.Get("VIGIL_NATS_URL"), environment.Get("VIGIL_NATS_CA"), *trust);
  if (!sources.ok()) return fail(sources.status());
  std::vector<int> partitions = repair.partitions;
  if (partitions.empty()) {
    partitions.resize(kPartitions);
    std::iota(partitions.begin(), partitions.end(), 0);
  }
  nlohmann::ordered_json report = nlohmann::ordered_json::array();
  for (const int partition : partitions) {
    absl::StatusOr<LedgerCopy> ledger = ReadLedger(options.connection, *trust, partition);
    if (!ledger.ok()) return fail(ledger.status());
    const absl::StatusOr<PartitionRepair::Done> done = PartitionRepair(*sources, partition, *std::move(ledger)).Run(repair.only_look, !repair.partitions.empty());
    if (!done.ok()) return fail(done.status());
    report.push_back({{"partition", partition}, {"compared", done->compared}, {"appended", done->appended}, {"whole_until", done->whole_until}});
    if (!options.json) {
      std::printf(zh ? "分区 %02d：核对 %llu 条，补写 %llu 条\n" : "partition %02d: %llu messages compared, %llu appended again\n", partition,
                  static_cast<unsigned long long>(done->compared), static_cast<unsigned long long>(done->appended));
    }
  }
  if (options.json) std::printf("%s\n", nlohmann::ordered_json{{"repaired", !repair.only_look}, {"partitions", report}}.dump().c_str());
  return kExitDone;
}

}  // namespace vigil
