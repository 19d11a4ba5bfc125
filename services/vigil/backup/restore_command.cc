#include "vigil/backup/restore_command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "machine/machine.h"
#include "platform/blob/blob_store.h"
#include "platform/crypto/encoding.h"
#include "platform/crypto/sign.h"
#include "platform/custody/custody.h"
#include "platform/durable_file/durable_file.h"
#include "platform/keys/stored_keys.h"
#include "vigil/backup/check.h"
#include "vigil/backup/key_copy.h"
#include "vigil/log/v1/commit.convert.h"
#include "vigil/log/v1/commit.pb.h"
#include "vigil/repair/stream_writer.h"

extern char** environ;

namespace vigil {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr absl::Duration kLogPatience = absl::Seconds(60);
constexpr int kNatsPortOffset = 20;  // of the installation's first port
// Partitions that are written at once: each waits for the disk most of the time.
constexpr int kAtOnce = kPartitions;

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, command.front().c_str(), nullptr, nullptr, arguments.data(), environ);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", command.front()));
  return pid;
}

// vigil-installation, beside this program.
std::string Installer() { return (fs::read_symlink("/proc/self/exe").parent_path() / "vigil-installation").string(); }

absl::Status RunInstaller(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{Installer()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const absl::StatusOr<pid_t> pid = Spawn(command);
  if (!pid.ok()) return pid.status();
  int status = 0;
  waitpid(*pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError("the home could not be made; the reason is above");
}

// The log alone, while the object lives.
class LogServer {
 public:
  static absl::StatusOr<std::unique_ptr<LogServer>> Start(const std::string& home) {
    absl::StatusOr<pid_t> pid = Spawn({Installer(), "run", "--foreground", "--only-log", "--home", home});
    if (!pid.ok()) return pid.status();
    return std::unique_ptr<LogServer>(new LogServer(*pid));
  }
  ~LogServer() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  // False once it has ended by itself; its own words say why.
  bool alive() {
    if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
    return pid_ > 0;
  }

 private:
  explicit LogServer(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

struct Counts {
  std::uint64_t messages = 0;
  std::uint64_t keys = 0;
  std::uint64_t dropped = 0;   // keys of the copy that were given up since
  std::uint64_t erased = 0;    // people of whose erasure the log had to be told
  std::uint64_t attachments = 0;
  std::vector<std::string> warnings;
};

class Restore {
 public:
  Restore(const RestoreOptions& options, std::string home) : options_(options), home_(std::move(home)) {}

  absl::StatusOr<Counts> Run() {
    if (absl::Status checked = CheckEverything(); !checked.ok()) return checked;
    if (absl::Status made = MakeHome(); !made.ok()) return made;
    {
      absl::StatusOr<std::unique_ptr<LogServer>> server = LogServer::Start(home_);
      if (!server.ok()) return server.status();
      absl::StatusOr<Sources> sources = Connect(**server);
      if (!sources.ok()) return sources.status();
      if (absl::Status written = WriteKeys(); !written.ok()) return written;
      if (absl::Status written = WriteLog(*sources); !written.ok()) return written;
    }
    if (absl::Status written = WriteAttachments(); !written.ok()) return written;
    if (absl::Status removed = RemoveDurably(home_ + "/restoring"); !removed.ok()) return removed;
    return counts_;
  }

 private:
  absl::Status CheckEverything() {
    std::error_code error;
    if (fs::exists(home_ + "/restoring", error)) {
      return absl::FailedPreconditionError(absl::StrCat(home_, " holds a restore that did not end: remove it (rm -r), and restore again"));
    }
    if (fs::exists(home_, error) && !(fs::is_directory(home_, error) && fs::is_empty(home_, error))) {
      return absl::FailedPreconditionError(absl::StrCat(home_, " is not empty: a restore makes a home, and changes none"));
    }
    absl::StatusOr<CheckedCopy> checked = CheckCopy(options_.from);
    if (!checked.ok()) return checked.status();
    checked_ = *std::move(checked);

    absl::StatusOr<std::string> custodian = ReadWhole(options_.custodian);
    if (!custodian.ok()) return custodian.status();
    const Secret<std::string> hidden(*std::move(custodian));
    absl::StatusOr<BoxSecretKey> custodian_key = ParseCustodianFile(hidden.reveal());
    if (!custodian_key.ok()) return absl::Status(custodian_key.status().code(), absl::StrCat(options_.custodian, ": ", custodian_key.status().message()));
    const absl::StatusOr<std::string> sealed = ReadWhole(absl::StrCat(options_.keys_from, "/", kSealedSecrets));
    if (!sealed.ok()) return sealed.status();
    absl::StatusOr<Secrets> secrets = OpenSecrets(*sealed, *custodian_key);
    if (!secrets.ok()) return absl::Status(secrets.status().code(), absl::StrCat(options_.keys_from, "/", kSealedSecrets, ": ", secrets.status().message()));
    secrets_ = *std::move(secrets);
    if (absl::Status ours = SecretsAreOfThisInstallation(); !ours.ok()) return ours;

    const NoteVerifier& key = *checked_.trust.checkpoint_key;
    const absl::StatusOr<std::string> keys = ReadWhole(absl::StrCat(options_.keys_from, "/", kKeysFile));
    if (!keys.ok()) return keys.status();
    absl::StatusOr<KeyCopy> copy = ParseKeyCopy(*keys, key);
    if (!copy.ok()) return absl::Status(copy.status().code(), absl::StrCat(options_.keys_from, ": ", copy.status().message()));
    keys_ = *std::move(copy);
    if (keys_.installation != checked_.manifest.installation) return absl::FailedPreconditionError("the copy of keys is of another installation than the copy of the log");
    for (int partition = 0; partition < kPartitions; ++partition) {
      if (keys_.log[static_cast<std::size_t>(partition)] >= checked_.manifest.LastSequence(partition)) continue;
      counts_.warnings.push_back("the keys were copied before the log: what was written about people who came in between cannot be read");
      break;
    }
    return CollectErasures(key);
  }

  // The custodian's secrets and the copy's public keys belong together.
  absl::Status SecretsAreOfThisInstallation() {
    const auto public_of = [&](const std::string& file) -> std::string {
      const auto secret = secrets_.find(file);
      if (secret == secrets_.end()) return "";
      const auto seed = HexDecode(secret->second.reveal());
      const absl::StatusOr<SigningKey> key = seed ? SigningKey::FromSeed(*seed) : absl::StatusOr<SigningKey>(absl::InvalidArgumentError(""));
      return key.ok() ? key->verify_key().bytes() : "";
    };
    const absl::Status others = absl::FailedPreconditionError("the sealed secrets are of another installation than the copy of the log");
    const absl::StatusOr<std::string> checkpoint = ReadTextFile(options_.from + "/trust/checkpoint.pub");
    if (!checkpoint.ok()) return checkpoint.status();
    if (public_of("checkpoint.sign") != HexDecode(*checkpoint).value_or("-")) return others;
    for (const auto& [name, key] : checked_.trust.sources) {
      if (public_of(name + ".sign") != key.bytes()) return others;
    }
    return absl::OkStatus();
  }

  absl::Status CollectErasures(const NoteVerifier& key) {
    in_log_ = checked_.erasures;
    std::vector<std::string> lists = options_.erasures;
    if (const std::string beside = absl::StrCat(options_.keys_from, "/", kErasuresFile); fs::exists(beside)) lists.push_back(beside);
    erasures_ = checked_.erasures;
    for (const std::string& path : lists) {
      const absl::StatusOr<std::string> text = ReadWhole(path);
      if (!text.ok()) return text.status();
      const absl::StatusOr<Erasures> list = Erasures::Parse(*text, key, path);
      if (!list.ok()) return list.status();
      erasures_.Merge(*list);
    }
    return absl::OkStatus();
  }

  absl::Status MakeHome() {
    const auto make = [](const std::string& path) {
      if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
      return absl::OkStatus();
    };
    std::error_code error;
    fs::create_directories(fs::path(home_).parent_path(), error);
    for (const std::string& directory : {home_, home_ + "/secrets", home_ + "/trust"}) {
      if (absl::Status made = make(directory); !made.ok()) return made;
    }
    if (absl::Status marked = WriteDurably(home_ + "/restoring", "vigil restore is at work here\n"); !marked.ok()) return marked;
    for (const auto& [name, content] : secrets_) {
      if (absl::Status written = WriteDurably(absl::StrCat(home_, "/secrets/", name), content.reveal()); !written.ok()) return written;
    }
    for (const CopiedFile& file : checked_.manifest.files) {
      if (!file.path.starts_with("trust/") && !file.path.starts_with("pack/")) continue;
      const absl::StatusOr<std::string> content = ReadCopied(options_.from, file);
      if (!content.ok()) return content.status();
      const std::string path = absl::StrCat(home_, "/", file.path.starts_with("pack/") ? "restored-" : "", file.path);
      fs::create_directories(fs::path(path).parent_path(), error);
      if (absl::Status written = WriteDurably(path, *content); !written.ok()) return written;
    }
    std::vector<std::string> arguments{"init", "--home", home_, "--restored-from", options_.from + "/installation.json"};
    const absl::StatusOr<std::string> text = ReadWhole(options_.from + "/installation.json");
    const json installation = text.ok() ? json::parse(*text, nullptr, false) : json();
    port_ = options_.port != 0 ? options_.port : installation.is_object() ? installation.value("port", 0) : 0;
    if (port_ == 0) return absl::DataLossError("installation.json of the copy names no port");
    arguments.insert(arguments.end(), {"--port", absl::StrCat(port_)});
    if (options_.not_durable) arguments.emplace_back("--not-durable");
    return RunInstaller(arguments);
  }

  std::string NatsUrl() const { return absl::StrCat("tls://127.0.0.1:", port_ + kNatsPortOffset); }
  std::string NatsCa() const { return home_ + "/trust/ca.crt"; }

  absl::StatusOr<Sources> Connect(LogServer& server) {
    const absl::Time end = absl::Now() + kLogPatience;
    for (;;) {
      absl::StatusOr<Sources> sources = OpenSources(home_, NatsUrl(), NatsCa(), checked_.trust);
      // The key bucket is made after the last stream.
      absl::Status ready = sources.status();
      if (sources.ok()) ready = sources->at(std::string(kRepairSource)).log->Info(kPartitions - 1).status();
      if (ready.ok()) ready = ReadKeyBucket(KeysUser(), absl::Seconds(2)).status();
      if (ready.ok()) return sources;
      if (!server.alive()) return absl::UnavailableError("the log could not be started; the reason is above");
      if (absl::Now() > end) return absl::UnavailableError(absl::StrCat("the log does not come up: ", ready.message()));
      absl::SleepFor(absl::Milliseconds(100));
    }
  }

  NatsOptions KeysUser() const {
    NatsOptions nats;
    nats.url = NatsUrl();
    nats.name = "vigil-restore";
    nats.ca_file = NatsCa();
    nats.nkey_seed_file = absl::StrCat(home_, "/secrets/", std::string(kRepairSource), ".nkey");
    nats.inbox_prefix = absl::StrCat("_INBOX_", std::string(kRepairSource));
    nats.request_timeout = absl::Seconds(20);
    return nats;
  }

  // Keys that were given up come back as the mark that they were; nothing that was sealed by them opens again.
  absl::Status WriteKeys() {
    const std::set<std::pair<KeyName, std::string>> gone = erasures_.Gone();
    std::vector<NamedKey> keys = std::move(keys_.keys);
    for (NamedKey& key : keys) {
      if (key.erased || !gone.contains({key.name, HashOfWrapped(key.wrapped)})) continue;
      key.erased = true;
      key.wrapped.clear();
      ++counts_.dropped;
    }
    counts_.keys = static_cast<std::uint64_t>(std::count_if(keys.begin(), keys.end(), [](const NamedKey& key) { return !key.erased; }));
    return WriteKeyBucket(KeysUser(), keys);
  }

  absl::Status WriteLog(Sources& sources) {
    std::array<absl::Status, kPartitions> outcomes;
    std::array<std::uint64_t, kPartitions> told{};
    std::vector<std::thread> threads;
    for (int worker = 0; worker < kAtOnce; ++worker) {
      threads.emplace_back([&, worker] {
        for (int partition = worker; partition < kPartitions; partition += kAtOnce) {
          const auto p = static_cast<std::size_t>(partition);
          outcomes[p] = WritePartition(sources, partition, told[p]);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& outcome : outcomes) {
      if (!outcome.ok()) return outcome;
    }
    for (const std::uint64_t one : told) counts_.erased += one;
    counts_.messages = checked_.messages();
    return absl::OkStatus();
  }

  absl::Status WritePartition(Sources& sources, int partition, std::uint64_t& told) {
    Log& log = *sources.at(std::string(kRepairSource)).log;
    const absl::StatusOr<StreamInfo> info = log.Info(partition);
    if (!info.ok()) return info.status();
    if (info->last_sequence != 0) return absl::FailedPreconditionError(absl::StrCat("partition ", partition, " of the new log is not empty"));
    StreamWriter writer(sources, partition);
    if (absl::Status written = ForEachCopied(options_.from, checked_.manifest, partition, [&](const LogMessage& message) { return writer.Append(message); }); !written.ok()) {
      return written;
    }
    if (absl::Status stored = writer.Flush(); !stored.ok()) return stored;
    std::uint64_t last = checked_.manifest.LastSequence(partition);
    if (last == 0) return absl::OkStatus();
    const CheckedPartition& checked = checked_.partitions[static_cast<std::size_t>(partition)];
    if (absl::Status said = writer.SayReopened(info->created_time, last, checked.signed_size, checked.signed_root); !said.ok()) return said;
    ++last;
    for (const auto& [name, entry] : erasures_.entries()) {
      const auto& [school, person] = name;
      if (PartitionOf(school) != partition) continue;
      const auto known = in_log_.entries().find(name);
      domain::PersonErased erased{.person_id = person};
      std::string cause = absl::StrCat("erased/", person);
      for (const auto& [key, gone] : entry.keys) {
        if (!gone || (known != in_log_.entries().end() && known->second.keys.contains(key))) continue;
        erased.keys.push_back({.person = key.person, .key_hash = key.hash});
        absl::StrAppend(&cause, "/", HexEncode(key.hash));
      }
      if (erased.keys.empty()) continue;
      if (absl::Status said = writer.Say(++last, "restore", cause, school, domain::Event{std::move(erased)}); !said.ok()) return said;
      ++told;
    }
    return absl::OkStatus();
  }

  absl::Status WriteAttachments() {
    const CopiedFile* list = checked_.manifest.Find(kAttachmentsList);
    if (list == nullptr) return absl::OkStatus();
    const absl::StatusOr<std::string> ids = ReadCopied(options_.from, *list);
    if (!ids.ok()) return ids.status();
    absl::StatusOr<std::unique_ptr<BlobStore>> from = BlobStore::Open(absl::StrCat(options_.from, "/", kAttachmentsFolder));
    if (!from.ok()) return from.status();
    absl::StatusOr<std::unique_ptr<BlobStore>> to = BlobStore::Open(home_ + "/data/intake/attachments");
    if (!to.ok()) return to.status();
    for (const absl::string_view id : absl::StrSplit(*ids, '\n', absl::SkipEmpty())) {
      const absl::StatusOr<std::string> bytes = (*from)->Get(std::string_view(id.data(), id.size()));
      if (!bytes.ok()) return bytes.status();
      if (const absl::Status put = (*to)->Put(SealedBytes(*bytes)).status(); !put.ok()) return put;
      ++counts_.attachments;
    }
    return absl::OkStatus();
  }

  const RestoreOptions& options_;
  const std::string home_;
  int port_ = 0;
  CheckedCopy checked_;
  Secrets secrets_;
  KeyCopy keys_;
  Erasures in_log_;
  Erasures erasures_;
  Counts counts_;
};

}  // namespace

ExitCode RunRestore(const RestoreOptions& restore, const RunOptions& options) {
  const bool zh = options.connection.language == Language::kChinese;
  umask(0077);
  const absl::Time begin = absl::Now();
  const std::string home = fs::absolute(restore.home).lexically_normal().string();
  const absl::StatusOr<Counts> counts = Restore(restore, home.ends_with('/') ? home.substr(0, home.size() - 1) : home).Run();
  if (!counts.ok()) {
    std::fprintf(stderr, "vigil restore: %s\n", std::string(counts.status().message()).c_str());
    return absl::IsUnavailable(counts.status()) ? kExitUnreachable : kExitRefused;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  for (const std::string& warning : counts->warnings) std::fprintf(stderr, "vigil restore: %s\n", warning.c_str());
  if (options.json) {
    std::printf("%s\n", ordered_json{{"restored", true},
                                     {"messages", counts->messages},
                                     {"keys", counts->keys},
                                     {"erased_again", counts->dropped},
                                     {"erasures_told", counts->erased},
                                     {"attachments", counts->attachments},
                                     {"warnings", counts->warnings},
                                     {"seconds", seconds}}
                            .dump()
                            .c_str());
    return kExitDone;
  }
  std::printf(zh ? "已恢复到 %s：消息 %llu 条，密钥 %llu 个（另有 %llu 个已删除的没有恢复），附件 %llu 个；%.1f 秒\n下一步：VIGIL_HOME=%s deploy/local/up，然后 vigil verify\n"
                 : "restored to %s: %llu messages, %llu keys (%llu that were erased stay erased), %llu attachments; %.1f s\nNext: VIGIL_HOME=%s deploy/local/up, "
                   "then vigil verify\n",
              home.c_str(), static_cast<unsigned long long>(counts->messages), static_cast<unsigned long long>(counts->keys),
              static_cast<unsigned long long>(counts->dropped), static_cast<unsigned long long>(counts->attachments), seconds, home.c_str());
  return kExitDone;
}

}  // namespace vigil
