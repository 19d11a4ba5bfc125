// What a record says on paper: the words of its form and of its layout, in one language. No I/O; what was sealed has been opened.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "domain/form.h"
#include "domain/pack/pack.h"
#include "vigil/document/v1/document.pb.h"
#include "vigil/intake/v1/intake.pb.h"
#include "vigil/state/v1/state.plain.h"

namespace vigil::intake {

struct PersonWords {
  std::string name;
  std::string phone;
  std::string role;  // of staff, in the document's language
  std::string class_name;
};

// Of one record, for one reader.
struct DocumentSource {
  domain::RecordState record;
  // The case, or the school's own matters, that the record stands in.
  domain::FileState file;
  std::string level;  // name of the case's level, in the document's language
  domain::Fields fields;               // those that the reader may read
  std::vector<std::string> withheld;   // those that the reader may not
  std::vector<std::string> signatures; // recorded beside the fields
  std::string supersedes;
  std::string guardian;                // to whom the child was handed by the commit that filed it
  bool identity_checked = false;
  // Of the report that the case began with, where it can be told.
  std::string reporter;
  absl::Time observed_time = absl::InfinitePast();
  absl::Time discovered_time = absl::InfinitePast();
  absl::Time reported_time = absl::InfinitePast();
  absl::Time recorded_time = absl::InfinitePast();
  std::vector<std::string> indicators;
  std::map<std::string, PersonWords> people;  // by person id
  std::string printed_by;                     // person id; empty: the guardian's copy
  std::string copy_token;                     // empty: none is offered
  absl::Time now = absl::InfinitePast();
  bool rehearsal = false;
};

// "zh-CN" or "en", as the pack has them: by the tag that was asked for, else the school's, else Chinese.
std::string DocumentLanguage(const domain::Pack& pack, std::string_view asked, std::string_view of_school);

// Ids that the document will want names for.
std::set<std::string> PeopleIn(const domain::Pack& pack, const DocumentSource& source);

document::v1::Document RecordDocument(const domain::Pack& pack, const domain::SchoolState& school, const DocumentSource& source, const std::string& language);

document::v1::Document StatisticsDocument(const domain::Pack& pack, const domain::SchoolState& school, const v1::Statistics& statistics, absl::Time from, absl::Time to,
                                          const std::string& printed_by, absl::Time now, bool rehearsal, const std::string& language);

}  // namespace vigil::intake
