#include "simulation/run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "domain/pack/loader.h"
#include "platform/logging/log.h"
#include "platform/pack_directory/pack_directory.h"
#include "simulation/people.h"
#include "simulation/phones.h"
#include "simulation/world.h"

namespace vigil::simulation {

std::shared_ptr<const domain::Pack> SimulatedPack() {
  const auto files = ReadPackDirectory(VIGIL_PRIMARY_SCHOOL_PACK);
  auto pack = domain::LoadPack(files.value_or(domain::PackFiles{}), PackDigest);
  if (!pack.ok()) {
    std::fprintf(stderr, "%s\n", pack.status().ToString().c_str());
    std::exit(2);
  }
  return *pack;
}

Result RunWorld(const Options& options, const std::shared_ptr<const domain::Pack>& pack) {
  Result result;
  const absl::Time began = absl::Now();
  result.schools = SchoolsOf(options);
  World world(options, pack);
  Phones phones(&world);
  People people(&world, &phones);
  const absl::Time end = world.start() + absl::Hours(options.hours);
  try {
    world.Start();
    people.Begin(result.schools, end);
    world.RunUntil(end);
    if (world.ComeToRest()) {
      result.verdict = Check(world);
    } else {
      result.verdict.violations.push_back({"I5", "somebody never catches up", "", world.now()});
    }
  } catch (const std::exception& e) {
    result.verdict.violations.push_back({"I0", e.what(), "", world.now()});
  }
  TraceHash trace = world.trace();
  for (int partition = 0; partition < kPartitions; ++partition) {
    for (std::uint64_t sequence = 1; sequence <= world.broker().LastSequence(partition); ++sequence) trace.Add(world.broker().Message(partition, sequence).body);
  }
  if (options.fail_after_commits > 0 && result.verdict.commits > options.fail_after_commits) {
    result.verdict.violations.push_back({"I0", "asked to fail", "", world.now()});
  }
  result.trace = trace.value();
  result.faults = world.faults();
  for (const Violation& violation : result.verdict.violations) {
    absl::StrAppend(&result.story, "  ", violation.invariant, " ", violation.what, violation.file.empty() ? "" : " [file " + violation.file + "]", "\n");
  }
  if (!result.verdict.violations.empty()) {
    const Violation& first = result.verdict.violations.front();
    if (!first.file.empty()) absl::StrAppend(&result.story, "  The file until then:\n", StoryOf(world, first.file, first.time, 24));
    absl::StrAppend(&result.story, "  Faults:\n");
    for (const Fault& fault : result.faults) absl::StrAppend(&result.story, "    ", Describe(fault), "\n");
  }
  result.seconds = absl::ToDoubleSeconds(absl::Now() - began);
  return result;
}

std::string CommandFor(const Options& options) {
  std::string command = absl::StrCat("simulate --seed ", options.seed, " --hours ", options.hours);
  if (options.schools > 0) absl::StrAppend(&command, " --schools ", options.schools);
  if (options.busy != Options{}.busy) absl::StrAppend(&command, " --busy ", options.busy);
  if (options.faults_a_week != Options{}.faults_a_week) absl::StrAppend(&command, " --faults-a-week ", options.faults_a_week);
  if (!options.all_faults) absl::StrAppend(&command, " --faults ", options.faults.empty() ? "none" : absl::StrJoin(options.faults, ","));
  return command;
}

Options Shrink(const Options& failing, const std::shared_ptr<const domain::Pack>& pack, const std::string& invariant) {
  const auto fails = [&](const Options& options) {
    const Result result = RunWorld(options, pack);
    return std::any_of(result.verdict.violations.begin(), result.verdict.violations.end(), [&](const Violation& v) { return v.invariant == invariant; });
  };
  Options best = failing;
  best.trace = false;
  for (int schools = 1; schools < SchoolsOf(failing); ++schools) {
    Options fewer = best;
    fewer.schools = schools;
    if (!fails(fewer)) continue;
    best = fewer;
    break;
  }
  // Halve while it still fails, then by smaller steps.
  for (int step = best.hours / 2; step >= 1; step /= 2) {
    while (best.hours > step) {
      Options shorter = best;
      shorter.hours -= step;
      if (!fails(shorter)) break;
      best = shorter;
    }
  }
  best.faults.clear();
  {
    Options all = best;
    all.all_faults = true;
    for (const Fault& fault : FaultsOf(all, absl::UnixEpoch())) best.faults.push_back(fault.number);
    if (!failing.all_faults) best.faults = failing.faults;
  }
  best.all_faults = false;
  if (Options none = best; !none.faults.empty()) {
    none.faults.clear();
    if (fails(none)) return none;
  }
  for (std::size_t i = best.faults.size(); i-- > 0;) {
    Options without = best;
    without.faults.erase(without.faults.begin() + static_cast<std::ptrdiff_t>(i));
    if (fails(without)) best = without;
  }
  return best;
}

namespace {

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written <= 0) _exit(3);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// A story travels in one line.
std::string Escape(std::string text) {
  std::replace(text.begin(), text.end(), '\n', '\x1f');
  return text;
}

struct Child {
  pid_t pid = -1;
  int fd = -1;
  std::string pending;
  std::uint64_t running_seed = 0;
  bool running = false;
};

}  // namespace

