#include "audit/ledger/ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "audit/ledger/format.h"
#include "audit/ledger/lists.h"
#include "audit/ledger/sqlite.h"

namespace vigil {
namespace {

constexpr std::string_view kFormat = "1";

absl::Status NoSuchPartition(std::uint32_t partition) {
  return absl::InvalidArgumentError(absl::StrCat("there is no partition ", partition));
}

absl::Status Damaged(std::uint32_t partition, std::string_view what) {
  return absl::DataLossError(absl::StrFormat("ledger, partition %02d: %s", partition, std::string(what)));
}

absl::Status ErrnoStatus(std::string_view what, const std::string& path) {
  return absl::UnavailableError(absl::StrCat(std::string(what), " ", path, ": ", std::strerror(errno)));
}

absl::Status SyncDirectory(const std::string& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoStatus("open", directory);
  const bool ok = ::fsync(descriptor) == 0;
  ::close(descriptor);
  return ok ? absl::OkStatus() : ErrnoStatus("sync", directory);
}

// A private key appears under its name only when it is whole and on disk.
absl::Status WriteKey(const std::string& directory, std::string_view text) {
  const std::string path = format::KeyPath(directory);
  const std::string draft = path + ".new";
  ::unlink(draft.c_str());
  const int descriptor = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return ErrnoStatus("create", draft);
  const bool ok =
      ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(descriptor) == 0;
  ::close(descriptor);
  if (!ok) return ErrnoStatus("write", draft);
  if (::rename(draft.c_str(), path.c_str()) != 0) return ErrnoStatus("rename", draft);
  return SyncDirectory(directory);
}

absl::StatusOr<NoteSigner> ReadKey(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  if (!std::getline(file, text)) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  absl::StatusOr<NoteSigner> signer = NoteSigner::FromText(text);
  if (!signer.ok()) return absl::DataLossError(absl::StrCat(path, " is not a ledger's key"));
  return signer;
}

absl::StatusOr<NoteSigner> LoadOrMakeKey(const Ledger::Options& options, Random& random) {
  const std::string path = format::KeyPath(options.directory);
  const std::string name = LedgerKeyName(options.installation);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    // A new key would make every checkpoint that outsiders hold look forged.
    if (std::filesystem::exists(format::DatabasePath(options.directory), error)) {
      return absl::FailedPreconditionError(absl::StrCat("the ledger is there, but its key is not: ", path));
    }
    absl::StatusOr<NoteSigner> made = NoteSigner::Create(name, SigningKey::Generate(random));
    if (!made.ok()) return made.status();
    const Secret<std::string> text = made->ToText();
    if (absl::Status s = WriteKey(options.directory, text.reveal() + "\n"); !s.ok()) return s;
    return made;
  }
  absl::StatusOr<NoteSigner> signer = ReadKey(path);
  if (signer.ok() && signer->verifier().name() != name) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ledger is of ", signer->verifier().name(), ", not of ", name));
  }
  return signer;
}

}  // namespace

struct Ledger::Statements {
  SqliteStatement insert_entry;
  SqliteStatement insert_node;
  SqliteStatement upsert_head;
  SqliteStatement leaf_hash;
  SqliteStatement node;
  SqliteStatement last_entry;
  SqliteStatement entries;
  SqliteStatement to_list;
};

Ledger::Ledger(const Options& options, NoteSigner signer, std::unique_ptr<SqliteDatabase> database)
    : installation_(options.installation),
      list_after_(options.list_after),
      signer_(std::move(signer)),
      database_(std::move(database)) {}

Ledger::~Ledger() {
  absl::MutexLock lock(&mutex_);
  Rollback();
}

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const Options& options, Random& random) {
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", options.directory, ": ", error.message()));
  absl::StatusOr<NoteSigner> signer = LoadOrMakeKey(options, random);
  if (!signer.ok()) return signer.status();
  auto database = SqliteDatabase::Open(format::DatabasePath(options.directory), /*create=*/true);
  if (!database.ok()) return database.status();
  std::unique_ptr<Ledger> ledger(new Ledger(options, *std::move(signer), *std::move(database)));
  absl::MutexLock lock(&ledger->mutex_);
  if (absl::Status s = ledger->Prepare(); !s.ok()) return s;
  if (absl::Status s = ledger->Load(); !s.ok()) return s;
  return ledger;
}

