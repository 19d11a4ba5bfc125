// How fast the ledger takes commits, each message of a batch made durable with one sync, and how fast it is verified
// afterwards from its files. Prints one line of JSON. `rate` is of commits appended; p50, p99 and max are of one
// Commit, a sync of the disk included.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "audit/ledger/ledger.h"
#include "audit/ledger/ledger_file.h"
#include "platform/crypto/random.h"

namespace vigil {
namespace {

struct Options {
  std::uint64_t commits = 500'000;
  std::uint64_t commits_per_message = 50;
  std::uint64_t messages_per_sync = 8;
  std::size_t bytes = 600;
  std::uint64_t files = 50'000;
  std::string directory = std::filesystem::temp_directory_path().string();
};

// Of this process, so that the figures can be compared on a machine that is busy with other things.
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

using Clock = std::chrono::steady_clock;
double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void Fail(const absl::Status& status) {
  absl::FPrintF(stderr, "bench_ledger: %s\n", status.ToString());
  std::exit(1);
}

void Check(const absl::Status& status) {
  if (!status.ok()) Fail(status);
}

int Run(Options options) {
  options.directory += absl::StrFormat("/vigil-bench-ledger-%d", ::getpid());
  SystemRandom random;
  auto opened = Ledger::Open({options.directory, "bench"}, random);
  Check(opened.status());
  Ledger& ledger = **opened;

  // Made beforehand: what is measured is the ledger.
  std::mt19937_64 numbers(1);
  std::vector<std::string> bodies(4096, std::string(options.bytes, 'c'));
  for (std::string& body : bodies) {
    for (char& c : body) c = static_cast<char>(numbers());
  }
  std::vector<std::string> files;
  for (std::uint64_t i = 0; i < options.files; ++i) files.push_back(absl::StrFormat("f%016x%08x", numbers(), i));
  std::vector<std::string> schools;
  for (int i = 0; i < 1000; ++i) schools.push_back(absl::StrFormat("s%016x", numbers()));

  std::vector<std::uint64_t> sequences(kLedgerPartitions, 0);
  std::vector<double> syncs;
  std::vector<LedgerCommit> commits(options.commits_per_message);
  std::uint64_t appended = 0;
  const Clock::time_point append_start = Clock::now();
  const double append_cpu_start = CpuSeconds();
  for (std::uint64_t message = 0; appended < options.commits; ++message) {
    const auto partition = static_cast<std::uint32_t>(message % kLedgerPartitions);
    for (LedgerCommit& commit : commits) {
      const std::uint64_t n = numbers();
      commit = {files[n % files.size()], schools[n % schools.size()],
                absl::FromUnixNanos(static_cast<std::int64_t>(appended)), bodies[n % bodies.size()]};
    }
    Check(ledger.Append({partition, ++sequences[partition], commits}));
    appended += commits.size();
    if ((message + 1) % options.messages_per_sync == 0 || appended >= options.commits) {
      const Clock::time_point start = Clock::now();
      Check(ledger.Commit());
      syncs.push_back(SecondsSince(start) * 1e3);
    }
  }
  const double append_seconds = SecondsSince(append_start);
  const double append_cpu = CpuSeconds() - append_cpu_start;

  constexpr int kProofs = 20'000;
  const Clock::time_point proof_start = Clock::now();
  for (int i = 0; i < kProofs; ++i) {
    const auto partition = static_cast<std::uint32_t>(numbers() % kLedgerPartitions);
    const std::uint64_t size = ledger.Size(partition);
    if (size == 0) continue;
    Check(ledger.InclusionProof(partition, numbers() % size, size).status());
  }
  const double proof_seconds = SecondsSince(proof_start);

  // As anyone does who has the commits and a checkpoint: nothing read from a disk.
  std::vector<LedgerEntry> entries;
  while (entries.size() < ledger.Size(0) && entries.size() < 50'000) {
    auto more = ledger.Entries(0, entries.size(), Ledger::kMaxEntriesPerRead);
    Check(more.status());
    std::move(more->begin(), more->end(), std::back_inserter(entries));
  }
  std::size_t next_commit = 0;
  std::size_t next_entry = 0;
  const double pure_start = CpuSeconds();
  const auto pure = VerifyPartition({
      .partition = 0,
      .installation = "bench",
      .key = ledger.key(),
      .checkpoint = ledger.SignedCheckpoint(0),
      .ledger = [&](LedgerEntry& entry) -> absl::StatusOr<bool> {
        if (next_entry == entries.size()) return false;
        entry = entries[next_entry++];
        return true;
      },
      .stream = [&](StreamCommit& commit) -> absl::StatusOr<bool> {
        if (next_commit == entries.size()) return false;
        const LedgerEntry& entry = entries[next_commit++];
        commit.sequence = entry.sequence;
        commit.index = entry.index;
        commit.bytes = entry.bytes;
        return true;
      },
  });
  const double pure_cpu = CpuSeconds() - pure_start;
  Check(pure.status());
  if (pure->difference && entries.size() == ledger.Size(0)) Fail(absl::DataLossError(pure->difference->text));
  const std::uint64_t pure_leaves = pure->leaves;

  const NoteVerifier key = ledger.key();
  opened->reset();
  const Clock::time_point reopen_start = Clock::now();
  opened = Ledger::Open({options.directory, "bench"}, random);
  Check(opened.status());
  const double reopen_seconds = SecondsSince(reopen_start);
  opened->reset();

  const Clock::time_point verify_start = Clock::now();
  const double verify_cpu_start = CpuSeconds();
  const auto verified = VerifyLedgerFile({.directory = options.directory, .installation = "bench", .key = key});
  Check(verified.status());
  const double verify_seconds = SecondsSince(verify_start);
  const double verify_cpu = CpuSeconds() - verify_cpu_start;
  for (const Difference& difference : verified->differences) Fail(absl::DataLossError(difference.text));

  std::sort(syncs.begin(), syncs.end());
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  absl::PrintF(
      "{\"rate\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f, \"lost\": %d, \"rss_bytes\": "
      "{\"ledger\": %d}, "
      "\"appended_per_s\": %.0f, \"verified_per_s\": %.0f, \"proofs_per_s\": %.0f, \"reopen_ms\": %.1f, \"commits\": "
      "%d, "
      "\"disk_bytes_per_commit\": %.0f, \"append_cpu_us_per_commit\": %.2f, "
      "\"verify_cpu_us_per_commit\": %.2f, \"verify_in_memory_cpu_us_per_commit\": %.2f}\n",
      static_cast<double>(appended) / append_seconds, syncs[syncs.size() / 2], syncs[syncs.size() * 99 / 100],
      syncs.back(), appended - verified->leaves, usage.ru_maxrss * 1024, static_cast<double>(appended) / append_seconds,
      static_cast<double>(verified->leaves) / verify_seconds, kProofs / proof_seconds, reopen_seconds * 1e3, appended,
      static_cast<double>(std::filesystem::file_size(options.directory + "/ledger.db")) / static_cast<double>(appended),
      append_cpu * 1e6 / static_cast<double>(appended), verify_cpu * 1e6 / static_cast<double>(appended),
      pure_cpu * 1e6 / static_cast<double>(pure_leaves));
  std::filesystem::remove_all(options.directory);
  return appended == verified->leaves ? 0 : 1;
}

}  // namespace
}  // namespace vigil

int main(int argc, char** argv) {
  vigil::Options options;
  CLI::App app("Appends commits to a ledger and verifies it");
  app.add_option("--commits", options.commits)->check(CLI::Range(1, 100'000'000));
  app.add_option("--commits-per-message", options.commits_per_message, "as group commit makes them")
      ->check(CLI::Range(1, 1000));
  app.add_option("--messages-per-sync", options.messages_per_sync)->check(CLI::Range(1, 1000));
  app.add_option("--bytes", options.bytes, "of a commit")->check(CLI::Range(1, 131072));
  app.add_option("--files", options.files)->check(CLI::Range(1, 10'000'000));
  app.add_option("--directory", options.directory, "where its own is made, and removed at the end");
  CLI11_PARSE(app, argc, argv);
  return vigil::Run(options);
}
