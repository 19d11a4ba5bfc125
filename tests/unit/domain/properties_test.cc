// What holds for every history. Histories are made of what people do, in any order, and of what time brings.
#include <gtest/gtest.h>
#include <rapidcheck.h>
// After GoogleTest, which it does not include itself.
#include <rapidcheck/gtest.h>

#include "matter.h"

namespace vigil::domain {
namespace {

const std::vector<std::string> kIndicators = {"H1", "H2", "H3", "H10", "W1a", "W1b", "W1m", "W1t", "W1i", "W2a", "W2d", "W3a", "W3b", "W3c"};
const std::vector<std::string> kStaff = {"leader", "deputy", "office", "grade_head", "class_teacher", "teacher", "guard", "guard_2", "crisis", "assessor"};
const std::vector<std::string> kGuardians = {"mother", "father", "uncle", "another_mother"};
const std::vector<std::string> kLevels = {"none", "watch", "mild", "high", "severe", "extreme"};
const std::vector<std::string> kRecords = {"written_report", "night_plan", "talk", "hospital_transfer", "aftercare_contact", "asked_face_to_face"};
const std::vector<std::string> kDepartures = {"hospital", "left", "taken_away", "not_found"};

template <typename T>
const T& OneOf(const std::vector<T>& from, unsigned choice) {
  return from[choice % from.size()];
}

struct Act {
  unsigned what = 0;
  unsigned a = 0;
  unsigned b = 0;
};

std::ostream& operator<<(std::ostream& out, const Act& act) { return out << "{" << act.what << "," << act.a << "," << act.b << "}"; }

constexpr unsigned kKinds = 22;

// Whether the act is of those by which a person lowers a level.
bool MayLower(const Act& act) { return act.what % kKinds == 8 || act.what % kKinds == 9 || act.what % kKinds == 20; }

void Carry(Matter& m, const Act& act) {
  const std::string& person = OneOf(kStaff, act.a);
  const std::string& other = OneOf(kStaff, act.b);
  switch (act.what % kKinds) {
    case 0:
    case 1:
    case 2: {
      ReportOf report{.indicators = {OneOf(kIndicators, act.a)}, .reporter = other};
      report.deteriorating = act.b % 7 == 0;
      report.discovered = m.now - absl::Hours(act.b % 30);
      report.sight = static_cast<SightClaim>(act.b % 3);
      if (report.sight == SightClaim::kSeen) report.sight_person = act.a % 2 == 0 ? other : person;
      report.home_unsafe = static_cast<HomeUnsafe>(act.a % 4);
      m.Report(report);
      return;
    }
    case 3:
      m.Wait(absl::Minutes(1 + act.a % 9));
      return;
    case 4:
      m.Wait(absl::Minutes(20 + act.a % 40));
      return;
    default:
      break;
  }
  if (!HasOpenCase(m.file)) return;
  switch (act.what % kKinds) {
    case 5:
      if (!m.current().alerts.empty()) {
        m.Do(AlertTaken{.alert_id = OneOf(m.current().alerts, act.b).alert_id, .person = person, .how = "api"}, person);
      }
      return;
    case 6:
      m.Do(SightConfirmed{.person = person}, person, "teacher");
      return;
    case 7:
      m.Do(Spoken{.superior = "leader", .spoken_time = m.now, .how = "recorded"});
      return;
    case 8:
      m.Do(Assessed{.level = OneOf(kLevels, act.a), .kind = act.b % 2 == 0 ? "group" : "expert", .members = {person, other}, .face_to_face = act.b % 3 != 0});
      return;
    case 9:
      m.Do(NotSevereDecided{.assessors = {person, other}});
      return;
    case 10:
      m.Do(ShiftOffered{.to = {person, other}}, m.custody().holders.empty() ? "leader" : m.custody().holders.front(), "leader");
      return;
    case 11:
      if (!m.custody().offered_to.empty()) m.Do(ShiftAccepted{.person = OneOf(m.custody().offered_to, act.a)}, "x", "teacher");
      return;
    case 12:
      if (!m.custody().holders.empty()) m.Do(CheckedIn{.person = OneOf(m.custody().holders, act.a), .in_sight = act.b % 4 != 0}, "x", "teacher");
      return;
    case 13:
      m.Do(GuardianContacted{.guardian = OneOf(kGuardians, act.a), .outcome = "reached", .arrival_time = m.now + absl::Minutes(act.b % 60)});
      return;
    case 14:
      m.Do(HandedOverToGuardian{.guardian = OneOf(kGuardians, act.a), .identity_checked = act.b % 3 != 0});
      return;
    case 15:
      m.Do(DepartureRecorded{.kind = OneOf(kDepartures, act.a), .escorts = act.b % 2 == 0 ? std::vector<std::string>{} : std::vector<std::string>{other}});
      return;
    case 16:
      m.Do(CustodyReturned{.person = person});
      return;
    case 17:
      m.Do(RecordFiled{.record_id = "d", .kind = OneOf(kRecords, act.a)}, person);
      return;
    case 18:
      m.Do(HoldPlaced{.kind = "guardians"}, person);
      return;
    case 19:
      m.Do(HoldLifted{.kind = "guardians"}, person);
      return;
    case 20:
      m.Do(CaseClosed{});
      return;
    case 21:
      m.Do(DiscoveryCorrected{.discovered_time = m.now - absl::Hours(act.a % 30)});
      return;
    default:
      return;
  }
}

rc::Gen<std::vector<Act>> Histories() {
  const auto act = rc::gen::build<Act>(rc::gen::set(&Act::what, rc::gen::inRange(0U, kKinds)), rc::gen::set(&Act::a, rc::gen::inRange(0U, 1000U)),
                                       rc::gen::set(&Act::b, rc::gen::inRange(0U, 1000U)));
  // Short ones, many of them: an hour of an untaken alert is sixty commits, and there are many alerts.
  return rc::gen::scale(0.25, rc::gen::container<std::vector<Act>>(act));
}

void CheckCustody(const Matter& m) {
  if (!m.file.current || !m.file.current->custody) return;
  const CustodyState& c = m.custody();
  for (std::size_t i = 0; i + 1 < c.chain.size(); ++i) RC_ASSERT(IsSet(c.chain[i].to_time) && c.chain[i].to_time <= c.chain[i + 1].from_time);
  for (std::size_t i = 0; i + 1 < c.gaps.size(); ++i) RC_ASSERT(IsSet(c.gaps[i].to_time));
  if (!c.supervised) return;
  const bool gap = !c.gaps.empty() && !IsSet(c.gaps.back().to_time);
  // I7: at each instant of a supervision a named adult, or a recorded gap.
  RC_ASSERT(!c.holders.empty() || gap);
  RC_ASSERT(!c.chain.empty());
  RC_ASSERT(!IsSet(c.chain.back().to_time));
  RC_ASSERT(c.chain.back().holders == c.holders);
  // Nothing but a handover or a signed decision ends it.
  bool running = false;
  for (const ClockState& clock : m.current().clocks) running = running || (clock.kind == "special_supervision" && clock.phase == ClockPhase::kRunning);
  RC_ASSERT(running);
}

RC_GTEST_PROP(HistoryProperty, NothingAutomaticLowersTheLevelAndAtEachInstantAnAdultHoldsTheChildOrAGapIsOpen, ()) {
  Matter m;
  for (const Act& act : *Histories()) {
    const int before = HasOpenCase(m.file) ? m.rank() : 0;
    Carry(m, act);
    if (!MayLower(act) && HasOpenCase(m.file)) {
      RC_ASSERT(m.rank() >= before);
    }
    CheckCustody(m);
  }
}

RC_GTEST_PROP(HistoryProperty, ReplayGivesTheSameBytesAndAVoidCommitChangesNothing, ()) {
  Matter m;
  for (const Act& act : *Histories()) Carry(m, act);
  FileState again;
  std::uint64_t sequence = 1;
  for (const Commit& commit : m.commits) {
    const std::string before = Matter::BytesOf(again);
    const Applied applied = Apply(again, commit, {PrimarySchool(), m.school, {sequence++, 0}});
    if (!applied.guard.ok()) {
      RC_ASSERT(Matter::BytesOf(again) == before);
    }
  }
  RC_ASSERT(Matter::BytesOf(again) == m.Bytes());
}

RC_GTEST_PROP(HistoryProperty, TimeAloneNeverSpins, ()) {
  Matter m;
  for (const Act& act : *Histories()) Carry(m, act);
  m.timer_commits = 0;
  m.Wait(absl::Minutes(20));
  // Ladders climb once a minute at the most; what is due at once is due once.
  const int alerts = HasOpenCase(m.file) ? static_cast<int>(m.current().alerts.size()) : 0;
  RC_ASSERT(m.timer_commits <= 45 * (alerts + 2));
}

}  // namespace
}  // namespace vigil::domain