absl::Status Ledger::Prepare() {
  if (absl::Status s = database_->Execute(format::kSchema); !s.ok()) return s;
  statements_ = std::make_unique<Statements>();
  const std::string columns(format::kEntryColumns);
  const std::string select = "SELECT " + columns + " FROM entries WHERE ";
  const std::pair<SqliteStatement*, std::string> all[] = {
      {&statements_->insert_entry, "INSERT INTO entries(" + columns + ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
      {&statements_->insert_node, "INSERT INTO nodes(position, hash) VALUES(?1, ?2)"},
      {&statements_->upsert_head,
       "INSERT OR REPLACE INTO heads(partition, followed, listed, seal, checkpoint, rows) VALUES(?1, ?2, ?3, ?4, ?5, "
       "?6)"},
      {&statements_->leaf_hash, "SELECT leaf_hash FROM entries WHERE position = ?1"},
      {&statements_->node, "SELECT hash FROM nodes WHERE position = ?1"},
      {&statements_->last_entry,
       "SELECT position FROM entries WHERE position BETWEEN ?1 AND ?2 ORDER BY position DESC LIMIT 1"},
      {&statements_->entries, select + "position >= ?1 AND position < ?2 ORDER BY position"},
      {&statements_->to_list,
       "SELECT position, file, school FROM entries WHERE position >= ?1 AND position < ?2 ORDER BY position"},
  };
  for (const auto& [statement, sql] : all) {
    absl::StatusOr<SqliteStatement> prepared = database_->Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = *std::move(prepared);
  }
  absl::StatusOr<std::unique_ptr<EntryLists>> lists = EntryLists::Create(*database_);
  if (!lists.ok()) return lists.status();
  lists_ = *std::move(lists);
  return absl::OkStatus();
}

absl::Status Ledger::CheckMeta() {
  const std::string key = signer_.verifier().ToText();
  absl::StatusOr<SqliteStatement> insert = database_->Prepare("INSERT OR IGNORE INTO meta(name, value) VALUES(?1, ?2)");
  if (!insert.ok()) return insert.status();
  for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{"format", kFormat}, {"key", key}}) {
    insert->BindText(1, name);
    insert->BindText(2, value);
    if (absl::Status s = insert->Run(); !s.ok()) return s;
    absl::StatusOr<SqliteStatement> select = database_->Prepare("SELECT value FROM meta WHERE name = ?1");
    if (!select.ok()) return select.status();
    select->BindText(1, name);
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row || select->Bytes(0) != value) {
      return absl::FailedPreconditionError(absl::StrCat("the ledger has another ", std::string(name), ": ",
                                                        *row ? std::string(select->Bytes(0)) : std::string("none")));
    }
  }
  return absl::OkStatus();
}

absl::Status Ledger::Load() {
  if (absl::Status s = CheckMeta(); !s.ok()) return s;
  for (std::uint32_t partition = 0; partition < kLedgerPartitions; ++partition) {
    absl::StatusOr<std::string> checkpoint =
        signer_.Sign(FormatCheckpoint({LedgerOrigin(installation_, partition), 0, merkle::EmptyRoot()}));
    if (!checkpoint.ok()) return checkpoint.status();
    durable_[partition].checkpoint = *std::move(checkpoint);
  }
  absl::StatusOr<std::vector<format::StoredHead>> heads = format::ReadHeads(*database_);
  if (!heads.ok()) return heads.status();
  for (const format::StoredHead& head : *heads) {
    if (absl::Status s = LoadHead(head); !s.ok()) return s;
  }
  for (std::uint32_t partition = 0; partition < kLedgerPartitions; ++partition) {
    if (absl::Status s = LoadEnd(partition); !s.ok()) return s;
  }
  durable_gathered_ = lists_->gathered();
  appended_ = durable_;
  return absl::OkStatus();
}

