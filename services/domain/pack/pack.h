// The protocol pack as the engine sees it: rows of data, nothing of schools in code.
//
// A Pack is immutable once loaded, shared by reference between threads, and named by a digest that stands in every commit.
// Rows refer to each other by id; the loader (pack/loader.h) has checked that every reference resolves, so lookups here that
// fail are errors of ours, not of the pack's author.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

// What stands behind the id of an indicator that is reported but not confirmed (counts_once): on the file, and where it is shown.
inline constexpr std::string_view kUnconfirmedMark = ":unconfirmed";
inline std::string Unconfirmed(std::string_view indicator) { return std::string(indicator).append(kUnconfirmedMark); }
// The id without the mark.
inline std::string_view IndicatorId(std::string_view shown) {
  return shown.ends_with(kUnconfirmedMark) ? shown.substr(0, shown.size() - kUnconfirmedMark.size()) : shown;
}

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
  // Record kind that makes it count: until one is filed, what was reported is an observation, kept and shown as unconfirmed, that counts
  // beside other indicators and never by itself. Empty: it counts as soon as anybody reports it.
  std::string counts_once;
  // Roles that are shown its code, besides who reported it; empty: whoever sees the case.
  std::vector<std::string> read_by;
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

// A fact with an optional argument, as written in a pack: `call.spoken`, `record.filed: written_report`, `record.said: plan.ended=true`.
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
  // Once met or expired, the next is due so long after this one was (a follow-up each week), on a school day if it says so.
  std::optional<absl::Duration> repeat_every;
  bool repeat_on_school_days = false;
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
  // `people`: ids of persons; `record`: the id of an earlier record of kind `of`.
  enum class Type : std::uint8_t { kText, kBoolean, kTime, kNumber, kPerson, kChoice, kList, kPeople, kRecord };
  std::string id;
  Text name;
  Type type = Type::kText;
  bool required = false;
  // Required when the boolean field `required_if` has the value `required_if_value`.
  std::string required_if;
  bool required_if_value = false;
  std::vector<std::string> choices;
  int max_bytes = 4096;
  // Sealed under the person's key. Text and lists of text always are; what is not is read by the engine and stands in the log.
  bool sealed = true;
  // Roles that may read it, of those that may read the record; empty: all of them.
  std::vector<std::string> read_by;
  // Record kind of a `record` field.
  std::string of;
  // Numbers: least and most.
  int least = 0;
  int most = 1'000'000;
  // Times: at most so long after the filing (an agreement runs two weeks at the most).
  std::optional<absl::Duration> within;
};

struct RecordRow : Row {
  enum class Attaches : std::uint8_t { kCase, kStudent, kSchool, kClass };
  enum class Registers : std::uint8_t { kNothing, kEntry, kExit };
  // Which phase of the case it brings about.
  enum class Becomes : std::uint8_t { kSame, kOnLeave };

  // A signed decision: the persons of the field, so many of them different and each with one of the roles.
  struct Signed {
    std::string field;
    int at_least = 2;
    std::vector<std::string> roles;
  };
  // A standing group: members of both fields together, counted as GUA-05 says.
  struct Roster {
    std::string adults;
    std::string helper;
    int at_least = 3;
    int adults_at_least = 2;
    // Roles of which one adult has one.
    std::vector<std::string> led_by;
  };
  // Filing it reports the student too: when the field has the value, with these signals.
  struct Reports {
    std::string field;
    std::string value;
    std::vector<std::string> signals;
    std::string channel;
  };

  // Its answers are scored when they are filed, into the other fields.
  struct Scored {
    std::string instrument;  // choice field: the instrument's id
    std::string answers;     // text field
    std::string total;       // number, yes or no, yes or no, choice; each may be empty
    std::string voided;
    std::string critical;
    std::string result;
  };

  std::vector<FieldRow> fields;
  std::vector<std::string> written_by;     // role ids
  std::vector<std::string> read_by;
  // Another role acknowledges it (the counselling office's receipt).
  std::string acknowledged_by;
  // The outside method that files it ("fileWrittenReport"), or empty: by the generic records method.
  std::string filed_by;
  // A named method of the API that files it too ("signAgreement").
  std::string command;
  Attaches attaches = Attaches::kCase;
  // Kinds that must be on the case before it; a leader may excuse them with the boolean field `excused_by`, which asks for its reason.
  std::vector<std::string> needs;
  // Of those, what was filed before the last leave does not count.
  bool needs_since_leave = false;
  std::string excused_by;
  std::vector<std::string> excused_roles;
  std::optional<Signed> is_signed;
  std::optional<Roster> roster;
  std::optional<Reports> reports;
  std::optional<Scored> scored;
  Registers registers = Registers::kNothing;
  Becomes becomes = Becomes::kSame;

  const FieldRow* FindField(std::string_view id) const;
};

struct RoleRow : Row {
  enum class Scope : std::uint8_t { kSchool, kGrade, kClass };
  Scope scope = Scope::kSchool;
  // Permissions of the API, as methods' options name them.
  std::vector<std::string> may;
  bool security = false;                   // counts as a guard
  bool staff = true;                       // false: guardian, integration
  // People at work that a school needs with this role, or each grade or class by its scope; fewer is shown as not ready.
  int at_least = 0;
};

