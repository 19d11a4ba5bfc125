// The engine's vocabulary of facts: what apply() says has just become true about a file. Packs start, meet and cancel clocks and
// close alerts by these names; they are the engine's, so they never change with a school, and a dot keeps them apart from pack ids.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace vigil::domain {

enum class Fact : std::uint8_t {
  kNone,
  kReportReceived,        // any report
  kReportUnclassified,    // a report that no rule classified
  kReportRead,            // a person read and decided
  kCallAttempted,         // the first provider request of an alert left
  kAlertTaken,            // argument: ladder id
  kSpoken,                // a named superior and the reporter have spoken
  kInSight,               // a named adult sees the child: confirmation or check-in
  kAsked,                 // the child was asked face to face and the answer was clear
  kCustodyAccepted,       // a named adult holds the child: first confirmation or two-sided handover
  kSupervisionStarted,
  kSupervisionEnded,
  kHandedToGuardian,
  kHandedToAuthority,
  kNotSevereDecided,
  kAssessed,              // argument: level id
  kGuardianReached,       // a guardian answered and gave an arrival time
  kGuardianArrived,       // argument none; handover or meeting begun
  kDepartureDecided,      // argument: hospital | left | taken_away | not_found
  kRecordFiled,           // argument: record kind
  kRecordAcknowledged,    // argument: record kind
  kHoldPlaced,            // argument: guardians | visit
  kHoldDecided,           // argument: guardians | visit
  kStudentUnidentified,
  kStudentIdentified,
  kCustodyReturned,       // the child is at school again
  kShiftsPlanned,
  kGapOpened,
  kGapClosed,
  kCoverMissing,          // somebody holds the child, but not all whom the level asks for
  kCoverComplete,         // all of them do again, or it is not asked for any more
  kReturned,              // the school took the student back after a crisis leave
  kCaseClosed,
  kRecordSaid,            // argument: record kind, its field and the value, as in plan.ended=true
  kRosterShort,           // a group named by a record has too few members left; argument: record kind
};

inline constexpr std::array<std::pair<Fact, std::string_view>, 34> kFactNames{{
    {Fact::kReportReceived, "report.received"},
    {Fact::kReportUnclassified, "report.unclassified"},
    {Fact::kReportRead, "report.read"},
    {Fact::kCallAttempted, "call.attempted"},
    {Fact::kAlertTaken, "alert.taken"},
    {Fact::kSpoken, "call.spoken"},
    {Fact::kInSight, "child.in_sight"},
    {Fact::kAsked, "child.asked"},
    {Fact::kCustodyAccepted, "custody.accepted"},
    {Fact::kSupervisionStarted, "supervision.started"},
    {Fact::kSupervisionEnded, "supervision.ended"},
    {Fact::kHandedToGuardian, "custody.handed_to_guardian"},
    {Fact::kHandedToAuthority, "custody.handed_to_authority"},
    {Fact::kNotSevereDecided, "level.not_severe_decided"},
    {Fact::kAssessed, "level.assessed"},
    {Fact::kGuardianReached, "guardian.reached"},
    {Fact::kGuardianArrived, "guardian.arrived"},
    {Fact::kDepartureDecided, "custody.departure"},
    {Fact::kRecordFiled, "record.filed"},
    {Fact::kRecordAcknowledged, "record.acknowledged"},
    {Fact::kHoldPlaced, "hold.placed"},
    {Fact::kHoldDecided, "hold.decided"},
    {Fact::kStudentUnidentified, "student.unidentified"},
    {Fact::kStudentIdentified, "student.identified"},
    {Fact::kCustodyReturned, "custody.returned"},
    {Fact::kShiftsPlanned, "shifts.planned"},
    {Fact::kGapOpened, "gap.opened"},
    {Fact::kGapClosed, "gap.closed"},
    {Fact::kCoverMissing, "cover.missing"},
    {Fact::kCoverComplete, "cover.complete"},
    {Fact::kReturned, "student.returned"},
    {Fact::kCaseClosed, "case.closed"},
    {Fact::kRecordSaid, "record.said"},
    {Fact::kRosterShort, "roster.short"},
}};

constexpr Fact FactFromName(std::string_view name) {
  for (const auto& [fact, text] : kFactNames) {
    if (text == name) return fact;
  }
  return Fact::kNone;
}

}  // namespace vigil::domain
