// A pack while it is read: its rows, and where each reference and text stands, for the checks that need all files.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "domain/pack/pack.h"
#include "domain/pack/reader.h"

namespace vigil::domain {

enum class Kind : std::uint8_t { kIndicator, kLevel, kClock, kLadder, kCustody, kRecord, kRole, kSchedule, kText };

struct Reference {
  Kind kind;
  std::string id;
  Place place;
  std::string what;  // who refers, for the message
};

struct WrittenText {
  std::string language;
  std::string text;
  Place place;
};

// `record.said: plan.ended=true`, to be looked up when all records are known.
struct Said {
  std::string argument;
  Place place;
  std::string what;
};

// What a printed document says, to be looked up when all records are known.
struct DocumentSays {
  std::string record;
  std::string field;  // or one of kDocumentFacts
  Place place;
  std::string what;
};

struct Draft {
  Pack pack;
  std::vector<std::string> languages;
  std::vector<std::string> withheld_words;
  std::vector<Reference> references;
  std::map<std::string, std::vector<WrittenText>> written_texts;  // by text id
  std::map<std::pair<Kind, std::string>, Place> rows;
  std::vector<Said> said;
  std::vector<DocumentSays> document_says;
  std::map<std::string, Place> duty_places;
};

// What can be said only of the whole: references resolve, no clock starts itself, severe ladders never end or wait, messages
// disclose nothing.
void CheckWhole(const Draft& draft, Problems& problems);

}  // namespace vigil::domain