struct ScheduleRow : Row {
  // Used while a school has set no shifts for this schedule: everybody with this role.
  std::string fallback_role;
};

// What is owed again and again, or after an event: this record, by this role, by then, or others are told.
struct DutyRow : Row {
  enum class Scope : std::uint8_t { kSchool, kClass };
  enum class Every : std::uint8_t { kSchoolDay, kSchoolWeek, kMonth, kTerm, kSchoolYear, kEvent };
  struct Step {
    absl::Duration after = absl::ZeroDuration();
    // Role ids; empty: the owner is reminded.
    std::vector<std::string> tell;
  };
  // Who must have a record of their own before the duty can be done.
  struct Accounts {
    enum class People : std::uint8_t { kStudents, kRegister, kStaff };
    People people = People::kStudents;
    // Students of this grade only.
    std::string grade;
    // The record kind that accounts for one (its student), or for those whom its field `field` names.
    std::string record;
    std::string field;
  };

  // The first of these that anybody at work has.
  std::vector<std::string> owner;
  Scope scope = Scope::kSchool;
  Every every = Every::kSchoolWeek;
  // After an event: the record that calls for it, and its time field that says by when, or the span.
  std::string event;
  std::string event_due;
  std::string answers;                     // field of `record` that names the event's record
  // Of a period: at this time of day on a school day; the weekday (1 Monday), or counted from its start or its end.
  int due_weekday = 0;
  absl::Duration due_time = absl::Hours(17);
  std::optional<absl::Duration> due_after;
  std::optional<absl::Duration> due_before_end;
  std::string record;
  // Only records whose choice field has this value do it (three screenings are one form).
  std::string record_field;
  std::string record_value;
  std::string acknowledged_by;
  std::vector<Step> late;
  // Ladder of what is sent on a late step.
  std::string notice;
  std::optional<Accounts> accounts;
};

// Keys and cut-offs of a questionnaire; the wording is the school's.
struct InstrumentRow : Row {
  struct Scale {
    std::string id;
    Text name;
    std::vector<int> items;
  };
  struct Outcome {
    std::vector<int> any;
    // And one of these too; empty: nothing more.
    std::vector<int> and_any;
    bool refused_counts = false;
    std::string result;
  };
  int items = 0;
  std::vector<Scale> scales;
  std::vector<int> validity;
  int void_at_least = 0;
  int scale_high = 0;
  int plan_at_least = 0;
  std::vector<int> critical;
  std::vector<Outcome> outcomes;           // from the gravest
};

// Terms and holidays until a school has set its own.
struct CalendarDays {
  // Months and days, "09-01".
  struct Span {
    int from_month = 1;
    int from_day = 1;
    int to_month = 1;
    int to_day = 1;
  };
  std::vector<Span> terms;
  std::vector<Span> holidays;
};

// What a printed document can say beside a record's own fields, in `says`. The engine knows each of them (intake/documents.cc).
inline constexpr std::array<std::string_view, 18> kDocumentFacts{
    "case.number",        "case.student",      "case.class",         "case.author",        "case.filed_time",     "case.received_time",
    "case.observed_time", "case.discovered_time", "case.reported_time", "case.recorded_time", "case.reporter",   "case.level",
    "case.indicators",    "case.holders",      "case.guardian",      "case.guardian_phone", "case.identity_checked", "case.signatures",
};

// How a record of the kind that its id names is printed. A kind without such a row is printed field by field, with a place for its author to sign.
struct DocumentRow : Row {
  struct Part {
    Text name;
    std::vector<std::string> says;  // fields of the record, and kDocumentFacts
  };
  struct Signature {
    Text name;
    std::string field;  // whose words are the signature; empty: signed by hand
  };
  // The guardian's copy, opened by an address that is printed as a code.
  struct Copy {
    absl::Duration valid = absl::ZeroDuration();  // after it was printed
    std::string text;                             // what stands beside the code
  };
  std::vector<Part> parts;
  std::vector<Signature> signatures;
  std::vector<std::string> notes;  // texts at its end
  std::optional<Copy> copy;
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
  std::map<std::string, InstrumentRow> instruments;
  std::map<std::string, MessageText> texts;
  std::map<std::string, DocumentRow> documents;  // by record kind
  // What choices of forms are called, by "choice", or by "field-choice" where one word has several meanings.
  std::map<std::string, Text> choices;
  std::vector<std::string> channels;        // report channels
  CalendarDays calendar;
  // Each row as it was written, resolved, by section and id: what two packs are compared by.
  std::map<std::pair<std::string, std::string>, std::string> written;

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
  // What a choice is called; empty: nothing says.
  std::string ChoiceName(std::string_view field, std::string_view choice, std::string_view language) const;
  // Whether the role is shown that indicator, confirmed or not; what the pack does not know is hidden from nobody.
  bool ShowsIndicator(std::string_view role, std::string_view indicator) const;
  // What every reporter is told; null: the pack has no such text (it does not load then).
  const MessageText* ReportAnswer() const;
};

}  // namespace vigil::domain
