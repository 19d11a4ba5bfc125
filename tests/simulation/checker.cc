#include "simulation/checker.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/classify.h"
#include "domain/clocks.h"
#include "domain/file.h"
#include "domain/school_time.h"
#include "machine/batch_codec.h"
#include "platform/crypto/hash.h"
#include "simulation/people.h"
#include "support/state_bytes.h"
#include "vigil/log/v1/commit.pb.h"

namespace vigil::simulation {
namespace {

using domain::AlertPhase;
using domain::ClockPhase;
using domain::IsSet;

constexpr absl::Duration kPunctual = absl::Seconds(1);
constexpr absl::Duration kFirstCall = absl::Seconds(5);
// What was mended needs a moment to catch up.
constexpr absl::Duration kRecovery = absl::Seconds(3);
constexpr std::size_t kMostViolations = 20;

bool Contains(const std::vector<std::string>& list, const std::string& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

std::string Text(absl::Time t) {
  return IsSet(t) && t != absl::InfiniteFuture() ? absl::FormatTime("%m-%d %H:%M:%E3S", t, domain::SchoolZone()) : "never";
}

// What this checker knows of one file, from the events alone.
struct Model {
  std::string school;
  std::string case_id;
  std::string student;
  bool open = false;
  int provisional = 0;
  int final_rank = 0;
  int Rank() const { return std::max(provisional, final_rank); }

  struct Report {
    absl::Time discovered;
    absl::Time recorded;
    bool classified = false;
  };
  std::map<std::string, Report> reports;
  struct Trigger {
    absl::Time discovered;
    bool known = false;  // where the discovery is not plain from the events it is not checked
  };
  std::vector<Trigger> triggers;

  bool supervised = false;
  std::vector<std::string> holders;
  std::vector<std::string> offered;
  std::vector<std::string> accepted;
  absl::Time seen = absl::InfinitePast();
  std::set<std::string> recused;

  struct Alert {
    const domain::LadderRow* ladder = nullptr;
    absl::Time raised;
    // From when something is owed to somebody: the raising, or the last step.
    absl::Time step_time;
    absl::Time last_progress;
    absl::Time accepted;  // of the report that it is about; InfinitePast: of none
    int step = 0;
    int round = 1;
    bool attempted_step = false;
    bool attempted = false;
    bool excused = false;
    bool open = true;
  };
  std::map<std::string, Alert> alerts;

  // Of each running clock, what time alone brings next, and since when that is so.
  struct Next {
    absl::Time at;
    absl::Time since;
    absl::Time due;
    bool missed = false;
  };
  std::map<std::string, Next> clocks;
  absl::Time last_time = absl::InfinitePast();
};

struct AttemptSeen {
  std::string file;
  std::string alert;
  absl::Time intended;
  std::set<domain::AttemptEvent> events;
};

class Checker final : public Service {
 public:
  explicit Checker(World* world) : world_(*world), pack_(world->pack()) {
    for (const PhoneOrder& order : world_.history().orders) {
      const auto [it, is_new] = first_asked_.emplace(order.id, order.asked);
      if (!is_new) it->second = std::min(it->second, order.asked);
    }
    supervised_rank_ = pack_.SupervisedRank();
  }

  void Attach(Machine* machine) { machine_ = machine; }
  void OnCommit(const AppliedCommit& applied) override;
  void OnCaughtUp() override { caught_up_ = true; }
  void Finish();
  bool caught_up() const { return caught_up_; }

  Verdict verdict;
  Opinion opinion;

 private:
  void Fail(std::string invariant, std::string what, const std::string& file = "", absl::Time time = absl::InfinitePast()) {
    if (verdict.violations.size() < kMostViolations) verdict.violations.push_back({std::move(invariant), std::move(what), file, time});
  }
  absl::Duration Excuse(unsigned parts, int partition, absl::Time from, absl::Time to) const;
  // Whether something that was to happen by `by` may happen only at `at`.
  bool InTime(absl::Time by, absl::Time at, unsigned parts, int partition, absl::Time since) const {
    return at <= by || at <= by + Excuse(parts, partition, since, at);
  }

  void CheckTimes(Model& model, const std::string& file, int partition, absl::Time now);
  void Follow(Model& model, const AppliedCommit& applied);
  void CheckLevel(Model& model, const AppliedCommit& applied, int before);
  void CheckCustody(Model& model, const AppliedCommit& applied);
  void CheckAlerts(Model& model, const AppliedCommit& applied);
  void NoteClocks(Model& model, const AppliedCommit& applied);
  void CheckDue(const Model& model, const AppliedCommit& applied, const domain::ClockState& clock);
  void CheckCalls();
  void CheckPhones();

  struct Seen {
    int effective = 0;
    int voids = 0;
    std::string request_hash;
    absl::Time recorded;
    std::string first_event;
  };

  World& world_;
  const domain::Pack& pack_;
  Machine* machine_ = nullptr;
  bool caught_up_ = false;
  int supervised_rank_ = 4;
  std::unordered_map<std::string, Model> models_;
  std::unordered_map<std::string, Seen> commits_;
  std::unordered_map<std::string, std::pair<std::string, const domain::Sealed*>> reports_;
  std::deque<domain::Sealed> sealed_;
  std::unordered_map<std::string, absl::Time> first_asked_;
  std::unordered_map<std::string, AttemptSeen> attempts_;
  std::array<absl::Time, kPartitions> last_recorded_{};
};

absl::Duration Checker::Excuse(unsigned parts, int partition, absl::Time from, absl::Time to) const {
  absl::Duration sum = absl::ZeroDuration();
  absl::Time counted = from - absl::Seconds(5);
  for (const Outage& outage : world_.history().outages) {
    if ((outage.parts & parts) == 0 || (outage.partition >= 0 && outage.partition != partition)) continue;
    const absl::Time begin = std::max(outage.from, counted);
    const absl::Time end = std::min(outage.to == absl::InfiniteFuture() ? to : outage.to + kRecovery, to);
    if (end <= begin) continue;
    sum += end - begin;
    counted = end;
  }
  // What was begun under an outage is not quicker than the outage and its recovery.
  return sum == absl::ZeroDuration() ? sum : sum + kRecovery;
}

// ------------------------------------------------------------------------------------------------ a commit

void Checker::OnCommit(const AppliedCommit& applied) {
  const domain::Commit& commit = applied.commit;
  ++verdict.commits;
  const bool is_void = applied.file != nullptr && !applied.applied.guard.ok();
  if (is_void) {
    ++verdict.void_commits;
    std::uint64_t& seen = opinion.voids[static_cast<std::size_t>(applied.partition)];
    seen = Mix(seen ^ Mix(applied.position.sequence * 4096 + applied.position.index));
  }
  absl::Time& last = last_recorded_[static_cast<std::size_t>(applied.partition)];
  if (commit.recorded_time < last) Fail("I6", "time went back in a partition", commit.file, commit.recorded_time);
  last = commit.recorded_time;

  Seen& seen = commits_[commit.id];
  if (is_void) {
    ++seen.voids;
  } else {
    ++seen.effective;
    seen.request_hash = commit.request_hash;
    seen.recorded = commit.recorded_time;
    if (seen.effective > 1) Fail("I4", absl::StrCat("the commit ", commit.id, " is in the log twice"), commit.file, commit.recorded_time);
  }
  if (applied.bytes.find(People::kCanary.data(), 0, People::kCanary.size()) != std::string::npos) {
    Fail("I8", "a commit carries a personal text in clear", commit.file, commit.recorded_time);
  }
  if (applied.file == nullptr || is_void) return;

  Model& model = models_[commit.file];
  CheckTimes(model, commit.file, applied.partition, commit.recorded_time);
  const int before = model.open ? model.Rank() : 0;
  Follow(model, applied);
  CheckLevel(model, applied, before);
  CheckCustody(model, applied);
  CheckAlerts(model, applied);
  NoteClocks(model, applied);
  model.last_time = commit.recorded_time;
}

// What the events say, told again by other words than the fold's.
void Checker::Follow(Model& model, const AppliedCommit& applied) {
  const domain::Commit& commit = applied.commit;
  const absl::Time now = commit.recorded_time;
  const domain::FileState& file = applied.file->state;
  const auto open_if_none = [&](const std::string& case_id) {
    if (model.open) return;
    std::string school = commit.school;
    model = Model{};
    model.school = std::move(school);
    model.case_id = case_id;
    model.open = true;
  };
  const auto end_supervision = [&] {
    model.supervised = false;
    model.holders.clear();
    model.offered.clear();
    model.accepted.clear();
  };
  for (const domain::Event& event : commit.events) {
    if (const auto* received = std::get_if<domain::ReportReceived>(&event.body)) {
      open_if_none(received->case_id);
      model.reports[received->report_id] = {.discovered = received->discovered_time, .recorded = now};
      const domain::Sealed* personal = nullptr;
      if (received->personal) personal = &sealed_.emplace_back(*received->personal);
      if (!reports_.emplace(received->report_id, std::pair(commit.file, personal)).second) {
        Fail("I4", absl::StrCat("the report ", received->report_id, " is in the log twice"), commit.file, now);
      }
      continue;
    }
    if (const auto* joined = std::get_if<domain::CaseJoined>(&event.body)) {
      open_if_none(joined->case_id);
      for (const std::string& id : joined->report_ids) model.reports[id] = {.discovered = joined->discovered_time, .recorded = now, .classified = true};
      model.provisional = std::max(model.provisional, pack_.Rank(joined->level));
      if (IsSet(joined->discovered_time) && model.Rank() >= supervised_rank_) model.triggers.push_back({joined->discovered_time, true});
    }
    if (!model.open) continue;
    if (const auto* classified = std::get_if<domain::Classified>(&event.body)) {
      Model::Report& report = model.reports[classified->report_id];
      report.classified = true;
      model.provisional = std::max(model.provisional, pack_.Rank(classified->level));
      if (classified->trigger) model.triggers.push_back({report.discovered, true});
    } else if (const auto* assessed = std::get_if<domain::Assessed>(&event.body)) {
      const int rank_before = model.Rank();
      model.final_rank = pack_.Rank(assessed->level);
      model.provisional = 0;
      if (model.Rank() < rank_before && rank_before >= supervised_rank_) {
        // ASM-10.
        const std::set<std::string> members(assessed->members.begin(), assessed->members.end());
        if (!assessed->face_to_face || assessed->kind != "group" || members.size() < 2) {
          Fail("I9", "a severe level was lowered without two assessors face to face", commit.file, now);
        }
      }
      if (model.Rank() > rank_before && model.Rank() >= supervised_rank_) model.triggers.push_back({now, false});
      if (model.Rank() < supervised_rank_ && model.supervised) end_supervision();
    } else if (const auto* decided = std::get_if<domain::NotSevereDecided>(&event.body)) {
      if (decided->assessors.size() < 2 || decided->assessors[0] == decided->assessors[1]) {
        Fail("I9", "not severe, but not by two assessors", commit.file, now);
      }
      model.provisional = supervised_rank_ - 1;
      end_supervision();
    } else if (const auto* expired = std::get_if<domain::ClockExpired>(&event.body)) {
      const std::string kind = expired->clock_id.substr(0, expired->clock_id.rfind('-'));
      const domain::ClockRow* row = pack_.FindClock(kind);
      if (row != nullptr && !row->expiry_proposes.empty() && pack_.Rank(row->expiry_proposes) > model.Rank()) {
        model.provisional = pack_.Rank(row->expiry_proposes);
        if (model.Rank() >= supervised_rank_) model.triggers.push_back({now, false});
      }
      ++verdict.deadlines;
      if (now < expired->due_time) Fail("I2", absl::StrCat(expired->clock_id, " expired early"), commit.file, now);
    } else if (const auto* corrected = std::get_if<domain::DiscoveryCorrected>(&event.body)) {
      if (!model.triggers.empty()) model.triggers.back() = {corrected->discovered_time, true};
    } else if (const auto* sight = std::get_if<domain::SightConfirmed>(&event.body)) {
      if (model.supervised && model.holders.empty()) {
        model.holders = {sight->person};
        model.offered.clear();
      }
      model.seen = now;
    } else if (const auto* offered = std::get_if<domain::ShiftOffered>(&event.body)) {
      model.offered = offered->to;
      model.accepted.clear();
    } else if (const auto* accepted = std::get_if<domain::ShiftAccepted>(&event.body)) {
      if (!Contains(model.offered, accepted->person)) Fail("I7", "somebody took over who was not asked to", commit.file, now);
      if (!commit.actor || commit.actor->person != accepted->person) Fail("I7", "somebody took over by another's word", commit.file, now);
      model.accepted.push_back(accepted->person);
      if (model.accepted.size() >= model.offered.size()) {
        model.holders = std::exchange(model.offered, {});
        model.accepted.clear();
        model.seen = now;
      }
    } else if (const auto* checked = std::get_if<domain::CheckedIn>(&event.body)) {
      if (!Contains(model.holders, checked->person)) Fail("I7", "somebody checked in who does not hold the child", commit.file, now);
      if (checked->in_sight) {
        model.seen = now;
      } else {
        std::erase(model.holders, checked->person);
      }
    } else if (const auto* guardian = std::get_if<domain::HandedOverToGuardian>(&event.body)) {
      const auto person = applied.school.people.find(guardian->guardian);
      if (person == applied.school.people.end() || person->second.excluded || !guardian->identity_checked) {
        Fail("I7", "the child was given to somebody it must not be given to", commit.file, now);
      }
      end_supervision();
    } else if (std::holds_alternative<domain::HandedOverToAuthority>(event.body)) {
      end_supervision();
    } else if (const auto* departure = std::get_if<domain::DepartureRecorded>(&event.body)) {
      if (model.supervised) {
        if (!departure->escorts.empty() && departure->escorts != model.holders) {
          model.seen = now;
          model.accepted.clear();
        }
        model.holders = departure->escorts;
        model.offered.clear();
      }
    } else if (const auto* returned = std::get_if<domain::CustodyReturned>(&event.body)) {
      if (model.supervised) {
        model.holders = {returned->person};
        model.offered.clear();
        model.accepted.clear();
      }
      model.seen = now;
    } else if (const auto* recused = std::get_if<domain::Recused>(&event.body)) {
      model.recused.insert(recused->person);
      std::erase(model.offered, recused->person);
      std::erase(model.accepted, recused->person);
    } else if (std::holds_alternative<domain::CaseClosed>(event.body) || std::holds_alternative<domain::CaseMoved>(event.body)) {
      if (std::holds_alternative<domain::CaseClosed>(event.body) && model.supervised) {
        Fail("I7", "a case was closed under special supervision", commit.file, now);
      }
      end_supervision();
      model.open = false;
    }
  }
  // Supervision begins with the level, or with the child's return; who then has the child is taken from the fold once, and followed from there.
  if (model.open && !model.supervised && file.current && file.current->custody && file.current->custody->supervised) {
    if (model.Rank() < supervised_rank_) Fail("I7", "supervision runs at a level that does not call for it", commit.file, now);
    model.supervised = true;
    model.holders = file.current->custody->holders;
    model.offered = file.current->custody->offered_to;
    model.accepted = file.current->custody->accepted;
    if (!model.holders.empty()) model.seen = now;
  }
}

void Checker::CheckLevel(Model& model, const AppliedCommit& applied, int before) {
  const domain::Commit& commit = applied.commit;
  const domain::FileState& file = applied.file->state;
  if (!model.open) return;
  if (const int folded = domain::EffectiveRank(pack_, &file); folded != model.Rank()) {
    Fail("I5", absl::StrCat("the fold's level has rank ", folded, ", the events say ", model.Rank()), commit.file, commit.recorded_time);
    model.provisional = folded;
    model.final_rank = 0;
  }
  if (model.Rank() >= before) return;
  const bool by_people = std::any_of(commit.events.begin(), commit.events.end(), [](const domain::Event& e) {
    return std::holds_alternative<domain::Assessed>(e.body) || std::holds_alternative<domain::NotSevereDecided>(e.body) ||
           std::holds_alternative<domain::ReportReceived>(e.body) || std::holds_alternative<domain::CaseJoined>(e.body);
  });
  if (!by_people || commit.source != "intake") {
    Fail("I9", absl::StrCat("a level was lowered from ", before, " to ", model.Rank(), " by ", commit.source), commit.file, commit.recorded_time);
  }
}

void Checker::CheckCustody(Model& model, const AppliedCommit& applied) {
  const absl::Time now = applied.commit.recorded_time;
  const std::string& id = applied.commit.file;
  const domain::FileState& file = applied.file->state;
  if (!model.open || !file.current || !file.current->custody) return;
  const domain::CustodyState& custody = *file.current->custody;
  if (custody.supervised != model.supervised) {
    Fail("I7", absl::StrCat("supervision: the fold says ", custody.supervised, ", the events say ", model.supervised), id, now);
    model.supervised = custody.supervised;
    model.holders = custody.holders;
  }
  if (!model.supervised) return;
  if (std::set(custody.holders.begin(), custody.holders.end()) != std::set(model.holders.begin(), model.holders.end())) {
    Fail("I7", absl::StrCat("who holds the child: the fold says ", custody.holders.empty() ? "nobody" : custody.holders.front(), ", the events say ",
                            model.holders.empty() ? "nobody" : model.holders.front()),
         id, now);
    model.holders = custody.holders;
  }
  // The chain has no hole: each stretch begins where the one before ended, the last is open.
  const auto& chain = custody.chain;
  for (std::size_t i = chain.size() > 2 ? chain.size() - 2 : 1; i < chain.size(); ++i) {
    if (chain[i].from_time != chain[i - 1].to_time) {
      // Between two supervisions nobody needs to hold the child.
      if (chain[i].from_time > custody.supervised_time) Fail("I7", "the chain of custody has a hole", id, now);
    }
  }
  if (!chain.empty() && IsSet(chain.back().to_time)) Fail("I7", "the chain of custody has ended under supervision", id, now);
  const bool gap = !custody.gaps.empty() && !IsSet(custody.gaps.back().to_time);
  if (model.holders.empty() && !gap) Fail("I7", "nobody holds the child, and no gap is recorded", id, now);
  if (!gap) return;
  // A gap is not forgotten: somebody is being rung for it, or a clock will have them rung.
  const auto& c = *file.current;
  const bool rings = std::any_of(c.alerts.begin(), c.alerts.end(), [&](const domain::AlertState& alert) {
    const domain::LadderRow* ladder = pack_.FindLadder(alert.ladder);
    return alert.phase == AlertPhase::kOpen && ladder != nullptr && ladder->takeable && ladder->priority >= 100;
  });
  const bool will_ring = std::any_of(c.clocks.begin(), c.clocks.end(), [&](const domain::ClockState& clock) {
    const domain::ClockRow* row = pack_.FindClock(clock.kind);
    const bool about_sight = row != nullptr && domain::Matches(row->met_by, {.fact = domain::Fact::kInSight});
    return clock.phase == ClockPhase::kRunning && about_sight && IsSet(clock.due_time);
  });
  const bool just_taken = std::any_of(applied.commit.events.begin(), applied.commit.events.end(),
                                      [](const domain::Event& e) { return std::holds_alternative<domain::AlertTaken>(e.body); });
  if (!rings && !will_ring) {
    Fail("I7", absl::StrCat("a gap (", custody.gaps.back().reason, ", since ", Text(custody.gaps.back().from_time), ") is open, nobody is rung, and no clock will have anybody rung",
                            just_taken ? " (just taken)" : ""),
         id, now);
  }
}

void Checker::CheckAlerts(Model& model, const AppliedCommit& applied) {
  const domain::Commit& commit = applied.commit;
  const absl::Time now = commit.recorded_time;
  bool severe_raised = false;
  for (const domain::Event& event : commit.events) {
    if (const auto* raised = std::get_if<domain::AlertRaised>(&event.body)) {
      Model::Alert alert{.ladder = pack_.FindLadder(raised->ladder), .raised = now, .step_time = now, .last_progress = now, .accepted = absl::InfinitePast()};
      if (const auto* classified = std::get_if<domain::Classified>(&commit.events.front().body)) {
        alert.accepted = model.reports[classified->report_id].recorded;
      }
      severe_raised = severe_raised || raised->ladder == pack_.Level(supervised_rank_).ladder;
      model.alerts[raised->alert_id] = alert;
      ++verdict.alerts;
    } else if (const auto* climbed = std::get_if<domain::LadderClimbed>(&event.body)) {
      const auto it = model.alerts.find(climbed->alert_id);
      if (it == model.alerts.end()) continue;
      Model::Alert& alert = it->second;
      alert.step = climbed->step;
      alert.round = climbed->round;
      alert.step_time = alert.last_progress = now;
      alert.attempted_step = false;
      alert.excused = false;
      if (climbed->alarm && alert.ladder != nullptr && alert.ladder->takeable) {
        // "Nobody can be reached" is said only where there is nobody.
        for (const domain::LadderStep& step : alert.ladder->steps) {
          for (const std::string& target : step.ring) {
            if (!pack_.roles.contains(target) || pack_.roles.at(target).scope != domain::RoleRow::Scope::kSchool) continue;
            for (const auto& [id, person] : applied.school.people) {
              if (!person.on_leave && person.has_phone && Contains(person.roles, target) && !model.recused.contains(id) && !alert.attempted) {
                Fail("I3", absl::StrCat("a ladder found nobody, but ", id, " could have been rung"), commit.file, now);
              }
            }
          }
        }
      }
    } else if (const auto* intended = std::get_if<domain::AttemptIntended>(&event.body)) {
      attempts_[intended->attempt_id] = {.file = commit.file, .alert = intended->alert_id, .intended = now};
      if (model.recused.contains(intended->person)) Fail("I3", "somebody is rung who is off the matter", commit.file, now);
      const auto it = model.alerts.find(intended->alert_id);
      if (it == model.alerts.end()) continue;
      it->second.last_progress = now;
      it->second.attempted = it->second.attempted_step = true;
    } else if (const auto* progressed = std::get_if<domain::AttemptProgressed>(&event.body)) {
      attempts_[progressed->attempt_id].events.insert(progressed->event);
    }
  }
  // A trigger has its alert in the same commit, so none can be missing.
  if (applied.applied.new_trigger > 0 && !severe_raised) Fail("I3", "a trigger raised no alert", commit.file, now);
  if (const auto* classified = std::get_if<domain::Classified>(&commit.events.front().body); classified != nullptr && classified->trigger && !severe_raised) {
    Fail("I3", "a severe report raised no alert", commit.file, now);
  }
  // What has been taken or settled is the fold's to say; that it was not settled by nothing is in its history.
  const domain::FileState& file = applied.file->state;
  for (auto it = model.alerts.begin(); it != model.alerts.end();) {
    const domain::AlertState* state = domain::FindAlert(file, it->first);
    const bool open = state != nullptr && state->phase == AlertPhase::kOpen && model.open;
    if (state == nullptr || state->phase == AlertPhase::kClosed || !model.open) {
      it = model.alerts.erase(it);
      continue;
    }
    if (open && !it->second.open) {
      // It came back: taken, and yet nobody came.
      it->second.step_time = it->second.last_progress = now;
      it->second.attempted_step = it->second.excused = false;
      it->second.step = state->step;
      it->second.round = state->round;
    }
    it->second.open = open;
    ++it;
  }
}

// What should have happened on this file before `now`.
void Checker::CheckTimes(Model& model, const std::string& file, int partition, absl::Time now) {
  if (!model.open) return;
  for (auto& [id, next] : model.clocks) {
    const absl::Time by = std::max(next.at, next.since);
    if (next.missed || now <= by + kPunctual) continue;
    if (InTime(by + kPunctual, now, kTimerPart | kLogPart | kClockPart, partition, by)) continue;
    next.missed = true;
    Fail("I2", absl::StrCat(id, " had something due at ", Text(next.at), " and at ", Text(now), " it has not happened"), file, now);
  }
  for (auto& [id, alert] : model.alerts) {
    if (!alert.open || alert.excused || alert.ladder == nullptr || !alert.ladder->takeable) continue;
    // Each step rings somebody, or the ladder climbs on because there is nobody.
    if (!alert.attempted_step && now > alert.step_time + kFirstCall) {
      const auto& step = alert.ladder->steps[std::min(static_cast<std::size_t>(alert.step), alert.ladder->steps.size() - 1)];
      const bool last_resort = now <= alert.step_time + kFirstCall + alert.ladder->empty_round_wait + kPunctual;
      (void)step;
      if (!last_resort && !InTime(alert.step_time + kFirstCall, now, kTimerPart | kNoticePart | kLogPart | kClockPart | kKeysPart, partition, alert.step_time)) {
        alert.excused = true;
        Fail("I3", absl::StrCat("alert ", id, " (", alert.ladder->id, ") stands at step ", alert.step, " of round ", alert.round, " since ", Text(alert.step_time),
                                ", at ", Text(now), " nobody was rung and it has not climbed"),
             file, now);
      }
    }
    absl::Duration longest = alert.ladder->empty_round_wait;
    for (const domain::LadderStep& step : alert.ladder->steps) longest = std::max(longest, step.wait);
    longest += absl::Seconds(20);
    if (now > alert.last_progress + longest &&
        !InTime(alert.last_progress + longest, now, kTimerPart | kNoticePart | kLogPart | kClockPart | kKeysPart | kProvidersPart, partition, alert.last_progress)) {
      alert.excused = true;
      Fail("I3", absl::StrCat("alert ", id, " (", alert.ladder->id, ") is open, and nothing was tried from ", Text(alert.last_progress), " to ", Text(now)), file, now);
    }
  }
}

void Checker::NoteClocks(Model& model, const AppliedCommit& applied) {
  const domain::FileState& file = applied.file->state;
  const absl::Time now = applied.commit.recorded_time;
  std::map<std::string, Model::Next> fresh;
  if (model.open && file.current) {
    for (const domain::ClockState& clock : file.current->clocks) {
      if (clock.phase != ClockPhase::kRunning) continue;
      const auto known = model.clocks.find(clock.clock_id);
      if (known == model.clocks.end()) CheckDue(model, applied, clock);
      const std::optional<domain::ClockDue> due = domain::NextDue(pack_, clock);
      const absl::Time at = due ? due->not_before : absl::InfiniteFuture();
      if (known != model.clocks.end() && known->second.at == at) {
        fresh[clock.clock_id] = known->second;
      } else {
        fresh[clock.clock_id] = {.at = at, .since = now, .due = clock.due_time};
      }
    }
  }
  // A case's own clock changes nothing else's; the timer says one thing of a file at a time, so a further one waits a moment.
  if (applied.commit.source == "timer") {
    for (auto& [id, next] : fresh) {
      if (next.at <= now) next.since = now;
    }
  }
  model.clocks = std::move(fresh);
}

// When a clock is due, from what the events and the protocol say (the pack's figures written out).
void Checker::CheckDue(const Model& model, const AppliedCommit& applied, const domain::ClockState& clock) {
  const absl::Time now = applied.commit.recorded_time;
  std::optional<absl::Time> expected;
  if (clock.kind == "taken") expected = now + absl::Minutes(15);
  if (clock.kind == "phone_report") expected = now + absl::Minutes(30);
  if (clock.kind == "adult_beside") expected = now + absl::Minutes(10);
  if (clock.kind == "office_receipt") expected = now + absl::Hours(4);
  if (clock.kind == "hold_decision") expected = now + absl::Minutes(15);
  if (clock.kind == "first_call") expected = now + absl::Seconds(5);
  if (clock.kind == "check_in") expected = now + absl::Minutes(model.Rank() > supervised_rank_ ? 15 : 30);
  if (clock.kind == "written_report") {
    const auto trigger = static_cast<std::size_t>(clock.trigger);
    if (trigger < 1 || trigger > model.triggers.size()) {
      Fail("I2", absl::StrCat(clock.clock_id, " is of no trigger that the events know"), applied.commit.file, now);
    } else if (model.triggers[trigger - 1].known) {
      expected = model.triggers[trigger - 1].discovered + absl::Hours(24);
    }
  }
  if (expected && *expected != clock.due_time) {
    Fail("I2", absl::StrCat(clock.clock_id, " is due at ", Text(clock.due_time), ", the protocol says ", Text(*expected)), applied.commit.file, now);
  }
}

// ------------------------------------------------------------------------------------------------ the end

void Checker::Finish() {
  for (auto& [id, model] : models_) {
    const FileEntry* entry = machine_->FindFile(id);
    CheckTimes(model, id, entry == nullptr ? 0 : entry->partition, world_.now());
    if (!model.open) continue;
    for (const auto& [report, state] : model.reports) {
      if (!state.classified && world_.now() > state.recorded + absl::Seconds(10) &&
          !InTime(state.recorded + absl::Seconds(10), world_.now(), kRiskPart | kLogPart | kClockPart, entry == nullptr ? 0 : entry->partition, state.recorded)) {
        Fail("I3", absl::StrCat("the report ", report, " was never classified"), id, world_.now());
      }
    }
  }
  CheckCalls();
  CheckPhones();
  for (const std::string& leak : world_.history().leaks) Fail(leak.find("twice") != std::string::npos ? "I10" : "I8", leak);
  if (machine_->statistics().refused_messages > 0) Fail("I4", "a reader refused messages, though nobody forged any");

  // Everybody who follows the log has the same state and the same opinion of what is void.
  const std::string mine = StateBytes(*machine_);
  for (int service = 0; service < 4; ++service) {
    Process& process = world_.process(service);
    if (!process.ready()) {
      Fail("I5", absl::StrCat(process.source(), " has not come back"));
      continue;
    }
    if (process.opinion().voids != opinion.voids) Fail("I10", absl::StrCat(process.source(), " took other commits for void"));
    if (StateBytes(process.machine()) != mine) {
      Fail("I5", absl::StrCat(process.source(), " has another state than a replay gives: ", StateDifference(process.machine(), *machine_)));
    }
  }
}

void Checker::CheckCalls() {
  for (const ClientCall& call : world_.history().calls) {
    ++verdict.calls;
    const auto told = [&](const char* what) {
      return absl::StrCat(call.what, " by ", call.person, ", sent ", Text(call.sent), ", ", what, " (", call.commit_id, ")");
    };
    if (call.conflicting) {
      if (call.oks > 0) Fail("I10", told("used another's key with another body and was told OK"), call.file, call.first_ok);
      continue;
    }
    if (call.answers_differ) Fail("I10", told("the same request was answered differently"), call.file, call.first_ok);
    if (call.commit_id.empty()) continue;
    const auto found = commits_.find(call.commit_id);
    const bool there = found != commits_.end() && found->second.effective > 0;
    if (call.oks > 0 && !there) Fail("I1", told("was told OK, and it is not in the log"), call.file, call.first_ok);
    if (call.oks == 0 && !call.refusals.empty() && !call.unknown && there) {
      Fail("I10", told(absl::StrCat("was refused (", call.refusals.front().ToString(), "), and it is in the log").c_str()), call.file, call.sent);
    }
    if (there && !call.is_report && found->second.request_hash != call.body_hash) Fail("I10", told("another body stands in the log"), call.file, call.sent);
    if (!call.is_report || call.oks == 0) continue;
    const auto report = reports_.find(call.report_id);
    if (report == reports_.end()) {
      Fail("I1", told("an accepted report is not in the log"), call.file, call.first_ok);
      continue;
    }
    // And it can be read.
    const domain::Sealed* personal = report->second.second;
    const auto keys = world_.keys().Connect();
    const auto key = personal == nullptr ? absl::StatusOr<SealingKey>(absl::NotFoundError("nothing sealed")) : keys->Find(personal->person);
    const auto opened = key.ok() ? key->Open(personal->content, personal->person) : absl::StatusOr<std::string>(key.status());
    if (!opened.ok() || opened->find(call.narrative) == std::string::npos) {
      Fail("I1", told(absl::StrCat("what was reported cannot be read again: ", opened.status().ToString()).c_str()), report->second.first, call.first_ok);
    }
  }
}

void Checker::CheckPhones() {
  const auto partition_of = [&](const std::string& file) {
    const FileEntry* entry = machine_->FindFile(file);
    return entry == nullptr ? -1 : entry->partition;
  };
  for (const auto& [id, asked] : first_asked_) {
    const auto intended = attempts_.find(id);
    if (intended == attempts_.end() || intended->second.alert.empty()) {
      Fail("I3", absl::StrCat("a phone rang for ", id, ", which nobody intended"), "", asked);
    } else if (asked < intended->second.intended) {
      Fail("I3", absl::StrCat("a phone rang for ", id, " before that was in the log"), intended->second.file, asked);
    }
  }
  for (const auto& [id, attempt] : attempts_) {
    if (attempt.alert.empty()) continue;
    const auto asked = first_asked_.find(id);
    using domain::AttemptEvent;
    const bool settled = attempt.events.contains(AttemptEvent::kDropped) || attempt.events.contains(AttemptEvent::kFailed) ||
                         attempt.events.contains(AttemptEvent::kRefused);
    const absl::Time at = asked == first_asked_.end() ? world_.now() : asked->second;
    if (asked == first_asked_.end() && settled) continue;
    if (at > attempt.intended + kFirstCall &&
        !InTime(attempt.intended + kFirstCall, at, kNoticePart | kLogPart | kClockPart | kKeysPart | kProvidersPart, partition_of(attempt.file), attempt.intended)) {
      Fail("I3", absl::StrCat("attempt ", id, " was intended at ", Text(attempt.intended), asked == first_asked_.end() ? " and never asked of a provider" : " and asked only at ", Text(at)),
           attempt.file, attempt.intended);
    }
  }
  for (const Receipt& receipt : world_.history().receipts) {
    const auto attempt = attempts_.find(receipt.attempt);
    if (attempt == attempts_.end()) continue;
    // Receipts of attempts whose alert was settled long ago have no effect.
    if (receipt.told > attempt->second.intended + absl::Minutes(50)) continue;
    if (!attempt->second.events.contains(receipt.event) &&
        !(receipt.event == domain::AttemptEvent::kDeclined && attempt->second.events.contains(domain::AttemptEvent::kDigits))) {
      // A reply with a matter's code may answer another attempt to the same person.
      if (receipt.event == domain::AttemptEvent::kReplied || receipt.event == domain::AttemptEvent::kDigits) continue;
      Fail("I1", absl::StrCat("what a provider told of ", receipt.attempt, " (", static_cast<int>(receipt.event), ") at ", Text(receipt.told), " is not in the log"),
           attempt->second.file, receipt.told);
    }
  }
}

}  // namespace

Verdict Check(World& world) {
  Checker checker(&world);
  const std::unique_ptr<Log> log = world.broker().Connect("checker");
  // A broker that answers at once: what is checked is what is stored.
  SimulatedLoop loop(&world.clock());
  Machine machine(&world.packs(), log.get(), &world.clock(), &loop, &checker, {.installation = "simulated", .trusted_sources = World::TrustedSources()});
  checker.Attach(&machine);
  loop.SetHooks(machine.hooks());
  if (const absl::Status started = machine.Start(); !started.ok()) {
    checker.verdict.violations.push_back({"I5", absl::StrCat("the log cannot be read: ", started.ToString()), "", world.now()});
    return checker.verdict;
  }
  for (int turn = 0; turn < 1'000'000 && !checker.caught_up(); ++turn) {
    bool delivered = false;
    for (int i = 0; i < 64 && world.broker().DeliverOne(); ++i) delivered = true;
    loop.Run();
    if (!delivered && !checker.caught_up()) world.clock().Step(std::max(world.broker().NextTime(), world.now() + absl::Microseconds(1)));
  }
  if (!checker.caught_up()) {
    checker.verdict.violations.push_back({"I5", "the log cannot be read to its end", "", world.now()});
    return checker.verdict;
  }
  checker.Finish();
  return checker.verdict;
}

std::string StoryOf(World& world, const std::string& file, absl::Time until, int most) {
  std::deque<std::string> lines;
  for (int partition = 0; partition < kPartitions; ++partition) {
    for (std::uint64_t sequence = 1; sequence <= world.broker().LastSequence(partition); ++sequence) {
      const LogMessage message = world.broker().Message(partition, sequence);
      log::v1::Batch batch;
      if (!batch.ParseFromString(message.body)) continue;
      for (const std::string& bytes : batch.commits()) {
        log::v1::Commit commit;
        if (!commit.ParseFromString(bytes) || commit.file() != file) continue;
        const absl::Time at = absl::FromUnixSeconds(commit.recorded_time().seconds()) + absl::Nanoseconds(commit.recorded_time().nanos());
        if (at > until + absl::Seconds(1)) continue;
        std::string line = absl::StrCat("    ", partition, "/", sequence, " ", Text(at), " ", commit.source(), " ", commit.actor().person(), ":");
        for (const log::v1::Event& event : commit.events()) {
          std::string text = event.ShortDebugString();
          for (std::size_t content = text.find("content: \""); content != std::string::npos; content = text.find("content: \"", content)) {
            std::size_t end = content + 10;
            while (end < text.size() && (text[end] != '"' || text[end - 1] == '\\')) ++end;
            text.replace(content, end + 1 - content, "sealed");
          }
          absl::StrAppend(&line, " ", text);
        }
        if (line.size() > 400) line = line.substr(0, 400) + " …";
        lines.push_back(std::move(line));
        if (lines.size() > static_cast<std::size_t>(most)) lines.pop_front();
      }
    }
  }
  std::string story;
  for (const std::string& line : lines) absl::StrAppend(&story, line, "\n");
  return story;
}

}  // namespace vigil::simulation
