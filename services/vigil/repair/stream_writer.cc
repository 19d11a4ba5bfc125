#include "vigil/repair/stream_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "contract/time_conversion.h"
#include "domain/file.h"
#include "machine/batch_codec.h"
#include "platform/crypto/derive.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/random.h"
#include "platform/log/nats_log.h"
#include "vigil/log/v1/commit.convert.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil {
namespace {

constexpr absl::Duration kConnectPatience = absl::Seconds(5);
// With all partitions' messages on their way at once.
constexpr absl::Duration kAppendPatience = absl::Seconds(20);
constexpr int kMostInFlight = 32;

std::optional<absl::Time> RecordedTime(const std::string& commit) {
  log::v1::Commit parsed;
  if (!parsed.ParseFromString(commit)) return std::nullopt;
  return contract::TimeFromProto(parsed.recorded_time());
}

}  // namespace

absl::StatusOr<Sources> OpenSources(const std::string& home, const std::string& nats_url, const std::string& nats_ca, const Trust& trust) {
  Sources sources;
  const std::string secrets = absl::StrCat(home, "/secrets/");
  for (const auto& [name, trusted] : trust.sources) {
    Source source;
    absl::StatusOr<std::string> hex = ReadTextFile(absl::StrCat(secrets, name, ".sign"));
    if (!hex.ok()) return hex.status();
    absl::StatusOr<SigningKey> key = SigningKey::FromSeed(HexDecode(*hex).value_or(""));
    if (!key.ok()) return key.status();
    source.key = *std::move(key);
    NatsOptions nats;
    nats.url = nats_url;
    nats.name = "vigil-repair";
    nats.ca_file = nats_ca;
    nats.nkey_seed_file = absl::StrCat(secrets, name, ".nkey");
    nats.inbox_prefix = absl::StrCat("_INBOX_", name);
    nats.request_timeout = kAppendPatience;
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

std::optional<DecodedBatch> StreamWriter::Note(const LogMessage& message) {
  last_of_[message.source] = message.sequence;
  const auto source = sources_.find(message.source);
  if (source == sources_.end()) return std::nullopt;
  absl::StatusOr<DecodedBatch> batch = DecodeBatch(message.body, partition_, message.source, source->second.key->verify_key());
  if (!batch.ok() || batch->previous_hash != chain_[message.source]) return std::nullopt;
  chain_[message.source] = BatchHash(message.body);
  if (!batch->commits.empty()) {
    if (const auto recorded = RecordedTime(batch->commits.back())) last_recorded_ = std::max(last_recorded_, *recorded);
  }
  return *std::move(batch);
}

absl::Status StreamWriter::Append(const LogMessage& message) {
  // A subject that none of our sources writes: nobody believes what stands there.
  if (!sources_.contains(message.source)) return AppendFiller(message.sequence);
  if (absl::Status stored = Store(message.sequence, message.source, message.body); !stored.ok()) return stored;
  (void)Note(message);
  return absl::OkStatus();
}

absl::Status StreamWriter::AppendCommits(std::uint64_t sequence, const std::string& source, std::vector<std::string> commits) {
  const auto signer = sources_.find(source);
  if (signer == sources_.end()) return absl::DataLossError("a commit of the ledger has no source that is trusted");
  for (const std::string& commit : commits) {
    const auto recorded = RecordedTime(commit);
    if (!recorded) return absl::DataLossError("a commit of the ledger does not parse");
    last_recorded_ = std::max(last_recorded_, *recorded);
  }
  std::string message = EncodeBatch(partition_, source, chain_[source], std::move(commits), *signer->second.key);
  chain_[source] = BatchHash(message);
  return Store(sequence, source, std::move(message));
}

absl::Status StreamWriter::AppendFiller(std::uint64_t sequence) { return Store(sequence, std::string(kRepairSource), kFiller); }

// An append ends by itself, at the latest when its time is over.
StreamWriter::~StreamWriter() { (void)Flush(); }

absl::Status StreamWriter::Flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return in_flight_ == 0; });
  return failed_;
}

absl::Status StreamWriter::Store(std::uint64_t sequence, const std::string& source, std::string body) {
  if (source != source_in_flight_) {
    if (absl::Status flushed = Flush(); !flushed.ok()) return flushed;
    source_in_flight_ = source;
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return in_flight_ < kMostInFlight; });
    if (!failed_.ok()) return failed_;
    ++in_flight_;
  }
  sources_.at(source).log->Append(partition_, last_of_[source], std::move(body), [this, sequence](const AppendOutcome& outcome) {
    const std::lock_guard lock(mutex_);
    if (!outcome.status.ok()) {
      failed_.Update(outcome.status);
    } else if (outcome.sequence != sequence) {
      failed_.Update(
          absl::AbortedError(absl::StrCat("partition ", partition_, ": somebody else writes: message ", sequence, " was stored at ", outcome.sequence)));
    }
    --in_flight_;
    changed_.notify_all();
  });
  last_of_[source] = sequence;
  return absl::OkStatus();
}

absl::Status StreamWriter::Say(std::uint64_t sequence, std::string_view person, const std::string& cause, const std::string& school, domain::Event event) {
  domain::Commit commit;
  commit.id = DeriveId('m', {person, cause, absl::StrCat(partition_)});
  commit.source = std::string(kRepairSource);
  commit.school = school;
  commit.recorded_time = std::max(absl::Now(), last_recorded_);
  commit.actor = domain::Actor{.person = std::string(person), .role = ""};
  commit.engine = domain::kEngineVersion;
  commit.events.push_back(std::move(event));
  log::v1::Commit proto;
  contract::ToProto(commit, &proto);
  if (absl::Status appended = AppendCommits(sequence, std::string(kRepairSource), {proto.SerializeAsString()}); !appended.ok()) return appended;
  return Flush();
}

absl::Status StreamWriter::SayReopened(absl::Time stream_created, std::uint64_t whole_until, std::uint64_t ledger_size, const Digest& ledger_root) {
  SystemRandom random;
  domain::LogReopened reopened{.incarnation = HexEncode(random.Bytes(8)), .ledger_size = ledger_size};
  reopened.ledger_root = std::string(AsView(ledger_root));
  reopened.created_time = stream_created;
  reopened.whole_until = whole_until;
  const std::string incarnation = reopened.incarnation;
  return Say(whole_until + 1, "repair", incarnation, "", domain::Event{std::move(reopened)});
}

}  // namespace vigil
