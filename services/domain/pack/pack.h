// The protocol pack as the engine sees it: rows of data, nothing of schools in code.
//
// A Pack is immutable once loaded, shared by reference between threads, and named by a digest that stands in every commit.
// Rows refer to each other by id; the loader (pack/loader.h) has checked that every reference resolves, so lookups here that
// fail are errors of ours, not of the pack's author.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "domain/facts.h"

namespace vigil::domain {

// Text in the languages of the pack, by tag ("zh-CN", "en").
using Text = std::map<std::string, std::string>;

enum class Basis : std::uint8_t { kProtocol, kSchoolSetting };

// What every row carries: its id, the requirement ids it serves and whether it is the documents' rule or the school's choice.
struct Row {
  std::string id;
  Text name;
  std::vector<std::string> serves;
  Basis basis = Basis::kSchoolSetting;
  // "file:line", for explanations.
  std::string origin;
};

struct IndicatorRow : Row {
  enum class Kind : std::uint8_t { kFactor, kSignal };
  Kind kind = Kind::kFactor;
  // The warning-signal group (W1, W2, W3) or empty; "two kinds of W" counts distinct groups.
  std::string group;
  std::map<std::string, std::vector<std::string>> examples;
  // Words whose presence in a narrative adds this indicator, marked found in text. They never remove one.
  std::vector<std::string> text_cues;
  // The indicator is a deterioration when it is new on a case that is already at a trigger level (REP-09).
  bool deterioration = false;
};

// A small boolean tree over facts of one report and its file. Exactly one member is set.
struct Condition {
  enum class Kind : std::uint8_t {
    kAlways,
    kHas,              // indicator `argument` is in this report
    kHasAny,           // any of `arguments` is in this report
    kFileHas,          // indicator `argument` stands on the file, this report included
    kFileHasAny,       // any of `arguments`
    kGroupsWithin,     // at least `count` distinct groups of signals within `span` on the file, this report included
    kDeteriorating,    // the reporter ticked rapid deterioration
    kClaimedAtLeast,   // claimed level >= `argument`
    kLevelAtLeast,     // the file's level >= `argument`
    kLastLevelIs,      // the file's level (effective, before this report) == `argument`
    kReturned,         // the student returned after a crisis leave (FUP-07)
    kReportersWithin,  // at least `count` different reporters within `span`
    kAnyIndicator,     // the report names at least one indicator
    kAll,
    kAny,
    kNot,
  };
  Kind kind = Kind::kAlways;
  std::string argument;
  std::vector<std::string> arguments;
  int count = 0;
  absl::Duration span = absl::ZeroDuration();
  std::vector<Condition> children;
};

struct RuleRow : Row {
  Condition when;
  // Level id proposed; empty: the row only starts clocks.
  std::string propose;
  // Clock ids started beyond those of the level.
  std::vector<std::string> starts;
  // Shown to the reporter at once, by text key (injury: 120 first).
  std::string advice;
};

struct LevelRow : Row {
  int rank = 0;
  // Reaching the level (provisional counts) starts these clocks, once a trigger.
  std::vector<std::string> starts;
  // A final decision at the level starts these besides.
  std::vector<std::string> final_starts;
  // Ladder raised when a trigger reaches the level; empty: none.
  std::string ladder;
  // The level calls for special supervision, and reaching it is a trigger (REP-09, REP-10).
  bool supervised = false;
  // Leaving the level downward needs a face-to-face group assessment (ASM-10).
  bool lowered_face_to_face = false;
  // Custody row in force at the level; empty: none.
  std::string custody;
};

// A fact with an optional argument, as written in a pack: `call.spoken`, `record.filed: written_report`.
struct FactPattern {
  Fact fact = Fact::kNone;
  std::string argument;
};

struct ClockRow : Row {
  // The instant that the clock counts from.
  enum class From : std::uint8_t { kNow, kDiscovered, kArrival, kShiftEnd, kObserved };
  // Running clocks of the same kind: one a trigger, one a case (a new start replaces a running one: rolling), one a report.
  enum class OnePer : std::uint8_t { kTrigger, kCase, kReport };

