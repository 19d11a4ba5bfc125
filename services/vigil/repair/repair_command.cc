#include "vigil/repair/repair_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "audit/ledger/note.h"
#include "contract/time_conversion.h"
#include "domain/file.h"
#include "machine/batch_codec.h"
#include "platform/crypto/derive.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"
#include "platform/log/nats_log.h"
#include "vigil/log/v1/commit.convert.h"
#include "vigil/log/v1/commit.pb.h"
#include "vigil/verify/ledger_reader.h"
#include "vigil/verify/trust.h"

namespace vigil {
namespace {

constexpr absl::Duration kConnectPatience = absl::Seconds(5);
constexpr absl::Duration kAppendPatience = absl::Seconds(10);
constexpr std::string_view kRepairSource = "intake";
// What stands where a message stood that no reader believed: nobody believes this either, and positions stay.
constexpr char kFiller[] = "vigil repair: here stood a message that no reader believed";

// A source's own connection and signing key.
struct Source {
  std::unique_ptr<Log> log;
  std::optional<SigningKey> key;
};

absl::StatusOr<std::map<std::string, Source>> OpenSources(const Environment& environment, const Trust& trust) {
  std::map<std::string, Source> sources;
  const std::string secrets = absl::StrCat(environment.Get("VIGIL_HOME"), "/secrets/");
  for (const auto& [name, trusted] : trust.sources) {
    Source source;
    absl::StatusOr<std::string> hex = ReadTextFile(absl::StrCat(secrets, name, ".sign"));
    if (!hex.ok()) return hex.status();
    absl::StatusOr<SigningKey> key = SigningKey::FromSeed(HexDecode(*hex).value_or(""));
    if (!key.ok()) return key.status();
    source.key = *std::move(key);
    NatsOptions nats;
    nats.url = environment.Get("VIGIL_NATS_URL");
    nats.name = "vigil-repair";
    nats.ca_file = environment.Get("VIGIL_NATS_CA");
    nats.nkey_seed_file = absl::StrCat(secrets, name, ".nkey");
    nats.inbox_prefix = absl::StrCat("_INBOX_", name);
    absl::StatusOr<std::unique_ptr<Log>> log = OpenNatsLog(std::move(nats), name);
    if (!log.ok()) return log.status();
    const absl::Time end = absl::Now() + kConnectPatience;
    while (!(*log)->connected() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
    if (!(*log)->connected()) return absl::UnavailableError("the log cannot be reached");
    source.log = *std::move(log);
    sources.emplace(name, std::move(source));
  }
  if (!sources.contains(std::string(kRepairSource))) return absl::FailedPreconditionError("trust/sources names no intake");
  return sources;
}

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
  PartitionRepair(std::map<std::string, Source>& sources, int partition, LedgerCopy ledger)
      : sources_(sources), partition_(partition), ledger_(std::move(ledger)) {}

  struct Done {
    std::uint64_t compared = 0;
    std::uint64_t appended = 0;
    std::uint64_t whole_until = 0;
  };

  // `named`: whoever asks for this partition by its number knows that something is lost.
  absl::StatusOr<Done> Run(bool only_look, bool named) {
    Log& log = *sources_.at(std::string(kRepairSource)).log;
    const absl::StatusOr<StreamInfo> info = log.Info(partition_);
    if (!info.ok()) return info.status();
    Done done;
    std::size_t next = 0;
    const std::uint64_t end = ledger_.entries.empty() ? 0 : ledger_.entries.back().sequence;
    for (std::uint64_t sequence = 1; sequence <= std::max(end, info->last_sequence); ++sequence) {
      std::vector<const LedgerEntry*> entries;
      while (next < ledger_.entries.size() && ledger_.entries[next].sequence == sequence) entries.push_back(&ledger_.entries[next++]);
      if (sequence <= info->last_sequence) {
        if (absl::Status same = Compare(log, sequence, entries, sequence <= end); !same.ok()) return same;
        ++done.compared;
      } else {
        if (!only_look) {
          if (absl::Status appended = Append(sequence, entries); !appended.ok()) return appended;
        }
        ++done.appended;
      }
    }
    done.whole_until = std::max(end, info->last_sequence);
    if (only_look || (done.appended == 0 && !named)) return done;
    if (absl::Status said = Say(info->created_time, done.whole_until); !said.ok()) return said;
    return done;
  }

 private:
  // The stream has what the ledger has; what it has beyond is its own, and stays.
  absl::Status Compare(Log& log, std::uint64_t sequence, const std::vector<const LedgerEntry*>& entries, bool in_ledger) {
    const absl::StatusOr<LogMessage> message = log.Read(partition_, sequence);
    if (!message.ok()) return message.status();
    last_of_[message->source] = sequence;
    const auto source = sources_.find(message->source);
    const auto batch = source == sources_.end() ? absl::StatusOr<DecodedBatch>(absl::DataLossError("unknown source"))
                                                : DecodeBatch(message->body, partition_, message->source, source->second.key->verify_key());
    const bool believed = batch.ok() && batch->previous_hash == chain_[message->source];
    if (believed) {
      chain_[message->source] = BatchHash(message->body);
      log::v1::Commit last;
      if (!batch->commits.empty() && last.ParseFromString(batch->commits.back())) last_recorded_ = std::max(last_recorded_, contract::TimeFromProto(last.recorded_time()));
    }
    if (!in_ledger) return absl::OkStatus();
    const std::size_t commits = believed ? batch->commits.size() : 0;
    bool same = commits == entries.size();
    for (std::size_t i = 0; same && i < commits; ++i) same = batch->commits[i] == entries[i]->bytes;
    if (same) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("partition ", partition_, ": message ", sequence,
                                                      " is not what the ledger has there. Nothing was changed; move this stream's files away, and start again"));
  }