absl::Status Ledger::LoadHead(const format::StoredHead& stored) {
  const std::uint32_t partition = stored.partition;
  absl::StatusOr<Digest> seal = merkle::DigestFromBytes(stored.seal);
  if (!seal.ok()) return Damaged(partition, "the seal is not a hash");
  absl::StatusOr<Checkpoint> signed_head =
      OpenCheckpoint(stored.checkpoint, key(), LedgerOrigin(installation_, partition));
  if (!signed_head.ok()) return Damaged(partition, signed_head.status().ToString());
  const Checkpoint expected_rows =
      format::RowsCheckpoint(installation_, partition, signed_head->size, stored.followed, stored.listed, *seal);
  absl::StatusOr<Checkpoint> signed_rows = OpenCheckpoint(stored.rows, key(), expected_rows.origin);
  if (!signed_rows.ok()) return Damaged(partition, signed_rows.status().ToString());
  if (*signed_rows != expected_rows) return Damaged(partition, "its head is not what was signed");

  absl::StatusOr<merkle::Frontier> tree = merkle::Frontier::Load(signed_head->size, [&](merkle::NodeId node) {
    mutex_.AssertHeld();
    return Node(partition, node);
  });
  if (!tree.ok()) return tree.status();
  if (tree->Root() != signed_head->root) {
    return Damaged(partition, "its stored tree has another root than its last checkpoint");
  }
  durable_[partition] = {.tree = *std::move(tree),
                         .followed = stored.followed,
                         .listed = stored.listed,
                         .seal = *seal,
                         .checkpoint = stored.checkpoint};
  return absl::OkStatus();
}

// That nothing comes after the last leaf; and the leaves that are in no list yet.
absl::Status Ledger::LoadEnd(std::uint32_t partition) {
  const Head& head = durable_[partition];
  SqliteStatement& last = statements_->last_entry;
  last.Bind(1, format::EntryPosition({partition, 0}));
  last.Bind(2, format::EntryPosition({partition, (std::uint64_t{1} << format::kPartitionShift) - 1}));
  absl::StatusOr<bool> row = last.Step();
  const std::uint64_t found = row.ok() && *row ? format::EntryIdOf(last.Integer(0)).leaf + 1 : 0;
  last.Reset();
  if (!row.ok()) return row.status();
  if (found != head.tree.size()) return Damaged(partition, "the entries do not end where its last checkpoint says");

  SqliteStatement& to_list = statements_->to_list;
  to_list.Bind(1, format::EntryPosition({partition, head.listed}));
  to_list.Bind(2, format::EntryPosition({partition, head.tree.size()}));
  for (row = to_list.Step(); row.ok() && *row; row = to_list.Step()) {
    lists_->Add(format::EntryIdOf(to_list.Integer(0)), to_list.Bytes(1), to_list.Bytes(2));
  }
  to_list.Reset();
  return row.status();
}

absl::Status Ledger::Begin() {
  if (open_transaction_) return absl::OkStatus();
  if (absl::Status s = database_->Execute("BEGIN IMMEDIATE"); !s.ok()) return s;
  open_transaction_ = true;
  return absl::OkStatus();
}

void Ledger::Rollback() {
  if (!open_transaction_) return;
  // SQLite may have rolled back by itself; then there is nothing to do and this says so.
  database_->Execute("ROLLBACK").IgnoreError();
  open_transaction_ = false;
  appended_ = durable_;
  lists_->KeepGathered(durable_gathered_);
}

