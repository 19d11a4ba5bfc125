#include "vigil/verify/verify_command.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "audit/ledger/note.h"
#include "machine/batch_codec.h"
#include "platform/crypto/encoding.h"
#include "platform/log/nats_log.h"
#include "vigil/verify/ledger_reader.h"
#include "vigil/verify/stream_reader.h"
#include "vigil/verify/trust.h"

namespace vigil {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// How long the ledger may take to sign what the log held when we asked.
constexpr absl::Duration kLedgerPatience = absl::Seconds(30);
constexpr absl::Duration kConnectPatience = absl::Seconds(5);

absl::StatusOr<std::unique_ptr<Log>> OpenLog(const Environment& environment) {
  NatsOptions nats;
  nats.url = environment.Get("VIGIL_NATS_URL");
  nats.name = "vigil-verify";
  nats.ca_file = environment.Get("VIGIL_NATS_CA");
  nats.nkey_seed_file = environment.Get("VIGIL_NATS_SEED_FILE");
  nats.inbox_prefix = "_INBOX_reader";
  if (nats.url.empty()) return absl::InvalidArgumentError("there is no VIGIL_NATS_URL: read $VIGIL_HOME/env first");
  absl::StatusOr<std::unique_ptr<Log>> log = OpenNatsLog(std::move(nats), "reader");
  if (!log.ok()) return log.status();
  const absl::Time end = absl::Now() + kConnectPatience;
  while (!(*log)->connected() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
  if (!(*log)->connected()) return absl::UnavailableError("the log cannot be reached");
  return log;
}

struct Finding {
  int partition = 0;
  std::uint64_t commits = 0;
  std::uint64_t skipped = 0;
  std::optional<Difference> difference;
};

// One look: the ledger may not have signed yet what the log already has.
absl::StatusOr<Finding> Look(const Connection& connection, Log& log, const Trust& trust, int partition, std::uint64_t required_sequence) {
  absl::StatusOr<std::string> checkpoint = FetchCheckpoint(connection, partition);
  if (!checkpoint.ok()) return checkpoint.status();
  // The log goes on while we look; what the checkpoint covers is in it by now.
  absl::StatusOr<StreamInfo> info = log.Info(partition);
  if (!info.ok()) return info.status();
  absl::StatusOr<std::unique_ptr<StreamReader>> stream = StreamReader::Open(log, partition, info->last_sequence, trust.sources);
  if (!stream.ok()) return stream.status();
  std::uint64_t size = 0;
  if (const absl::StatusOr<Checkpoint> signed_size = OpenCheckpoint(*checkpoint, *trust.checkpoint_key, LedgerOrigin(trust.installation, static_cast<std::uint32_t>(partition)));
      signed_size.ok()) {
    size = signed_size->size;
  }
  LedgerReader ledger(connection, partition, size);
  const PartitionToVerify what{.partition = static_cast<std::uint32_t>(partition),
                               .installation = trust.installation,
                               .key = *trust.checkpoint_key,
                               .checkpoint = *checkpoint,
                               .ledger = [&](LedgerEntry& entry) { return ledger.Next(entry); },
                               .stream = [&](StreamCommit& commit) { return (*stream)->Next(commit); },
                               .required_sequence = required_sequence};
  absl::StatusOr<PartitionVerification> verified = VerifyPartition(what);
  if (!verified.ok()) return verified.status();
  return Finding{.partition = partition, .commits = verified->leaves, .skipped = (*stream)->skipped(), .difference = verified->difference};
}

absl::StatusOr<Finding> VerifyOne(const Connection& connection, Log& log, const Trust& trust, int partition) {
  absl::StatusOr<StreamInfo> info = log.Info(partition);
  if (!info.ok()) return info.status();
  const absl::Time end = absl::Now() + kLedgerPatience;
  for (;;) {
    absl::StatusOr<Finding> finding = Look(connection, log, trust, partition, info->last_sequence);
    const bool early = finding.ok() ? finding->difference.has_value() && finding->difference->kind == DifferenceKind::kCheckpointBehind
                                    : absl::IsUnavailable(finding.status());
    if (!early || absl::Now() > end) return finding;
    absl::SleepFor(absl::Milliseconds(300));
  }
}

using OnFinding = std::function<void(const Finding&)>;

absl::StatusOr<std::vector<Finding>> VerifyEach(const Connection& connection, const Environment& environment, std::vector<int> partitions,
                                                const OnFinding& on_finding) {
  absl::StatusOr<Trust> trust = ReadTrust(environment.Get("VIGIL_HOME"));
  if (!trust.ok()) return trust.status();
  absl::StatusOr<std::unique_ptr<Log>> log = OpenLog(environment);
  if (!log.ok()) return log.status();
  if (partitions.empty()) {
    partitions.resize(kPartitions);
    std::iota(partitions.begin(), partitions.end(), 0);
  }
  std::vector<Finding> findings;
  for (const int partition : partitions) {
    absl::StatusOr<Finding> finding = VerifyOne(connection, **log, *trust, partition);
    if (!finding.ok()) return finding.status();
    on_finding(*finding);
    findings.push_back(*std::move(finding));
  }
  return findings;
}

ordered_json FindingJson(const Finding& finding) {
  ordered_json out{{"partition", finding.partition}, {"commits", finding.commits}, {"skipped", finding.skipped}};
  out["difference"] = finding.difference ? ordered_json(finding.difference->text) : ordered_json(nullptr);
  return out;
}

}  // namespace

absl::StatusOr<Verified> VerifyAll(const Connection& connection, const Environment& environment) {
  absl::StatusOr<std::vector<Finding>> findings = VerifyEach(connection, environment, {}, [](const Finding&) {});
  if (!findings.ok()) return findings.status();
  Verified verified;
  for (const Finding& finding : *findings) {
    if (finding.difference) return absl::DataLossError(finding.difference->text);
    verified.commits += finding.commits;
    if (finding.commits > 0) ++verified.partitions;
  }
  return verified;
}

ExitCode RunVerify(const VerifyOptions& verify, const RunOptions& options, const Environment& environment) {
  const Language language = options.connection.language;
  const auto show = [&](const Finding& finding) {
    if (options.json) return;
    if (finding.difference) {
      std::printf("%s\n", finding.difference->text.c_str());
    } else if (finding.commits > 0 || finding.skipped > 0) {
      std::string line = absl::StrFormat("partition %02d: %d commits", finding.partition, finding.commits);
      if (finding.skipped > 0) absl::StrAppend(&line, ", ", finding.skipped, " forged or damaged messages skipped");
      std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
  };
  const absl::StatusOr<std::vector<Finding>> findings = VerifyEach(options.connection, environment, verify.partitions, show);
  if (!findings.ok()) {
    std::fprintf(stderr, "vigil: %s\n", std::string(findings.status().message()).c_str());
    if (absl::IsUnavailable(findings.status())) return kExitUnreachable;
    return absl::IsInvalidArgument(findings.status()) ? kExitWrongUsage : kExitRefused;
  }
  std::uint64_t commits = 0;
  int partitions = 0;
  int differences = 0;
  ordered_json list = ordered_json::array();
  for (const Finding& finding : *findings) {
    commits += finding.commits;
    partitions += finding.commits > 0 ? 1 : 0;
    differences += finding.difference ? 1 : 0;
    list.push_back(FindingJson(finding));
  }
  if (options.json) {
    std::printf("%s\n", ordered_json{{"verified", differences == 0}, {"commits", commits}, {"partitions", list}}.dump().c_str());
  } else if (differences == 0) {
    std::printf("verified: %llu commits in %d partitions\n", static_cast<unsigned long long>(commits), partitions);
  } else {
    std::printf("%s\n", std::string(Words{"账本与日志不一致", "the ledger and the log differ"}.In(language)).c_str());
  }
  return differences == 0 ? kExitDone : kExitRefused;
}

}  // namespace vigil