  absl::Status Append(std::uint64_t sequence, const std::vector<const LedgerEntry*>& entries) {
    if (entries.empty()) return Store(sequence, std::string(kRepairSource), kFiller);
    std::vector<std::string> commits;
    std::string source;
    for (const LedgerEntry* entry : entries) {
      log::v1::Commit commit;
      if (!commit.ParseFromString(entry->bytes)) return absl::DataLossError("a commit of the ledger does not parse");
      source = commit.source();
      last_recorded_ = std::max(last_recorded_, contract::TimeFromProto(commit.recorded_time()));
      commits.push_back(entry->bytes);
    }
    const auto signer = sources_.find(source);
    if (signer == sources_.end()) return absl::DataLossError("a commit of the ledger has no source that is trusted");
    std::string message = EncodeBatch(partition_, source, chain_[source], std::move(commits), *signer->second.key);
    chain_[source] = BatchHash(message);
    return Store(sequence, source, std::move(message));
  }

  absl::Status Store(std::uint64_t sequence, const std::string& source, std::string body) {
    std::promise<AppendOutcome> promise;
    auto future = promise.get_future();
    sources_.at(source).log->Append(partition_, last_of_[source], std::move(body), [&promise](AppendOutcome outcome) { promise.set_value(std::move(outcome)); });
    if (future.wait_for(absl::ToChronoNanoseconds(kAppendPatience * 3)) != std::future_status::ready) return absl::UnavailableError("the broker does not answer");
    const AppendOutcome outcome = future.get();
    if (!outcome.status.ok()) return outcome.status;
    if (outcome.sequence != sequence) {
      return absl::AbortedError(absl::StrCat("partition ", partition_, ": somebody else writes: message ", sequence, " was stored at ", outcome.sequence));
    }
    last_of_[source] = sequence;
    return absl::OkStatus();
  }

  // The last word of a repair: services that stand still go on when they read it.
  absl::Status Say(absl::Time created, std::uint64_t whole_until) {
    SystemRandom random;
    domain::LogReopened reopened{.incarnation = HexEncode(random.Bytes(8)), .ledger_size = ledger_.checkpoint.size};
    reopened.ledger_root = std::string(AsView(ledger_.checkpoint.root));
    reopened.created_time = created;
    reopened.whole_until = whole_until;
    domain::Commit commit;
    commit.id = DeriveId('m', {"repair", reopened.incarnation, absl::StrCat(partition_)});
    commit.source = std::string(kRepairSource);
    commit.recorded_time = std::max(absl::Now(), last_recorded_);
    if (last_recorded_ != absl::InfinitePast() && last_recorded_ > commit.recorded_time) commit.recorded_time = last_recorded_;
    commit.actor = domain::Actor{.person = "repair", .role = ""};
    commit.engine = domain::kEngineVersion;
    commit.events.push_back(domain::Event{std::move(reopened)});
    log::v1::Commit proto;
    contract::ToProto(commit, &proto);
    const std::string source(kRepairSource);
    return Store(whole_until + 1, source, EncodeBatch(partition_, source, chain_[source], {proto.SerializeAsString()}, *sources_.at(source).key));
  }

  std::map<std::string, Source>& sources_;
  const int partition_;
  const LedgerCopy ledger_;
  std::map<std::string, std::string> chain_;
  std::map<std::string, std::uint64_t> last_of_;
  absl::Time last_recorded_ = absl::InfinitePast();
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
  absl::StatusOr<std::map<std::string, Source>> sources = OpenSources(environment, *trust);
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