absl::Status Ledger::Append(const LedgerBatch& batch) {
  if (batch.partition >= kLedgerPartitions) return NoSuchPartition(batch.partition);
  absl::MutexLock lock(&mutex_);
  Head& head = appended_[batch.partition];
  if (batch.sequence != head.followed + 1) {
    return absl::FailedPreconditionError(absl::StrFormat("ledger, partition %02d: sequence %d is not the one after %d",
                                                         batch.partition, batch.sequence, head.followed));
  }
  absl::Status status = Begin();
  if (status.ok()) status = Write(batch, head);
  if (!status.ok()) Rollback();
  return status;
}

absl::Status Ledger::Write(const LedgerBatch& batch, Head& head) {
  completed_.clear();
  for (std::uint32_t index = 0; index < batch.commits.size(); ++index) {
    const LedgerCommit& commit = batch.commits[index];
    const Digest leaf_hash = merkle::LeafHash(commit.bytes);
    SqliteStatement& entry = statements_->insert_entry;
    entry.Bind(1, format::EntryPosition({batch.partition, head.tree.size()}));
    entry.BindBlob(2, AsView(leaf_hash));
    entry.Bind(3, static_cast<std::int64_t>(batch.sequence));
    entry.Bind(4, index);
    entry.Bind(5, absl::ToUnixNanos(commit.recorded_time));
    entry.BindText(6, commit.file);
    entry.BindText(7, commit.school);
    entry.BindBlob(8, commit.bytes);
    if (absl::Status s = entry.Run(); !s.ok()) return s;
    lists_->Add({batch.partition, head.tree.size()}, commit.file, commit.school);
    head.tree.Append(leaf_hash, completed_);
    head.seal = format::NextSeal(head.seal, leaf_hash, batch.sequence, index, commit);
  }
  for (const auto& [id, hash] : completed_) {
    SqliteStatement& node = statements_->insert_node;
    node.Bind(1, format::NodePosition(batch.partition, id));
    node.BindBlob(2, AsView(hash));
    if (absl::Status s = node.Run(); !s.ok()) return s;
  }
  head.followed = batch.sequence;
  head.changed = true;
  return absl::OkStatus();
}

absl::Status Ledger::WriteHeads() {
  for (std::uint32_t partition = 0; partition < kLedgerPartitions; ++partition) {
    Head& head = appended_[partition];
    if (!head.changed) continue;
    const std::uint64_t size = head.tree.size();
    absl::StatusOr<std::string> checkpoint =
        signer_.Sign(FormatCheckpoint({LedgerOrigin(installation_, partition), size, head.tree.Root()}));
    if (!checkpoint.ok()) return checkpoint.status();
    absl::StatusOr<std::string> rows = signer_.Sign(FormatCheckpoint(
        format::RowsCheckpoint(installation_, partition, size, head.followed, head.listed, head.seal)));
    if (!rows.ok()) return rows.status();
    SqliteStatement& upsert = statements_->upsert_head;
    upsert.Bind(1, partition);
    upsert.Bind(2, static_cast<std::int64_t>(head.followed));
    upsert.Bind(3, static_cast<std::int64_t>(head.listed));
    upsert.BindBlob(4, AsView(head.seal));
    upsert.BindText(5, *checkpoint);
    upsert.BindText(6, *rows);
    if (absl::Status s = upsert.Run(); !s.ok()) return s;
    head.checkpoint = *std::move(checkpoint);
  }
  return database_->Execute("COMMIT");
}

absl::Status Ledger::WriteLists() {
  if (absl::Status s = lists_->Write(); !s.ok()) return s;
  for (Head& head : appended_) {
    if (head.listed == head.tree.size()) continue;
    head.listed = head.tree.size();
    head.changed = true;
  }
  return absl::OkStatus();
}

absl::Status Ledger::CommitLocked() {
  if (!open_transaction_) return absl::OkStatus();
  const bool list = lists_->gathered() >= list_after_;
  absl::Status status = list ? WriteLists() : absl::OkStatus();
  if (status.ok()) status = WriteHeads();
  if (!status.ok()) {
    Rollback();
    return status;
  }
  open_transaction_ = false;
  if (list) lists_->ClearGathered();
  durable_gathered_ = lists_->gathered();
  for (std::uint32_t partition = 0; partition < kLedgerPartitions; ++partition) {
    if (!appended_[partition].changed) continue;
    appended_[partition].changed = false;
    durable_[partition] = appended_[partition];
  }
  return absl::OkStatus();
}

