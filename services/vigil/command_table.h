// What `vigil` can do, as data: each row is a method of the gateway with the options that fill its request.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "vigil/words.h"

namespace vigil {

enum class ValueKind {
  kText,
  kInteger,
  kNumber,
  kTime,    // RFC 3339, "now", or school time "2026-11-22 09:17[:30]"
  kYes,     // a flag: true
  kNo,      // a flag: the literal false
  kTexts,   // repeated option: a list
  kFields,  // repeated NAME=VALUE: an object
  kFile,    // a path, "-": standard input; what stands in it is the text
  kShifts,  // repeated "staff,staff FROM TO [PLACE]", see ShiftFromText
};

struct OptionRow {
  std::string_view option;  // "--level"
  std::string_view field;   // JSON path in the body ("student.id"), or the query parameter of a GET
  ValueKind kind = ValueKind::kText;
  Words help;
  bool required = false;
};

// How people see the answer.
enum class Answer { kReceipt, kCase, kCases, kTimeline, kClocks, kCustody, kOnCall, kClock, kPack, kPlain, kFile };  // kFile: bytes, written to where --output says

struct CommandRow {
  std::string_view command;  // "report", or of a group: "pack put"
  std::string_view method;
  std::string_view path;  // {name} is a positional argument, in this order
  Answer answer = Answer::kPlain;
  Words help;
  std::vector<OptionRow> options;
  bool body_file = false;  // the body is a JSON file, the last positional argument ("-": standard input)
};

std::span<const CommandRow> CommandTable();

}  // namespace vigil