  std::vector<FactPattern> starts_on;     // besides those named by levels and rules
  bool only_supervised = false;           // starts_on counts only while special supervision runs
  From from = From::kNow;
  // Unset: never due; ends only by met_by.
  std::optional<absl::Duration> due_after;
  std::map<std::string, absl::Duration> due_after_level;  // by level id; overrides due_after
  std::optional<absl::Duration> due_after_night;          // when the start falls into the night (22:00-07:00 school time)
  // Due at this local time of day (offset from midnight), on the start day, or `due_after` after the start if that is later.
  std::optional<absl::Duration> due_at;
  // Never later than the end of the school day it starts in (dismissal), when it starts within one.
  bool before_dismissal = false;
  // `due_after` counts school days (dismissal of the nth) instead of a span.
  int due_school_days = 0;
  bool real_time = false;                 // spans are of the machine's time (first_call), not of the domain clock
  OnePer one_per = OnePer::kTrigger;
  bool repeats_daily = false;             // once met or expired, starts again for the next day
  std::vector<absl::Duration> warn_before;
  bool warn_quiet_at_night = false;       // warnings wait for the morning, except the last
  std::string warn_ladder;                // ladder raised by a warning
  std::optional<absl::Duration> review_every;
  std::string review_ladder;
  std::vector<FactPattern> met_by;
  std::vector<FactPattern> cancelled_by;
  // On expiry:
  std::string expiry_ladder;
  std::string expiry_proposes;            // a level (an unanswered face-to-face question becomes severe)
  std::string expiry_adds;                // an indicator that time alone has made true (low mood, the sixteenth day); rules look at it
  bool expiry_opens_gap = false;          // a gap in the custody chain from the last confirmation
  bool expiry_reopens_alert = false;      // the taken alert comes back (taken, then no adult beside)
};

struct LadderStep {
  // Targets: a role id, `on_call.<schedule>`, or of the case: `case.author case.holders case.next_holders case.taker case.guardians`.
  std::vector<std::string> ring;
  bool call = false;
  bool sms = false;
  absl::Duration wait = absl::ZeroDuration();
};

struct LadderRow : Row {
  std::vector<LadderStep> steps;
  // After the last step: again, without end, or stop (a notice).
  bool endless = false;
  // A round in which nobody can be reached is tried again after this, with an alarm.
  absl::Duration empty_round_wait = absl::Seconds(60);
  // A keypress or reply of a person on it takes it. A notice cannot be taken.
  bool takeable = false;
  // Keypress taken is followed by a bridge to the reporter (REP-11).
  bool bridges = false;
  // Waits for the morning (07:00) when raised at night. A severe ladder never does; the loader refuses it.
  bool quiet_at_night = false;
  // Text keys of what is said and sent.
  std::string call_text;
  std::string sms_text;
  int priority = 0;                        // higher first: severe alerts pass everything
  // Rung by break-glass, when the way through the log fails: its steps' people are the emergency list, rung together. No alert climbs it.
  bool emergency = false;
  // Facts that raise it, besides clocks and levels that name it.
  std::vector<FactPattern> raised_on;
  // Facts that close the alert besides a taking (the matter is settled).
  std::vector<FactPattern> closed_by;
};

struct CustodyRow : Row {
  // Roles that the adults of one shift must cover, each at least `count`; role "" is any adult.
  struct Cover {
    std::string role;
    int count = 1;
  };
  std::vector<Cover> cover;
  std::vector<Cover> night_cover;
  absl::Duration longest_shift = absl::Hours(8);
  absl::Duration longest_night_shift = absl::Hours(4);
  absl::Duration check_in_every = absl::Minutes(30);
};

struct FieldRow {
  enum class Type : std::uint8_t { kText, kBoolean, kTime, kNumber, kPerson, kChoice, kList };
  std::string id;
  Text name;
  Type type = Type::kText;
  bool required = false;
  // Required when the boolean field `required_if` has the value `required_if_value`.
  std::string required_if;
  bool required_if_value = false;
  std::vector<std::string> choices;
  int max_bytes = 4096;
};

struct RecordRow : Row {
  std::vector<FieldRow> fields;
  std::vector<std::string> written_by;     // role ids
  std::vector<std::string> read_by;
  // Another role acknowledges it (the counselling office's receipt).
  std::string acknowledged_by;
  // The outside method that files it ("fileWrittenReport"), or empty: by the generic records method.
  std::string filed_by;
};

struct RoleRow : Row {
  enum class Scope : std::uint8_t { kSchool, kGrade, kClass };
  Scope scope = Scope::kSchool;
  // Permissions of the API, as methods' options name them.
  std::vector<std::string> may;
  bool security = false;                   // counts as a guard
  bool staff = true;                       // false: guardian, integration
};

struct ScheduleRow : Row {
  // Used while a school has set no shifts for this schedule: everybody with this role.
  std::string fallback_role;
};

struct DutyRow : Row {
  std::string owner;
  std::string every;
  std::string record;
};

// What a message may say; checked at load against its fields (PRV-03).
enum class Disclosure : std::uint8_t { kLeaves, kInside };

struct MessageText : Row {
  Disclosure disclosure = Disclosure::kLeaves;
  // What every reporter is told. One text of the pack is.
  bool answers_report = false;
  Text text;
};

struct Pack {
  std::string id;
  std::string version;
  // First 12 hex digits of SHA-256 over the resolved pack; stands in every commit.
  std::string digest;
  std::string time_zone = "Asia/Shanghai";
  absl::Duration night_from = absl::Hours(22);
  absl::Duration night_to = absl::Hours(7);
  absl::Duration dismissal = absl::Hours(16) + absl::Minutes(30);
  absl::Duration school_begins = absl::Hours(8);
  // How long a discovered_time may lie ahead of now, for clocks that differ.
  absl::Duration clock_tolerance = absl::Minutes(2);

  std::map<std::string, IndicatorRow> indicators;
  std::vector<RuleRow> rules;
  std::vector<LevelRow> levels;             // by rank, lowest first; rank 0 is no crisis
  std::map<std::string, ClockRow> clocks;
  std::map<std::string, LadderRow> ladders;
  std::map<std::string, CustodyRow> custody;
  std::map<std::string, RecordRow> records;
  std::map<std::string, RoleRow> roles;
  std::map<std::string, ScheduleRow> schedules;
  std::map<std::string, DutyRow> duties;
  std::map<std::string, MessageText> texts;
  std::vector<std::string> channels;        // report channels

  // Rank of a level id, or -1. "" is rank 0.
  int Rank(std::string_view level) const;
  // Level of a rank; ranks beyond the highest give the highest.
  const LevelRow& Level(int rank) const;
  // The lowest rank that calls for special supervision.
  int SupervisedRank() const;
  const ClockRow* FindClock(std::string_view id) const;
  const LadderRow* FindLadder(std::string_view id) const;
  // The ladder that break-glass rings; null: the pack has none.
  const LadderRow* EmergencyLadder() const;
  // What every reporter is told; null: the pack has no such text (it does not load then).
  const MessageText* ReportAnswer() const;
};

}  // namespace vigil::domain