absl::Status Ledger::Commit() {
  absl::MutexLock lock(&mutex_);
  return CommitLocked();
}

absl::Status Ledger::ContinueAfter(std::uint32_t partition, std::uint64_t sequence) {
  if (partition >= kLedgerPartitions) return NoSuchPartition(partition);
  absl::MutexLock lock(&mutex_);
  if (absl::Status s = Begin(); !s.ok()) return s;
  appended_[partition].followed = sequence;
  appended_[partition].changed = true;
  return CommitLocked();
}

std::uint64_t Ledger::Position(std::uint32_t partition) const {
  absl::MutexLock lock(&mutex_);
  return partition < kLedgerPartitions ? durable_[partition].followed : 0;
}

std::uint64_t Ledger::AppendedPosition(std::uint32_t partition) const {
  absl::MutexLock lock(&mutex_);
  return partition < kLedgerPartitions ? appended_[partition].followed : 0;
}

std::uint64_t Ledger::Size(std::uint32_t partition) const {
  absl::MutexLock lock(&mutex_);
  return partition < kLedgerPartitions ? durable_[partition].tree.size() : 0;
}

absl::StatusOr<Digest> Ledger::Node(std::uint32_t partition, merkle::NodeId node) const {
  SqliteStatement& statement = node.level == 0 ? statements_->leaf_hash : statements_->node;
  statement.Bind(
      1, node.level == 0 ? format::EntryPosition({partition, node.index}) : format::NodePosition(partition, node));
  absl::StatusOr<bool> row = statement.Step();
  absl::StatusOr<Digest> hash =
      row.ok() && *row ? merkle::DigestFromBytes(statement.Bytes(0)) : absl::NotFoundError("");
  statement.Reset();
  if (!row.ok()) return row.status();
  if (!hash.ok())
    return Damaged(partition, absl::StrCat("node ", node.index, " of level ", node.level, " is not there"));
  return hash;
}

absl::Status Ledger::CheckSize(std::uint32_t partition, std::uint64_t size) const {
  if (partition >= kLedgerPartitions) return NoSuchPartition(partition);
  const std::uint64_t have = durable_[partition].tree.size();
  if (size <= have) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrFormat("partition %02d has %d leaves, not %d", partition, have, size));
}

absl::StatusOr<Digest> Ledger::Root(std::uint32_t partition, std::uint64_t size) const {
  absl::MutexLock lock(&mutex_);
  if (absl::Status s = CheckSize(partition, size); !s.ok()) return s;
  return merkle::RootOf(size, [&](merkle::NodeId node) {
    mutex_.AssertHeld();
    return Node(partition, node);
  });
}

absl::StatusOr<std::vector<Digest>> Ledger::InclusionProof(std::uint32_t partition, std::uint64_t leaf,
                                                           std::uint64_t size) const {
  absl::MutexLock lock(&mutex_);
  if (absl::Status s = CheckSize(partition, size); !s.ok()) return s;
  return merkle::InclusionProof(leaf, size, [&](merkle::NodeId node) {
    mutex_.AssertHeld();
    return Node(partition, node);
  });
}

absl::StatusOr<std::vector<Digest>> Ledger::ConsistencyProof(std::uint32_t partition, std::uint64_t from,
                                                             std::uint64_t to) const {
  absl::MutexLock lock(&mutex_);
  if (absl::Status s = CheckSize(partition, to); !s.ok()) return s;
  return merkle::ConsistencyProof(from, to, [&](merkle::NodeId node) {
    mutex_.AssertHeld();
    return Node(partition, node);
  });
}

