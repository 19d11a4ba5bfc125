// One student's file, driven by hand: commits are built, checked and folded as a service would, on a time that the test sets.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "domain/classify.h"
#include "domain/clocks.h"
#include "domain/file.h"
#include "domain/ladder.h"
#include "domain/on_call.h"
#include "domain/pack/pack.h"
#include "domain/school.h"
#include "domain/school_time.h"

namespace vigil::domain {

// The pack that we ship, loaded once.
const Pack& PrimarySchool();

// "2026-03-10 10:00" in school time. 2026-03-10 is a Tuesday.
absl::Time At(std::string_view local);

// leader, deputy, office, grade_head (grade 3), class_teacher (3-2), teacher, guard, guard_2, crisis (team), assessor; the child of class 3-2
// with mother (first), father (second) and uncle (excluded); another_child. All have telephones.
SchoolState SmallSchool();

struct ReportOf {
  std::vector<std::string> indicators;
  std::string claimed;
  bool deteriorating = false;
  std::string reporter = "class_teacher";
  absl::Time discovered = absl::InfinitePast();  // now
  SightClaim sight = SightClaim::kUnspecified;
  std::string sight_person;
  HomeUnsafe home_unsafe = HomeUnsafe::kUnspecified;
  std::string student = "child";
};

class Matter {
 public:
  explicit Matter(absl::Time start = At("2026-03-10 10:00")) : now(start), school(SmallSchool()) {}

  absl::Time now;
  SchoolState school;
  FileState file;
  // Every commit that was written, void ones too.
  std::vector<Commit> commits;
  // How many of them time brought (the timer's).
  int timer_commits = 0;

  // Writes a commit as this person with this role: alerts are added, the guard decides.
  Applied Do(std::vector<Event> events, const std::string& person = "leader", const std::string& role = "leader");
  template <typename Body>
  Applied Do(Body body, const std::string& person = "leader", const std::string& role = "leader") {
    std::vector<Event> events;
    events.push_back(Event{std::move(body)});
    return Do(std::move(events), person, role);
  }
  // Receives a report and classifies it at once, as intake and risk-rules do. Returns the classification's outcome.
  Applied Report(const ReportOf& report);
  // What a report would be classified as now.
  Classification Proposed(const ReportOf& report) const;

  // Lets time pass; everything that falls due is committed at its time, as escalation-timer does.
  void Wait(absl::Duration span) { WaitUntil(now + span); }
  void WaitUntil(absl::Time until);
  // A guard who is always there checks in in time, until `until`.
  void CheckInUntil(absl::Time until, const std::string& person);

  const CaseState& current() const { return *file.current; }
  const CustodyState& custody() const { return *file.current->custody; }
  int rank() const { return EffectiveRank(PrimarySchool(), &file); }
  std::string level() const { return PrimarySchool().Level(rank()).id; }
  // The newest clock of a kind, or of a kind and trigger; null: none.
  const ClockState* Clock(std::string_view kind, int trigger = 0) const;
  std::vector<const ClockState*> Clocks(std::string_view kind) const;
  ClockPhase Phase(std::string_view kind, int trigger = 0) const;
  // The newest alert of a ladder that is not closed; null: none.
  const AlertState* Alert(std::string_view ladder) const;
  bool Rings(std::string_view ladder) const;
  bool Take(std::string_view ladder, const std::string& person = "leader");
  std::string Bytes() const { return BytesOf(file); }
  static std::string BytesOf(const FileState& file);
  FoldContext context() const { return {PrimarySchool(), school, {next_sequence_, 0}}; }

 private:
  int next_id_ = 0;
  std::uint64_t next_sequence_ = 1;
};

}  // namespace vigil::domain
