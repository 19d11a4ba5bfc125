#include "chaos/checker.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "domain/classify.h"
#include "domain/file.h"
#include "domain/school.h"
#include "domain/school_time.h"
#include "machine/batch_codec.h"
#include "vigil/log/v1/commit.convert.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::chaos {
namespace {

class Checker {
 public:
  explicit Checker(const Evidence& evidence) : evidence_(evidence) {}

  Verdict Run() {
    for (int partition = 0; partition < kPartitions; ++partition) Partition(partition);
    for (const auto& [person, texts] : sealed_) {
      for (const SealedText& text : texts) {
        if (!text.opens.ok()) Violated("I1: ", text.at, ": report ", text.report_id, " does not open: ", std::string(text.opens.message()));
      }
    }
    Reports();
    Calls();
    States();
    return std::move(verdict_);
  }

 private:
  template <typename... Parts>
  void Violated(const Parts&... parts) {
    if (verdict_.violations.size() < 100) verdict_.violations.push_back(absl::StrCat(parts...));
  }

  void Partition(int partition) {
    std::map<std::string, std::string, std::less<>> chain;
    absl::Time last = absl::InfinitePast();
    std::uint64_t expected = 1;
    for (const LogMessage& message : evidence_.log[static_cast<std::size_t>(partition)]) {
      if (message.sequence != expected) Violated("I4: partition ", partition, ": message ", expected, " is missing");
      expected = message.sequence + 1;
      for (const std::string& canary : evidence_.canaries) {
        if (message.body.find(canary) != std::string::npos) Violated("I8: partition ", partition, " message ", message.sequence, " holds a word about a child");
      }
      const auto trusted = std::find_if(evidence_.trusted.begin(), evidence_.trusted.end(), [&](const auto& source) { return source.first == message.source; });
      const auto batch = trusted == evidence_.trusted.end() ? absl::StatusOr<DecodedBatch>(absl::DataLossError("unknown source"))
                                                            : DecodeBatch(message.body, partition, message.source, trusted->second);
      if (!batch.ok() || batch->previous_hash != chain[message.source]) {
        ++verdict_.skipped;
        continue;
      }
      chain[message.source] = BatchHash(message.body);
      std::uint32_t index = 0;
      for (const std::string& bytes : batch->commits) Commit(partition, {message.sequence, index++}, bytes, last);
    }
  }

  void Commit(int partition, domain::CommitPosition position, const std::string& bytes, absl::Time& last) {
    const std::string at = absl::StrCat("partition ", partition, " message ", position.sequence, "-", position.index);
    ++verdict_.commits;
    log::v1::Commit proto;
    if (!proto.ParseFromString(bytes)) return Violated("I4: ", at, ": a signed commit that does not parse");
    domain::Commit commit = contract::FromProto(proto);
    if (!ids_.insert(commit.id).second) Violated("I4: ", at, ": commit ", commit.id, " stands twice");
    // Every reader takes a commit at the latest time recorded before it.
    commit.recorded_time = std::max(commit.recorded_time, last);
    last = commit.recorded_time;
    domain::SchoolState& school = schools_[commit.school];
    if (school.school.empty()) school.school = commit.school;
    if (commit.file.empty()) {
      for (const domain::Event& event : commit.events) {
        domain::ApplyToSchool(school, commit, event, position);
        Erased(at, event);
      }
      return;
    }
    domain::FileState& file = files_[commit.file];
    const int before = domain::EffectiveRank(*evidence_.pack, file.current ? &file : nullptr);
    Clocks(at, file, commit);
    const domain::Applied applied = domain::Apply(file, commit, {*evidence_.pack, school, position});
    if (!applied.guard.ok()) {
      ++verdict_.void_commits;
      return;
    }
    const int after = domain::EffectiveRank(*evidence_.pack, &file);
    if (after < before && commit.source != "intake") Violated("I9: ", at, ": ", commit.source, " lowered a level");
    for (const domain::Event& event : commit.events) {
      if (const auto* received = std::get_if<domain::ReportReceived>(&event.body)) {
        ++found_[received->report_id];
        if (received->personal && evidence_.opens) sealed_[received->personal->person].push_back({at, received->report_id, evidence_.opens(*received->personal)});
      }
      Erased(at, event);
    }
  }

