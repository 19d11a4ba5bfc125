// The engine's vocabulary of permissions: what a role's `may` can name and what the methods of the API ask for.
#pragma once

#include <array>
#include <string_view>

namespace vigil::domain {

inline constexpr std::string_view kMayReport = "report";
inline constexpr std::string_view kMayPlaceHold = "hold.place";

inline constexpr std::array<std::string_view, 39> kPermissions{
    kMayReport,
    "case.read",
    "case.list",
    "alert.take",
    "phone_report.record",
    "sight.confirm",
    "sight.confirm_for_others",
    "written_report.file",
    "written_report.receive",
    "assess",
    "shifts.plan",
    "shift.hand_over",
    "check_in",
    "guardian.contact",
    "guardian.hand_over",
    "authority.hand_over",
    "not_severe.decide",
    "departure.record",
    "custody.return",
    "student.identify",
    "case.move",
    "discovery.correct",
    kMayPlaceHold,
    "hold.lift",
    "recuse",
    "case.close",
    "return.approve",
    "record.file",
    "record.read",
    "directory.write",
    "person.erase",
    "schedule.write",
    "pack.read",
    "pack.write",
    "oncall.read",
    "events.read",
    "audit.read",
    "clock.set",
    "installation.administer",
};

}  // namespace vigil::domain
