#pragma once

#include <stdlib.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "audit/ledger/ledger.h"
#include "audit/ledger/ledger_file.h"
#include "platform/crypto/random.h"

namespace vigil::sample {

inline constexpr char kInstallation[] = "rehearsal";

// A directory of the test's own, gone at its end.
class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "vigil-ledger-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct Message {
  std::vector<std::string> commits;
};
// By partition: the messages from sequence 1 on.
using Streams = std::map<std::uint32_t, std::vector<Message>>;

// A commit's bytes in these tests: what CommitFacts wants to know, then anything.
inline std::string CommitBytes(const std::string& file, const std::string& school, absl::Time time,
                               const std::string& rest) {
  return absl::StrCat(file, "|", school, "|", absl::ToUnixNanos(time), "|", rest);
}

inline absl::StatusOr<CommitFacts> FactsOf(std::string_view bytes) {
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(bytes.data(), bytes.size()), absl::MaxSplits('|', 3));
  std::int64_t nanos = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[2], &nanos))
    return absl::InvalidArgumentError("not a sample commit");
  return CommitFacts{parts[0], parts[1], absl::FromUnixNanos(nanos)};
}

// Messages of 0 to 4 commits (0: one that readers skip) in each of the partitions.
inline Streams MakeStreams(std::uint64_t seed, const std::vector<std::uint32_t>& partitions, int messages) {
  std::mt19937_64 random(seed);
  Streams streams;
  for (const std::uint32_t partition : partitions) {
    for (int i = 0; i < messages; ++i) {
      Message& message = streams[partition].emplace_back();
      for (std::uint64_t commits = random() % 5; commits > 0; --commits) {
        const std::string file = random() % 4 == 0 ? "" : absl::StrCat("file-", partition, "-", random() % 5);
        message.commits.push_back(
            CommitBytes(file, absl::StrCat("school-", partition, "-", random() % 2),
                        absl::FromUnixNanos(1'700'000'000'000'000'000 + i * std::int64_t{1'000'000'007}),
                        absl::StrCat(random(), std::string(random() % 200, 'c'))));
      }
    }
  }
  return streams;
}

inline absl::Status AppendMessage(Ledger& ledger, std::uint32_t partition, std::uint64_t sequence,
                                  const Message& message) {
  std::vector<CommitFacts> facts;
  std::vector<LedgerCommit> commits;
  for (const std::string& bytes : message.commits) facts.push_back(FactsOf(bytes).value());
  for (std::size_t i = 0; i < facts.size(); ++i) {
    commits.push_back({facts[i].file, facts[i].school, facts[i].recorded_time, message.commits[i]});
  }
  return ledger.Append({partition, sequence, commits});
}

// Appends what the ledger does not have yet, and commits.
inline absl::Status Follow(Ledger& ledger, const Streams& streams) {
  for (const auto& [partition, messages] : streams) {
    for (std::uint64_t sequence = ledger.AppendedPosition(partition) + 1; sequence <= messages.size(); ++sequence) {
      if (absl::Status s = AppendMessage(ledger, partition, sequence, messages[sequence - 1]); !s.ok()) return s;
    }
  }
  return ledger.Commit();
}

// Lists are written early, so that a small ledger has entries in them and entries that are not in them yet.
inline absl::StatusOr<std::unique_ptr<Ledger>> OpenLedger(const std::string& directory, std::uint64_t seed = 1,
                                                          std::size_t list_after = 16) {
  SeededRandom random(seed);
  return Ledger::Open({directory, kInstallation, list_after}, random);
}

// The commits of a stream as a verifier reads them.
inline NextStreamCommit ReadStream(std::vector<Message> messages) {
  return [messages = std::move(messages), sequence = std::size_t{0},
          index = std::size_t{0}](StreamCommit& commit) mutable -> absl::StatusOr<bool> {
    while (sequence < messages.size() && index == messages[sequence].commits.size()) ++sequence, index = 0;
    if (sequence == messages.size()) return false;
    commit = {sequence + 1, static_cast<std::uint32_t>(index), messages[sequence].commits[index]};
    ++index;
    return true;
  };
}

inline NextLedgerEntry ReadEntries(std::vector<LedgerEntry> entries) {
  return [entries = std::move(entries), next = std::size_t{0}](LedgerEntry& entry) mutable -> absl::StatusOr<bool> {
    if (next == entries.size()) return false;
    entry = entries[next++];
    return true;
  };
}

}  // namespace vigil::sample