  // What was sealed before by a key that is given up opens no more; whoever comes again has another key.
  void Erased(const std::string& at, const domain::Event& event) {
    const auto* erased = std::get_if<domain::PersonErased>(&event.body);
    if (erased == nullptr) return;
    for (const domain::ErasedKey& key : erased->keys) {
      for (const SealedText& text : sealed_[key.person]) {
        if (text.opens.ok()) Violated("I8: ", text.at, ": report ", text.report_id, " opens, and was erased by ", at);
      }
      sealed_.erase(key.person);
    }
  }

  // None early, as the clock read at firing; late by no more than a second and the time that all was down.
  void Clocks(const std::string& at, const domain::FileState& file, const domain::Commit& commit) {
    for (const domain::Event& event : commit.events) {
      const auto* expired = std::get_if<domain::ClockExpired>(&event.body);
      if (expired == nullptr) continue;
      const domain::ClockState* clock = domain::FindClock(file, expired->clock_id);
      if (clock == nullptr || clock->phase != domain::ClockPhase::kRunning) continue;  // void
      if (commit.recorded_time < expired->due_time) Violated("I2: ", at, ": a clock fired early");
      const double speed = commit.clock_speed > 0 ? commit.clock_speed : 1;
      const absl::Duration late = commit.recorded_time - expired->due_time;
      verdict_.latest_clock = std::max(verdict_.latest_clock, late / speed);
      if (late > evidence_.down + absl::Seconds(2) * speed) Violated("I2: ", at, ": a clock fired ", absl::FormatDuration(late), " late");
    }
  }

  void Reports() {
    for (const AcceptedReport& report : evidence_.reports) {
      ++verdict_.reports;
      const auto found = found_.find(report.report_id);
      const int times = found == found_.end() ? 0 : found->second;
      if (times == 0) Violated("I1: accepted report ", report.report_id, " is not in the log");
      if (times > 1) Violated("I1: report ", report.report_id, " is in the log ", times, " times");
    }
  }

  void Calls() {
    for (const AcceptedReport& report : evidence_.reports) {
      if (!report.severe) continue;
      const auto calls = evidence_.calls.find(report.school);
      if (calls == evidence_.calls.end()) continue;
      const auto first = std::lower_bound(calls->second.begin(), calls->second.end(), report.sent);
      // Another matter's call that rings meanwhile reaches the same person.
      if (first == calls->second.end()) {
        Violated("I3: nobody was rung after severe report ", report.report_id);
        continue;
      }
      ++verdict_.severe_rung;
      const absl::Duration took = *first - report.answered;
      verdict_.longest_first_call = std::max(verdict_.longest_first_call, took);
      if (took > evidence_.first_call) Violated("I3: severe report ", report.report_id, " waited ", absl::FormatDuration(took), " for a call");
    }
  }

  void States() {
    for (const auto& [id, file] : files_) {
      if (!file.current || !file.current->custody) continue;
      const domain::CustodyState& custody = *file.current->custody;
      for (std::size_t i = 1; i < custody.chain.size(); ++i) {
        if (custody.chain[i - 1].to_time != custody.chain[i].from_time) Violated("I7: file ", id, ": a hole in the chain of custody");
      }
      for (const domain::CustodyInterval& interval : custody.chain) {
        if (!interval.holders.empty() || !custody.supervised) continue;
        const bool recorded = std::any_of(custody.gaps.begin(), custody.gaps.end(), [&](const domain::GapState& gap) {
          return gap.from_time <= interval.from_time && (!domain::IsSet(gap.to_time) || (domain::IsSet(interval.to_time) && gap.to_time >= interval.to_time));
        });
        if (!recorded) Violated("I7: file ", id, ": an interval with neither holder nor gap");
      }
      if (evidence_.now == absl::InfinitePast() || !domain::HasOpenCase(file)) continue;
      for (const domain::ClockState& clock : file.current->clocks) {
        if (clock.phase != domain::ClockPhase::kRunning || !domain::IsSet(clock.due_time)) continue;
        if (clock.due_time + evidence_.down < evidence_.now) Violated("I2: file ", id, ": clock ", clock.kind, " was due and has not fired");
      }
    }
  }

  const Evidence& evidence_;
  Verdict verdict_;
  std::set<std::string> ids_;
  struct SealedText {
    std::string at;
    std::string report_id;
    absl::Status opens;
  };
  std::map<std::string, std::vector<SealedText>> sealed_;  // by whose key
  std::unordered_map<std::string, int> found_;
  std::unordered_map<std::string, domain::FileState> files_;
  std::unordered_map<std::string, domain::SchoolState> schools_;
};

}  // namespace

Verdict Check(const Evidence& evidence) { return Checker(evidence).Run(); }

}  // namespace vigil::chaos
