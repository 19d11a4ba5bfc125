#include "vigil/backup/backup_command.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "platform/blob/blob_store.h"
#include "platform/crypto/encoding.h"
#include "platform/durable_file/durable_file.h"
#include "platform/keys/stored_keys.h"
#include "platform/log/nats_log.h"
#include "vigil/backup/check.h"
#include "vigil/backup/copy.h"
#include "vigil/backup/erasures.h"
#include "vigil/backup/key_copy.h"
#include "vigil/log/v1/events.convert.h"
#include "vigil/log/v1/commit.pb.h"
#include "vigil/verify/ledger_reader.h"
#include "vigil/verify/trust.h"

namespace vigil {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr absl::Duration kConnectPatience = absl::Seconds(5);
constexpr absl::Duration kKeysPatience = absl::Minutes(5);
// Messages that are held in memory at a time.
constexpr std::uint64_t kWindow = 500;
constexpr std::size_t kMostCheckpoints = 400;
// Reads the log and the key bucket.
constexpr char kKeysUser[] = "intake";

// Held for the life of the object.
class Lock {
 public:
  static absl::StatusOr<Lock> Take(const std::string& directory) {
    Lock lock;
    lock.file_ = open((directory + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock.file_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write to ", directory));
    if (flock(lock.file_, LOCK_EX | LOCK_NB) != 0) return absl::AlreadyExistsError(absl::StrCat("another backup writes to ", directory));
    return lock;
  }
  Lock(Lock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  ~Lock() {
    if (file_ >= 0) close(file_);
  }

 private:
  Lock() = default;
  int file_ = -1;
};

absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return absl::OkStatus();
  fs::create_directories(fs::path(path).parent_path().empty() ? "." : fs::path(path).parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  return absl::OkStatus();
}

struct Counts {
  std::uint64_t messages = 0;
  std::uint64_t new_messages = 0;
  std::uint64_t attachments = 0;
  std::uint64_t new_attachments = 0;
  std::uint64_t keys = 0;
  std::uint64_t erased = 0;
  std::vector<std::string> warnings;
};

class Backup {
 public:
  Backup(const BackupOptions& options, const Connection& connection, const Environment& environment, Trust trust, SigningKey key)
      : options_(options), connection_(connection), environment_(environment), home_(environment.Get("VIGIL_HOME")), trust_(std::move(trust)), key_(std::move(key)) {}

  absl::StatusOr<Counts> Run() {
    if (absl::Status opened = OpenExisting(); !opened.ok()) return opened;
    if (absl::Status connected = Connect(); !connected.ok()) return connected;
    for (int partition = 0; partition < kPartitions; ++partition) {
      if (absl::Status goes_on = LogGoesOn(partition); !goes_on.ok()) return goes_on;
    }
    // What the ledger signs now covers commits that are in the log by now; so the copy holds all that its checkpoints are about.
    if (absl::Status fetched = FetchCheckpoints(); !fetched.ok()) return fetched;
    if (absl::Status copied = CopySmallFiles(); !copied.ok()) return copied;
    for (int partition = 0; partition < kPartitions; ++partition) {
      if (absl::Status copied = CopyPartition(partition); !copied.ok()) return copied;
    }
    // An attachment is on disk before the log names it, a key is stored before the log needs it: both after the log.
    if (absl::Status copied = CopyAttachments(); !copied.ok()) return copied;
    if (absl::Status copied = CopyKeys(); !copied.ok()) return copied;
    if (absl::Status written = WriteErasures(); !written.ok()) return written;
    if (absl::Status written = WriteManifest(); !written.ok()) return written;
    RemoveStrangers();
    return counts_;
  }

 private:
  // A copy that is there is gone on with.
  absl::Status OpenExisting() {
    const std::string beside_keys = absl::StrCat(options_.keys_to, "/", kErasuresFile);
    if (const absl::StatusOr<std::string> list = options_.keys_to.empty() ? absl::NotFoundError("") : ReadWhole(beside_keys); list.ok()) {
      absl::StatusOr<Erasures> erasures = Erasures::Parse(*list, *trust_.checkpoint_key, beside_keys);
      if (!erasures.ok()) return erasures.status();
      erasures_ = *std::move(erasures);
    } else if (!absl::IsNotFound(list.status())) {
      return list.status();
    }
    absl::StatusOr<std::string> text = ReadWhole(absl::StrCat(options_.to, "/", kManifestFile));
    manifest_.installation = trust_.installation;
    if (absl::IsNotFound(text.status())) {
      // Files of another kind are not ours to live among.
      std::error_code error;
      for (const auto& entry : fs::directory_iterator(options_.to, error)) {
        static const std::set<std::string> kOurs{".lock", "log", "trust", "pack", kAttachmentsFolder, "installation.json"};
        const std::string name = entry.path().filename().string();
        if (!kOurs.contains(name) && name.find('~') == std::string::npos && !name.ends_with(".new")) return absl::FailedPreconditionError(absl::StrCat(options_.to, " holds something else: ", name));
      }
      return absl::OkStatus();
    }
    if (!text.ok()) return text.status();
    absl::StatusOr<Manifest> manifest = ParseManifest(*text, *trust_.checkpoint_key);
    if (!manifest.ok()) return absl::Status(manifest.status().code(), absl::StrCat(options_.to, ": ", manifest.status().message()));
    if (manifest->installation != trust_.installation) return absl::FailedPreconditionError(absl::StrCat(options_.to, " is a copy of another installation"));
    manifest_ = *std::move(manifest);
    if (const CopiedFile* file = manifest_.Find(kErasuresFile); file != nullptr) {
      const absl::StatusOr<std::string> list = ReadCopied(options_.to, *file);
      if (!list.ok()) return list.status();
      absl::StatusOr<Erasures> erasures = Erasures::Parse(*list, *trust_.checkpoint_key, kErasuresFile);
      if (!erasures.ok()) return erasures.status();
      erasures_.Merge(*erasures);
    }
    return absl::OkStatus();
  }

  absl::Status Connect() {
    NatsOptions nats;
    nats.url = environment_.Get("VIGIL_NATS_URL");
    nats.name = "vigil-backup";
    nats.ca_file = environment_.Get("VIGIL_NATS_CA");
    nats.nkey_seed_file = environment_.Get("VIGIL_NATS_SEED_FILE");
    nats.inbox_prefix = "_INBOX_reader";
    absl::StatusOr<std::unique_ptr<Log>> log = OpenNatsLog(std::move(nats), "reader");
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    const absl::Time end = absl::Now() + kConnectPatience;
    while (!log_->connected() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
    return log_->connected() ? absl::OkStatus() : absl::UnavailableError("the log cannot be reached");
  }

  // The ledger may be behind or away: the copy of the log does not wait for it.
  absl::Status FetchCheckpoints() {
    json all = json::object();
    if (const CopiedFile* file = manifest_.Find(kCheckpointsFile); file != nullptr) {
      const absl::StatusOr<std::string> text = ReadCopied(options_.to, *file);
      if (!text.ok()) return text.status();
      all = json::parse(*text, nullptr, false);
      if (!all.is_object()) all = json::object();
    }
    for (int partition = 0; partition < kPartitions; ++partition) {
      absl::StatusOr<std::string> note = FetchCheckpoint(connection_, partition);
      const absl::StatusOr<Checkpoint> checkpoint =
          note.ok() ? OpenCheckpoint(*note, *trust_.checkpoint_key, LedgerOrigin(trust_.installation, static_cast<std::uint32_t>(partition)))
                    : absl::StatusOr<Checkpoint>(note.status());
      if (!checkpoint.ok()) {
        counts_.warnings.push_back(absl::StrCat("no checkpoint of partition ", partition, ": ", checkpoint.status().message()));
        continue;
      }
      if (checkpoint->size == 0) continue;
      json& notes = all[absl::StrCat(partition)];
      if (!notes.is_array()) notes = json::array();
      if (std::find(notes.begin(), notes.end(), json(*note)) != notes.end()) continue;
      notes.push_back(*note);
      // The oldest tell most; of those between some may go.
      if (notes.size() > kMostCheckpoints) notes.erase(notes.begin() + 1);
    }
    return PutVersion(kCheckpointsFile, all.dump(1) + "\n");
  }

  absl::Status CopySmallFiles() {
    const auto copy = [&](const std::string& from, const std::string& to) {
      const absl::StatusOr<std::string> content = ReadWhole(from);
      return content.ok() ? Put(to, *content) : content.status();
    };
    if (absl::Status copied = copy(home_ + "/installation.json", "installation.json"); !copied.ok()) return copied;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(home_ + "/trust", error)) {
      const std::string name = entry.path().filename().string();
      if (!entry.is_regular_file() || name.ends_with(".new")) continue;
      if (absl::Status copied = copy(entry.path().string(), "trust/" + name); !copied.ok()) return copied;
    }
    // The pack in force. Services find it by their settings.
    const absl::StatusOr<std::string> settings = ReadWhole(home_ + "/config/intake.toml");
    constexpr std::string_view kPack = "\npack = \"";
    const std::size_t at = settings.ok() ? settings->find(kPack) : std::string::npos;
    if (at == std::string::npos) {
      counts_.warnings.push_back("the pack could not be found, and is not copied");
      return absl::OkStatus();
    }
    const std::size_t from = at + kPack.size();
    const fs::path pack = settings->substr(from, settings->find('"', from) - from);
    std::set<std::string> of_pack;
    for (const auto& entry : fs::recursive_directory_iterator(pack, error)) {
      if (!entry.is_regular_file()) continue;
      const std::string path = "pack/" + fs::relative(entry.path(), pack).generic_string();
      of_pack.insert(path);
      if (absl::Status copied = copy(entry.path().string(), path); !copied.ok()) return copied;
    }
    std::erase_if(manifest_.files, [&](const CopiedFile& file) { return file.path.starts_with("pack/") && !of_pack.contains(file.path); });
    return absl::OkStatus();
  }

  // Before anything is written: the log still has, where it stood, what was copied last.
  absl::Status LogGoesOn(int partition) {
    const absl::StatusOr<StreamInfo> info = log_->Info(partition);
    if (!info.ok()) return info.status();
    const std::uint64_t have = manifest_.LastSequence(partition);
    if (info->last_sequence < have) {
      return absl::FailedPreconditionError(absl::StrCat("partition ", partition, ": the log ends at message ", info->last_sequence, ", the copy at ", have,
                                                        ": the log has lost something. Nothing of the copy was changed; see vigil repair, or restore from it"));
    }
    return have > 0 ? IsStillTheSame(partition, have) : absl::OkStatus();
  }

  absl::Status CopyPartition(int partition) {
    const absl::StatusOr<StreamInfo> info = log_->Info(partition);
    if (!info.ok()) return info.status();
    const std::uint64_t have = manifest_.LastSequence(partition);
    const std::uint64_t want = info->last_sequence;
    counts_.messages += want;
    if (want <= have) return absl::OkStatus();
    std::string content;
    std::uint64_t first = have + 1;
    if (absl::Status taken = TakeSmallLast(partition, content, first); !taken.ok()) return taken;
    for (std::uint64_t from = have + 1; from <= want; from += kWindow) {
      const std::uint64_t to = std::min(want, from + kWindow - 1);
      absl::StatusOr<std::unique_ptr<MessageReader>> reader = MessageReader::Open(*log_, partition, from, to);
      if (!reader.ok()) return reader.status();
      for (LogMessage message;;) {
        const absl::StatusOr<bool> more = (*reader)->Next(message);
        if (!more.ok()) return more.status();
        if (!*more) break;
        NoteErasures(message);
        AddToSegment(message, content);
        ++counts_.new_messages;
        if (content.size() < kSegmentBytes && message.sequence < want) continue;
        if (absl::Status written = WriteSegment(partition, first, message.sequence, content); !written.ok()) return written;
        first = message.sequence + 1;
        content.clear();
      }
    }
    // What is whole so far stays, should this be interrupted.
    if (absl::Status written = WriteErasures(); !written.ok()) return written;
    return WriteManifest();
  }

  absl::Status IsStillTheSame(int partition, std::uint64_t have) {
    const auto last = std::find_if(manifest_.segments.begin(), manifest_.segments.end(),
                                   [&](const Segment& segment) { return segment.partition == partition && segment.last == have; });
    const absl::StatusOr<std::string> content = ReadCopied(options_.to, last->file);
    if (!content.ok()) return content.status();
    std::string body;
    if (absl::Status read = ForEachMessage(*content, partition, last->file.path,
                                           [&](LogMessage message) {
                                             if (message.sequence == have) body = std::move(message.body);
                                             return absl::OkStatus();
                                           });
        !read.ok()) {
      return read;
    }
    const absl::StatusOr<LogMessage> now = log_->Read(partition, have);
    if (!now.ok()) return now.status();
    if (now->body == body) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("partition ", partition, ": message ", have, " of the log is not the one that was copied: this is another log. Nothing of the copy was changed"));
  }

  // A last segment that is small is made one with what is new.
  absl::Status TakeSmallLast(int partition, std::string& content, std::uint64_t& first) {
    const auto last = std::find_if(manifest_.segments.rbegin(), manifest_.segments.rend(), [&](const Segment& segment) { return segment.partition == partition; });
    if (last == manifest_.segments.rend() || last->file.bytes >= kSegmentBytes / 2) return absl::OkStatus();
    absl::StatusOr<std::string> before = ReadCopied(options_.to, last->file);
    if (!before.ok()) return before.status();
    content = *std::move(before);
    first = last->first;
    return absl::OkStatus();
  }

  absl::Status WriteSegment(int partition, std::uint64_t first, std::uint64_t last, const std::string& content) {
    const std::string path = absl::StrFormat("log/%02d/%020d-%020d", partition, first, last);
    absl::StatusOr<CopiedFile> file = WriteCopied(options_.to, path, content);
    if (!file.ok()) return file.status();
    std::erase_if(manifest_.segments, [&](const Segment& segment) { return segment.partition == partition && segment.first >= first; });
    manifest_.segments.push_back({partition, first, last, *std::move(file)});
    return absl::OkStatus();
  }

  // Only the source's own word counts; whether it took effect shows in the key bucket.
  void NoteErasures(const LogMessage& message) {
    const auto unchecked = DecodeOwnBatch(message.body);
    if (!unchecked.ok()) return;
    log::v1::Commit commit;
    for (const std::string& bytes : unchecked->commits) {
      if (!commit.ParseFromString(bytes)) continue;
      for (const log::v1::Event& event : commit.events()) {
        if (!event.has_person_erased()) continue;
        const auto source = std::find_if(trust_.sources.begin(), trust_.sources.end(), [&](const auto& known) { return known.first == message.source; });
        if (source == trust_.sources.end() || !DecodeBatch(message.body, message.partition, message.source, source->second).ok()) return;
        erasures_.Add(commit.school(), contract::FromProto(event.person_erased()));
      }
    }
  }

  absl::Status CopyAttachments() {
    absl::StatusOr<std::unique_ptr<BlobStore>> from = BlobStore::Open(home_ + "/data/intake/attachments");
    if (!from.ok()) return from.status();
    absl::StatusOr<std::unique_ptr<BlobStore>> to = BlobStore::Open(absl::StrCat(options_.to, "/", kAttachmentsFolder));
    if (!to.ok()) return to.status();
    std::set<std::string> ids;
    absl::Status failed;
    const absl::Status listed = (*from)->ForEach([&](std::string_view id, std::size_t) {
      ids.emplace(id);
      if ((*to)->Has(id)) return true;
      const absl::StatusOr<std::string> bytes = (*from)->Get(id);
      failed = bytes.ok() ? (*to)->Put(SealedBytes(*bytes)).status() : bytes.status();
      ++counts_.new_attachments;
      return failed.ok();
    });
    if (!failed.ok()) return failed;
    if (!listed.ok()) return listed;
    counts_.attachments = ids.size();
    return PutVersion(kAttachmentsList, absl::StrCat(absl::StrJoin(ids, "\n"), ids.empty() ? "" : "\n"));
  }

  absl::Status CopyKeys() {
    NatsOptions nats;
    nats.url = environment_.Get("VIGIL_NATS_URL");
    nats.name = "vigil-backup";
    nats.ca_file = environment_.Get("VIGIL_NATS_CA");
    nats.nkey_seed_file = absl::StrCat(home_, "/secrets/", kKeysUser, ".nkey");
    nats.inbox_prefix = absl::StrCat("_INBOX_", kKeysUser);
    absl::StatusOr<std::vector<NamedKey>> keys = ReadKeyBucket(std::move(nats), kKeysPatience);
    if (!keys.ok()) return keys.status();
    erasures_.NoteStored(*keys);
    for (const NamedKey& key : *keys) ++(key.erased ? counts_.erased : counts_.keys);
    if (options_.keys_to.empty()) return absl::OkStatus();
    KeyCopy copy{.installation = trust_.installation, .made_time = absl::Now(), .log = {}, .keys = *std::move(keys)};
    for (int partition = 0; partition < kPartitions; ++partition) copy.log[static_cast<std::size_t>(partition)] = manifest_.LastSequence(partition);
    if (absl::Status written = ReplaceAndWipe(absl::StrCat(options_.keys_to, "/", kKeysFile), KeyCopyText(copy, key_)); !written.ok()) return written;
    const absl::StatusOr<std::string> sealed = ReadWhole(home_ + "/custodians/sealed-secrets.json");
    if (!sealed.ok()) {
      return absl::FailedPreconditionError(absl::StrCat("the secrets are not sealed to custodians yet (", sealed.status().message(), "): run deploy/local/down and up once"));
    }
    return WriteDurably(absl::StrCat(options_.keys_to, "/", kSealedSecrets), *sealed);
  }

  absl::Status WriteErasures() {
    const std::string text = erasures_.Text(key_);
    if (absl::Status put = PutVersion(kErasuresFile, text); !put.ok()) return put;
    return options_.keys_to.empty() ? absl::OkStatus() : WriteDurably(absl::StrCat(options_.keys_to, "/", kErasuresFile), text);
  }

  absl::Status WriteManifest() {
    manifest_.made_time = absl::Now();
    std::stable_sort(manifest_.segments.begin(), manifest_.segments.end(),
                     [](const Segment& a, const Segment& b) { return std::pair(a.partition, a.first) < std::pair(b.partition, b.first); });
    return WriteDurably(absl::StrCat(options_.to, "/", kManifestFile), ManifestText(manifest_, key_));
  }

  // A file of the manifest; written only if it is another than before.
  absl::Status Put(const std::string& path, std::string_view content) { return PutAs(path, path, content); }
  // The same of what changes with every run: under a name of its own, so that the manifest that still stands finds what it names.
  absl::Status PutVersion(const std::string& name, std::string_view content) { return PutAs(name, VersionName(name, content), content); }

  absl::Status PutAs(std::string_view name, const std::string& path, std::string_view content) {
    const CopiedFile* known = manifest_.Find(name);
    if (known != nullptr && known->path == path) {
      const absl::StatusOr<std::string> before = ReadCopied(options_.to, *known);
      if (before.ok() && *before == content) return absl::OkStatus();
    }
    absl::StatusOr<CopiedFile> file = WriteCopied(options_.to, path, content);
    if (!file.ok()) return file.status();
    if (known != nullptr) std::erase_if(manifest_.files, [old = known->path](const CopiedFile& one) { return one.path == old; });
    manifest_.files.push_back(*std::move(file));
    return absl::OkStatus();
  }

  // Segments that were made one with a later one, versions that were replaced, and what an interrupted run left.
  void RemoveStrangers() {
    std::set<std::string> ours;
    for (const Segment& segment : manifest_.segments) ours.insert(segment.file.path);
    std::error_code error;
    std::vector<fs::path> strangers;
    for (const auto& entry : fs::recursive_directory_iterator(options_.to + "/log", error)) {
      if (entry.is_regular_file() && !ours.contains(fs::relative(entry.path(), options_.to).generic_string())) strangers.push_back(entry.path());
    }
    std::set<std::string> files;
    for (const CopiedFile& file : manifest_.files) files.insert(file.path);
    for (const auto& entry : fs::directory_iterator(options_.to, error)) {
      const std::string name = entry.path().filename().string();
      if (name.find('~') != std::string::npos && !files.contains(name)) strangers.push_back(entry.path());
    }
    for (const fs::path& stranger : strangers) fs::remove(stranger, error);
  }

  const BackupOptions& options_;
  const Connection& connection_;
  const Environment& environment_;
  const std::string home_;
  const Trust trust_;
  const SigningKey key_;
  std::unique_ptr<Log> log_;
  Manifest manifest_;
  Erasures erasures_;
  Counts counts_;
};

absl::StatusOr<SigningKey> CheckpointKey(const std::string& home) {
  absl::StatusOr<std::string> hex = ReadTextFile(home + "/secrets/checkpoint.sign");
  if (!hex.ok()) return hex.status();
  return SigningKey::FromSeed(HexDecode(*hex).value_or(""));
}

absl::StatusOr<Counts> Copy(const BackupOptions& backup, const Connection& connection, const Environment& environment) {
  const std::string home = environment.Get("VIGIL_HOME");
  if (home.empty() || environment.Get("VIGIL_NATS_URL").empty()) return absl::InvalidArgumentError("there is no VIGIL_HOME: read $VIGIL_HOME/env first");
  absl::StatusOr<Trust> trust = ReadTrust(home);
  if (!trust.ok()) return trust.status();
  absl::StatusOr<SigningKey> key = CheckpointKey(home);
  if (!key.ok()) return key.status();
  std::vector<Lock> locks;
  for (const std::string& directory : {backup.to, backup.keys_to}) {
    if (directory.empty()) continue;
    if (absl::Status made = MakePrivateDirectory(directory); !made.ok()) return made;
    absl::StatusOr<Lock> lock = Lock::Take(directory);
    if (!lock.ok()) return lock.status();
    locks.push_back(*std::move(lock));
  }
  return Backup(backup, connection, environment, *std::move(trust), *std::move(key)).Run();
}

ExitCode Check(const BackupOptions& backup, const RunOptions& options) {
  const absl::Time begin = absl::Now();
  const absl::StatusOr<CheckedCopy> checked = CheckCopy(backup.check, backup.trust);
  if (!checked.ok()) {
    std::fprintf(stderr, "vigil backup: %s\n", std::string(checked.status().message()).c_str());
    return kExitRefused;
  }
  std::uint64_t skipped = 0;
  std::uint64_t signed_commits = 0;
  for (const CheckedPartition& partition : checked->partitions) {
    skipped += partition.skipped;
    signed_commits += partition.signed_size;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  const std::string made = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", checked->manifest.made_time, absl::UTCTimeZone());
  if (options.json) {
    std::printf("%s\n", ordered_json{{"checked", true},
                                     {"installation", checked->manifest.installation},
                                     {"made_time", made},
                                     {"messages", checked->messages()},
                                     {"commits", checked->commits()},
                                     {"signed_commits", signed_commits},
                                     {"skipped", skipped},
                                     {"attachments", checked->attachments},
                                     {"erasures", checked->erasures.entries().size()},
                                     {"key", checked->trust.checkpoint_key->ToText()},
                                     {"seconds", seconds}}
                            .dump()
                            .c_str());
    return kExitDone;
  }
  const bool zh = options.connection.language == Language::kChinese;
  std::printf(zh ? "完好：安装 %s，备份于 %s；消息 %llu 条，记录 %llu 条（其中 %llu 条有账本签名），附件 %llu 个；签名钥 %s；%.1f 秒\n"
                 : "whole: installation %s, copied %s; %llu messages, %llu commits (%llu of them under the ledger's signature), %llu attachments; key %s; %.1f s\n",
              checked->manifest.installation.c_str(), made.c_str(), static_cast<unsigned long long>(checked->messages()),
              static_cast<unsigned long long>(checked->commits()), static_cast<unsigned long long>(signed_commits),
              static_cast<unsigned long long>(checked->attachments), checked->trust.checkpoint_key->ToText().c_str(), seconds);
  return kExitDone;
}

// One inside the other would lie on one medium.
bool Within(const std::string& inner, const std::string& outer) {
  const std::string a = fs::absolute(inner).lexically_normal().string() + "/";
  const std::string b = fs::absolute(outer).lexically_normal().string() + "/";
  return a.starts_with(b);
}

}  // namespace

ExitCode RunBackup(const BackupOptions& backup, const RunOptions& options, const Environment& environment) {
  if (backup.check.empty() == backup.to.empty()) {
    std::fputs("vigil backup: either --to or --check\n", stderr);
    return kExitWrongUsage;
  }
  if (!backup.check.empty()) return Check(backup, options);
  umask(0077);
  if (!backup.keys_to.empty() && (Within(backup.keys_to, backup.to) || Within(backup.to, backup.keys_to))) {
    std::fputs("vigil backup: keys are copied apart from the log: --keys-to and --to must not lie in one another\n", stderr);
    return kExitWrongUsage;
  }
  const absl::Time begin = absl::Now();
  const absl::StatusOr<Counts> counts = Copy(backup, options.connection, environment);
  if (!counts.ok()) {
    std::fprintf(stderr, "vigil backup: %s\n", std::string(counts.status().message()).c_str());
    if (absl::IsInvalidArgument(counts.status())) return kExitWrongUsage;
    return absl::IsUnavailable(counts.status()) ? kExitUnreachable : kExitRefused;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  for (const std::string& warning : counts->warnings) std::fprintf(stderr, "vigil backup: %s\n", warning.c_str());
  const bool zh = options.connection.language == Language::kChinese;
  if (options.json) {
    std::printf("%s\n", ordered_json{{"copied", true},
                                     {"messages", counts->messages},
                                     {"new_messages", counts->new_messages},
                                     {"attachments", counts->attachments},
                                     {"new_attachments", counts->new_attachments},
                                     {"keys", counts->keys},
                                     {"erased_keys", counts->erased},
                                     {"warnings", counts->warnings},
                                     {"seconds", seconds}}
                            .dump()
                            .c_str());
  } else {
    std::printf(zh ? "已备份：消息 %llu 条（新增 %llu），附件 %llu 个（新增 %llu），密钥 %llu 个；%.1f 秒\n"
                   : "copied: %llu messages (%llu new), %llu attachments (%llu new), %llu keys; %.1f s\n",
                static_cast<unsigned long long>(counts->messages), static_cast<unsigned long long>(counts->new_messages),
                static_cast<unsigned long long>(counts->attachments), static_cast<unsigned long long>(counts->new_attachments),
                static_cast<unsigned long long>(backup.keys_to.empty() ? 0 : counts->keys), seconds);
    if (backup.keys_to.empty()) {
      std::puts(zh ? "注意：没有备份密钥（--keys-to）；没有密钥，姓名、电话和文字无法恢复。"
                   : "Note: keys were not copied (--keys-to); without them names, numbers and words cannot be restored.");
    }
  }
  return kExitDone;
}

}  // namespace vigil