Totals RunMany(Options options, std::uint64_t first, std::uint64_t count, int jobs, bool twice, absl::Duration longest,
               const std::shared_ptr<const domain::Pack>& pack) {
  Totals totals;
  const absl::Time began = absl::Now();
  std::fflush(nullptr);
  std::vector<Child> children(static_cast<std::size_t>(jobs));
  const auto start = [&](std::size_t job, std::uint64_t from) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    const pid_t pid = fork();
    if (pid != 0) {
      close(ends[1]);
      children[job].pid = pid;
      children[job].fd = ends[0];
      return;
    }
    close(ends[0]);
    for (std::uint64_t seed = from; seed < first + count; seed += static_cast<std::uint64_t>(jobs)) {
      if (longest > absl::ZeroDuration() && absl::Now() - began > longest) break;
      options.seed = seed;
      WriteAll(ends[1], absl::StrCat("begin ", seed, "\n"));
      const Result result = RunWorld(options, pack);
      bool same = true;
      if (twice) same = RunWorld(options, pack).trace == result.trace;
      const Verdict& v = result.verdict;
      WriteAll(ends[1], absl::StrCat("end ", seed, " ", v.violations.size(), " ", same ? 1 : 0, " ", result.schools, " ", v.commits, " ", v.void_commits, " ", v.alerts, " ",
                                     v.deadlines, " ", v.calls, " ", Escape(result.story), "\n"));
    }
    _exit(0);
  };
  for (std::size_t job = 0; job < children.size(); ++job) start(job, first + job);

  std::size_t open = children.size();
  while (open > 0) {
    fd_set readable;
    FD_ZERO(&readable);
    int top = -1;
    for (const Child& child : children) {
      if (child.fd < 0) continue;
      FD_SET(child.fd, &readable);
      top = std::max(top, child.fd);
    }
    if (top < 0 || select(top + 1, &readable, nullptr, nullptr, nullptr) < 0) break;
    for (std::size_t job = 0; job < children.size(); ++job) {
      Child& child = children[job];
      if (child.fd < 0 || !FD_ISSET(child.fd, &readable)) continue;
      char buffer[65536];
      const ssize_t got = read(child.fd, buffer, sizeof buffer);
      if (got > 0) {
        child.pending.append(buffer, static_cast<std::size_t>(got));
        for (std::size_t end = child.pending.find('\n'); end != std::string::npos; end = child.pending.find('\n')) {
          const std::string line = child.pending.substr(0, end);
          child.pending.erase(0, end + 1);
          const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 10));
          std::vector<std::uint64_t> numbers;
          for (std::size_t i = 1; i < words.size() && i <= 9; ++i) {
            std::uint64_t number = 0;
            (void)absl::SimpleAtoi(words[i], &number);
            numbers.push_back(number);
          }
          if (words[0] == "begin") {
            child.running_seed = numbers[0];
            child.running = true;
            continue;
          }
          child.running = false;
          ++totals.worlds;
          if (numbers[1] > 0) {
            ++totals.failed;
            if (totals.stories.size() < 10) {
              std::string story = words.size() > 10 ? words[10] : "";
              std::replace(story.begin(), story.end(), '\x1f', '\n');
              options.seed = numbers[0];
              totals.stories.push_back(absl::StrCat(CommandFor(options), "\n", story));
            }
          }
          if (numbers[2] == 0) {
            ++totals.differing;
            options.seed = numbers[0];
            if (totals.stories.size() < 10) totals.stories.push_back(absl::StrCat(CommandFor(options), "\n  two runs of this seed differ\n"));
          }
          totals.school_hours += numbers[3] * static_cast<std::uint64_t>(options.hours) * (twice ? 2 : 1);
          totals.commits += numbers[4] * (twice ? 2 : 1);
          totals.void_commits += numbers[5];
          totals.alerts += numbers[6];
          totals.deadlines += numbers[7];
          totals.calls += numbers[8];
        }
        continue;
      }
      close(child.fd);
      child.fd = -1;
      int status = 0;
      waitpid(child.pid, &status, 0);
      if (child.running) {
        // It died of this seed; the others go on.
        ++totals.worlds;
        ++totals.failed;
        options.seed = child.running_seed;
        totals.stories.push_back(absl::StrCat(CommandFor(options), "\n  the process died: ", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit", "\n"));
        child.running = false;
        child.pending.clear();
        start(job, child.running_seed + static_cast<std::uint64_t>(jobs));
        continue;
      }
      --open;
    }
  }
  totals.seconds = absl::ToDoubleSeconds(absl::Now() - began);
  return totals;
}

std::string Figures(const Totals& totals) {
  const double minutes = totals.seconds / 60;
  return absl::StrFormat(
      "%d worlds in %.1f s: %d school-hours, %.0f a wall-clock minute; %d commits, %.2f a school-hour; %d void, %d alerts, %d deadlines passed, %d requests; "
      "%d failed, %d not the same twice",
      totals.worlds, totals.seconds, totals.school_hours, minutes > 0 ? static_cast<double>(totals.school_hours) / minutes : 0, totals.commits,
      totals.school_hours > 0 ? static_cast<double>(totals.commits) / static_cast<double>(totals.school_hours) : 0, totals.void_commits, totals.alerts,
      totals.deadlines, totals.calls, totals.failed, totals.differing);
}

}  // namespace vigil::simulation