std::string Ledger::SignedCheckpoint(std::uint32_t partition) const {
  absl::MutexLock lock(&mutex_);
  return partition < kLedgerPartitions ? durable_[partition].checkpoint : std::string();
}

absl::StatusOr<LedgerEntry> Ledger::Entry(EntryId id) const {
  absl::StatusOr<std::vector<LedgerEntry>> entries = Entries(id.partition, id.leaf, 1);
  if (!entries.ok()) return entries.status();
  if (entries->empty())
    return absl::NotFoundError(absl::StrFormat("partition %02d has no leaf %d", id.partition, id.leaf));
  return std::move(entries->front());
}

absl::StatusOr<std::vector<LedgerEntry>> Ledger::Entries(std::uint32_t partition, std::uint64_t from,
                                                         std::size_t count) const {
  if (partition >= kLedgerPartitions) return NoSuchPartition(partition);
  absl::MutexLock lock(&mutex_);
  std::vector<LedgerEntry> entries;
  const std::uint64_t size = durable_[partition].tree.size();
  if (from >= size) return entries;
  const std::uint64_t end = from + std::min<std::uint64_t>({count, kMaxEntriesPerRead, size - from});
  SqliteStatement& statement = statements_->entries;
  statement.Bind(1, format::EntryPosition({partition, from}));
  statement.Bind(2, format::EntryPosition({partition, end}));
  absl::Status status;
  for (std::size_t bytes = 0; bytes < kMaxBytesPerRead;) {
    absl::StatusOr<bool> row = statement.Step();
    status = row.status();
    if (!status.ok() || !*row) break;
    LedgerEntry& entry = entries.emplace_back();
    status = format::ReadEntry(statement, entry);
    if (!status.ok()) break;
    bytes += entry.bytes.size();
  }
  statement.Reset();
  if (!status.ok()) return status;
  return entries;
}

absl::StatusOr<std::vector<LedgerEntry>> Ledger::EntriesOf(bool file, std::string_view name, const Page& page) const {
  absl::MutexLock lock(&mutex_);
  const auto committed = [&](EntryId id) {
    mutex_.AssertHeld();
    return id.leaf < durable_[id.partition].tree.size();
  };
  absl::StatusOr<std::vector<EntryId>> ids =
      lists_->Find(file ? EntryLists::By::kFile : EntryLists::By::kSchool, name, page.after, page.newest_first,
                   std::min(page.limit, kMaxEntriesPerRead), committed);
  if (!ids.ok()) return ids.status();
  std::vector<LedgerEntry> entries;
  std::size_t bytes = 0;
  for (const EntryId id : *ids) {
    if (bytes >= kMaxBytesPerRead) break;
    LedgerEntry& entry = entries.emplace_back();
    absl::StatusOr<bool> found = ReadOne(id, entry);
    if (!found.ok()) return found.status();
    if (!*found || (file ? entry.file : entry.school) != name) {
      return Damaged(id.partition, absl::StrCat("a list names leaf ", id.leaf, ", which is none of its own"));
    }
    bytes += entry.bytes.size();
  }
  return entries;
}

absl::StatusOr<bool> Ledger::ReadOne(EntryId id, LedgerEntry& entry) const {
  SqliteStatement& statement = statements_->entries;
  statement.Bind(1, format::EntryPosition(id));
  statement.Bind(2, format::EntryPosition({id.partition, id.leaf + 1}));
  absl::StatusOr<bool> row = statement.Step();
  absl::Status status = row.ok() && *row ? format::ReadEntry(statement, entry) : row.status();
  statement.Reset();
  if (!status.ok()) return status;
  return row;
}

absl::StatusOr<std::vector<LedgerEntry>> Ledger::EntriesOfFile(std::string_view file, const Page& page) const {
  return EntriesOf(true, file, page);
}

absl::StatusOr<std::vector<LedgerEntry>> Ledger::EntriesOfSchool(std::string_view school, const Page& page) const {
  return EntriesOf(false, school, page);
}

}  // namespace vigil
